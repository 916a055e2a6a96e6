"""The faults. Each function changes one block (or end) of a running stack and says what `diff` should find."""

import dataclasses
import types

import numpy
import torch
from torch.nn import functional

MATRIX_SITES = {"q": "attn.q", "k": "attn.k", "v": "attn.v", "o": "attn.out", "up": "mlp.act", "gate": "mlp.act", "down": "mlp.out"}
MINIMUM = torch.finfo(torch.float32).min


class NotHere(Exception):
    """The family has no such part."""


@dataclasses.dataclass
class Planted:
    layer: int  # the block; -1: the embedding; the number of blocks: the stack's end
    sites: list  # accepted, the narrowest first; block.2.* is any part of block 2
    kinds: list  # accepted, the best first
    what: str
    padding: str = ""  # that the batch needs: "left", "right"
    inputs: object = None  # changes the batch of the faulty run
    store: object = None  # changes the dump


def need(condition, what="no such part"):
    if not condition:
        raise NotHere(what)


def pick(random, values):
    values = list(values)
    need(values)
    return values[int(random.integers(len(values)))]


def round_bf16(x):
    return x.bfloat16().to(x.dtype)


# Activations

ACTIVATIONS = {"erf": functional.gelu, "tanh": lambda x: functional.gelu(x, approximate="tanh"),
               "quick": lambda x: x * torch.sigmoid(1.702 * x), "relu": functional.relu, "silu": functional.silu}


def activation(stack, layer, random, changes):
    owner, name = stack.owner(layer, stack.parts["act"])
    probe = torch.linspace(-3, 3, 64)
    now = getattr(owner, name)(probe)
    others = [key for key, function in ACTIVATIONS.items() if (function(probe) - now).abs().max() > 1e-5]
    # A GELU is taken for another GELU far more often than for anything else.
    near = [key for key in others if (ACTIVATIONS[key](probe) - now).abs().max() < 0.05]
    to = pick(random, near if near and random.integers(2) else others)
    changes.attribute(owner, name, ACTIVATIONS[to])
    return Planted(layer, [stack.site(layer, "mlp.act")], ["activation"], f"activation {to}")


# Norms

def eps_name(norm):
    return "variance_epsilon" if hasattr(norm, "variance_epsilon") else "eps"


def eps(stack, layer, random, changes, factor=None):
    site = pick(random, stack.sites_of_norms(layer))
    norm = stack.norm(layer, site)
    now = getattr(norm, eps_name(norm))
    to = factor * now if factor else pick(random, [e for e in (1e-6, 1e-5, 1e-4, 1e-3) if e > 4 * now])
    changes.attribute(norm, eps_name(norm), to)
    return Planted(layer, [stack.site(layer, site)], ["eps"], f"eps {to:g} for {now:g} in {site}")


def eps_of_embedding(stack, layer, random, changes):
    need(stack.embedding_norm is not None)
    changes.attribute(stack.embedding_norm, "eps", 1e-3)
    return Planted(-1, [stack.end("embed")], ["eps"], "eps of the embedding norm")


def eps_of_end(stack, layer, random, changes):
    need(stack.final_norm is not None)
    changes.attribute(stack.final_norm, eps_name(stack.final_norm), 1e-3)
    return Planted(len(stack), [stack.end("final")], ["eps"], "eps of the final norm")


def norm_offset(stack, layer, random, changes):
    site = pick(random, stack.sites_of_norms(layer))
    norm = stack.norm(layer, site)
    need("Gemma" in type(norm).__name__)
    changes.data(norm.weight.data, norm.weight.data - 1)
    return Planted(layer, [stack.site(layer, site)], ["norm"], f"{site}: weight for 1 + weight")


def norm_missing(stack, layer, random, changes):
    site = pick(random, stack.sites_of_norms(layer))
    parent, _, name = stack.parts["norms"][site].rpartition(".")
    changes.attribute(stack.module(layer, parent), name, torch.nn.Identity())
    return Planted(layer, [stack.site(layer, site)], ["norm"], f"{site}: no norm")


def norm_weight_missing(stack, layer, random, changes):
    site = pick(random, stack.sites_of_norms(layer))
    norm = stack.norm(layer, site)
    changes.data(norm.weight.data, torch.full_like(norm.weight.data, 0.0 if "Gemma" in type(norm).__name__ else 1.0))
    return Planted(layer, [stack.site(layer, site)], ["norm", "weights"], f"{site}: weight left out")


def norm_kind(stack, layer, random, changes):
    site = pick(random, stack.sites_of_norms(layer))
    norm = stack.norm(layer, site)
    need("RMS" in type(norm).__name__ or type(norm).__name__ == "T5LayerNorm")
    changes.inputs(norm, lambda x: x - x.mean(-1, keepdim=True))
    return Planted(layer, [stack.site(layer, site)], ["norm"], f"{site}: the mean is taken off first")


def final_norm(stack, layer, random, changes):
    need(stack.final_norm is not None)
    for name, module in list(stack.stack.named_modules()):
        if module is stack.final_norm:
            parent, _, leaf = name.rpartition(".")
            changes.attribute(stack.stack.get_submodule(parent), leaf, torch.nn.Identity())
    return Planted(len(stack), [stack.end("final")], ["final_norm"], "the last state is not normed")


def qk_norm_missing(stack, layer, random, changes):
    need("qk_norms" in stack.parts)
    which = pick(random, ["q", "k", "both"])
    sites = [f"attn.{name}" for name in ("q", "k") if which in (name, "both")]
    for site in sites:
        parent, _, name = stack.parts["qk_norms"][site].rpartition(".")
        changes.attribute(stack.module(layer, parent), name, torch.nn.Identity())
    return Planted(layer, [stack.site(layer, site) for site in sites], ["qk_norm"], f"no norm of {which}")


# Scales

def attention_scale(stack, layer, random, changes):
    to = pick(random, ["none", "twice", "model"])

    def change(call):
        now = call.options.get("scaling") or call.query.shape[-1] ** -0.5
        call.options["scaling"] = {"none": 1.0 if now != 1.0 else 0.3, "twice": now * now if now != 1.0 else 0.5,
                                   "model": stack.config.hidden_size ** -0.5}[to]

    changes.attention(stack.attention(layer), change)
    return Planted(layer, [stack.site(layer, site) for site in ("attn.probs", "attn.q", "attn.k")], ["scale"], f"attention scale {to}")


def embedding_scale(stack, layer, random, changes):
    if hasattr(stack.word, "embed_scale") and float(stack.word.embed_scale) != 1.0:
        changes.data(stack.word.embed_scale, torch.ones_like(stack.word.embed_scale))
    else:
        need(hasattr(stack.stack, "embedding_multiplier"))
        changes.attribute(stack.stack, "embedding_multiplier", 1.0)
    return Planted(-1, [stack.end("embed")], ["scale"], "embedding scale missing")


def softcap_missing(stack, layer, random, changes):
    need(getattr(stack.config, "attn_logit_softcapping", None))

    def change(call):
        call.options["softcap"] = None

    changes.attention(stack.attention(layer), change)
    return Planted(layer, [stack.site(layer, "attn.probs")], ["scale", "activation"], "no softcap of the scores")


def logit_softcap_missing(stack, layer, random, changes):
    need(getattr(stack.config, "final_logit_softcapping", None))
    changes.attribute(stack.model.config, "final_logit_softcapping", None)
    return Planted(len(stack) + 1, ["logits"], ["scale", "activation", "unknown"], "no softcap of the logits")


def residual_scale(stack, layer, random, changes):
    if hasattr(stack.blocks[layer], "residual_multiplier"):
        changes.attribute(stack.blocks[layer], "residual_multiplier", 1.0)
        return Planted(layer, [stack.site(layer, f"{step}.out") for step in ("attn", "mlp")], ["scale"], "residual multiplier missing")
    need("attn.out" not in stack.parts["norms"])  # a norm behind it undoes it
    name, factor = pick(random, matrices(stack, ["o", "down"])), pick(random, [0.5, 0.8, 2.0])
    changes.outputs(stack.linear(layer, name), lambda x: x * factor)
    return Planted(layer, [stack.site(layer, MATRIX_SITES[name])], ["scale"], f"{name}: output times {factor}")


# Rotation

def rotating(stack, layer):
    need(type(stack.attention(layer)).__name__.startswith(("Llama", "Mistral", "Qwen", "Phi", "StableLm", "Starcoder", "Granite",
                                                          "Olmo", "Gemma", "ModernBert", "GPTNeoX", "Mixtral", "Cohere")))
    return [stack.site(layer, site) for site in ("attn.q", "attn.k", "attn.probs")]


def rope_base(stack, layer, random, changes):
    sites = rotating(stack, layer)
    theta = pick(random, [500.0, 2500.0, 20000.0, 300000.0, 5e6])

    need("Cohere" not in type(stack.attention(layer)).__name__)  # its tables are laid out otherwise

    def change(cos, sin):
        width, length = cos.shape[-1], cos.shape[-2]
        angles = torch.outer(torch.arange(length).float(), theta ** (-torch.arange(0, width, 2).float() / width))
        angles = torch.cat((angles, angles), -1).expand(cos.shape)
        return angles.cos(), angles.sin()

    changes.rotation(stack.attention(layer), change)
    return Planted(layer, sites, ["rope"], f"rope base {theta:g}")


def interleaved(q, k, cos, sin):
    half = cos.shape[-1] // 2
    cos, sin = cos[..., :half].repeat_interleave(2, -1), sin[..., :half].repeat_interleave(2, -1)

    def rotate(x):
        x, rest = x[..., : 2 * half], x[..., 2 * half :]
        turned = torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
        return torch.cat((x * cos + turned * sin, rest), -1)

    return rotate(q), rotate(k)


def rope_pairing(stack, layer, random, changes):
    sites = rotating(stack, layer)
    need("Cohere" not in type(stack.attention(layer)).__name__)  # it does so itself
    changes.rotate_with(stack.attention(layer), interleaved)
    return Planted(layer, sites, ["rope"], "neighbours are rotated together")


def rope_missing(stack, layer, random, changes):
    sites = rotating(stack, layer)
    changes.rotation(stack.attention(layer), lambda cos, sin: (torch.ones_like(cos), torch.zeros_like(sin)))
    return Planted(layer, sites, ["rope"], "nothing is rotated")


def rope_sign(stack, layer, random, changes):
    sites = rotating(stack, layer)
    changes.rotation(stack.attention(layer), lambda cos, sin: (cos, -sin))
    return Planted(layer, sites, ["rope"], "rotated the other way")


# Masks

def masked(stack, layer, changes, allowed_after):
    def change(call):
        need(call.mask is not None)
        allowed = call.mask == 0
        query, key = torch.meshgrid(torch.arange(allowed.shape[-2]), torch.arange(allowed.shape[-1]), indexing="ij")
        real = allowed.any(-2, keepdim=True)  # keys that somebody sees
        now = allowed_after(allowed, real, query, key)
        call.mask = torch.where(now, 0.0, MINIMUM).to(call.mask.dtype)

    changes.attention(stack.attention(layer), change)
    return [stack.site(layer, "attn.probs")]


def causal(stack):
    need(bool(getattr(stack.attention(0), "is_causal", False)))


def mask_future(stack, layer, random, changes):
    causal(stack)
    sites = masked(stack, layer, changes, lambda a, real, q, k: a | (real & (k == q + 1)))
    return Planted(layer, sites, ["mask"], "a token sees the next one")


def mask_self(stack, layer, random, changes):
    causal(stack)
    sites = masked(stack, layer, changes, lambda a, real, q, k: a & ((k < q) | (a & (k < q)).sum(-1, keepdim=True).eq(0)))
    return Planted(layer, sites, ["mask"], "a token does not see itself")


def mask_both_ways(stack, layer, random, changes):
    causal(stack)
    sites = masked(stack, layer, changes, lambda a, real, q, k: real.expand(a.shape))
    return Planted(layer, sites, ["mask"], "no causal mask")


def mask_causal(stack, layer, random, changes):
    need(not getattr(stack.attention(0), "is_causal", False))
    sites = masked(stack, layer, changes, lambda a, real, q, k: a & (k <= q))
    return Planted(layer, sites, ["mask"], "a causal mask")


def mask_padding(stack, layer, random, changes):
    need(not getattr(stack.attention(0), "is_causal", False))
    if random.integers(2):
        sites = masked(stack, layer, changes,
                       lambda a, real, q, k: a & ~(real & ((k == k.max()) | ~torch.roll(real, -1, -1))))
        return Planted(layer, sites, ["mask"], "the last real token is masked", padding="right")
    sites = masked(stack, layer, changes, lambda a, real, q, k: a | (~real & torch.roll(real, 1, -1) & (k > 0)))
    return Planted(layer, sites, ["mask"], "the first padding token is seen", padding="right")


def mask_padding_none(stack, layer, random, changes):
    need(not getattr(stack.attention(0), "is_causal", False))

    def allowed(a, real, q, k):
        away = (q - k).abs().expand(a.shape)
        return a | (~real & (away <= away[a].max()))  # no further than a window reaches

    sites = masked(stack, layer, changes, allowed)
    return Planted(layer, sites, ["mask"], "padding is seen", padding="right")


def window(stack, layer, random, changes):
    kinds = getattr(stack.config, "layer_types", None) or ["sliding_attention" if getattr(stack.config, "sliding_window", None)
                                                         else "full_attention"] * len(stack)
    need(kinds[layer] == "sliding_attention")
    wider = bool(random.integers(2))

    def allowed(a, real, q, k):
        away = (q - k).expand(a.shape)
        reach = int(away[a].max())
        if wider:
            return a | (real & (away == reach + 1)) | (real & (away == -reach - 1) & bool((away[a] < 0).any()))
        return a & (away.abs() < reach)

    return Planted(layer, masked(stack, layer, changes, allowed), ["mask"], f"window one {'wider' if wider else 'narrower'}")


# Positions

def learned(stack):
    need(stack.position is not None)


def positions_left(stack, layer, random, changes):
    learned(stack)
    need(stack.config.model_type in ("gpt2", "bert", "electra", "distilbert"))
    return Planted(-1, [stack.end("embed")], ["positions"], "positions count the padding on the left", padding="left")


def positions_shifted(stack, layer, random, changes):
    learned(stack)
    need(stack.config.model_type in ("gpt2", "bert", "electra", "roberta"))
    start = 0 if stack.config.model_type == "roberta" else 1

    def inputs(batch):
        length = batch["input_ids"].shape[1]
        return batch | {"position_ids": torch.arange(start, start + length)[None].expand(batch["input_ids"].shape)}

    return Planted(-1, [stack.end("embed")], ["positions"], f"positions begin at {start}", padding="right", inputs=inputs)


def positions_offset(stack, layer, random, changes):
    learned(stack)
    need(hasattr(stack.position, "offset"))
    changes.attribute(stack.position, "offset", pick(random, [1, 3]))
    return Planted(-1, [stack.end("embed")], ["positions"], f"position offset {stack.position.offset}", padding="right")


def relative_bias(stack, layer, random, changes):
    need(stack.config.model_type == "t5")
    way = pick(random, ["missing", "backwards"])

    def change(call):
        bias = call.options["position_bias"]
        call.options["position_bias"] = torch.zeros_like(bias) if way == "missing" else bias.transpose(-1, -2)

    changes.attention(stack.attention(layer), change)
    return Planted(layer, [stack.site(layer, "attn.probs")], ["positions", "bias"], f"relative bias {way}")


# Matrices

def matrices(stack, names):
    return [name for name in names if stack.has(name)]


def exchange(stack, layer, changes, one, other):
    a, b = stack.weight(layer, one), stack.weight(layer, other)
    need(a.shape == b.shape)
    old = a.clone()
    changes.data(a, b.clone())
    changes.data(b, old)
    if stack.bias(layer, one) is not None:
        a, b = stack.bias(layer, one), stack.bias(layer, other)
        old = a.clone()
        changes.data(a, b.clone())
        changes.data(b, old)


def qk_exchanged(stack, layer, random, changes):
    one, other = pick(random, [("q", "k"), ("k", "v"), ("q", "v")])
    exchange(stack, layer, changes, one, other)
    return Planted(layer, [stack.site(layer, MATRIX_SITES[name]) for name in (one, other)], ["weights"], f"{one} and {other} exchanged")


def gate_up_exchanged(stack, layer, random, changes):
    need(stack.has("gate"))
    exchange(stack, layer, changes, "gate", "up")
    return Planted(layer, [stack.site(layer, "mlp.act")], ["weights"], "gate and up exchanged")


def transposed(stack, layer, random, changes):
    square = []
    for name in matrices(stack, ("q", "k", "v", "o", "up", "down", "gate")):
        weight = stack.weight(layer, name)
        if weight.flatten(0, -2).shape[0] == weight.shape[-1]:
            square.append(name)
    name = pick(random, square)
    weight = stack.weight(layer, name)
    changes.data(weight, weight.flatten(0, -2).T.clone().reshape(weight.shape))
    return Planted(layer, [stack.site(layer, MATRIX_SITES[name])], ["transposed"], f"{name} transposed")


def other_layer(stack, layer, random, changes):
    name = pick(random, matrices(stack, ("q", "k", "v", "o", "up", "down", "gate")))
    other = pick(random, [i for i in range(len(stack)) if i != layer])
    changes.data(stack.weight(layer, name), stack.weight(other, name).clone())
    return Planted(layer, [stack.site(layer, MATRIX_SITES[name])], ["weights"], f"{name} of block {other}")


def noisy_weight(stack, layer, random, changes):
    name = pick(random, matrices(stack, ("q", "k", "v", "o", "up", "down", "gate")))
    weight = stack.weight(layer, name)
    noise = torch.from_numpy(random.standard_normal(tuple(weight.shape)).astype("float32"))
    changes.data(weight, weight + 0.01 * weight.std() * noise)
    return Planted(layer, [stack.site(layer, MATRIX_SITES[name])], ["weights"], f"{name} with 1 % of noise")


def bias_missing(stack, layer, random, changes):
    # The softmax does not see a bias of the keys without rotation: it adds the same to every score of a query.
    names = [name for name in matrices(stack, ("q", "v", "o", "up", "down")) if stack.bias(layer, name) is not None]
    name = pick(random, names)
    changes.data(stack.bias(layer, name), torch.zeros_like(stack.bias(layer, name)))
    return Planted(layer, [stack.site(layer, MATRIX_SITES[name])], ["bias"], f"{name} without its bias")


def key_heads(stack, layer, random, changes):
    groups = getattr(stack.attention(layer), "num_key_value_groups", 1)
    need(groups > 1 and stack.config.num_key_value_heads > 1)

    def change(call):
        call.key, call.value = call.key.repeat(1, groups, 1, 1), call.value.repeat(1, groups, 1, 1)
        call.module = types.SimpleNamespace(num_key_value_groups=1, training=False)

    changes.attention(stack.attention(layer), change)
    return Planted(layer, [stack.site(layer, site) for site in ("attn.k", "attn.v", "attn.probs", "attn.z")], ["weights"],
                   "key heads repeated in the wrong order")


# Precision

def bf16_linear(stack, layer, random, changes):
    name = pick(random, matrices(stack, ("o", "down") if "qkv" in stack.parts else ("q", "v", "o", "up", "down")))
    module = stack.linear(layer, name)
    how = pick(random, ["weights", "weights and inputs", "output"])
    if how == "output":
        changes.outputs(module, round_bf16)
    else:
        changes.data(module.weight.data, round_bf16(module.weight.data))
    if how == "weights and inputs":
        changes.inputs(module, round_bf16)
    return Planted(layer, [stack.site(layer, MATRIX_SITES[name])], ["precision"], f"{name}: {how} in bf16")


def bf16_layer(stack, layer, random, changes):
    changes.autocast(stack.blocks[layer])
    return Planted(layer, [stack.site(layer, "*")], ["precision"], "a block under bf16 autocast")


def bf16_stream(stack, layer, random, changes):
    need(layer > 0)  # what enters the first one is a state itself
    changes.inputs(stack.blocks[layer], round_bf16)
    return Planted(layer, [stack.site(layer, "*")], ["precision"], "the stream rounded to bf16 where it enters the block")


def f16_softmax(stack, layer, random, changes):
    def change(call):
        call.query, call.key = call.query.half().float(), call.key.half().float()

    changes.attention(stack.attention(layer), change)
    return Planted(layer, [stack.site(layer, site) for site in ("attn.q", "attn.k", "attn.probs")], ["precision"], "queries and keys in f16")


def type_ids(stack, layer, random, changes):
    need(stack.config.model_type in ("bert", "electra"))

    def inputs(batch):
        return batch | {"token_type_ids": torch.ones_like(batch["input_ids"])}

    return Planted(-1, [stack.end("embed")], ["tokens", "weights", "positions", "bias"], "token types 1 for 0", inputs=inputs)


def bf16_weights(stack, layer, random, changes):
    for parameter in stack.model.parameters():
        changes.data(parameter.data, round_bf16(parameter.data))
    return Planted(-1, ["*"], ["precision"], "every parameter rounded to bf16")


# Everywhere: a port makes the same mistake in every block

EVERYWHERE = ("activation", "scale", "rope-base", "rope-pairing", "rope-missing", "mask-self", "mask-future", "mask-no-padding",
              "gate-up", "key-heads", "norm-weight", "norm-offset", "qk-norm", "softcap", "bias", "bf16-linear", "bf16-layer", "eps")


def everywhere(name):
    def plant(stack, layer, random, changes):
        seed = int(random.integers(1 << 30))
        planted = [FAULTS[name](stack, i, numpy.random.default_rng(seed), changes) for i in range(len(stack))]
        planted[0].what += ", in every block"
        return planted[0]
    return plant


# Cross attention

CROSS = ("scale", "exchanged", "transposed", "other-layer", "bias", "bf16-linear", "f16-scores", "mask-no-padding")


def cross(name):
    def plant(stack, layer, random, changes):
        need(stack.prefix == "dec.")
        planted = FAULTS[name](stack.of_cross_attention(), layer, random, changes)
        planted.sites = [site.replace(".attn.", ".cross.") for site in planted.sites]
        return planted
    return plant


# Routers

def router(stack, layer, random, changes):
    need("router" in stack.parts)
    gate = stack.module(layer, stack.parts["router"])
    if random.integers(2):
        changes.attribute(gate, "top_k", gate.top_k - 1)
        what = "one expert fewer"
    else:
        def not_renormalised(_, __, output):
            logits, _, indices = output
            return logits, logits.float().softmax(-1).gather(-1, indices), indices
        changes.hook(gate.register_forward_hook(not_renormalised))
        what = "chosen probabilities are not scaled up to 1"
    return Planted(layer, [stack.site(layer, "mlp.router"), stack.site(layer, "mlp.out")], ["scale", "weights", "unknown", "norm"], what)


# Below rounding

def hidden_eps(stack, layer, random, changes):
    return eps(stack, layer, random, changes, factor=1.001)


def hidden_weight(stack, layer, random, changes):
    weight = stack.weight(layer, "o")
    changes.data(weight, weight * (1 + 6e-8))
    return Planted(layer, [stack.site(layer, "attn.out")], ["weights"], "o with the last bit changed")


HIDDEN = {"hidden-eps": hidden_eps, "hidden-weight": hidden_weight}
FAULTS = {
    "activation": activation, "eps": eps, "eps-embed": eps_of_embedding, "eps-final": eps_of_end, "norm-offset": norm_offset,
    "norm-missing": norm_missing, "norm-weight": norm_weight_missing, "norm-kind": norm_kind, "final-norm": final_norm,
    "qk-norm": qk_norm_missing, "scale": attention_scale, "embedding-scale": embedding_scale, "softcap": softcap_missing,
    "logit-softcap": logit_softcap_missing, "residual-scale": residual_scale, "rope-base": rope_base, "rope-pairing": rope_pairing,
    "rope-missing": rope_missing, "rope-sign": rope_sign, "mask-future": mask_future, "mask-self": mask_self,
    "mask-both-ways": mask_both_ways, "mask-causal": mask_causal, "mask-padding": mask_padding, "mask-no-padding": mask_padding_none,
    "window": window, "positions-left": positions_left, "positions-shifted": positions_shifted, "positions-offset": positions_offset,
    "relative-bias": relative_bias, "exchanged": qk_exchanged, "gate-up": gate_up_exchanged, "transposed": transposed,
    "other-layer": other_layer, "noisy-weight": noisy_weight, "bias": bias_missing, "key-heads": key_heads,
    "bf16-linear": bf16_linear, "bf16-layer": bf16_layer, "bf16-stream": bf16_stream, "f16-scores": f16_softmax,
    "bf16-weights": bf16_weights, "type-ids": type_ids, "router": router,
    **HIDDEN,
}
FAULTS |= {f"all-{name}": everywhere(name) for name in EVERYWHERE}
FAULTS |= {f"cross-{name}": cross(name) for name in CROSS}
