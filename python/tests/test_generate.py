"""Text written on: the tokens of the command line, states in the shapes of transformers."""

import json

import numpy as np
import pytest

import layerscope
from conftest import GOLDEN, json_lines, layerscope_program, padded

DECODERS = ["gpt2-lm-v5", "llama-lm-v5"]


def prompts(count, vocabulary=40):
    random = np.random.default_rng(7)
    return [random.integers(3, vocabulary, length) for length in (4, 1, 6)[:count]]


@pytest.mark.parametrize("name", DECODERS)
def test_tokens_and_states(name, tmp_path):
    folder = str(GOLDEN / name)
    model = layerscope.AutoModelForCausalLM.from_pretrained(folder)
    rows = prompts(3)
    ids, mask = padded(rows, "left")
    out = model.generate(
        ids, mask, max_new_tokens=5, do_sample=False, output_hidden_states=True, return_dict_in_generate=True, pad_token_id=0
    )
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"ids": row.tolist()}) + "\n" for row in rows))
    printed = json_lines(
        layerscope_program("generate", folder, "-i", tmp_path / "rows.jsonl", "--max-new-tokens", 5, "--temperature", 0, "--json")
    )
    longest = max(len(row["output_ids"]) for row in printed)
    assert out.sequences.shape == (3, ids.shape[1] + longest) and out.sequences.dtype == np.int64
    assert np.array_equal(out.sequences[:, : ids.shape[1]], ids)
    assert np.array_equal(model.generate(ids, mask, max_new_tokens=5, do_sample=False, pad_token_id=0), out.sequences)
    states = layerscope.AutoModel.from_pretrained(folder)(ids, mask, output_hidden_states=True).hidden_states
    assert len(out.hidden_states) == longest
    for layer, state in enumerate(states):
        assert out.hidden_states[0][layer].shape == state.shape
        assert np.allclose(out.hidden_states[0][layer], state, atol=1e-4)
    for row, made in enumerate(printed):
        written = made["output_ids"]
        assert out.sequences[row, ids.shape[1] :].tolist() == written + [0] * (longest - len(written))
        whole = layerscope.AutoModel.from_pretrained(folder)(
            np.array([[*rows[row], *written[:-1]]]), output_hidden_states=True
        ).hidden_states
        for step in range(1, longest):
            for layer, state in enumerate(out.hidden_states[step]):
                assert state.shape[:2] == (3, 1)
                if step < len(written):
                    assert np.allclose(state[row, 0], whole[layer][0, len(rows[row]) + step - 1], atol=1e-4)
                else:
                    assert not state[row].any()


def test_encoder_and_decoder(tmp_path):
    folder = str(GOLDEN / "t5-head-v4")
    model = layerscope.AutoModelForSeq2SeqLM.from_pretrained(folder)
    rows = prompts(2)
    ids, mask = padded(rows)
    options = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": []}
    out = model.generate(ids, mask, output_hidden_states=True, return_dict_in_generate=True, **options)
    start = model.config.decoder_start_token_id
    assert out.sequences.shape == (2, 5) and out.sequences[:, 0].tolist() == [start, start]
    again = model(ids, mask, decoder_input_ids=out.sequences[:, :-1], output_hidden_states=True)
    for own, other in zip(out.encoder_hidden_states, again.encoder_hidden_states, strict=True):
        assert np.array_equal(own, other)
    assert len(out.decoder_hidden_states) == 4
    for step, layers in enumerate(out.decoder_hidden_states):
        for own, other in zip(layers, again.decoder_hidden_states, strict=True):
            assert own.shape[:2] == (2, 1) and np.allclose(own[:, 0], other[:, step], atol=1e-4)
    assert np.array_equal(again.logits.argmax(axis=-1), out.sequences[:, 1:])


def test_sampling_depends_on_the_seed_alone():
    model = layerscope.AutoModelForCausalLM.from_pretrained(GOLDEN / "gpt2-lm-v5", threads=3)
    ids, mask = padded(prompts(3), "left")
    options = {"max_new_tokens": 8, "do_sample": True, "top_k": 0, "eos_token_id": []}
    first = model.generate(ids, mask, seed=1, **options)
    assert np.array_equal(first, model.generate(ids, mask, seed=1, **options))
    assert not np.array_equal(first, model.generate(ids, mask, seed=2, **options))


NOT_BUILT = ["assistant_model", "logits_processor", "stopping_criteria", "streamer", "generation_config", "length_penalty"]
NOT_BUILT += ["num_beam_groups", "penalty_alpha", "prompt_lookup_num_tokens", "output_scores", "output_logits", "bad_words_ids"]
NOT_BUILT += ["output_attentions", "typical_p", "epsilon_cutoff", "no_repeat_ngram_size", "guidance_scale", "inputs_embeds"]


@pytest.mark.parametrize("name", [*NOT_BUILT, "num_beams", "num_return_sequences"])
def test_what_is_not_built_is_refused_by_name(name):
    model = layerscope.AutoModelForCausalLM.from_pretrained(GOLDEN / "gpt2-lm-v5")
    with pytest.raises(layerscope.UsageError, match=name):
        model.generate([[5, 6, 7]], max_new_tokens=1, **{name: np.full(2, 3) if name == "bad_words_ids" else 3})
    assert model.generate([[5, 6, 7]], max_new_tokens=1, **{name: None}).shape == (1, 4)


def test_prompts_that_cannot_be_written_on():
    model = layerscope.AutoModelForCausalLM.from_pretrained(GOLDEN / "gpt2-lm-v5")
    with pytest.raises(layerscope.UsageError, match="max_length 2"):
        model.generate([[5, 6, 7]], max_length=2)
    with pytest.raises(layerscope.InputError):
        model.generate([[5], [6]], [[1], [0]], max_new_tokens=2)
