"""Tensors of torch in and out, where torch is installed: no copies of what was computed."""

import numpy as np
import pytest

import layerscope
from conftest import GOLDEN, TEXTS

torch = pytest.importorskip("torch")


def same_memory(tensor, array):
    return tensor.data_ptr() == array.__array_interface__["data"][0]


def test_tensors_in_tensors_out(model, tokenizer):
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    assert all(isinstance(value, torch.Tensor) and value.dtype == torch.int64 for value in inputs.values())
    out = model(**inputs, output_hidden_states=True, output_attentions=True)
    arrays = model(**{key: value.numpy() for key, value in inputs.items()}, output_hidden_states=True, output_attentions=True)
    for name in out:
        tensors, others = ((x,) if isinstance(x, (torch.Tensor, np.ndarray)) else x for x in (out[name], arrays[name]))
        for tensor, other in zip(tensors, others, strict=True):
            assert tensor.dtype == torch.float32 and not tensor.requires_grad
            assert isinstance(other, np.ndarray) and np.array_equal(tensor.numpy(), other)
    out.last_hidden_state.zero_()  # the caller's own


def test_nothing_is_copied_between_the_libraries(model, tokenizer):
    ids = tokenizer(TEXTS, padding=True, return_tensors="pt")["input_ids"]
    assert same_memory(ids, layerscope.arrays.integers(ids, "ids"))
    out = model(tokenizer(["a b"], return_tensors="np")["input_ids"])
    tensor = torch.from_dlpack(out.last_hidden_state)
    assert same_memory(tensor, out.last_hidden_state) and same_memory(layerscope.arrays.to_torch(out.last_hidden_state), out[0])
    assert torch.from_dlpack(layerscope.open(GOLDEN / "bert-base-v5").states([[5, 6]])["final"].values).shape == (2, 24)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint8])
def test_ids_of_any_integer_type(dtype):
    model = layerscope.AutoModel.from_pretrained(GOLDEN / "bert-base-v5")
    ids = torch.tensor([[5, 6, 7], [8, 9, 0]], dtype=dtype)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    out = model(ids.t().contiguous().t(), attention_mask=mask)
    assert torch.equal(out.last_hidden_state, model(ids.long(), attention_mask=mask.long()).last_hidden_state)


def test_the_type_of_the_passes(folder):
    """Weights in bfloat16; what comes out is float32 as it was summed, of which nothing is cut off."""
    for name in (torch.bfloat16, "bfloat16", "bf16"):
        model = layerscope.AutoModel.from_pretrained(folder, dtype=name)
        states = model(torch.tensor([[101, 7592, 102]])).last_hidden_state
        assert model.dtype == "bfloat16" and states.dtype == torch.float32
        assert not torch.equal(states, states.bfloat16().float())
    assert layerscope.AutoModel.from_pretrained(folder, torch_dtype=torch.float32).dtype == "float32"
    with pytest.raises(layerscope.UsageError, match="float16"):
        layerscope.AutoModel.from_pretrained(folder, dtype=torch.float16)


def test_bfloat16_comes_in_whole():
    vectors = torch.linspace(-3, 3, 24).bfloat16()
    assert np.array_equal(layerscope.arrays.from_torch(vectors), vectors.float().numpy())
    model = layerscope.open(GOLDEN / "bert-base-v5")
    edited = [model.states([[5, 6]], edits=[("embed", "add", "all", own)])["final"] for own in (vectors, vectors.float().numpy())]
    assert np.array_equal(edited[0].values, edited[1].values)


def test_vectors_and_scores(folder):
    model = layerscope.SentenceTransformer(folder, device=torch.device("cpu"))
    vectors = model.encode(TEXTS, convert_to_tensor=True)
    assert np.array_equal(vectors.numpy(), model.encode(TEXTS))
    several = model.encode(TEXTS, convert_to_numpy=False)
    assert isinstance(several, list) and torch.equal(torch.stack(several), vectors)
    scores = model.similarity(vectors, vectors)
    assert isinstance(scores, torch.Tensor) and np.array_equal(scores.numpy(), model.similarity(vectors.numpy(), vectors.numpy()))


def test_text_written_on():
    model = layerscope.AutoModelForCausalLM.from_pretrained(GOLDEN / "gpt2-lm-v5")
    out = model.generate(
        torch.tensor([[5, 6, 7]]), max_new_tokens=3, do_sample=False, output_hidden_states=True, return_dict_in_generate=True
    )
    assert out.sequences.dtype == torch.int64 and isinstance(out.hidden_states[1][0], torch.Tensor)
