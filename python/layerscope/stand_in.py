"""Our SentenceTransformer for programs that build theirs themselves."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types

from .sentence import SentenceTransformer

_GENERATION = "6.2.0"  # of sentence-transformers, whose calls ours takes


def replace_sentence_transformers() -> None:
    """From here on `sentence_transformers.SentenceTransformer` is ours, in this process.

    LangChain's HuggingFaceEmbeddings and LlamaIndex's HuggingFaceEmbedding then run on it as they are; what took the class
    from the module before this call keeps what it has. Where sentence-transformers is not installed, a module that holds
    this class alone stands in its place.
    """
    name = "sentence_transformers"
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        module = types.ModuleType(name, "SentenceTransformer of layerscope, in place of a package that is not installed.")
        vars(module)["__version__"] = _GENERATION
        sys.modules[name] = module
    vars(importlib.import_module(name))["SentenceTransformer"] = SentenceTransformer
