"""What a model returns: the behaviour of transformers' ModelOutput, without transformers."""

from __future__ import annotations

from typing import Any, ClassVar


class ModelOutput(dict[str, Any]):
    """Fields by attribute, by key or by index; those that are None are no keys and do not count."""

    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **values: Any) -> None:
        unknown = set(values) - set(self.fields)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        super().__init__((name, values[name]) for name in self.fields if values.get(name) is not None)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def __getattr__(self, name: str) -> Any:
        if name in type(self).fields:
            return self.get(name)
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self.fields:
            raise AttributeError(f"{type(self).__name__} has no field {key!r}")
        if value is None:
            self.pop(key, None)
        else:
            super().__setitem__(key, value)

    def __reduce__(self) -> Any:
        return _rebuilt, (type(self), dict(self))

    def to_tuple(self) -> tuple[Any, ...]:
        """The values that are there, in the order of the fields."""
        return tuple(dict.__getitem__(self, name) for name in self.fields if name in self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={_brief(value)}' for name, value in self.items())})"


def _rebuilt(kind: type[ModelOutput], values: dict[str, Any]) -> ModelOutput:
    return kind(**values)


def _brief(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({len(value)} of {_brief(value[0])})" if value else "()"
    shape = getattr(value, "shape", None)
    return repr(value) if shape is None else f"{type(value).__name__}{list(shape)}"


class BaseModelOutput(ModelOutput):
    """A stack without a head."""

    fields = ("last_hidden_state", "pooler_output", "past_key_values", "hidden_states", "attentions")


class Seq2SeqModelOutput(ModelOutput):
    """An encoder and a decoder without a head."""

    fields = (
        "last_hidden_state",
        "past_key_values",
        "decoder_hidden_states",
        "decoder_attentions",
        "cross_attentions",
        "encoder_last_hidden_state",
        "encoder_hidden_states",
        "encoder_attentions",
    )


class ScoresOutput(ModelOutput):
    """A stack with a head: over the vocabulary or over labels."""

    fields = ("loss", "logits", "past_key_values", "hidden_states", "attentions")


class Seq2SeqScoresOutput(ModelOutput):
    """An encoder and a decoder with a head."""

    fields = (
        "loss",
        "logits",
        "past_key_values",
        "decoder_hidden_states",
        "decoder_attentions",
        "cross_attentions",
        "encoder_last_hidden_state",
        "encoder_hidden_states",
        "encoder_attentions",
    )


class GenerateOutput(ModelOutput):
    """Text that a decoder wrote on: hidden_states holds a tuple of layers for each step."""

    fields = ("sequences", "scores", "logits", "attentions", "hidden_states", "past_key_values")


class GenerateSeq2SeqOutput(ModelOutput):
    """Text that a decoder wrote behind an encoder."""

    fields = (
        "sequences",
        "scores",
        "logits",
        "encoder_attentions",
        "encoder_hidden_states",
        "decoder_attentions",
        "cross_attentions",
        "decoder_hidden_states",
        "past_key_values",
    )
