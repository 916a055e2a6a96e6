"""Holds the collected sites against each other and against what transformers itself returns."""

import torch

ROUNDING = 2e-6


def distance(value, expected):
    """Relative L2 distance; both all zero is 0."""
    norm = torch.linalg.vector_norm(expected.double())
    difference = torch.linalg.vector_norm(value.double() - expected.double())
    return 0.0 if difference == 0 else float(difference / norm)


def require(condition, site, what):
    if not condition:
        raise AssertionError(f"{site}: {what}")


def near(value, expected, site, what):
    far = distance(value, expected)
    require(value.shape == expected.shape and far <= ROUNDING, site, f"{what}: relative L2 distance {far:.3g}")


def check_hidden_states(sites, stack, hidden_states):
    """Embedding, blocks and final are, bit for bit, the L + 1 states that transformers returns."""
    last = len(stack.blocks)
    require(len(hidden_states) == last + 1, stack.prefix, "number of hidden states")
    names = ["embed"] + [f"block.{index}.out" for index in range(last - 1)] + ["final"]
    for name, states in zip(names, hidden_states):
        site = stack.prefix + name
        require(torch.equal(sites[site], states[0]), site, "not what output_hidden_states gives")
    if stack.norm is not None:
        top = sites[f"{stack.prefix}block.{last - 1}.out"]
        require(distance(stack.norm(top), sites[f"{stack.prefix}final"]) == 0, stack.prefix, "final norm")
        require(not torch.equal(top, sites[f"{stack.prefix}final"]), stack.prefix, "final is not normed")


def visible(queries, keys, window):
    """Which keys a causal query sees, itself and window - 1 before it."""
    lag = torch.arange(queries)[:, None] - torch.arange(keys)[None, :]
    return (lag >= 0) & (lag < (window or keys))


def check_attention(sites, site, window, causal):
    """Probabilities are rows of a distribution, exactly 0 where masked, and turn v into z head by head."""
    probs = sites[f"{site}.probs"]
    heads, queries, keys = probs.shape
    near(probs.sum(-1), torch.ones(heads, queries), site, "rows of probs do not sum to 1")
    if causal:
        seen = visible(queries, keys, window).expand_as(probs)
        require(bool((probs[~seen] == 0).all()) and bool((probs[seen] > 0).all()), site, "mask")
    width = sites[f"{site}.z"].shape[1] // heads
    require(sites[f"{site}.q"].shape == (queries, heads * width), site, "width of q")
    values = sites[f"{site}.v"].unflatten(1, (-1, width)).transpose(0, 1)
    require(sites[f"{site}.k"].shape == sites[f"{site}.v"].shape, site, "width of k")
    values = values.repeat_interleave(heads // values.shape[0], dim=0)
    near((probs @ values).transpose(0, 1).flatten(1), sites[f"{site}.z"], site, "probs times v is not z")


def check_steps(sites, stack):
    """Every step obeys x = after(x + mixer(pre(x)))."""
    stream = sites[f"{stack.prefix}embed"]
    for index, steps in enumerate(stack.steps):
        for step in steps:
            site = f"{stack.prefix}block.{index}.{step.name}"
            read = step.pre(stream) if step.pre else stream
            near(sites[f"{site}.in"], read, site, "in is not what the mixer reads")
            total = stream + sites[f"{site}.out"]
            if step.after:
                near(sites[f"{site}.presum"], total, site, "presum")
                total = step.after(sites[f"{site}.presum"])
            near(sites[f"{site}.sum"], total, site, "sum")
            stream = sites[f"{site}.sum"]
            if step.attention:
                causal = stack.windows is not None and step.name == "attn"
                check_attention(sites, site, stack.windows[index] if causal else None, causal)
        block = f"{stack.prefix}block.{index}.out"
        require(torch.equal(stream, sites[block]), block, "not the sum of the last step")


def check(collector, output):
    """All checks for one forward pass; raises AssertionError naming the site."""
    for stack in collector.stacks:
        kind = {"enc.": "encoder_hidden_states", "dec.": "decoder_hidden_states"}.get(stack.prefix, "hidden_states")
        check_hidden_states(collector.sites, stack, output[kind])
        check_steps(collector.sites, stack)
    if "last_hidden_state" in output:
        require(torch.equal(collector.sites["final"], output["last_hidden_state"][0]), "final", "last_hidden_state")
