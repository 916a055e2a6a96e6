"""Writes tiny folders with the files of every kind of tokenizer, and what transformers makes of texts with them.

    python tests/oracle/make_tokenizer_folders.py make  tests/data/tokenizer_folders    # generation 5: writes the folders
    python tests/oracle/make_tokenizer_folders.py cases tests/data/tokenizer_folders    # either: writes its NAME/cases.json
    python tests/oracle/make_tokenizer_folders.py other tests/data/tokenizer_folders    # either: where it differs

`cases` writes those of the folders whose reference is the running generation: 5.23, or 4.57 for the folders of FOUR,
whose tokens generation 5 gets wrong (docs/tokenizers.md says how).
"""

import io
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

from make_tokenizers import CORPUS, DECODES, PAIRS, TEXTS  # noqa: E402

FOUR = {"blenderbot", "llama-bare", "llama-json-v4", "mistral", "phi3-added", "xglm"}
SLOW = {"esm", "marian", "m2m-100"}
TEXTS = TEXTS[:16] + TEXTS[17:19] + [
    "\u0130stanbul \ufb01ne \u00bd \u212b \u2603",
    " x  y",
    "``quoted'' 12, and 3,",
    "<s>word</s> <mask>x [MASK] y</s>",
    "<extra_id_3>x <extra_id_1>",
    ">>fra<< hidden states",
    "<|im_start|>user\nhi<|im_end|> <|user|> there",
    "KEEP  [NEW] keep de_DE text",
    "M K T <mask> MKTV",
]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
M2M = (
    "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy "
    "id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru "
    "sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu"
)
# A few rewritings instead of the 240 KB of NFKC.
RULES = {"\ufb01": "fi", "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\u00bd": "1\u20442", "e\u0301": "\u00e9"}


def word_pieces(special, lowercase=True, size=200):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    vocabulary = tokenizer.get_vocab()
    return "".join(token + "\n" for token in sorted(vocabulary, key=vocabulary.get))


def byte_pairs(special, size=320):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    return {"vocab.json": model["vocab"], "merges.txt": "#version: 0.2\n" + merges}


def pieces(rules=True, **options):
    import sentencepiece

    if rules:
        with tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False) as file:
            for left, right in RULES.items():
                codes = ["%X" % ord(c) for c in left], ["%X" % ord(c) for c in right]
                file.write(" ".join(codes[0]) + "\t" + " ".join(codes[1]) + "\n")
        options["normalization_rule_tsv"] = file.name
    else:
        options["normalization_rule_name"] = "identity"
    model = io.BytesIO()
    settings = {"vocab_size": 230, "model_type": "unigram", "character_coverage": 1.0, "hard_vocab_limit": False,
                "num_threads": 1, "minloglevel": 2, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_writer=model, **settings)
    return model.getvalue()


def names(model):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def added(content, typed=False, **flags):
    token = {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, **flags}
    return {"__type": "AddedToken", **token} if typed else {"special": True, **token}


def numbered(tokens):
    return {"vocab.json": {token: i for i, token in enumerate(tokens)}}


def kind(model_type, class_name=None, files=None, more=None, **settings):
    folder = {"config.json": {"model_type": model_type}, **(files or {}), **(more or {})}
    if class_name:
        folder["tokenizer_config.json"] = {"tokenizer_class": class_name, **settings}
    return folder


def of_words():
    bert = {"vocab.txt": word_pieces(BERT)}
    cased = {"vocab.txt": word_pieces(BERT, lowercase=False, size=240)}
    mpnet = {"vocab.txt": word_pieces(["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"])}
    roberta = byte_pairs(ROBERTA)
    named = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "unk", "pad", "mask")}
    decoder = {str(i): added(c, lstrip=c == "<mask>", normalized=True) for i, c in enumerate(ROBERTA)}
    decoder |= {
        "320": added("word", single_word=True, normalized=True, special=False),
        "321": added("KEEP", rstrip=True, special=False),
    }
    chat = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    opt = byte_pairs(["<s>", "<pad>", "</s>", "<unk>"])
    residues = "<cls>\n<pad>\n<eos>\n<unk>\nL\nA\nG\nV\nS\nE\nR\nT\nI\nD\nP\nK\nQ\nN\nF\nY\nM\nH\nW\nC\nX\n.\n-\n<mask>\n"
    return {
        "bert-uncased": kind("bert", "BertTokenizer", bert, do_lower_case=True, model_max_length=512),
        "bert-cased-added": kind(
            "bert", "BertTokenizerFast", cased,
            {"special_tokens_map.json": named, "added_tokens.json": {"[NEW]": 241, "KEEP": 240}},
            do_lower_case=False, tokenize_chinese_chars=False, strip_accents=True,
        ),
        "distilbert-bare": kind("distilbert", None, bert),
        "electra-accents": kind("electra", "ElectraTokenizer", bert, do_lower_case=True, strip_accents=False,
                                truncation_side="left"),
        "mpnet": kind("mpnet", "MPNetTokenizer", mpnet, do_lower_case=True),
        "esm": kind("esm", "EsmTokenizer", {"vocab.txt": residues}),
        "gpt2-bare": kind("gpt2", None, byte_pairs(["<|endoftext|>"])),
        "codegen": kind("codegen", "CodeGenTokenizer", byte_pairs(["<|endoftext|>"])),
        "roberta-added": kind("roberta", "RobertaTokenizer", roberta, added_tokens_decoder=decoder,
                              **dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), ROBERTA))),
        "bart-prefix-space": kind("bart", "BartTokenizer", roberta, add_prefix_space=True),
        "deberta": kind("deberta", "DebertaTokenizer", byte_pairs(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])),
        "qwen2": kind("qwen2", "Qwen2Tokenizer", byte_pairs([]), bos_token=None, eos_token="<|im_end|>",
                      pad_token="<|endoftext|>", unk_token=None, additional_special_tokens=chat[1:],
                      added_tokens_decoder={str(320 + i): added(c) for i, c in enumerate(chat)}),
        "gpt-neox-bos": kind("gpt_neox", "GPTNeoXTokenizer", byte_pairs(["<|endoftext|>", "<|padding|>"]),
                             add_bos_token=True),
        "opt-bos": kind("opt", "GPT2Tokenizer", opt, add_bos_token=True, eos_token="</s>", unk_token="</s>",
                        pad_token="<pad>", bos_token=added("</s>", typed=True, normalized=True)),
        "blenderbot": kind("blenderbot", "BlenderbotTokenizer", roberta, add_prefix_space=True),
    }


def of_pieces():
    t5 = {"spiece.model": pieces(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)}
    fairseq = {"sentencepiece.bpe.model": pieces(unk_id=0, bos_id=1, eos_id=2)}
    albert = pieces(pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols="[CLS],[SEP],[MASK]")
    deberta = pieces(pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]",
                     unk_piece="[UNK]")
    bird = pieces(pad_id=0, eos_id=1, bos_id=2, unk_id=3, control_symbols="[CLS],[SEP],[MASK]")
    bytes_too = {"rules": False, "byte_fallback": True, "remove_extra_whitespaces": False, "model_type": "bpe"}
    llama = {"tokenizer.model": pieces(unk_id=0, bos_id=1, eos_id=2, vocab_size=480, split_digits=True, **bytes_too)}
    gemma = pieces(pad_id=0, eos_id=1, bos_id=2, unk_id=3, vocab_size=480, add_dummy_prefix=False, bos_piece="<bos>",
                   eos_piece="<eos>", user_defined_symbols="<mask>,<start_of_turn>,\n\n", **bytes_too)
    nllb = {"sentencepiece.bpe.model": pieces(unk_id=0, bos_id=1, eos_id=2, model_type="bpe", vocab_size=300)}
    ends = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    source, target = (pieces(unk_id=0, bos_id=-1, eos_id=1, pad_id=-1, vocab_size=size) for size in (180, 150))
    shared = sorted({*names(source)[:-6], *names(target)} - {"</s>", "<unk>"})
    m2m = names(fairseq["sentencepiece.bpe.model"])[3:]
    return {
        "t5-sentinels": kind("t5", "T5Tokenizer", t5, extra_ids=5,
                             additional_special_tokens=[f"<extra_id_{i}>" for i in range(5)]),
        "t5-bare": kind("t5", None, t5),
        "albert": kind("albert", "AlbertTokenizer", {"spiece.model": albert}, do_lower_case=True),
        "xlm-roberta": kind("xlm-roberta", "XLMRobertaTokenizer", fairseq, mask_token=added("<mask>", True, lstrip=True)),
        "camembert": kind("camembert", "CamembertTokenizer", fairseq),
        "mbart": kind("mbart", "MBartTokenizer", fairseq, src_lang="de_DE", tgt_lang="fr_XX"),
        "mbart50": kind("mbart", "MBart50Tokenizer", fairseq, src_lang="de_DE", tgt_lang="sl_SI"),
        "nllb": kind("m2m_100", "NllbTokenizer", nllb, src_lang="deu_Latn", tgt_lang="fra_Latn",
                     additional_special_tokens=["deu_Latn", "eng_Latn", "fra_Latn"]),
        "deberta-v2": kind("deberta-v2", "DebertaV2Tokenizer", {"spm.model": deberta}, do_lower_case=False),
        "deberta-v2-lower": kind("deberta-v2", "DebertaV2Tokenizer", {"spm.model": deberta}, do_lower_case=True,
                                 split_by_punct=True),
        "pegasus": kind("pegasus", "PegasusTokenizer", {"spiece.model": pieces(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)}),
        "big-bird": kind("big_bird", "BigBirdTokenizer", {"spiece.model": bird}),
        "xglm": kind("xglm", "XGLMTokenizer", fairseq),
        "llama-2": kind("llama", "LlamaTokenizer", llama, add_bos_token=True, add_eos_token=False, legacy=False,
                        pad_token=None, **{key: added(value, typed=True) for key, value in ends.items()}),
        "llama-legacy-eos": kind("llama", "LlamaTokenizer", llama, add_bos_token=True, add_eos_token=True, legacy=True,
                                 **ends),
        "llama-bare": kind("llama", None, llama),
        "mistral": kind("mistral", "LlamaTokenizer", llama, add_bos_token=True, add_eos_token=False, legacy=True, **ends),
        "phi3-added": kind("phi3", "LlamaTokenizer", llama, add_bos_token=False, add_eos_token=False, legacy=False,
                           bos_token="<s>", eos_token="<|endoftext|>", unk_token="<unk>",
                           added_tokens_decoder={"480": added("<|endoftext|>"), "481": added("<|user|>", rstrip=True)}),
        "gemma": kind("gemma", "GemmaTokenizer", {"tokenizer.model": gemma}, add_bos_token=True, add_eos_token=False,
                      bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>"),
        "marian": kind("marian", "MarianTokenizer", {"source.spm": source, "target.spm": target},
                       numbered(["</s>", "<unk>", *shared, ">>fra<<", "<pad>"]), source_lang="en", target_lang="fra"),
        "m2m-100": kind("m2m_100", "M2M100Tokenizer", fairseq, numbered([*ROBERTA[:4], *m2m]), src_lang="de",
                        tgt_lang="fr", additional_special_tokens=[f"__{code}__" for code in M2M.split()]),
    }


def of_json():
    """tokenizer.json, alone and with files beside it that add to it."""
    from make_tokenizers import byte_level, split_pattern, word_piece
    from transformers import LlamaTokenizer

    three, words = json.loads(split_pattern().to_str()), json.loads(word_piece().to_str())
    cased = {**words, "normalizer": {**words["normalizer"], "lowercase": False}}
    level = json.loads(byte_level().to_str())
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), of_pieces()["llama-2"])
        LlamaTokenizer.from_pretrained(folder).save_pretrained(folder)
        llama = json.loads((Path(folder) / "tokenizer.json").read_text())
        settings = json.loads((Path(folder) / "tokenizer_config.json").read_text())
    legacy = dict(llama)
    legacy["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    ]}
    legacy["pre_tokenizer"] = None
    legacy["model"] = {**llama["model"], "unk_token": "<unk>"}
    size = len(three["model"]["vocab"])
    more = {str(size + i): added(c) for i, c in enumerate(["<|begin|>", "<|end|>"])}
    more |= {str(size + 2): added("KEEP", rstrip=True, special=False), str(size + 3): added("word", single_word=True)}
    return {
        "llama-3-json": kind("llama", "PreTrainedTokenizerFast", {"tokenizer.json": three}, bos_token="<|begin|>",
                             eos_token="<|end|>"),
        "llama-3-json-added": kind("llama", "PreTrainedTokenizerFast", {"tokenizer.json": three}, bos_token="<|begin|>",
                                   eos_token="<|end|>", pad_token="<|pad|>", added_tokens_decoder=more,
                                   add_eos_token=True, truncation_side="left"),
        "llama-json": kind("llama", None, {"tokenizer.json": llama, "tokenizer_config.json": settings}),
        "llama-json-v4": kind("llama", "LlamaTokenizerFast", {"tokenizer.json": legacy}, legacy=True,
                              add_bos_token=True, add_eos_token=False, bos_token="<s>", eos_token="</s>"),
        "bert-json": kind("bert", "BertTokenizer", {"tokenizer.json": words}, {"added_tokens.json": {"KEEP": 280}},
                          do_lower_case=True),
        # Both generations let the class's settings, here their defaults, hold against the file.
        "bert-json-cased": kind("bert", None, {"tokenizer.json": cased}),
        "gpt2-json-prefix": kind("gpt2", "GPT2Tokenizer", {"tokenizer.json": level}, add_prefix_space=True,
                                 bos_token="<s>", eos_token="</s>", unk_token="</s>"),
        "bert-json-split": kind("bert", "BertTokenizer", {"tokenizer.json": words}, split_special_tokens=True),
    }


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        else:
            (folder / name).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def case(tokenizer, text, pair=None, add_special_tokens=True, max_length=None, target=False):
    options = {"add_special_tokens": add_special_tokens, "return_special_tokens_mask": True}
    if max_length is not None:
        options |= {"truncation": "longest_first", "max_length": max_length}
    out = tokenizer(text_target=text, **options) if target else tokenizer(text, pair, **options)
    row = {"text": text}
    if pair is not None:
        row["pair"] = pair
    if not add_special_tokens:
        row["add_special_tokens"] = False
    if max_length is not None:
        row["max_length"] = max_length
    if target:
        row["target"] = True
    row["ids"] = out["input_ids"]
    if not tokenizer.is_fast:
        return row  # its mask marks special tokens of the text too
    encoding = out.encodings[0]
    sequence = [-1 if s is None else s for s in encoding.sequence_ids]
    row |= {"type_ids": encoding.type_ids, "special": encoding.special_tokens_mask, "sequence": sequence}
    row["offsets"] = [[-1, -1] if s < 0 else list(o) for s, o in zip(sequence, encoding.offsets)]
    return row


def cases(tokenizer, name):
    rows = [case(tokenizer, text) for text in TEXTS]
    rows += [case(tokenizer, text, add_special_tokens=False) for text in TEXTS[2:5]]
    rows += [case(tokenizer, text, max_length=length) for text in TEXTS[3:6] for length in (5, 9)]
    for text, pair in PAIRS[:1] + PAIRS[3:6]:
        rows.append(case(tokenizer, text, pair))
        if name not in SLOW:
            rows.append(case(tokenizer, text, pair, max_length=9))
    if name in ("marian", "m2m-100", "mbart", "mbart50", "nllb"):
        rows += [case(tokenizer, text, target=True) for text in TEXTS[2:7]]
    decoded = []
    for text in DECODES[:2]:
        ids = tokenizer(text)["input_ids"]
        decoded.append({"ids": ids, "skip_special_tokens": True, "text": tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)})
    return {"vocabulary_size": len(tokenizer), "encode": rows, "decode": decoded}


def dump(expected):
    text = json.dumps({key: value for key, value in expected.items() if not isinstance(value, list)})[:-1]
    for key in ("encode", "decode"):
        rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in expected[key])
        text += f',\n"{key}": [\n{rows}\n]'
    return text + "}\n"


def main(action, root, *chosen):
    if action == "make":
        for name, files in {**of_words(), **of_pieces(), **of_json()}.items():
            write(root / name, files)
        return
    import transformers
    from transformers import AutoTokenizer

    generation = int(transformers.__version__.split(".")[0])
    for folder in sorted(root.iterdir()):
        ours = (generation == 4) == (folder.name in FOUR)
        if ours != (action == "cases") or (chosen and folder.name not in chosen):
            continue
        try:
            expected = dump(cases(AutoTokenizer.from_pretrained(folder), folder.name))
        except Exception as error:
            print(f"{folder.name}: {type(error).__name__}: {error}"[:200])
            continue
        if action == "cases":
            (folder / "cases.json").write_text(expected, encoding="utf-8")
            continue
        stored = json.loads((folder / "cases.json").read_text(encoding="utf-8"))["encode"]
        rows = json.loads(expected)["encode"]
        differ = [row["text"] for row, other in zip(rows, stored) if row["ids"] != other["ids"]]
        if differ:
            print(f"{folder.name}: {len(differ)} of {len(rows)} rows have other ids, the first is {differ[0]!r}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
