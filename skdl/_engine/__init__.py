"""Training and the forward pass of Keras models; imports TensorFlow when something of it is asked for."""

import importlib

_MODULES = {
    "HookCallback": "_train",
    "all_layers": "_rules",
    "batches": "_train",
    "clear_caches": "_program",
    "compilations": "_program",
    "forward": "_forward",
    "note_origin": "_digest",
    "rolled_back_where_it_fails": "_train",
    "set_cache_limit": "_program",
    "train": "_train",
    "why_not": "_rules",
}


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"skdl._engine.{_MODULES[name]}"), name)
