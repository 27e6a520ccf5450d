"""Data sets of the well-known tutorials, as scikit-learn's Bunches.

The images come through Keras's download and cache, the tables through
:func:`sklearn.datasets.fetch_openml`; each ``fetch_*`` also takes ``path=``, a local
file, and each ``load_*`` reads one. Importing this package imports neither Keras nor TensorFlow.
"""

from skdl.datasets._images import fetch_fashion_mnist, fetch_mnist
from skdl.datasets._tables import (
    fetch_bike_sharing,
    fetch_secom,
    load_blood_fat,
    load_credit_default,
    make_credit_default,
)

__all__ = [
    "fetch_bike_sharing",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "fetch_secom",
    "load_blood_fat",
    "load_credit_default",
    "make_credit_default",
]
