"""Writes what transformers computes as a reference dump (docs/diff.md) for `layerscope diff MODEL dump.safetensors`.

usage: dump_reference.py MODEL OUT.safetensors TEXT...        needs torch, transformers and safetensors
"""
import sys

import torch
import transformers
from safetensors.torch import save_file

folder, out, *texts = sys.argv[1:]
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
inputs = dict(tokenizer(texts, return_tensors="pt", padding=True, padding_side="right"))
if model.config.is_encoder_decoder:
    inputs["decoder_input_ids"] = torch.full((len(texts), 1), model.config.decoder_start_token_id)
with torch.no_grad():
    result = model(**inputs, output_hidden_states=True)
for prefix in ("", "encoder_", "decoder_"):
    for k, state in enumerate(result.get(f"{prefix}hidden_states") or ()):
        inputs[f"{prefix}hidden_states.{k}"] = state
save_file({name: value.contiguous() for name, value in inputs.items()}, out)
