"""AutoTokenizer: texts to ids and back, called as the tokenizers of transformers are."""

from __future__ import annotations

import datetime
import json
import os
from collections import UserDict
from typing import Any, Iterable, Mapping, Sequence

import numpy as np

from . import _native
from .arrays import Integers, is_torch, to_torch
from .errors import UsageError
from .folder import read_json, refuse_unknown, resolve

# The tokenizers of transformers that return token types unasked. (tokenization_*.py: model_input_names)
_WITH_TYPES = ("Bert", "ConvBert", "Deberta", "DebertaV2", "Electra", "FNet", "LayoutLM", "MobileBert", "SqueezeBert")
_WITH_TYPES_MODELS = ("bert", "convbert", "deberta", "deberta-v2", "electra", "ernie", "fnet", "megatron-bert", "nomic_bert")
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_USUAL_PADDING = ("[PAD]", "<pad>")
_SPACES = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"),
    (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip
_NO_LIMIT = 10**20  # a model_max_length above it means that none is known


class BatchEncoding(UserDict[str, Any]):
    """Rows of ids and masks: by key, by attribute, or as keyword arguments of a model."""

    def __init__(self, data: Mapping[str, Any], tokenizer: Tokenizer | None = None, rows: list[_Row] | None = None) -> None:
        super().__init__(data)
        self._tokenizer, self._rows = tokenizer, rows or []

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data", {})
        if name in data:
            return data[name]
        raise AttributeError(name)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.data[key]
        raise KeyError("rows are indexed within their field: encoding['input_ids'][row]")

    def tokens(self, row: int = 0) -> list[str]:
        """The vocabulary's entries of a row, padding included."""
        ids = self._column("input_ids", row)
        assert self._tokenizer is not None
        return [token or "" for token in self._tokenizer.convert_ids_to_tokens(ids)]

    def sequence_ids(self, row: int = 0) -> list[int | None]:
        """Whether a token is the text's (0) or its pair's (1); None for special tokens and padding."""
        return self._rows[row].sequence

    def _column(self, name: str, row: int) -> list[int]:
        column = self.data[name]
        column = column if len(self._rows) != 1 or np.ndim(column) == 2 else [column]
        return [int(value) for value in column[row]]

    def to(self, device: Any) -> BatchEncoding:
        """Tensors on another device; arrays of numpy stay."""
        moved = {key: value.to(device) if is_torch(value) else value for key, value in self.data.items()}
        return BatchEncoding(moved, self._tokenizer, self._rows)


class _Row:
    """One row before padding."""

    __slots__ = ("ids", "types", "special", "offsets", "sequence")

    def __init__(self, ids: list[int], types: list[int], special: list[int], offsets: Any, sequence: list[int | None]) -> None:
        self.ids, self.types, self.special, self.offsets, self.sequence = ids, types, special, offsets, sequence


def _content(value: Any) -> str | None:
    """A special token as it is written in the folder's files: a text, or an object around it."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


class Tokenizer:
    """A model folder's tokenizer. Calls and results are those of transformers."""

    def __init__(self, folder: str, padding_side: str | None = None, **special: Any) -> None:
        self._native = _native.Tokenizer.open(folder)
        self.name_or_path = folder
        settings = read_json(folder, "tokenizer_config.json")
        named = read_json(folder, "special_tokens_map.json")
        self.padding_side: str = padding_side or settings.get("padding_side") or "right"
        self.truncation_side: str = settings.get("truncation_side") or "right"
        limit = settings.get("model_max_length")
        self.model_max_length: int = int(limit) if isinstance(limit, (int, float)) else int(1e30)
        for name in _SPECIAL:
            token = _content(special.get(name, settings.get(name, named.get(name))))
            if token is None and name == "pad_token" and name not in settings and name not in named and not settings:
                token = next((usual for usual in _USUAL_PADDING if self._native.id(usual) is not None), None)
            setattr(self, name, token)
        self.model_input_names: list[str] = self._input_names(folder, settings)
        self.clean_up_tokenization_spaces = bool(settings.get("clean_up_tokenization_spaces", False))
        if self.clean_up_tokenization_spaces:
            self.clean_up_tokenization_spaces = self._kind(folder) != "BPE"
        self._chat: _native.ChatTemplate | None = None

    @staticmethod
    def _input_names(folder: str, settings: dict[str, Any]) -> list[str]:
        given = settings.get("model_input_names")
        if isinstance(given, list):
            return [str(name) for name in given]
        kind = settings.get("tokenizer_class")
        if isinstance(kind, str):
            typed = kind.removesuffix("Fast").removesuffix("Tokenizer") in _WITH_TYPES
        else:
            typed = read_json(folder, "config.json").get("model_type") in _WITH_TYPES_MODELS
        return ["input_ids", *(["token_type_ids"] if typed else []), "attention_mask"]

    @staticmethod
    def _kind(folder: str) -> str | None:
        """The model of tokenizer.json."""
        model = read_json(folder, "tokenizer.json").get("model")
        kind = model.get("type") if isinstance(model, dict) else None
        return kind if isinstance(kind, str) else None

    # What transformers calls the parts of a tokenizer.

    def __len__(self) -> int:
        return int(self._native.vocabulary_size())

    @property
    def vocab_size(self) -> int:
        return len(self)

    def get_vocab(self) -> dict[str, int]:
        """The ids of all tokens."""
        entries = ((self._native.token(index), index) for index in range(len(self)))
        return {token: index for token, index in entries if token is not None}

    @property
    def vocab(self) -> dict[str, int]:
        return self.get_vocab()

    def _special_id(self, name: str) -> int | None:
        token = getattr(self, name)
        return None if token is None else self._native.id(token)

    def __getattr__(self, name: str) -> Any:
        if name.endswith("_token_id") and name[:-3] in _SPECIAL:
            return self._special_id(name[:-3])
        raise AttributeError(f"the tokenizer has no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.endswith("_token_id") and name[:-3] in _SPECIAL:
            name, value = name[:-3], None if value is None else self._native.token(int(value))
        object.__setattr__(self, name, value)

    @property
    def special_tokens_map(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in _SPECIAL if getattr(self, name) is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        return list(dict.fromkeys(self.special_tokens_map.values()))

    @property
    def all_special_ids(self) -> list[int | None]:
        return [self._native.id(token) for token in self.all_special_tokens]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        if isinstance(ids, (int, np.integer)):
            return self._native.token(int(ids))
        kept = [int(i) for i in ids if not (skip_special_tokens and self._native.is_special(int(i)))]
        return [self._native.token(i) for i in kept]

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        def one(token: str) -> int | None:
            found = self._native.id(token)
            return self._special_id("unk_token") if found is None else found

        return one(tokens) if isinstance(tokens, str) else [one(token) for token in tokens]

    # Ids to text.

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> Any:
        """The text of ids; of a list of lists, the texts."""
        if is_torch(token_ids) or isinstance(token_ids, np.ndarray):
            token_ids = token_ids.tolist()
        if isinstance(token_ids, (int, np.integer)):
            token_ids = [int(token_ids)]
        if len(token_ids) > 0 and not isinstance(token_ids[0], (int, np.integer)) and np.ndim(token_ids[0]) > 0:
            return self.batch_decode(token_ids, skip_special_tokens, clean_up_tokenization_spaces)
        text = self._native.decode([int(i) for i in token_ids], skip_special_tokens)
        clean = self.clean_up_tokenization_spaces if clean_up_tokenization_spaces is None else clean_up_tokenization_spaces
        for spaced, tight in _SPACES if clean else ():
            text = text.replace(spaced, tight)
        return text

    def batch_decode(
        self, sequences: Iterable[Any], skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> list[str]:
        return [self.decode(ids, skip_special_tokens, clean_up_tokenization_spaces) for ids in sequences]

    # Text to ids.

    def __call__(
        self,
        text: str | Sequence[Any],
        text_pair: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        **options: Any,
    ) -> BatchEncoding:
        refuse_unknown(options, "tokenizer")
        single = isinstance(text, str)
        texts, pairs = _columns(text, text_pair)
        limit = self._limit(truncation, max_length, bool(padding))
        rows = self._encode(texts, pairs, add_special_tokens, limit, return_offsets_mapping)
        length = self._padded_length(rows, padding, max_length, pad_to_multiple_of)
        side = padding_side or self.padding_side
        if side not in ("left", "right"):
            raise UsageError(f"padding_side {side!r}: expected left or right")
        with_types = "token_type_ids" in self.model_input_names if return_token_type_ids is None else return_token_type_ids
        with_mask = "attention_mask" in self.model_input_names if return_attention_mask is None else return_attention_mask
        padding_id = self._padding_id() if length is not None else 0

        def column(name: str, values: list[list[Any]], fill: Any) -> list[list[Any]]:
            return values if length is None else [_filled(row, length, fill, side) for row in values]

        columns: dict[str, list[list[Any]]] = {}
        for name in self._order(with_types, with_mask):
            if name == "input_ids":
                columns[name] = column(name, [row.ids for row in rows], padding_id)
            elif name == "token_type_ids":
                columns[name] = column(name, [row.types for row in rows], 0)
            else:
                columns[name] = column(name, [[1] * len(row.ids) for row in rows], 0)
        if return_special_tokens_mask:
            columns["special_tokens_mask"] = column("special_tokens_mask", [row.special for row in rows], 1)
        if return_offsets_mapping:
            columns["offset_mapping"] = column("offset_mapping", [row.offsets for row in rows], (0, 0))
        if length is not None:
            for row in rows:
                row.sequence = _filled(row.sequence, length, None, side)
        data: dict[str, Any] = dict(columns)
        if return_tensors is not None:
            data = {name: _tensor(name, values, return_tensors) for name, values in columns.items()}
        elif single:
            data = {name: values[0] for name, values in columns.items()}
        if return_length:
            lengths = [max(len(row.ids), length or 0) for row in rows]
            data["length"] = lengths if return_tensors is None else _tensor("length", [lengths], return_tensors)[0]
        return BatchEncoding(data, self, rows)

    def encode(self, text: str, text_pair: str | None = None, **options: Any) -> Any:
        """The ids alone."""
        return self(text, text_pair, **options)["input_ids"]

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False) -> list[str]:
        """The vocabulary's entries of a text."""
        return self(text, pair, add_special_tokens=add_special_tokens).tokens()

    def _order(self, types: bool, mask: bool) -> list[str]:
        return ["input_ids", *(["token_type_ids"] if types else []), *(["attention_mask"] if mask else [])]

    def _limit(self, truncation: bool | str | None, max_length: int | None, padded: bool) -> int | None:
        if truncation is None and max_length is not None and not padded:
            truncation = True
        if truncation in (None, False, "do_not_truncate"):
            return None
        if truncation not in (True, "longest_first"):
            raise UsageError(f"truncation {truncation!r}: expected True or 'longest_first'")
        if self.truncation_side != "right":
            raise UsageError("truncation: the folder's truncation_side is not right, which is the side that is cut here")
        if max_length is not None:
            return max_length
        return self.model_max_length if self.model_max_length < _NO_LIMIT else None

    def _encode(
        self, texts: list[str], pairs: list[str], add_special_tokens: bool, limit: int | None, offsets: bool
    ) -> list[_Row]:
        begins, *flat, spans, sequence = self._native.encode(texts, pairs, add_special_tokens, limit, True)
        ids, types, special = (column.tolist() for column in flat)
        places = [tuple(span) if span[0] >= 0 else (0, 0) for span in spans.tolist()] if offsets else []
        owners = [None if owner < 0 else owner for owner in sequence.tolist()]
        ends = begins.tolist()
        return [
            _Row(ids[a:b], types[a:b], special[a:b], places[a:b], owners[a:b]) for a, b in zip(ends[:-1], ends[1:])
        ]

    def _padded_length(
        self, rows: list[_Row], padding: bool | str, max_length: int | None, multiple: int | None
    ) -> int | None:
        if padding in (False, None, "do_not_pad"):
            return None
        if padding in (True, "longest"):
            length = max((len(row.ids) for row in rows), default=0)
        elif padding == "max_length":
            length = self.model_max_length if max_length is None else max_length
            if length >= _NO_LIMIT:
                length = max((len(row.ids) for row in rows), default=0)
        else:
            raise UsageError(f"padding {padding!r}: expected True, 'longest', 'max_length' or False")
        if multiple:
            length = -(-length // multiple) * multiple
        return length

    def _padding_id(self) -> int:
        padding = self._special_id("pad_token")
        if padding is None:
            raise UsageError(
                "the tokenizer has no padding token: choose one, as in tokenizer.pad_token = tokenizer.eos_token"
            )
        return padding

    # Conversations.

    def apply_chat_template(
        self,
        conversation: Sequence[Any],
        *,
        add_generation_prompt: bool = False,
        tokenize: bool = True,
        chat_template: str | None = None,
        return_tensors: str | None = None,
        return_dict: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        date: datetime.date | None = None,
    ) -> Any:
        """A conversation, or several, as the folder's template writes it. `date` is what templates take for today."""
        if self._chat is None:
            self._chat = _native.ChatTemplate.open(self.name_or_path)
        chat = self._chat
        several = len(conversation) > 0 and not isinstance(conversation[0], dict)
        day = None if date is None else (date.year, date.month, date.day)
        texts = [
            chat.render(json.dumps(messages), add_generation_prompt, chat_template or "", day)
            for messages in (conversation if several else [conversation])
        ]
        if not tokenize:
            return texts if several else texts[0]
        encoded = self(
            texts if several else texts[0],
            add_special_tokens=False,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            return_tensors=return_tensors,
        )
        return encoded if return_dict else encoded["input_ids"]

    def __repr__(self) -> str:
        return f"Tokenizer({self.name_or_path!r}, vocab_size={len(self)}, padding_side={self.padding_side!r})"


def _columns(text: str | Sequence[Any], pair: str | Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Texts and their pairs as two columns; the second is empty where there are none."""
    if isinstance(text, str):
        if pair is not None and not isinstance(pair, str):
            raise UsageError("text_pair: expected a text, as the first is one")
        return [text], [pair] if pair else []
    texts = list(text)
    if pair is not None:
        return _texts(texts), _texts([pair] if isinstance(pair, str) else list(pair))
    if texts and all(isinstance(row, (tuple, list)) and len(row) == 2 for row in texts):
        return _texts([row[0] for row in texts]), _texts([row[1] for row in texts])
    return _texts(texts), []


def _texts(rows: list[Any]) -> list[str]:
    for row in rows:
        if not isinstance(row, str):
            raise UsageError(f"expected texts, or pairs of texts, not {type(row).__name__}")
    return rows


def _filled(row: list[Any], length: int, fill: Any, side: str) -> list[Any]:
    padding = [fill] * (length - len(row))
    return padding + row if side == "left" else row + padding


def _tensor(name: str, rows: list[list[Any]], kind: str) -> Any:
    if kind not in ("np", "pt"):
        raise UsageError(f"return_tensors {kind!r}: expected np or pt")
    if len({len(row) for row in rows}) > 1:
        raise UsageError(f"{name}: rows differ in length; padding=True makes them equal")
    array: Integers = np.array(rows, dtype=np.int64)
    return to_torch(array) if kind == "pt" else array


class AutoTokenizer:
    """The tokenizer of a folder, or of org/name in the local cache."""

    def __init__(self) -> None:
        raise TypeError("AutoTokenizer.from_pretrained(name) makes one")

    @staticmethod
    def from_pretrained(
        name: str | os.PathLike[str],
        *,
        padding_side: str | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Tokenizer:
        special = {key: options.pop(key) for key in _SPECIAL if key in options}
        refuse_unknown(options, "AutoTokenizer.from_pretrained")
        return Tokenizer(resolve(name, revision, cache_dir), padding_side, **special)
