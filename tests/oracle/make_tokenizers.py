"""Writes small tokenizers and what they make of texts, as the Python package `tokenizers` (0.23) sees it.

    python tests/oracle/make_tokenizers.py tests/data/tokenizers

Each NAME.json is a tokenizer.json; NAME.cases.json holds for many texts (and pairs, cuts, and with special tokens left
out) the expected ids, type ids, special mask, sequences and offsets, and the decoded texts.
"""

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "the layers of a model hold its hidden states and each layer adds a little to the stream",
    "hidden states are vectors: one for every token, one for every layer",
    "a tokenizer cuts the text into tokens before the model reads it, so look at the tokens first",
    "Café, naïve, Zürich and Straße are words with accents; they're not rare, don't drop them",
    "numbers like 1, 23, 456 and 7890 are cut into digits or groups of digits",
    "日本語の文章を小さく切る。中文也可以。한국어도 됩니다.",
    "def forward(self, x):\n    return self.norm(x + self.attention(x))\n",
    "spaces   and\ttabs\nand new lines\r\n matter to some tokenizers",
] * 4

TEXTS = [
    "",
    " ",
    "hidden states",
    "Hidden STATES of the model's layers",
    "  leading and trailing  ",
    "Café naïve Zürich Straße",
    "Cafe\u0301 nai\u0308ve",  # combining marks
    "\u1100\u1161\u11a8 \ud55c\uad6d",  # Hangul, apart and composed
    "日本語の文章、中文。",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44d\U0001f3fd \U0001f3f3\ufe0f\u200d\U0001f308",
    "a\x00b\x01c\x7fd\x85e\u200be\ufeff",  # control characters and what looks like them
    "tab\tnew\nline\r\nend\u00a0nbsp\u3000wide",
    "[CLS] in the text [SEP] is a token </s> here <s>",
    "mask: <mask> and  <mask>  and<mask>and",
    "wordy word words sword word",
    "KEEP  keep KEEPkeep",
    "1 23 456 7890 3.14 1e-5",
    "don't they're I'll we've it's",
    "def f(x):\n    return x\n\n\n",
    "x" * 120,
    "\u0130stanbul \ufb01ne \u00bd \u2460 \u212b \u1e9e",
    "unknown: \u2603 \u2620 \u00a7 \U0001d54f",
]

PAIRS = [
    ("hidden states", "of the model"),
    ("", "only the second"),
    ("only the first", ""),
    ("a long first text of many tokens that will be cut", "short"),
    ("short", "a long second text of many tokens that will be cut"),
    ("日本語 text", "\U0001f469\u200d\U0001f467 emoji"),
    ("one two three four five six", "seven eight nine ten eleven twelve"),
]

DECODES = ["hidden states of the model", "Café, naïve: don't", "日本語の文章", "numbers like 23", " two  spaces ", "a\n b"]


def template(tokenizer, single, pair, names):
    return processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(name, tokenizer.token_to_id(name)) for name in names]
    )


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False))
    tokenizer.post_processor = template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"])
    # What a training left behind: it must have no effect.
    tokenizer.enable_padding(length=64, pad_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(max_length=8)
    return tokenizer


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.add_tokens(
        [
            AddedToken("word", single_word=True, normalized=False),
            AddedToken("KEEP", rstrip=True, normalized=False),
        ]
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>"))
    )
    return tokenizer


def split_pattern():
    """As Llama 3 and Qwen 2 do it: a pattern, then bytes; merges are written as pairs."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            template(tokenizer, "<|begin|> $A", "<|begin|> $A <|begin|>:1 $B:1", ["<|begin|>"]),
        ]
    )
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=260, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = template(tokenizer, "$A </s>", "$A </s> $B </s>", ["</s>"])
    return tokenizer


def case(tokenizer, text, pair=None, add_special_tokens=True, max_length=None):
    tokenizer.no_padding()
    if max_length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_length, strategy="longest_first", direction="right")
    encoding = tokenizer.encode(text, pair, add_special_tokens=add_special_tokens)
    sequence = [-1 if s is None else s for s in encoding.sequence_ids]
    result = {"text": text}
    if pair is not None:
        result["pair"] = pair
    if not add_special_tokens:
        result["add_special_tokens"] = False
    if max_length is not None:
        result["max_length"] = max_length
    result["ids"] = encoding.ids
    result["type_ids"] = encoding.type_ids
    result["special"] = encoding.special_tokens_mask
    result["sequence"] = sequence
    result["offsets"] = [[-1, -1] if s < 0 else list(o) for s, o in zip(sequence, encoding.offsets)]
    return result


def cases(tokenizer):
    encoded = [case(tokenizer, text) for text in TEXTS]
    encoded += [case(tokenizer, text, add_special_tokens=False) for text in TEXTS[2:8]]
    encoded += [case(tokenizer, text, max_length=length) for text in TEXTS[2:10] for length in (2, 3, 7, 1000)]
    for text, pair in PAIRS:
        encoded.append(case(tokenizer, text, pair))
        encoded.append(case(tokenizer, text, pair, add_special_tokens=False, max_length=5))
        encoded += [case(tokenizer, text, pair, max_length=length) for length in (4, 5, 8, 9, 12, 1000)]
    tokenizer.no_truncation()
    decoded = []
    for text in DECODES:
        ids = tokenizer.encode(text).ids
        for skip in (False, True):
            decoded.append({"ids": ids, "skip_special_tokens": skip, "text": tokenizer.decode(ids, skip_special_tokens=skip)})
    return {"vocabulary_size": tokenizer.get_vocab_size(), "encode": encoded, "decode": decoded}


def main(folder):
    for name, make in (
        ("word_piece", word_piece),
        ("byte_level", byte_level),
        ("split_pattern", split_pattern),
        ("unigram", unigram),
    ):
        tokenizer = make()
        (folder / f"{name}.json").write_text(tokenizer.to_str(pretty=False) + "\n", encoding="utf-8")
        expected = cases(tokenizer)
        lines = {key: value for key, value in expected.items() if not isinstance(value, list)}
        text = json.dumps(lines)[:-1]
        for key in ("encode", "decode"):
            rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in expected[key])
            text += f',\n"{key}": [\n{rows}\n]'
        (folder / f"{name}.cases.json").write_text(text + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
