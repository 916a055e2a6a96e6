"""SentenceTransformer as sentence-transformers is called."""

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


@pytest.mark.parametrize(
    "options", [{"precision": "int4"}, {"device": "cuda"}, {"output_value": "tokens"}, {"pool": 3}, {"prompt_name": "x"}]
)
def test_what_makes_no_sense_is_refused(sentence, options):
    with pytest.raises(layerscope.UsageError):
        sentence.encode("a", **options)
