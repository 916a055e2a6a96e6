"""Forward passes against the states of transformers in tests/golden."""

import pathlib

import numpy as np
import pytest

import layerscope
from conftest import GOLDEN, close, padded, reference, rows_of, safetensors_of

ENCODERS = ["bert-base-v5", "roberta-base-v5", "albert-inner-v5", "modernbert-tokens-v4", "mpnet-base-v4", "esm-rotary-v5"]
DECODERS = ["gpt2-lm-v5", "llama-llama3-v5", "gemma-lm-v5", "phi-base-v5", "opt-base-v4", "mixtral-base-v4", "bloom-base-v5"]
PAIRS = ["t5-base-v5", "bart-base-v4", "mt5-head-v5"]


def opened(name, kind="AutoModel"):
    return getattr(layerscope, kind).from_pretrained(str(GOLDEN / name))


def types_of(tensors, rows):
    return [tensors.get(f"r{i}.type_ids", np.zeros(len(row), np.int64)) for i, row in enumerate(rows)]


def layers_of(tensors, row, prefix=""):
    """The states that transformers calls hidden_states, of one row."""
    count = 0
    while f"r{row}.{prefix}block.{count}.out" in tensors:
        count += 1
    names = ["embed", *(f"block.{i}.out" for i in range(count - 1)), "final"]
    return [tensors[f"r{row}.{prefix}{name}"] for name in names]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ENCODERS + DECODERS)
def test_all_layers_of_padded_rows(name, side):
    tensors = reference(name)
    rows = rows_of(tensors)
    ids, mask = padded(rows, side, length=max(map(len, rows)) + 3)
    type_ids, _ = padded(types_of(tensors, rows), side, length=ids.shape[1])
    out = opened(name)(ids, mask, token_type_ids=type_ids, output_hidden_states=True)
    assert out.hidden_states[-1] is not None and np.array_equal(out.hidden_states[-1], out.last_hidden_state)
    for row in range(len(rows)):
        expected = layers_of(tensors, row)
        assert len(out.hidden_states) == len(expected)
        for state, reference_state in zip(out.hidden_states, expected):
            assert state.dtype == np.float32 and state.shape[:2] == ids.shape
            assert close(state[row][mask[row] == 1], reference_state)
            assert not state[row][mask[row] == 0].any()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", PAIRS)
def test_encoder_and_decoder(name, side):
    tensors = reference(name)
    read, written = rows_of(tensors, "enc."), rows_of(tensors, "dec.")
    ids, mask = padded(read, side)
    decoder_ids, decoder_mask = padded(written, side)
    out = opened(name)(
        ids,
        mask,
        decoder_input_ids=decoder_ids,
        decoder_attention_mask=decoder_mask,
        output_hidden_states=True,
        output_attentions=True,
    )
    for row in range(len(read)):
        for states, prefix, cells in (
            (out.encoder_hidden_states, "enc.", mask),
            (out.decoder_hidden_states, "dec.", decoder_mask),
        ):
            for state, expected in zip(states, layers_of(tensors, row, prefix), strict=True):
                assert close(state[row][cells[row] == 1], expected)
        kept = out.cross_attentions[0][row][:, decoder_mask[row] == 1][:, :, mask[row] == 1]
        assert np.count_nonzero(kept) == np.count_nonzero(out.cross_attentions[0][row])
        if f"r{row}.dec.block.0.cross.probs" in tensors:
            assert close(kept, tensors[f"r{row}.dec.block.0.cross.probs"])
    assert np.array_equal(out.last_hidden_state, out.decoder_hidden_states[-1])
    assert np.array_equal(out.encoder_last_hidden_state, out.encoder_hidden_states[-1])


@pytest.mark.parametrize("name", ["bert-base-v5", "gpt2-lm-v5", "llama-llama3-v5"])
def test_attentions(name):
    tensors = reference(name)
    rows = rows_of(tensors)
    ids, mask = padded(rows, "left")
    out = opened(name)(ids, mask, padded(types_of(tensors, rows), "left")[0], output_attentions=True)
    checked = 0
    for row in range(len(rows)):
        for layer, attention in enumerate(out.attentions):
            expected = tensors.get(f"r{row}.block.{layer}.attn.probs")
            own = attention[row][:, mask[row] == 1][:, :, mask[row] == 1]
            assert np.count_nonzero(own) == np.count_nonzero(attention[row])
            assert np.allclose(own.sum(axis=-1), 1, atol=1e-5)
            if expected is not None:
                assert close(own, expected)
                checked += 1
    assert checked > 0


@pytest.mark.parametrize(
    "name, kind",
    [
        ("gpt2-lm-v5", "AutoModelForCausalLM"),
        ("bert-mlm-v5", "AutoModelForMaskedLM"),
        ("t5-head-v4", "AutoModelForSeq2SeqLM"),
    ],
)
def test_scores_over_the_vocabulary(name, kind):
    tensors = reference(name)
    model = opened(name, kind)
    two = model._model.two_stacks
    rows = rows_of(tensors, "enc." if two else "")
    scored = [row for row in range(len(rows)) if f"r{row}.logits" in tensors]
    for row in scored:
        more = {"decoder_input_ids": tensors[f"r{row}.dec.input_ids"][None]} if two else {}
        logits = model(rows[row][None], token_type_ids=types_of(tensors, rows)[row][None], **more).logits
        assert close(logits[0], tensors[f"r{row}.logits"])
    assert scored


@pytest.mark.parametrize("name", ["roberta-labels-v5", "gpt2-labels-v4", "bart-labels-v5"])
def test_scores_over_labels(name):
    tensors = reference(name)
    model = opened(name, "AutoModelForSequenceClassification")
    rows = rows_of(tensors, "enc." if model._model.two_stacks else "")
    ids, mask = padded(rows, fill=model.config.get("pad_token_id") or 0)
    logits = model(ids, mask).logits
    for row in range(len(rows)):
        assert close(logits[row], tensors[f"r{row}.logits"])


@pytest.mark.parametrize("side", ["left", "right"])
def test_pooler_output(folder, tokenizer, side):
    model = layerscope.AutoModel.from_pretrained(folder)
    inputs = tokenizer(["I love cats", "a", ""], padding=True, padding_side=side, return_tensors="np")
    out = model(**inputs)
    weights = safetensors_of(pathlib.Path(folder, "model.safetensors"))
    first = np.stack([state[mask.argmax()] for state, mask in zip(out.last_hidden_state, inputs["attention_mask"])])
    expected = np.tanh(first @ weights["pooler.dense.weight"].T + weights["pooler.dense.bias"])
    assert np.allclose(out.pooler_output, expected, atol=1e-5)
    assert out[1] is out.pooler_output
    for row in range(3):
        cells = inputs["attention_mask"][row] == 1
        assert np.array_equal(model(inputs["input_ids"][row, cells][None]).pooler_output[0], out.pooler_output[row])
    assert opened("gpt2-lm-v5")([[5]]).pooler_output is None


def test_no_mask_is_all_ones(model):
    ids = np.array([[101, 7592, 102], [101, 2088, 102]])
    assert np.array_equal(model(ids).last_hidden_state, model(ids, np.ones_like(ids)).last_hidden_state)


def test_lists_are_taken(model):
    ids = [[101, 7592, 102]]
    assert np.array_equal(model(ids).last_hidden_state, model(np.array(ids, np.int32)).last_hidden_state)


def test_a_hole_is_an_error_that_names_the_row(model):
    with pytest.raises(layerscope.InputError, match="row 1 has a hole"):
        model([[101, 7592, 102], [101, 7592, 102]], [[1, 1, 1], [1, 0, 1]])


def test_a_row_without_tokens_is_zero(model):
    ids = np.array([[101, 7592, 102], [0, 0, 0]])
    out = model(ids, np.array([[1, 1, 1], [0, 0, 0]]), output_hidden_states=True, output_attentions=True)
    assert all(not state[1].any() and state[0].any() for state in (*out.hidden_states, *out.attentions))
    nothing = model(ids, np.zeros_like(ids))
    assert nothing.last_hidden_state.shape == (2, 3, 384) and not nothing.last_hidden_state.any()


def test_output_is_a_model_output(model):
    out = model([[101, 102]], output_hidden_states=True)
    assert out[0] is out.last_hidden_state is out["last_hidden_state"]
    assert out.attentions is None and "attentions" not in out and "hidden_states" in out
    assert out.to_tuple()[-1] is out.hidden_states
    assert model([[101, 102]], output_hidden_states=True, return_dict=False)[0].shape == (1, 2, 384)
    with pytest.raises(AttributeError):
        out.hidden_state
    with pytest.raises(KeyError):
        out["attentions"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"input_ids": [101, 102]},
        {"input_ids": [[101], [101, 102]]},
        {"input_ids": [[0.5]]},
        {"input_ids": [[101]], "attention_mask": [[1, 1]]},
        {"input_ids": [[101]], "attention_mask": [[0.5]]},
        {"input_ids": [[101]], "inputs_embeds": np.ones((1, 1, 384))},
        {"input_ids": [[101]], "past_key_values": 1},
        {"input_ids": [[101]], "decoder_input_ids": [[1]]},
        {"input_ids": [[101]], "token_type_ids": [[0, 0]]},
    ],
)
def test_what_makes_no_sense_is_a_usage_error(model, arguments):
    with pytest.raises(layerscope.UsageError):
        model(**arguments)


@pytest.mark.parametrize("ids", [[[-1]], [[30522]], [[2**40]], [[1] * 513]])
def test_ids_outside_of_the_model_are_input_errors(model, ids):
    with pytest.raises(layerscope.InputError):
        model(ids)


def test_heads_that_are_not_there(folder):
    for kind in ("AutoModelForMaskedLM", "AutoModelForSequenceClassification", "AutoModelForSeq2SeqLM"):
        with pytest.raises(layerscope.ModelError, match="all-MiniLM"):
            getattr(layerscope, kind).from_pretrained(folder)


def test_the_configuration(model):
    assert model.config.hidden_size == 384 and model.config["model_type"] == "bert" and model.config.num_hidden_layers == 6
    gpt = opened("gpt2-lm-v5")
    assert gpt.config.hidden_size == gpt.config.n_embd and gpt.config.num_hidden_layers == gpt.config.n_layer
    gpt.config.pad_token_id = 7
    assert gpt.config.get("pad_token_id") == 7 and "hidden_size" not in gpt.config.to_dict()
    with pytest.raises(AttributeError, match="n_embd"):
        model.config.n_embd


@pytest.mark.parametrize("options", [{"device": "cpu"}, {"device_map": "auto"}, {"device_map": {"": "cpu"}}, {"quantization_config": None}])
def test_options_that_ask_for_what_is_there(folder, options):
    model = layerscope.AutoModel.from_pretrained(folder, attn_implementation="eager", **options)
    assert model.device == "cpu" and model.to("cpu") is model


@pytest.mark.parametrize(
    "options", [{"device": "cuda"}, {"device_map": "cuda:0"}, {"device_map": {"": 0}}, {"subfolder": "onnx"}, {"load_in_8bit": True}]
)
def test_options_that_ask_for_what_is_not_there(folder, options):
    with pytest.raises(layerscope.UsageError, match="device|subfolder|load_in_8bit"):
        layerscope.AutoModel.from_pretrained(folder, **options)
    with pytest.raises(layerscope.UsageError):
        layerscope.AutoModel.from_pretrained(folder).to("cuda")
