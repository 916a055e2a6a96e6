"""Texts to ids and back. What is expected of the demo model was printed by transformers 5.23."""

import numpy as np
import pytest

import layerscope


def test_one_text_gives_lists(tokenizer):
    assert dict(tokenizer("hello world")) == {
        "input_ids": [101, 7592, 2088, 102],
        "token_type_ids": [0, 0, 0, 0],
        "attention_mask": [1, 1, 1, 1],
    }


def test_padding_on_either_side(tokenizer):
    right = tokenizer(["hello world", "a"], padding=True, return_tensors="np")
    left = tokenizer(["hello world", "a"], padding=True, padding_side="left", return_tensors="np")
    assert right["input_ids"].tolist() == [[101, 7592, 2088, 102], [101, 1037, 102, 0]]
    assert left["input_ids"].tolist() == [[101, 7592, 2088, 102], [0, 101, 1037, 102]]
    assert left["attention_mask"].tolist() == [[1, 1, 1, 1], [0, 1, 1, 1]]
    assert right["input_ids"].dtype == np.int64
    assert tokenizer(["a"], padding=True, pad_to_multiple_of=8)["attention_mask"] == [[1, 1, 1, 0, 0, 0, 0, 0]]
    assert tokenizer("a", padding="max_length", max_length=5)["input_ids"] == [101, 1037, 102, 0, 0]


def test_pairs(tokenizer):
    pair = tokenizer("what?", text_pair="that it's")
    assert pair["input_ids"] == [101, 2054, 1029, 102, 2008, 2009, 1005, 1055, 102]
    assert pair["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert pair.sequence_ids() == [None, 0, 0, None, 1, 1, 1, 1, None]
    assert dict(tokenizer([("what?", "that it's")])) == {key: [value] for key, value in pair.items()}
    assert dict(tokenizer(["what?"], ["that it's"])) == {key: [value] for key, value in pair.items()}


def test_truncation(tokenizer):
    assert tokenizer("a b c d", truncation=True, max_length=4)["input_ids"] == [101, 1037, 1038, 102]
    assert len(tokenizer("a " * 1000, truncation=True)["input_ids"]) == tokenizer.model_max_length == 512


def test_offsets_and_special_tokens(tokenizer):
    encoded = tokenizer("naïve 你", return_offsets_mapping=True, return_special_tokens_mask=True)
    assert encoded["offset_mapping"] == [(0, 0), (0, 5), (6, 7), (0, 0)]
    assert encoded["special_tokens_mask"] == [1, 0, 0, 1]
    assert tokenizer("hello", add_special_tokens=False)["input_ids"] == [7592]


def test_back_to_text(tokenizer):
    ids = tokenizer("Hello, world! it's don't .")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "hello, world! it ' s don ' t."
    assert tokenizer.decode(np.array(ids)) == "[CLS] hello, world! it ' s don ' t. [SEP]"
    assert tokenizer.batch_decode([ids, ids[:2]], skip_special_tokens=True) == ["hello, world! it ' s don ' t.", "hello"]
    assert tokenizer.convert_ids_to_tokens([101, 7592]) == ["[CLS]", "hello"]
    assert tokenizer.convert_tokens_to_ids(["[CLS]", "hello", "no such token"]) == [101, 7592, 100]
    assert tokenizer.tokenize("hello embeddings") == ["hello", "em", "##bed", "##ding", "##s"]


def test_special_tokens(tokenizer):
    assert (tokenizer.pad_token, tokenizer.pad_token_id, tokenizer.mask_token_id) == ("[PAD]", 0, 103)
    assert tokenizer.bos_token is None and tokenizer.bos_token_id is None
    assert len(tokenizer) == len(tokenizer.vocab) == 30522 and tokenizer.get_vocab()["[MASK]"] == 103


def test_a_padding_token_may_be_chosen(folder):
    own = layerscope.AutoTokenizer.from_pretrained(folder, pad_token="[MASK]", padding_side="left")
    assert own(["a", "a b"], padding=True)["input_ids"][0][0] == 103
    own.pad_token_id = 102
    assert own.pad_token == "[SEP]"
    own.pad_token = None
    with pytest.raises(layerscope.UsageError, match="padding token"):
        own(["a", "a b"], padding=True)


def test_a_batch_is_a_mapping(tokenizer):
    encoded = tokenizer(["a"], return_tensors="np")
    assert encoded.input_ids is encoded["input_ids"] is {**encoded}["input_ids"]
    with pytest.raises(AttributeError):
        encoded.logits


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": ["a", "a b"], "return_tensors": "np"},
        {"text": "a", "return_tensors": "jax"},
        {"text": "a", "padding": "widest"},
        {"text": "a", "truncation": "only_first"},
        {"text": "a", "stride": 3},
        {"text": [1, 2]},
        {"text": ["a", "b"], "text_pair": ["c"]},
        {"text": "a", "padding_side": "top"},
    ],
)
def test_what_is_not_supported_is_refused(tokenizer, arguments):
    with pytest.raises(layerscope.UsageError):
        tokenizer(**arguments)


def test_folders_that_are_not_there():
    with pytest.raises(layerscope.ModelError):
        layerscope.AutoTokenizer.from_pretrained("no/such/folder")
