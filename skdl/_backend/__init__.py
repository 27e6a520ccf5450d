"""TensorFlow and Keras, imported when they are first used, and quietly; seeds that stay local.

Every other module takes ``keras`` and ``tf`` from here. What is private to them is in
`skdl._backend.private` alone.
"""

from skdl._backend import private
from skdl._backend._process import check_not_forked
from skdl._backend._seeds import seeded
from skdl._backend._start import floatx, keras, keras_is_imported, tf
from skdl._backend._variables import quick_variables

__all__ = [
    "check_not_forked",
    "floatx",
    "keras",
    "keras_is_imported",
    "private",
    "quick_variables",
    "seeded",
    "tf",
]
