"""SentenceTransformer: vectors of texts, called as in sentence-transformers."""

from __future__ import annotations

import contextlib
import json
import os
import types
from typing import Any, Sequence

import numpy as np
from numpy.typing import NDArray

from . import _native
from .arrays import Floats, from_torch, is_torch, to_torch
from .errors import ModelError, UsageError
from .folder import check_device, dtype_name, read_json, refuse_unknown, resolve
from .padded import thread_count
from .tokenization import Tokenizer

_PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")
_WITHOUT_EFFECT = frozenset({"pool", "chunk_size"})
_SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


class Scores(np.ndarray[Any, Any]):
    """An array that also answers to what is asked of sentence-transformers' tensors of scores."""

    def numpy(self) -> NDArray[Any]:
        return self.view(np.ndarray)

    def cpu(self) -> Scores:
        return self

    def __float__(self) -> float:
        return float(self.item())


class SentenceTransformer:
    """A sentence-transformers folder. Calls may come from several threads at once."""

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        device: Any = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str | None = None,
        truncate_dim: int | None = None,
        dtype: Any = None,
        threads: int | None = None,
        revision: str | None = None,
        cache_folder: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        refuse_unknown(options, "SentenceTransformer")
        folder = _find(model_name_or_path, revision, cache_folder)
        self._embedder = _native.Embedder.open(folder, dtype_name(dtype), check_device(device))
        self._ways: dict[tuple[Any, ...], _native.Embedder] = {}
        self.threads = thread_count(threads)
        self.name_or_path = folder
        self.device = "cpu"
        settings = read_json(folder, "config_sentence_transformers.json")
        own = settings.get("prompts")
        self.prompts: dict[str, str] = {"query": "", "document": "", **(own if isinstance(own, dict) else {}), **(prompts or {})}
        self.default_prompt_name = default_prompt_name or settings.get("default_prompt_name")
        if self.default_prompt_name is not None:
            self._prompt(None, self.default_prompt_name)
        self.truncate_dim = truncate_dim
        self.similarity_fn_name = similarity_fn_name or self._embedder.similarity
        if self.similarity_fn_name not in _SIMILARITIES:
            raise UsageError(f"similarity_fn_name {self.similarity_fn_name!r}: expected {', '.join(_SIMILARITIES)}")
        self._max_seq_length: int | None = None
        self._tokenizer: Tokenizer | None = None

    # What programs ask of a model.

    @property
    def tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            self._tokenizer = Tokenizer(self._embedder.model.path)
        return self._tokenizer

    @property
    def max_seq_length(self) -> int | None:
        """Tokens that are read of a text; setting it overrides the folder's."""
        if self._max_seq_length is not None:
            return self._max_seq_length
        limits = [json.loads(self._embedder.recipe_json).get("max_seq_length"), self._embedder.model.max_tokens]
        known = [int(limit) for limit in limits if isinstance(limit, int)]
        return min(known) if known else None

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        self._max_seq_length = value

    def get_max_seq_length(self) -> int | None:
        return self.max_seq_length

    def get_embedding_dimension(self) -> int:
        """Elements of a vector."""
        return min(int(self._embedder.width), self.truncate_dim or int(self._embedder.width))

    get_sentence_embedding_dimension = get_embedding_dimension

    def eval(self) -> SentenceTransformer:
        return self

    def to(self, device: Any) -> SentenceTransformer:
        check_device(device)
        return self

    @property
    def model_card_data(self) -> types.SimpleNamespace:
        """What MTEB notes of a model."""
        name = os.path.basename(os.path.normpath(self.name_or_path))
        return types.SimpleNamespace(model_name=name, base_model=name, base_model_revision=None)

    # Several processes are not needed: one call uses all cores.

    def start_multi_process_pool(self, target_devices: Any = None) -> dict[str, Any]:
        return {}

    def encode_multi_process(self, sentences: Any, pool: Any = None, **options: Any) -> Any:
        return self.encode(sentences, **options)

    @staticmethod
    def stop_multi_process_pool(pool: Any) -> None:
        return None

    def __repr__(self) -> str:
        return f"SentenceTransformer({self.name_or_path!r}, {self.get_embedding_dimension()}, {self.similarity_fn_name})"

    # Texts to vectors.

    def encode(
        self,
        sentences: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: str | None = "sentence_embedding",
        precision: str = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        *,
        inputs: Any = None,
        task: str | None = None,
        **options: Any,
    ) -> Any:
        """One vector a text, [texts, width]; of a single text, [width]. `inputs` is another name of `sentences`.

        batch_size, chunk_size, pool and show_progress_bar change nothing: all cores work on rows that are batched by tokens,
        and no vector depends on it.
        """
        refuse_unknown(options, "encode", _WITHOUT_EFFECT)
        sentences = inputs if sentences is None else sentences
        check_device(device)
        if precision not in _PRECISIONS:
            raise UsageError(f"precision {precision!r}: expected {', '.join(_PRECISIONS)}")
        single = isinstance(sentences, str) or not hasattr(sentences, "__len__")
        texts = [sentences] if single else list(sentences)
        way = self._way(self._prompt(prompt, prompt_name), task, normalize_embeddings, truncate_dim or self.truncate_dim)
        rows = way.tokenize([_row(text) for text in texts], self.threads)
        if output_value == "token_embeddings":
            return self._token_states(way, rows, single, convert_to_tensor or not convert_to_numpy)
        if output_value != "sentence_embedding":
            raise UsageError(f"output_value {output_value!r}: expected 'sentence_embedding' or 'token_embeddings'")
        vectors: NDArray[Any] = way.embed(rows, self.threads)
        if precision != "float32":
            vectors = quantize(vectors, precision)
        if convert_to_tensor:
            return to_torch(vectors[0] if single else vectors)
        if single:
            return vectors[0] if convert_to_numpy else to_torch(vectors[0])
        return vectors if convert_to_numpy else [to_torch(vector) for vector in vectors]

    def encode_query(self, sentences: Any = None, prompt_name: str | None = None, prompt: str | None = None, **options: Any) -> Any:
        """encode() with the folder's prompt for queries, where it has one."""
        if prompt_name is None and prompt is None and self.prompts.get("query"):
            prompt_name = "query"
        return self.encode(sentences, prompt_name, prompt, task="query", **options)

    def encode_document(
        self, sentences: Any = None, prompt_name: str | None = None, prompt: str | None = None, **options: Any
    ) -> Any:
        """encode() with the folder's prompt for documents, where it has one."""
        if prompt_name is None and prompt is None:
            prompt_name = next((name for name in ("document", "passage", "corpus") if self.prompts.get(name)), None)
        return self.encode(sentences, prompt_name, prompt, task="document", **options)

    def _prompt(self, prompt: str | None, name: str | None) -> str:
        if prompt is not None:
            return prompt
        if name is None:
            name = self.default_prompt_name
        if name is None:
            return ""
        if name not in self.prompts:
            raise UsageError(f"prompt_name {name!r}: the prompts are {', '.join(self.prompts)}")
        return self.prompts[name]

    def _way(self, prompt: str, task: str | None, normalize: bool, truncate_dim: int | None) -> _native.Embedder:
        """An embedder for these options; they share the model."""
        key = (prompt, task, normalize, truncate_dim, self._max_seq_length)
        if key not in self._ways:
            if len(self._ways) >= 16:
                self._ways.clear()
            self._ways[key] = self._embedder.with_options(
                prompt=prompt,
                task=task,
                normalize=True if normalize else None,
                truncate_dim=truncate_dim,
                max_length=self._max_seq_length,
            )
        return self._ways[key]

    def _token_states(self, way: _native.Embedder, rows: _native.Rows, single: bool, tensors: bool) -> Any:
        """The last states of every token, a list of [tokens, width]."""
        model = way.model
        plan = _native.plan(model, layers="enc:-1" if model.two_stacks else "-1")
        lengths, width = rows.lengths(), plan.stored[0].width
        arrays: list[Floats] = []
        begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        flat = np.zeros(int(begins[-1]) * width, np.float32)
        if len(rows) > 0:
            _native.run(model, plan, rows, [(flat, begins[:-1] * width, width, 0)], self.threads)
        for begin, length in zip(begins, lengths):
            own = flat[begin * width : (begin + length) * width].reshape(-1, width)
            arrays.append(to_torch(own) if tensors else own)
        return arrays[0] if single else arrays

    # Vectors to numbers.

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """How alike each vector of the first is to each of the second, as the folder compares its vectors."""
        a, b = _matrix(embeddings1), _matrix(embeddings2)
        if self.similarity_fn_name == "cosine":
            scores = _unit(a) @ _unit(b).T
        elif self.similarity_fn_name == "dot":
            scores = a @ b.T
        elif self.similarity_fn_name == "euclidean":
            scores = -np.stack([np.linalg.norm(row - b, axis=1) for row in a])
        else:
            scores = -np.stack([np.abs(row - b).sum(axis=1) for row in a])
        return _scores(scores, embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """How alike each vector of the first is to the one of the second in the same place."""
        a, b = _matrix(embeddings1), _matrix(embeddings2)
        if self.similarity_fn_name == "cosine":
            scores = (_unit(a) * _unit(b)).sum(axis=1)
        elif self.similarity_fn_name == "dot":
            scores = (a * b).sum(axis=1)
        elif self.similarity_fn_name == "euclidean":
            scores = -np.linalg.norm(a - b, axis=1)
        else:
            scores = -np.abs(a - b).sum(axis=1)
        return _scores(scores, embeddings1, embeddings2)


def _find(name: str | os.PathLike[str], revision: str | None, cache: str | os.PathLike[str] | None) -> str:
    """A folder, or org/name in `cache` or else in the local cache: programs name a cache of their own to download to."""
    if cache is not None:
        with contextlib.suppress(ModelError):
            return resolve(name, revision, cache)
    return resolve(name, revision)


def _row(text: Any) -> _native.TextRow:
    if isinstance(text, str):
        return _native.TextRow(text=text)
    if isinstance(text, (tuple, list)) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return _native.TextRow(text=text[0], pair=text[1])
    raise UsageError(f"sentences: expected texts, not {type(text).__name__}")


def _matrix(vectors: Any) -> NDArray[Any]:
    array = from_torch(vectors) if is_torch(vectors) else np.asarray(vectors)
    rows: NDArray[Any] = np.atleast_2d(array.astype(np.float32))
    return rows


def _scores(scores: NDArray[Any], *inputs: Any) -> Any:
    """In the library of the inputs."""
    narrow = scores.astype(np.float32)
    return to_torch(narrow) if any(map(is_torch, inputs)) else narrow.view(Scores)


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    unit: NDArray[Any] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def quantize(vectors: Floats, precision: str, ranges: Sequence[Sequence[float]] | None = None) -> NDArray[Any]:
    """Vectors in a byte or a bit an element. Of bytes, `ranges` (lowest and highest value by element) are taken from the
    vectors unless given. (sentence_transformers, quantization.py)"""
    if precision in ("binary", "ubinary"):
        packed: NDArray[Any] = np.packbits(vectors > 0, axis=-1)
        return packed if precision == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)
    if precision not in ("int8", "uint8"):
        raise UsageError(f"precision {precision!r}: expected {', '.join(_PRECISIONS[1:])}")
    bounds = np.asarray(ranges) if ranges is not None else np.stack([vectors.min(axis=0), vectors.max(axis=0)])
    steps = (bounds[1] - bounds[0]) / 255
    with np.errstate(divide="ignore", invalid="ignore"):
        places: NDArray[Any] = (vectors - bounds[0]) / steps
    places = np.nan_to_num(places, nan=0.0, posinf=255.0, neginf=0.0)
    return places.astype(np.uint8) if precision == "uint8" else (places - 128).astype(np.int8)
