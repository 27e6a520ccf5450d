"""Estimators and Keras models copied, pickled and saved."""

from skdl._persistence._copies import holds_keras
from skdl._persistence._packed import Packed, copied, copies_in, remade
