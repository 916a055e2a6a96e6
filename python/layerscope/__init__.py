"""Every layer's hidden states, natively: the lines written for transformers and sentence-transformers, and our own."""

from __future__ import annotations

from . import errors
from ._native import version as __version__
from .auto import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from .errors import CancelledError, DamageError, Error, InputError, ModelError, ResourceError, UsageError
from .map_batches import BatchStates, BatchVectors
from .model import Model, Ragged, States, open
from .outputs import ModelOutput
from .questions import diff, lens, probe, similarity
from .reference import dump_reference
from .reports import DiffReport, LensReport, ProbeReport, Record, SimilarityReport
from .run import Run, open_run
from .sentence import SentenceTransformer
from .stand_in import replace_sentence_transformers
from .tokenization import AutoTokenizer, BatchEncoding

__all__ = [
    "AutoModel",
    "AutoModelForCausalLM",
    "AutoModelForMaskedLM",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoTokenizer",
    "BatchEncoding",
    "BatchStates",
    "BatchVectors",
    "CancelledError",
    "DamageError",
    "DiffReport",
    "Error",
    "InputError",
    "LensReport",
    "Model",
    "ModelError",
    "ModelOutput",
    "ProbeReport",
    "Ragged",
    "Record",
    "ResourceError",
    "Run",
    "SentenceTransformer",
    "SimilarityReport",
    "States",
    "UsageError",
    "__version__",
    "diff",
    "dump_reference",
    "errors",
    "lens",
    "open",
    "open_run",
    "probe",
    "replace_sentence_transformers",
    "similarity",
]
