"""Writes tests/data/vectors/cases.json: token vectors and sparse vectors of tiny random folders.

Token vectors are those of sentence-transformers' MultiVectorEncoder, which reads its own folders, PyLate's and ColBERT's;
sparse ones those of its SparseEncoder; the heads of BGE-M3 are computed here from the states of transformers.
"""

import json
import pathlib
import shutil
import tempfile

import numpy
import torch
from safetensors.numpy import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SparseEncoder
from transformers import AutoModel, AutoTokenizer

from make_models import GOLDEN
from make_sentence import dense, random_values, tokenizer_files

OUT = pathlib.Path(__file__).parents[1] / "data" / "vectors"
TEXTS = ["a cat", "", "what, is: a vector?", "one two three four five six seven eight"]
HIDDEN = {"bert-base-v5": 24, "bert-mlm-v5": 16}
BOTH = [{"task": "document"}, {"task": "query"}]


def listed(*types):
    return [{"idx": n, "name": str(n), "path": "" if n == 0 else f"{n}_{kind.split('.')[-1]}", "type": kind}
            for n, kind in enumerate(types)]


TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"
DENSE = "sentence_transformers.base.modules.dense.Dense"
NORMALIZE = "sentence_transformers.base.modules.normalize.Normalize"
MASK = "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"
SPLADE = "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling"
OLD = "sentence_transformers.sparse_encoder.models."


def native(expansion, mask, **settings):
    return {
        "modules.json": listed(TRANSFORMER, DENSE, MASK, NORMALIZE),
        "1_Dense/config.json": dense(24, 8, "linear.Identity", bias=False, module_input_name="token_embeddings"),
        "2_MultiVectorMask/config.json": mask,
        "3_Normalize/config.json": {"module_input_name": "token_embeddings"},
        "sentence_bert_config.json": {"query_expansion": expansion} | settings,
        "config_sentence_transformers.json": {"model_type": "MultiVectorEncoder", "similarity_fn_name": "meanmaxsim",
                                              "prompts": {"query": "q ", "document": "d: "}},
    }


def cases():
    punctuation = {"skiplist_words": [",", ":", "?", "zebra"]}
    yield "native-expanded", "bert-base-v5", BOTH, native(
        {"strategy": "fixed", "attend": False, "length": 12}, punctuation, document_length=9)
    yield "native-attended", "bert-base-v5", BOTH, native(
        {"strategy": "min", "attend": True, "length": 14, "token": "[UNK]"},
        punctuation | {"skiplist_tasks": ["query"]}, query_length=16)
    yield "native-plain", "bert-base-v5", BOTH, native(None, {"skiplist_words": []}, query_length=7)
    pylate = {"query_prefix": "[unused0] ", "document_prefix": "[unused1] ", "query_length": 16, "document_length": 10,
              "attend_to_expansion_tokens": False, "skiplist_words": [":", "?"]}
    yield "pylate-3", "bert-base-v5", BOTH, {
        "modules.json": listed(TRANSFORMER, "pylate.models.Dense.Dense"),
        "1_Dense/config.json": dense(24, 6, "linear.Identity", bias=False),
        "config_sentence_transformers.json": pylate | {"model_type": "ColBERT", "prompts": {}},
    }
    yield "pylate-2", "bert-base-v5", BOTH, {
        "modules.json": listed("sentence_transformers.models.Transformer", "pylate.models.Dense.Dense"),
        "1_Dense/config.json": dense(24, 6, "activation.Tanh"),
        "config_sentence_transformers.json": {"query_prefix": "[unused0] ", "do_query_expansion": False},
    }
    metadata = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 13, "doc_maxlen": 11}
    for attend in (False, True):
        yield f"colbert-{'attended' if attend else 'classic'}", "bert-base-v5", BOTH, {
            "artifact.metadata": metadata | {"attend_to_mask_tokens": attend, "mask_punctuation": not attend},
        }
    runs = [{}, {"task": "query"}]
    for name, pooling in {
        "max": {"pooling_strategy": "max", "activation_function": "relu", "word_embedding_dimension": 101},
        "sum-twice": {"pooling_strategy": "sum", "activation_function": "log1p_relu"},
    }.items():
        types = (OLD + "MLMTransformer", OLD + "SpladePooling") if name == "max" else (TRANSFORMER, SPLADE)
        files = {"modules.json": listed(*types), "1_SpladePooling/config.json": pooling,
                 "config_sentence_transformers.json": {"model_type": "SparseEncoder", "prompts": {"query": "find "}}}
        if name == "sum-twice":
            files["sentence_bert_config.json"] = {"transformer_task": "fill-mask"}
            files["config_sentence_transformers.json"]["max_active_dims"] = 9
        yield f"splade-{name}", "bert-mlm-v5", runs, files
    yield "splade-plain", "bert-mlm-v5", [{"vectors": "sparse"}], {}
    yield "three-heads", "bert-base-v5", [{"vectors": "tokens"}, {"vectors": "sparse"}], {}


def weights_of(name, source, files):
    hidden = HIDDEN[source]
    weights = {}
    if "1_Dense/config.json" in files:
        config = files["1_Dense/config.json"]
        weights["1_Dense/model.safetensors"] = {
            "linear.weight": random_values(name, (config["out_features"], config["in_features"]))}
        if config["bias"]:
            weights["1_Dense/model.safetensors"]["linear.bias"] = random_values(name + "b", (config["out_features"],))
    if name.startswith("colbert"):
        weights["model.safetensors"] = {"linear.weight": random_values(name, (8, hidden))}
    if name == "three-heads":
        weights["colbert_linear.safetensors"] = {"weight": random_values("c", (hidden, hidden)),
                                                 "bias": random_values("cb", (hidden,))}
        weights["sparse_linear.safetensors"] = {"weight": random_values("s", (1, hidden)),
                                                "bias": random_values("sb", (1,))}
    return weights


def pieces():
    base = tokenizer_files()
    vocabulary = base["tokenizer.json"]["model"]["vocab"]
    for marker in ("[unused0]", "[unused1]"):
        vocabulary[marker] = len(vocabulary)
    return base


def rounded(values):
    return [float(f"{value:.7g}") for value in values]


def sparse_result(vector):
    found = vector.nonzero().flatten().tolist()
    return {"indices": found, "values": rounded(vector[found].tolist())}


def three_heads(folder, weights, kind):
    """FlagEmbedding, inference/embedder/encoder_only/m3.py: _process_token_weights and _process_colbert_vecs."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    results = []
    for text in TEXTS:
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=40)
        states = model(**tokens).last_hidden_state[0].detach()
        ids = tokens["input_ids"][0].tolist()
        head = {key: torch.tensor(value) for key, value in weights[kind + "_linear.safetensors"].items()}
        values = torch.nn.functional.linear(states, head["weight"], head["bias"])
        if kind == "colbert":
            vectors = torch.nn.functional.normalize(values[1:], dim=-1).tolist()
            results.append({"ids": ids, "vectors": [rounded(vector) for vector in vectors]})
            continue
        largest = {}
        unused = [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id]
        for number, weight in zip(ids, torch.relu(values[:, 0]).tolist()):
            if number not in unused and weight > largest.get(number, 0):
                largest[number] = weight
        indices = sorted(largest)
        results.append({"ids": ids, "indices": indices, "values": rounded(largest[at] for at in indices)})
    return results


def run(name, folder, weights, options):
    if name == "three-heads":
        return three_heads(folder, weights, "colbert" if options["vectors"] == "tokens" else "sparse")
    results = []
    task = options.get("task")
    if name.startswith("splade"):
        model = SparseEncoder(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"})
        encode = model.encode_query if task == "query" else model.encode
        for text in TEXTS:
            prompt = model.prompts.get(task) if task else None
            ids = model.preprocess([text], prompt=prompt)["input_ids"][0].tolist()
            results.append({"ids": ids} | sparse_result(encode([text], convert_to_sparse_tensor=False)[0].cpu()))
        return results
    model = MultiVectorEncoder(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"})
    encode = model.encode_query if task == "query" else model.encode_document
    together = encode(TEXTS, convert_to_numpy=True, batch_size=3)
    for text, other in zip(TEXTS, together):
        raw = encode([text], output_value=None)[0]
        vectors = encode([text], convert_to_numpy=True)[0]
        assert numpy.abs(vectors - other).max() < 2e-5, "padding changes the vectors"
        places = raw["attention_mask"].bool().nonzero().flatten().tolist()
        results.append({"ids": raw["input_ids"].tolist(), "places": places,
                        "vectors": [rounded(vector) for vector in vectors.tolist()]})
    return results


def main():
    torch.set_num_threads(1)
    base, written = pieces(), []
    for name, source, runs, files in cases():
        weights = weights_of(name, source, files)
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            for file in ("config.json", "model.safetensors"):
                shutil.copy(GOLDEN / source / file, folder)
            for path, content in (base | files).items():
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_text(json.dumps(content))
            for path, tensors in weights.items():
                stored = load_file(folder / path) if path == "model.safetensors" else {}
                if path == "model.safetensors":
                    config = json.loads((folder / "config.json").read_text()) | {"architectures": ["HF_ColBERT"]}
                    (folder / "config.json").write_text(json.dumps(config))
                save_file(stored | tensors, folder / path)
            results = [{"options": options, "rows": run(name, folder, weights, options)} for options in runs]
        stored = {at: {key: value.tolist() for key, value in tensors.items()} for at, tensors in weights.items()}
        written.append({"name": name, "model": source, "files": files, "weights": stored, "runs": results})
        print(name, len(json.dumps(results)))
    OUT.mkdir(parents=True, exist_ok=True)
    content = {"files": base, "texts": TEXTS, "cases": written}
    (OUT / "cases.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
