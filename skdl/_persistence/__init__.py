"""Estimators and Keras models copied, pickled and saved."""

from skdl._persistence._packed import Packed, PacksStateMixin, copied, copies_in, remade, seed_states

__all__ = [
    "Packed",
    "PacksStateMixin",
    "copied",
    "copies_in",
    "remade",
    "seed_states",
]
