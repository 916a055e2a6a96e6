"""AutoModel and its relatives: forward passes called as those of transformers are."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Sequence

import numpy as np

from . import _native
from .arrays import Convert, Floats, converter
from .edits import edit_plan
from .errors import ModelError, UsageError
from .folder import Config, check_device, dtype_name, read_json, refuse_unknown, resolve
from .generation import generate
from .outputs import BaseModelOutput, ModelOutput, ScoresOutput, Seq2SeqModelOutput, Seq2SeqScoresOutput
from .padded import Cells, PaddedRun, thread_count

# Arguments of transformers' forward that change nothing in what is returned here.
_WITHOUT_EFFECT = frozenset({"use_cache", "cache_position"})


class PreTrainedModel:
    """A folder's model. Calls may come from several threads at once; their results do not depend on each other."""

    scores: ClassVar[str | None] = None  # what the head scores: "vocabulary", "labels", or None

    def __init__(self, model: _native.Model, threads: int | None = None) -> None:
        self._model = model
        self.threads = thread_count(threads)
        self.name_or_path: str = model.path
        self.config = Config(
            read_json(model.path, "config.json"),
            {
                "hidden_size": model.width,
                "num_hidden_layers": model.layers[0] or model.layers[1],
                "vocab_size": model.vocabulary_size,
            },
        )
        if self.scores == "vocabulary" and not model.has_head:
            raise ModelError(model.no_head)
        if self.scores == "labels" and model.labels is None:
            raise ModelError(model.no_labels)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        dtype: Any = None,
        torch_dtype: Any = None,
        device: Any = None,
        device_map: Any = None,
        threads: int | None = None,
        isa: str = "",
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        **options: Any,
    ) -> Any:
        """A folder in Hugging Face layout, or org/name in the local cache; nothing is downloaded.

        dtype: float32 (default, whatever the checkpoint is stored in) or bfloat16. threads: None for all cores.
        """
        refuse_unknown(options, f"{cls.__name__}.from_pretrained")
        folder = resolve(name, revision, cache_dir)
        device = check_device(device_map if device is None else device)
        native = _native.Model.open(folder, dtype_name(torch_dtype if dtype is None else dtype), device, isa)
        model = cls(native, threads)
        model.config.update(output_hidden_states=output_hidden_states, output_attentions=output_attentions)
        return model

    # What programs ask of a model.

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def dtype(self) -> str:
        return {"f32": "float32", "bf16": "bfloat16"}[self._model.dtype]

    def num_parameters(self) -> int:
        """Elements of the checkpoint's float tensors."""
        return int(self._model.parameters)

    def eval(self) -> Any:
        return self

    def to(self, device: Any = None, **options: Any) -> Any:
        if options or str(device).startswith("torch."):
            raise UsageError("to: the dtype is chosen by from_pretrained(name, dtype=...)")
        check_device(device)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name_or_path!r}, {self._model.model_type}, {self.num_parameters():,} parameters)"

    # The forward pass.

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.forward(*args, **options)

    def forward(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        *,
        decoder_input_ids: Any = None,
        decoder_attention_mask: Any = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
        edits: Sequence[Sequence[Any]] = (),
        **options: Any,
    ) -> Any:
        """The fields of transformers' outputs, in the library of the inputs.

        attention_mask marks the tokens, left or right of padding; what is no token is zero in every result. A row
        without tokens is zero. No value depends on padding or on the other rows. edits: as Model.states takes them;
        positions count a row's tokens, without padding.
        """
        refuse_unknown(options, "forward", _WITHOUT_EFFECT)
        if input_ids is None:
            raise UsageError("forward: input_ids are needed")
        convert = converter(input_ids, attention_mask)
        states = bool(self.config.get("output_hidden_states")) if output_hidden_states is None else output_hidden_states
        attentions = bool(self.config.get("output_attentions")) if output_attentions is None else output_attentions
        main = Cells(input_ids, attention_mask)
        decoder = self._decoder_cells(decoder_input_ids, decoder_attention_mask)
        if len(edits) > 0 and self.scores == "labels":
            raise UsageError("edits: not for scores of labels; AutoModel takes them")
        run = PaddedRun(self._model, main, token_type_ids, decoder, edit_plan(self._model, edits))
        output = self._two_stacks(run, states, attentions, convert) if self._model.two_stacks else None
        output = output or self._one_stack(run, states, attentions, convert)
        return output.to_tuple() if return_dict is False else output

    def _decoder_cells(self, ids: Any, mask: Any) -> Cells | None:
        if not self._model.two_stacks:
            if ids is not None:
                raise UsageError("decoder_input_ids: the model has one stack")
            return None
        if ids is not None:
            return Cells(ids, mask, "decoder_input_ids")
        if self.scores == "labels":  # their decoder reads the row itself
            return None
        raise UsageError(
            "forward: decoder_input_ids are needed, the decoder's start token first"
            + (f" (decoder_start_token_id {start})" if (start := self.config.get("decoder_start_token_id")) is not None else "")
        )

    def _one_stack(self, run: PaddedRun, states: bool, attentions: bool, convert: Convert) -> ModelOutput:
        stack = _Stack("", self._model, states, attentions)
        sites = stack.sites + (["logits"] if self.scores == "vocabulary" else [])
        values = run.values(_native.plan(self._model, sites=",".join(dict.fromkeys(sites))), self.threads) if sites else {}
        fields = stack.fields(values, convert)
        if self.scores is None:
            return BaseModelOutput(
                last_hidden_state=convert(values["final"]),
                pooler_output=convert(self._pooled(run, values["final"])) if self._model.has_pooler else None,
                hidden_states=fields["hidden_states"],
                attentions=fields["attentions"],
            )
        return ScoresOutput(
            logits=convert(self._scores(run, values)),
            hidden_states=fields["hidden_states"],
            attentions=fields["attentions"],
        )

    def _two_stacks(self, run: PaddedRun, states: bool, attentions: bool, convert: Convert) -> ModelOutput:
        encoder = _Stack("enc.", self._model, states, attentions)
        decoder = _Stack("dec.", self._model, states, attentions)
        sites = [*encoder.sites, *decoder.sites, "enc.final"]
        if self.scores == "labels":
            if states or attentions:
                raise UsageError("forward: a classifier with two stacks gives logits alone; AutoModel gives the states")
            return Seq2SeqScoresOutput(logits=convert(self._scores(run, {})))
        sites.append("dec.final" if self.scores is None else "logits")
        values = run.values(_native.plan(self._model, sites=",".join(dict.fromkeys(sites))), self.threads)
        read, written = encoder.fields(values, convert), decoder.fields(values, convert)
        common = dict(
            decoder_hidden_states=written["hidden_states"],
            decoder_attentions=written["attentions"],
            cross_attentions=written["cross_attentions"],
            encoder_last_hidden_state=convert(values["enc.final"]),
            encoder_hidden_states=read["hidden_states"],
            encoder_attentions=read["attentions"],
        )
        if self.scores is None:
            return Seq2SeqModelOutput(last_hidden_state=convert(values["dec.final"]), **common)
        return Seq2SeqScoresOutput(logits=convert(values["logits"]), **common)

    def _pooled(self, run: PaddedRun, finals: Floats) -> Floats:
        """What the pooler makes of each row's first token; zero for rows without tokens."""
        pooled: Floats = np.zeros((finals.shape[0], finals.shape[2]), np.float32)
        first = finals[run.running, run.cells(False).begins[run.running]]
        pooled[run.running] = _native.pool(self._model, np.ascontiguousarray(first))
        return pooled

    def _scores(self, run: PaddedRun, values: dict[str, Any]) -> Any:
        if self.scores == "vocabulary":
            return values["logits"]
        labels = self._model.labels
        assert labels is not None
        cells, width = run.cells(False), len(labels.names)
        shape = (len(cells), cells.length, width) if labels.each_token else (len(cells), width)
        scores = np.zeros(shape, np.float32)
        if len(run.running) > 0:
            for row, own in zip(run.running, _native.classify(self._model, run.rows, self.threads)):
                if labels.each_token:
                    scores[row, cells.begins[row] : cells.ends[row]] = own
                else:
                    scores[row] = own[0]
        return scores


class _Stack:
    """The sites of one stack that an output is made of."""

    def __init__(self, prefix: str, model: _native.Model, states: bool, attentions: bool) -> None:
        own = [site for site in model.sites if site.name.startswith(prefix)]
        layers = _native.plan(model, layers=prefix.replace(".", ":") + "all").stored if states else []
        self.states = [site.name for site in layers] if states else None
        probabilities = [site for site in own if site.probabilities] if attentions else []
        self.attentions = [site.name for site in probabilities if not site.cross] if attentions else None
        self.cross = [site.name for site in probabilities if site.cross] if attentions else None
        last = [f"{prefix}final"]
        self.sites = [*(self.states or []), *(self.attentions or []), *(self.cross or [])] + (last if not prefix else [])

    def fields(self, values: dict[str, Any], convert: Convert) -> dict[str, Any]:
        def tuple_of(names: list[str] | None) -> tuple[Any, ...] | None:
            return None if names is None else tuple(convert(values[name]) for name in names)

        return {
            "hidden_states": tuple_of(self.states),
            "attentions": tuple_of(self.attentions),
            "cross_attentions": tuple_of(self.cross),
        }


class AutoModel(PreTrainedModel):
    """Hidden states: `last_hidden_state`, `hidden_states`, `attentions`, and those of encoder and decoder."""


class _Writer(PreTrainedModel):
    scores = "vocabulary"

    def generate(self, input_ids: Any = None, attention_mask: Any = None, **options: Any) -> Any:
        """Ids written on behind the prompts, or with return_dict_in_generate=True an output with their states."""
        return generate(self._model, self.config, self.threads, input_ids, attention_mask, options)


class AutoModelForCausalLM(_Writer):
    """Scores over the vocabulary of what follows each position."""

    def __init__(self, model: _native.Model, threads: int | None = None) -> None:
        if model.two_stacks:
            raise ModelError(f"{model.path}: has an encoder and a decoder, which AutoModelForSeq2SeqLM opens")
        super().__init__(model, threads)


class AutoModelForSeq2SeqLM(_Writer):
    """The same with an encoder that reads first."""

    def __init__(self, model: _native.Model, threads: int | None = None) -> None:
        if not model.two_stacks:
            raise ModelError(f"{model.path}: has no encoder and decoder")
        super().__init__(model, threads)


class AutoModelForMaskedLM(PreTrainedModel):
    """Scores over the vocabulary at each position."""

    scores = "vocabulary"


class AutoModelForSequenceClassification(PreTrainedModel):
    """Scores over labels of each row."""

    scores = "labels"


class AutoModelForTokenClassification(PreTrainedModel):
    """Scores over labels of each token."""

    scores = "labels"
