"""TensorFlow and Keras, imported when they are first used, and quietly; seeds that stay local.

Every other module takes ``keras`` and ``tf`` from here. What is private to them is in
`skdl._backend.private` alone.
"""

from skdl._backend import private
from skdl._backend._process import check_not_forked
from skdl._backend._seeds import drawing_from, seeded
from skdl._backend._start import floatx, keras, keras_is_imported, tf

__all__ = [
    "check_not_forked",
    "drawing_from",
    "floatx",
    "keras",
    "keras_is_imported",
    "private",
    "seeded",
    "tf",
]
