"""Writes tests/data/sentence/cases.json: sentence vectors of tiny random folders, as sentence-transformers makes them.

Every case is one of the tiny models of tests/golden with a character tokenizer and the settings files of one way to make
a vector; each of its runs holds the options of one call of encode() with the token ids and the vectors that came of it.
"""

import json
import pathlib
import shutil
import tempfile

import numpy
import torch
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer

from make_models import GOLDEN

OUT = pathlib.Path(__file__).parents[1] / "data" / "sentence"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
SWITCHES = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
TEXTS = [
    "a cat",
    "",
    "Hidden States, layer by layer",
    "query: what is a vector?",
    "ünïcode 日本 and [MASK] inside",
    "x",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen",
]
PROMPTS = {"query": "query: ", "words": "find this", "none": ""}


def tokenizer_files():
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = SPECIAL + list(letters) + ["##" + letter for letter in letters] + list(":,.?!") + ["日", "the", "##er"]
    template = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    template.append({"SpecialToken": {"id": "[SEP]", "type_id": 0}})
    second = [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    special = {name: {"id": name, "ids": [SPECIAL.index(name)], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": name} | added for number, name in enumerate(SPECIAL)],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": False,
            "lowercase": False,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template,
            "pair": template + second,
            "special_tokens": special,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: number for number, piece in enumerate(pieces)},
        },
    }
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40}
    settings |= {name.strip("[]").lower() + "_token": name for name in SPECIAL}
    return {"tokenizer.json": tokenizer, "tokenizer_config.json": settings}


def random_values(name, shape):
    generator = numpy.random.default_rng(list(name.encode()))
    return numpy.round(generator.normal(0, 0.3, shape), 3).astype(numpy.float32)


def old_pooling(modes, **extra):
    return {"word_embedding_dimension": 24} | {SWITCHES[mode]: mode in modes for mode in MODES} | extra


def new_pooling(modes, **extra):
    return {"embedding_dimension": 24, "pooling_mode": modes[0] if len(modes) == 1 else modes} | extra


def modules(*kinds, old=True):
    places = {
        "Transformer": "base.modules.transformer",
        "Dense": "base.modules.dense",
        "Normalize": "base.modules.normalize",
        "Pooling": "sentence_transformer.modules.pooling",
        "LayerNorm": "sentence_transformer.modules.layer_norm",
        "Dropout": "sentence_transformer.modules.dropout",
    }
    listed = []
    for number, kind in enumerate(kinds):
        name = f"sentence_transformers.models.{kind}" if old else f"sentence_transformers.{places[kind]}.{kind}"
        path = "" if number == 0 else f"{number}_{kind}"
        listed.append({"idx": number, "name": str(number), "path": path, "type": name})
    return listed


def dense(inputs, outputs, activation, **extra):
    config = {"in_features": inputs, "out_features": outputs, "bias": True}
    return config | {"activation_function": f"torch.nn.modules.{activation}"} | extra


def cases():
    plain = [{}, {"prompt_name": "query"}, {"prompt": "find this"}]
    prompts = {"prompts": PROMPTS, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    for mode in MODES:
        yield f"old-{mode}", "bert-base-v5", plain, {
            "modules.json": modules("Transformer", "Pooling"),
            "1_Pooling/config.json": old_pooling([mode]),
            "config_sentence_transformers.json": prompts,
        }
        yield f"new-{mode}-without-prompt", "bert-base-v5", plain, {
            "modules.json": modules("Transformer", "Pooling", old=False),
            "1_Pooling/config.json": new_pooling([mode], include_prompt=False),
            "config_sentence_transformers.json": prompts,
        }
    yield "old-several", "bert-base-v5", [{}], {
        "modules.json": modules("Transformer", "Pooling"),
        "1_Pooling/config.json": old_pooling(["lasttoken", "max", "cls"]),
    }
    yield "new-several", "bert-base-v5", plain, {
        "modules.json": modules("Transformer", "Pooling", old=False),
        "1_Pooling/config.json": new_pooling(["weightedmean", "cls"], include_prompt=False),
        "config_sentence_transformers.json": prompts,
    }
    yield "both-formats", "bert-base-v5", [{}], {
        "modules.json": modules("Transformer", "Pooling"),
        "1_Pooling/config.json": old_pooling(["max"]) | {"pooling_mode": "mean"},
    }
    yield "none-of-the-switches", "bert-base-v5", [{}], {
        "modules.json": modules("Transformer", "Pooling"),
        "1_Pooling/config.json": old_pooling([]),
    }
    yield "dense-normalize", "bert-base-v5", [{}, {"truncate_dim": 5}, {"truncate_dim": 5, "normalize": True}], {
        "modules.json": modules("Transformer", "Pooling", "Dense", "Normalize"),
        "1_Pooling/config.json": old_pooling(["mean"]),
        "2_Dense/config.json": dense(24, 10, "activation.Tanh"),
    }
    yield "dense-residual", "bert-base-v5", [{}], {
        "modules.json": modules("Transformer", "Pooling", "Dense", "Dropout", old=False),
        "1_Pooling/config.json": new_pooling(["cls"]),
        "2_Dense/config.json": dense(24, 24, "activation.GELU", bias=False, use_residual=True),
        "3_Dropout/config.json": {"dropout": 0.2},
    }
    yield "dense-projected-norm", "bert-base-v5", [{}], {
        "modules.json": modules("Transformer", "Pooling", "Dense", "LayerNorm", old=False),
        "1_Pooling/config.json": new_pooling(["mean", "max"]),
        "2_Dense/config.json": dense(48, 8, "activation.SiLU", use_residual=True),
        "3_LayerNorm/config.json": {"dimension": 8},
    }
    for activation in ("linear.Identity", "activation.ReLU", "activation.Sigmoid", "activation.LeakyReLU",
                       "activation.ELU", "activation.Softplus", "activation.Mish", "activation.ReLU6"):
        yield f"dense-{activation.split('.')[1]}", "bert-base-v5", [{}], {
            "modules.json": modules("Transformer", "Pooling", "Dense"),
            "1_Pooling/config.json": old_pooling(["mean"]),
            "2_Dense/config.json": dense(24, 4, activation),
        }
    yield "lower-case-and-cut", "bert-base-v5", [{}, {"prompt": "FIND "}], {
        "modules.json": modules("Transformer", "Pooling"),
        "1_Pooling/config.json": old_pooling(["mean"], include_prompt=False),
        "sentence_bert_config.json": {"max_seq_length": 12, "do_lower_case": True},
    }
    yield "defaults", "bert-base-v5", [{}, {"prompt_name": "none"}, {"prompt": ""}, {"prompt_name": "document"}], {
        "modules.json": modules("Transformer", "Pooling"),
        "1_Pooling/config.json": old_pooling(["mean"]),
        "sentence_bert_config.json": {"max_seq_length": None, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": PROMPTS, "default_prompt_name": "words", "truncate_dim": 7},
    }
    yield "no-modules", "bert-base-v5", [{}], {}
    yield "no-modules-causal", "llama-lm-v5", [{}], {}
    yield "no-modules-both-ways", "llama-both-ways-v5", [{}], {}


def weights_of(name, files):
    weights = {}
    for path, config in files.items():
        folder = path.split("/")[0]
        if folder.endswith("_Dense"):
            shape = (config["out_features"], config["in_features"])
            tensors = {"linear.weight": random_values(name + "w", shape)}
            if config["bias"]:
                tensors["linear.bias"] = random_values(name + "b", shape[:1])
            if config.get("use_residual") and shape[0] != shape[1]:
                tensors["residual.weight"] = random_values(name + "r", shape)
            weights[folder] = tensors
        if folder.endswith("_LayerNorm"):
            size = (config["dimension"],)
            weights[folder] = {"norm.weight": random_values(name + "n", size), "norm.bias": random_values(name, size)}
    return weights


def run(model, options):
    options = dict(options)
    prompt = options.get("prompt")
    if prompt is None and (named := options.get("prompt_name") or model.default_prompt_name):
        prompt = model.prompts[named]
    ids = [model.preprocess([text], prompt=prompt)["input_ids"][0].tolist() for text in TEXTS]
    normalize = options.pop("normalize", False)
    vectors = model.encode(TEXTS, normalize_embeddings=normalize, convert_to_numpy=True, batch_size=3, **options)
    again = numpy.stack([model.encode([text], normalize_embeddings=normalize, **options)[0] for text in TEXTS])
    assert numpy.abs(vectors - again).max() < 2e-5, "padding changes the vector"
    return ids, [[float(f"{value:.9g}") for value in vector] for vector in again.tolist()]


def main():
    torch.set_num_threads(1)
    base = tokenizer_files()
    written = []
    for name, source, runs, files in cases():
        weights = weights_of(name, files)
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            for file in ("config.json", "model.safetensors"):
                shutil.copy(GOLDEN / source / file, folder)
            for path, content in (base | files).items():
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_text(json.dumps(content))
            for path, tensors in weights.items():
                save_file(tensors, folder / path / "model.safetensors")
            model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"})
            results = []
            for options in runs:
                ids, vectors = run(model, options)
                results.append({"options": options, "ids": ids, "vectors": vectors})
        stored = {at: {key: value.tolist() for key, value in tensors.items()} for at, tensors in weights.items()}
        stored = {at: {k: json.loads(json.dumps(v)) for k, v in tensors.items()} for at, tensors in stored.items()}
        written.append({"name": name, "model": source, "files": files, "weights": stored, "runs": results})
        print(name, len(results[0]["vectors"][0]))
    OUT.mkdir(parents=True, exist_ok=True)
    content = {"files": base, "texts": TEXTS, "cases": written}
    (OUT / "cases.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
