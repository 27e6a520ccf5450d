"""Images, through Keras's download and cache."""

from typing import Any

import numpy as np
from sklearn.utils._param_validation import StrOptions, validate_params

from skdl.datasets._bunch import CONSTRAINTS, bunch, existing, no_download

_IMAGES = {"subset": [StrOptions({"train", "test", "all"})], **CONSTRAINTS}

_MNIST_DESCR = """\
MNIST: handwritten digits.

70000 grey images of 28 x 28 pixels, 0 (background) to 255, of the digits 0 to 9;
60000 to train on and 10000 to test on. The digits of the two parts were written by
different people.

Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied
to document recognition", Proceedings of the IEEE 86(11), 1998.
Licence: Creative Commons Attribution-ShareAlike 3.0 (CC BY-SA 3.0), Y. LeCun and C. Cortes.
"""

_FASHION_DESCR = """\
Fashion-MNIST: articles of clothing.

70000 grey images of 28 x 28 pixels, 0 (background) to 255, of ten kinds of clothing;
60000 to train on and 10000 to test on, with the layout of MNIST.

Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for
benchmarking machine learning algorithms", arXiv:1708.07747, 2017.
Licence: MIT, Zalando SE.
"""

_FASHION_NAMES = "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot".split(
    ", "
)


def _fetch_images(name, target_names, descr, cache, *, subset, path, **form):
    """Return a data set of Keras as a Bunch; ``cache`` says where Keras finds files without a network."""
    wanted = (
        f"{name}.npz (NumPy arrays x_train, y_train, x_test, y_test; images of shape (n, 28, 28), integers)"
    )
    if path is not None:
        with np.load(existing(path, wanted), allow_pickle=False) as file:
            missing = {"x_train", "y_train", "x_test", "y_test"} - set(file.files)
            if missing:
                raise ValueError(
                    f"path={str(path)!r} lacks the arrays {sorted(missing)}; it has {file.files}. Give the "
                    f"place of {wanted}."
                )
            parts = {part: (file[f"x_{part}"], file[f"y_{part}"]) for part in ("train", "test")}
    else:
        from skdl._backend import keras

        try:
            loaded = getattr(keras.datasets, name).load_data()
        except Exception as error:  # Keras raises an Exception for a failed download
            call = f"skdl.datasets.fetch_{name}(path=...)"
            raise no_download(name, error, wanted, call, cache) from error
        parts = dict(zip(("train", "test"), loaded, strict=True))
    chosen = [parts[part] for part in ("train", "test") if subset in (part, "all")]
    images = np.concatenate([images for images, _ in chosen])
    target = np.concatenate([labels for _, labels in chosen]).astype(np.int64)
    height, width = images.shape[1:]
    return bunch(
        images.reshape(len(images), -1),
        target,
        [f"pixel_{row}_{column}" for row in range(height) for column in range(width)],
        target_names,
        "class",
        descr,
        images=images,
        **form,
    )


@validate_params(_IMAGES, prefer_skip_nested_validation=True)
def fetch_mnist(*, subset="train", path=None, return_X_y=False, as_frame=False) -> Any:
    """Load MNIST, handwritten digits (classification).

    =================   ==============
    Classes                         10
    Samples             60000 + 10000
    Dimensionality      784 (28 x 28)
    Features            integers 0-255
    =================   ==============

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The rows to train on, those to test on, or the first followed by the second.
    path : str or Path, default=None
        A local ``mnist.npz`` with the arrays ``x_train``, ``y_train``, ``x_test`` and
        ``y_test``. None means Keras's download, which it keeps in its cache.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        With the attributes

        - data: ndarray of uint8 of shape (n_samples, 784), or DataFrame;
        - target: ndarray of int64 of shape (n_samples,), or Series;
        - images: ndarray of uint8 of shape (n_samples, 28, 28), the same pixels;
        - frame: DataFrame of data and target, or None;
        - feature_names, target_names: list of str;
        - DESCR: str.

    Raises
    ------
    FileNotFoundError
        If ``path`` is no file.
    ValueError
        If the file at ``path`` lacks an array.
    ConnectionError
        If the download fails; says which file to put where.

    See Also
    --------
    sklearn.datasets.load_digits : Smaller digits that come with scikit-learn.

    Examples
    --------
    >>> from skdl.datasets import fetch_mnist
    >>> X, y = fetch_mnist(return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (60000, 784)
    """
    return _fetch_images(
        "mnist",
        [str(digit) for digit in range(10)],
        _MNIST_DESCR,
        "Keras also takes it from the folder datasets in its home (KERAS_HOME, by default ~/.keras).",
        subset=subset,
        path=path,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


@validate_params(_IMAGES, prefer_skip_nested_validation=True)
def fetch_fashion_mnist(*, subset="train", path=None, return_X_y=False, as_frame=False) -> Any:
    """Load Fashion-MNIST, articles of clothing (classification).

    =================   ==============
    Classes                         10
    Samples             60000 + 10000
    Dimensionality      784 (28 x 28)
    Features            integers 0-255
    =================   ==============

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The rows to train on, those to test on, or the first followed by the second.
    path : str or Path, default=None
        A local ``.npz`` file with the arrays ``x_train``, ``y_train``, ``x_test`` and
        ``y_test``. None means Keras's download, which it keeps in its cache.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        As :func:`fetch_mnist` returns; ``target_names`` are those of the clothes.

    Raises
    ------
    FileNotFoundError
        If ``path`` is no file.
    ValueError
        If the file at ``path`` lacks an array.
    ConnectionError
        If the download fails; says which file to put where.

    Examples
    --------
    >>> from skdl.datasets import fetch_fashion_mnist
    >>> clothes = fetch_fashion_mnist(subset="test")  # doctest: +SKIP
    >>> clothes.target_names[clothes.target[0]]  # doctest: +SKIP
    'Ankle boot'
    """
    return _fetch_images(
        "fashion_mnist",
        _FASHION_NAMES.copy(),
        _FASHION_DESCR,
        "Keras also takes its four original files from the folder datasets/fashion-mnist in its home "
        "(KERAS_HOME, by default ~/.keras).",
        subset=subset,
        path=path,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
