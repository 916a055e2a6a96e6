"""Ways of changing a running module of transformers; each change is undone by Changes.undo()."""

import contextlib
import sys
import types

import torch


class Changes:
    """What was changed in one model, so that it can be put back."""

    def __init__(self):
        self.stack = contextlib.ExitStack()

    def undo(self):
        self.stack.close()

    def attribute(self, owner, name, value):
        """owner.name = value, a module in place of a module of any class too."""
        old = getattr(owner, name)
        if isinstance(owner, torch.nn.Module) and name in owner._modules:
            owner._modules.pop(name)
        setattr(owner, name, value)

        def restore():
            if isinstance(owner, torch.nn.Module):
                owner._modules.pop(name, None)
            owner.__dict__.pop(name, None)
            setattr(owner, name, old)

        self.stack.callback(restore)

    def data(self, tensor, value):
        """Other numbers in (a view of) a parameter."""
        old = tensor.clone()
        tensor.copy_(value)
        self.stack.callback(lambda: tensor.copy_(old))

    def hook(self, handle):
        self.stack.callback(handle.remove)

    def outputs(self, module, change):
        def hook(_, __, output):
            return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)
        self.hook(module.register_forward_hook(hook))

    def inputs(self, module, change):
        self.hook(module.register_forward_pre_hook(lambda _, args: (change(args[0]), *args[1:])))

    def attention(self, attention, change):
        """change(call) alters call.query, .key, .value, .mask, .options and .module of one attention module."""
        code = sys.modules[type(attention).__module__]
        before = code.eager_attention_forward

        def after(module, query, key, value, mask, **options):
            call = types.SimpleNamespace(module=module, query=query, key=key, value=value, mask=mask, options=options)
            if module is attention:
                change(call)
            return before(call.module, call.query, call.key, call.value, call.mask, **call.options)

        self.attribute(code, "eager_attention_forward", after)

    def rotation(self, attention, change):
        """change(cos, sin) gives the tables that one attention module rotates by."""
        def hook(_, args, options):
            assert "position_embeddings" in options, "no rotation"
            return args, options | {"position_embeddings": change(*options["position_embeddings"])}
        self.hook(attention.register_forward_pre_hook(hook, with_kwargs=True))

    def rotate_with(self, attention, function):
        """function(q, k, cos, sin) rotates within one attention module."""
        code = sys.modules[type(attention).__module__]
        before, inside = code.apply_rotary_pos_emb, []

        def after(q, k, cos, sin, *more, **options):
            return function(q, k, cos.unsqueeze(1), sin.unsqueeze(1)) if inside else before(q, k, cos, sin, *more, **options)

        self.attribute(code, "apply_rotary_pos_emb", after)
        self.hook(attention.register_forward_pre_hook(lambda *_: inside.append(True)))
        self.hook(attention.register_forward_hook(lambda *_: inside.clear()))

    def autocast(self, module):
        """A module that runs under bfloat16 autocast."""
        entered = []

        def begin(*_):
            entered.append(torch.autocast("cpu", dtype=torch.bfloat16))
            entered[-1].__enter__()

        def end(_, __, output):
            entered.pop().__exit__(None, None, None)
            return output

        self.hook(module.register_forward_pre_hook(begin))
        self.hook(module.register_forward_hook(end))
