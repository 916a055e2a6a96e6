"""SentenceTransformer as sentence-transformers is called."""

import subprocess
import sys

import numpy as np
import pytest

import layerscope
from conftest import TEXTS


@pytest.fixture(scope="module")
def sentence(folder):
    return layerscope.SentenceTransformer(folder)


def test_one_text_gives_one_vector(sentence):
    vectors = sentence.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 384) and vectors.dtype == np.float32
    assert np.array_equal(sentence.encode(TEXTS[0]), vectors[0])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert sentence.encode([]).shape == (0, 384)
    assert sentence.get_sentence_embedding_dimension() == 384 and sentence.max_seq_length == 256


def test_what_is_cut_is_normalised_on_demand(sentence):
    whole, cut = sentence.encode(TEXTS), sentence.encode(TEXTS, truncate_dim=32)
    assert np.array_equal(cut, whole[:, :32])
    unit = sentence.encode(TEXTS, truncate_dim=32, normalize_embeddings=True)
    assert np.allclose(unit, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)


def test_prompts_stand_before_the_text(folder, sentence):
    assert np.array_equal(sentence.encode("cats", prompt="find: "), sentence.encode("find: cats"))
    own = layerscope.SentenceTransformer(folder, prompts={"find": "find: "}, default_prompt_name="find")
    assert np.array_equal(own.encode("cats"), sentence.encode("find: cats"))
    assert np.array_equal(own.encode("cats", prompt=""), sentence.encode("cats"))
    with pytest.raises(layerscope.UsageError, match="query, document"):
        sentence.encode("cats", prompt_name="search")
    asked = layerscope.SentenceTransformer(folder, prompts={"query": "q: ", "passage": "p: "})
    assert np.array_equal(asked.encode_query("cats"), sentence.encode("q: cats"))
    assert np.array_equal(asked.encode_document("cats"), sentence.encode("p: cats"))


def test_a_length_may_be_set(folder):
    model = layerscope.SentenceTransformer(folder)
    model.max_seq_length = 4
    assert np.array_equal(model.encode("one two three four"), model.encode("one two"))


def test_states_of_tokens(folder, sentence):
    states = sentence.encode(TEXTS, output_value="token_embeddings")
    expected = layerscope.open(folder).states(TEXTS, layers=-1)["final"]
    assert all(np.array_equal(own, other) for own, other in zip(states, expected, strict=True))


def test_bits_and_bytes(sentence):
    vectors = sentence.encode(TEXTS)
    bits = sentence.encode(TEXTS, precision="ubinary")
    assert np.array_equal(np.unpackbits(bits, axis=1), vectors > 0)
    assert np.array_equal(sentence.encode(TEXTS, precision="binary").astype(np.int16) + 128, bits)
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    for precision, begin in (("uint8", 0), ("int8", 128)):
        places = sentence.encode(TEXTS, precision=precision).astype(np.int16) + begin
        assert np.abs(places / 255 * (high - low) + low - vectors).max() <= (high - low).max() / 255 * 1.01


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity(folder, name):
    model = layerscope.SentenceTransformer(folder, similarity_fn_name=name)
    a, b = model.encode(TEXTS) * 2, model.encode(TEXTS[::-1])
    expected = np.array([
        [
            {
                "cosine": x @ y / np.linalg.norm(x) / np.linalg.norm(y),
                "dot": x @ y,
                "euclidean": -np.linalg.norm(x - y),
                "manhattan": -np.abs(x - y).sum(),
            }[name]
            for y in b.astype(np.float64)
        ]
        for x in a.astype(np.float64)
    ])
    assert np.allclose(model.similarity(a, b), expected, atol=1e-4)
    assert np.allclose(model.similarity_pairwise(a, b), np.diagonal(expected), atol=1e-4)
    one = model.similarity(a[0], b[0])
    assert float(one) == one.item() == one.cpu().numpy()[0, 0] == model.similarity(a, b)[0, 0]


@pytest.mark.parametrize(
    "options", [{"precision": "int4"}, {"device": "cuda"}, {"output_value": "tokens"}, {"layer": 3}, {"prompt_name": "x"}]
)
def test_what_makes_no_sense_is_refused(sentence, options):
    with pytest.raises(layerscope.UsageError):
        sentence.encode("a", **options)


def test_calls_of_langchain(folder, sentence):
    """langchain_huggingface.HuggingFaceEmbeddings and its elder in langchain_community."""
    own = layerscope.SentenceTransformer(folder, cache_folder=None, device="cpu", trust_remote_code=False)
    vectors = own.encode(["I love cats"], show_progress_bar=False, normalize_embeddings=True, batch_size=8)
    assert len(vectors.tolist()[0]) == 384
    pool = own.start_multi_process_pool()
    assert np.array_equal(own.encode_multi_process(TEXTS, pool), sentence.encode(TEXTS))
    layerscope.SentenceTransformer.stop_multi_process_pool(pool)


def test_calls_of_llama_index(folder, sentence, tmp_path):
    own = layerscope.SentenceTransformer(
        folder, device="cpu", cache_folder=str(tmp_path), trust_remote_code=False, prompts={"query": "find: ", "text": ""}
    )
    assert own.max_seq_length == 256
    options = dict(batch_size=10, normalize_embeddings=True, show_progress_bar=False)
    query = own.encode(["cats"], prompt_name="query", **options).tolist()
    assert query == sentence.encode(["find: cats"], normalize_embeddings=True).tolist()
    assert own.encode(["cats"], prompt_name="text", **options).tolist() == sentence.encode(["cats"]).tolist()


def test_calls_of_mteb(folder, sentence):
    meta = sentence.model_card_data
    assert meta.model_name == meta.base_model == "all-MiniLM-L6-v2" and meta.base_model_revision is None
    assert (sentence.max_seq_length, sentence.similarity_fn_name, len(sentence.tokenizer.vocab)) == (256, "cosine", 30522)
    for encode in (sentence.encode, sentence.encode_query, sentence.encode_document):
        vectors = encode(TEXTS, prompt=None, batch_size=32, show_progress_bar=False)
        assert np.array_equal(vectors, encode(inputs=TEXTS)) and vectors.shape == (len(TEXTS), 384)


def test_a_program_that_builds_its_own(folder):
    """In a process of its own: modules are replaced there."""
    program = f"""
import sys
import layerscope
layerscope.replace_sentence_transformers()
import sentence_transformers
from sentence_transformers import SentenceTransformer
assert SentenceTransformer is layerscope.SentenceTransformer
print(SentenceTransformer({folder!r}).encode("a").shape, int(sentence_transformers.__version__.split(".")[0]) > 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout == "(384,) True\n", done.stderr
