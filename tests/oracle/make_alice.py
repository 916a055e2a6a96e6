"""Two tiny trained models with tokenizers, so that examples and tests of predictions have something to say.

tests/data/alice/causal is a Llama, tests/data/alice/masked a ModernBERT; both have read demo/corpus.txt (chapters I to VIII of Alice's
Adventures in Wonderland, in the public domain) a few times over, except its last tenth. Weights are stored in bfloat16.

usage: make_alice.py [causal] [masked]    one thread and fixed seeds: the same files again on the same machine
"""
import pathlib
import sys

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, ModernBertConfig, ModernBertForMaskedLM, PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "demo/corpus.txt").read_text(encoding="utf-8").splitlines()
TRAIN = TEXT[: len(TEXT) * 9 // 10]
VOCABULARY, LENGTH, BATCH = 384, 64, 24


def causal():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<s>"], initial_alphabet=[])
    tokenizer.train_from_iterator(TRAIN, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=88, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
        initializer_range=0.1))
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<s>")
    return wrapped, model, lambda ids: (ids, ids)


def masked():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TRAIN, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=names))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    model = ModernBertForMaskedLM(ModernBertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=256, local_attention=16, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2,
        sep_token_id=3, initializer_range=0.1, reference_compile=False))
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
                                      sep_token="[SEP]", mask_token="[MASK]")

    def hide(ids):
        chosen = torch.rand(ids.shape) < 0.15
        chosen[:, 0] = False
        return ids.masked_fill(chosen, 4), ids.masked_fill(~chosen, -100)
    return wrapped, model, hide


def train(name, make, steps, rate):
    torch.manual_seed(1865)
    tokenizer, model, task = make()
    stream = torch.tensor([token for line in TRAIN for token in tokenizer(line)["input_ids"]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for step in range(steps):
        first = torch.randint(len(stream) - LENGTH, (BATCH,))
        ids, labels = task(torch.stack([stream[at:at + LENGTH] for at in first]))
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 250 == 249:
            print(f"{name} step {step + 1}: loss {loss.item():.3f}", flush=True)
    folder = ROOT / "tests/data/alice" / name
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
for wanted in sys.argv[1:] or ["causal", "masked"]:
    train(wanted, *{"causal": (causal, 2500, 4e-3), "masked": (masked, 6000, 4e-3)}[wanted])
