"""Checks of the features before scikit-learn's own, with messages for users of Keras."""

from collections.abc import Iterator

import numpy as np

# Base classes of data sets of TensorFlow, Keras and PyTorch, by name, so that none of them is imported.
_STREAMS = {"DatasetV2", "PyDataset", "DataLoader"}


def check_rows(X, estimator, *, n_rows=None, row_shape=None, takes_dict=False):
    """Raise TypeError or ValueError for X that Keras takes, but that is no array with a row for each sample.

    Parameters
    ----------
    X : object
    estimator : str
        Name of its class.
    n_rows : int, default=None
        Number of rows of the target, if any.
    row_shape : tuple of int, default=None
        Shape of the rows in `fit`.
    takes_dict : bool, default=False
        Whether X may be a dict of arrays.
    """
    takes = f"{estimator} takes one array, DataFrame or sparse matrix with a row for each sample"
    if isinstance(X, dict) and not takes_dict:
        raise TypeError(
            f"X is a dict with the keys {list(X)}, but {takes}. Put its arrays side by side, such as "
            "np.column_stack(list(X.values())), and let the model or a feature_encoder divide the columns."
        )
    if isinstance(X, Iterator) or _STREAMS & {cls.__name__ for cls in type(X).__mro__}:
        raise TypeError(
            f"X is a {type(X).__name__}, which gives batches, but {takes}. Collect the batches first: "
            "np.concatenate([x for x, y in X]), and y alike; or call partial_fit(x, y) with each of them."
        )
    if isinstance(X, list | tuple) and _are_inputs(X, n_rows, row_shape):
        raise ValueError(
            f"X is a {type(X).__name__} of {len(X)} arrays with {X[0].shape[0]} rows each, as several inputs "
            f"of a model are given to Keras, but {takes}. Put them side by side by np.column_stack, and let "
            "the model or a feature_encoder divide the columns."
        )


def is_list_of_inputs(X, n_rows):
    """Return whether X is a list of NumPy's arrays, one for each of several inputs of a model."""
    if not isinstance(X, list | tuple) or len(X) < 2 or not all(isinstance(each, np.ndarray) for each in X):
        return False
    return _are_inputs(X, n_rows, X[0].shape[1:])


def _are_inputs(items, n_rows, row_shape):
    """Return whether the items of a list are the inputs of a model, not rows."""
    shapes = [getattr(each, "shape", ()) for each in items]
    if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        return False
    if n_rows is not None:
        return len(shapes) != n_rows == shapes[0][0]
    return row_shape is not None and any(shape[1:] == row_shape for shape in shapes)


def check_row_shape(X, shape, estimator):
    """Raise ValueError if the rows of X have another shape than those of `fit`, which had ``shape``."""
    if X.shape[1:] != shape[1:]:
        raise ValueError(
            f"X has rows of shape {X.shape[1:]}, but {estimator} was fitted on rows of shape {shape[1:]}."
        )


def text_error(error, estimator):
    """Return the error to raise for features with text, from scikit-learn's."""
    return ValueError(
        f"X holds text, but {estimator} hands numbers to its model ({error}). Turn the text into numbers in "
        "a Pipeline before it: categories by OrdinalEncoder or OneHotEncoder, sentences by TfidfVectorizer, "
        "or by a layer such as TextVectorization in FunctionTransformer(lambda X: layer(X).numpy()). "
        "TabularClassifier and TabularRegressor take columns of categories as they are."
    )
