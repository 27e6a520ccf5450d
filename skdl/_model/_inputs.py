"""What X may be, columns of a DataFrame as inputs of a model, and layers that learn from them first."""

import functools
import math
import weakref
from collections.abc import Iterator
from numbers import Number

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import assert_all_finite

from skdl import _engine
from skdl._arrays import LargeRows, without_sparse
from skdl._backend import keras, private, tf
from skdl._persistence import copied
from skdl._warnings import warn

# Base classes of data sets of TensorFlow, Keras and PyTorch, by name, so that none of them is imported.
_STREAMS = {"DatasetV2", "PyDataset", "DataLoader"}
# Rows of a batch to which a FeatureSpace is adapted.
_ADAPTED_AT_ONCE = 1024


def check_rows(X, estimator, *, n_rows=None, row_shape=None, takes_dict=False):
    """Refuse X that Keras takes, but that is no array with a row for each sample.

    ``n_rows`` is the number of rows of the target, ``row_shape`` the shape of the rows in `fit`, if known.
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


def is_text(X):
    """Return whether X is one column of text: a Series, a list, or an array of one or two dimensions."""
    if isinstance(X, list | tuple):
        return bool(X) and all(isinstance(each, str) for each in X)
    dtype = getattr(X, "dtype", None)
    if dtype is None or tuple(X.shape)[1:] not in ((), (1,)):
        return False
    if isinstance(dtype, np.dtype) and dtype.kind not in "OUT":
        return False
    array = np.asarray(X).ravel()
    return array.size > 0 and isinstance(array[0], str)


def _are_inputs(items, n_rows, row_shape):
    """Return whether the items of a list are the inputs of a model, not rows."""
    shapes = [getattr(each, "shape", ()) for each in items]
    if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        return False
    if n_rows is not None:
        return len(shapes) != n_rows == shapes[0][0]
    return row_shape is not None and any(shape[1:] == row_shape for shape in shapes)


def text_error(error, estimator):
    """Return the error to raise for features with text, from scikit-learn's."""
    return ValueError(
        f"X holds text, but {estimator} hands numbers to its model ({error}). Turn the text into numbers in "
        "a Pipeline before it: categories by OrdinalEncoder or OneHotEncoder, sentences by TfidfVectorizer, "
        "or by a layer such as TextVectorization in FunctionTransformer(lambda X: layer(X).numpy()). "
        "TabularClassifier and TabularRegressor take columns of categories as they are."
    )


def is_frame(X):
    """Return whether features are a DataFrame of pandas, polars or the like."""
    # Of the class: pandas makes a Series whenever it is asked for the types.
    return all(hasattr(type(X), name) for name in ("columns", "dtypes", "shape"))


def column_types(frame):
    """Return the name of NumPy's type, or "text" where cells are no numbers, of each column with a name."""
    if not all(isinstance(name, str) for name in frame.columns):
        return {}
    types = {}
    for name in frame.columns:
        first = np.asarray(frame[name][:1])
        if first.dtype.kind == "O" and all(isinstance(cell, Number) and cell == cell for cell in first):
            first = np.array(first.tolist())
        types[name] = first.dtype.name if first.dtype.kind in "fiub" else "text"
    return types


def columns_of(X, estimator):
    """Return a DataFrame, or a dict of arrays, as a structured array with a field for each column.

    Text is in fields of objects. A column whose cells are arrays of one shape is a field of that shape.
    """
    names = list(X.columns) if is_frame(X) else list(X)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"{estimator} takes the columns of X by their names, which must be text; got {names}."
        )
    arrays = {name: _column(X[name], name, estimator) for name in names}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The arrays of X differ in their number of rows: {lengths}.")
    n = lengths[names[0]]
    if not n:
        raise ValueError(f"X has the columns {names}, but no rows; {estimator} needs at least 1.")
    table = np.empty(n, [(name, array.dtype, array.shape[1:]) for name, array in arrays.items()])
    for name, array in arrays.items():
        table[name] = array
    return table


def _column(values, name, estimator):
    """Return a column as an array of numbers, of text, or of arrays of one shape."""
    import pandas as pd  # which DNNClassifier and the like do without

    array = np.asarray(values)
    if array.dtype.kind in "SUTO":
        array = array.astype(object)
        n_missing = np.sum(pd.isna(array))
        if n_missing:
            raise ValueError(
                f"The column {name!r} of X has {n_missing} missing values, which {estimator} does not "
                "accept. Fill them by SimpleImputer in a Pipeline before it."
            )
        kinds = {type(value) for value in array.ravel()}
        if kinds <= {str, np.str_}:
            return array.astype(str).astype(object)
        try:
            cells = [np.array(list(value)) if np.ndim(value) else np.asarray(value) for value in array]
            array = np.stack(cells)
        except ValueError:
            shapes = sorted({str(cell.shape) for cell in cells})
            raise ValueError(
                f"The cells of column {name!r} of X are arrays of the shapes {', '.join(shapes)}, but must "
                "have one shape. Pad them first, for example by keras.utils.pad_sequences."
            ) from None
        if array.dtype.kind not in "fiub":
            raise ValueError(
                f"The column {name!r} of X holds values of the types {sorted(k.__name__ for k in kinds)}, "
                "but must hold numbers, text, or arrays of numbers of one shape."
            )
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"The column {name!r} of X holds {array.dtype}, but {estimator} hands numbers and text to its "
            "model. Turn it into numbers before, such as days since the first date."
        )
    assert_all_finite(array, input_name=f"column {name!r} of X")
    return array


def input_specs(model):
    """Return shape of a row and type of each input of a model by its name, or None where it tells none."""
    inputs = getattr(model, "inputs", None)
    if not inputs or not all(isinstance(each, keras.KerasTensor) for each in inputs):
        return None  # a subclass that takes what its ``call`` takes
    nested = _nested_inputs(model)
    named = nested if isinstance(nested, dict) else {each.name: each for each in inputs}
    return {name: (tuple(each.shape[1:]), each.dtype) for name, each in named.items()}


def _nested_inputs(model):
    return model.inputs if isinstance(model, keras.Sequential) else model.input


def takes_one_array(model):
    """Return whether a model is known to have one input, which is no dict."""
    if isinstance(model, keras.Sequential):
        return True
    return len(getattr(model, "inputs", None) or ()) == 1 and not isinstance(model.input, dict)


def takes_text(model):
    """Return whether the only input of a model is known to be text."""
    inputs = getattr(model, "inputs", None)
    return bool(inputs) and inputs[0].dtype == "string"


class InputColumns(TransformerMixin, BaseEstimator):
    """Make the inputs of a model of columns."""

    def __init__(self, columns, specs, form):
        self.columns = columns  # the names of those of each input
        self.specs = specs  # as of `input_specs`; None for a row of numbers for each sample, or text
        self.form = form  # how the model takes its inputs: "dict", "list" or "one"

    def fit(self, X, y=None):
        """Do nothing; all is known."""
        return self

    def transform(self, X):
        """Return the inputs for rows of `columns_of`."""
        inputs = {}
        for name, columns in self.columns.items():
            shape, dtype = self.specs[name] if self.specs else (None, None)
            arrays = [_typed(X[column], dtype, column, name) for column in columns]
            inputs[name] = _shaped(arrays, shape, columns, name)
        if self.form == "dict":
            return inputs
        arrays = list(inputs.values())
        return arrays[0] if self.form == "one" else arrays


def _typed(array, dtype, column, name):
    """Return a column in the type of an input."""
    is_text = array.dtype.kind == "O"
    if dtype is None:
        return array
    if (dtype == "string") != is_text:
        holds, takes = ("text", f"numbers ({dtype})") if is_text else (f"numbers ({array.dtype})", "text")
        raise ValueError(f"The column {column!r} of X holds {holds}, but the input {name!r} takes {takes}.")
    if is_text:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        typed = array.astype(dtype)
    if not (np.array_equal(typed, array) if typed.dtype.kind in "iub" else np.all(np.isfinite(typed))):
        raise ValueError(
            f"The column {column!r} of X holds numbers that the input {name!r} of {dtype} can't hold."
        )
    return typed


def _shaped(arrays, shape, columns, name):
    """Return one array of the columns of an input, in the shape of its rows."""
    array, *others = arrays
    if others or (array.ndim == 1 and shape != ()):
        n = len(array)
        array = np.concatenate([part.reshape(n, math.prod(part.shape[1:])) for part in arrays], axis=1)
    elif shape == (*array.shape[1:], 1):
        array = array[..., None]
    sizes = zip(shape or (), array.shape[1:], strict=False)
    if shape is not None and (
        len(shape) != array.ndim - 1 or any(want not in (None, size) for want, size in sizes)
    ):
        raise ValueError(
            f"The input {name!r} of the model takes rows of shape {shape}, but its columns {columns} give "
            f"rows of shape {array.shape[1:]}."
        )
    return array


def assign_columns(model, names, inputs):
    """Return the `InputColumns` of a model; refuse an input without columns, and a column without an input.

    ``inputs`` names columns of inputs, as the user gave them, or is None. Other inputs get the column of
    their name. Columns of the names "0", "1" and so on, and a single column, are the inputs in their order.
    """
    specs = input_specs(model)
    given = {name: [each] if isinstance(each, str) else list(each) for name, each in (inputs or {}).items()}
    if specs is None and isinstance(model, keras.Sequential):
        raise ValueError(
            "The model is a keras.Sequential whose input has no name yet, so that no columns can be given to "
            "it. Let it begin with keras.Input(shape, name=...)."
        )
    if specs is None:
        taken = {column for columns in given.values() for column in columns}
        columns = given | {name: [name] for name in names if name not in taken}
        _check_columns(columns, names)
        return InputColumns(columns, None, "dict")
    unknown = sorted(given.keys() - specs.keys())
    if unknown:
        raise ValueError(f"inputs names {unknown}, but the inputs of the model are {list(specs)}.")
    in_order = len(names) == len(specs) and (len(names) == 1 or names == list(map(str, range(len(names)))))
    if in_order and not given and set(names) != specs.keys():
        columns = {name: [column] for name, column in zip(specs, names, strict=True)}
    else:
        columns = {name: given.get(name, [name]) for name in specs}
    _check_columns(columns, names)
    form = "one" if takes_one_array(model) else "dict" if isinstance(model.input, dict) else "list"
    return InputColumns(columns, specs, form)


def _check_columns(columns, names):
    """Refuse inputs without a column and columns without an input."""
    told = [
        f"the input {name!r} has no column {part!r}"
        for name, parts in columns.items()
        for part in parts
        if part not in names
    ]
    unused = [name for name in names if not any(name in parts for parts in columns.values())]
    if unused:
        told.append(f"the columns {unused} belong to no input")
    if told:
        raise ValueError(
            f"The columns of X and the inputs of the model do not match: {'; '.join(told)}. X has the "
            f"columns {names}, the model has the inputs {list(columns)}. An input gets the column of its "
            f"name, or those of the parameter inputs, as {{{next(iter(columns))!r}: {names[:2]}}}."
        )


# Models of which a training has begun.
_adapted = weakref.WeakSet()


def adapt_layers(model, x):
    """Adapt preprocessing layers that were not adapted, in their order, to the encoded rows to train on."""
    if input_specs(model) is None or model in _adapted:
        return
    _adapted.add(model)
    if not _unadapted_in(model):
        return
    x = without_sparse(x)
    # All rows of large data at a time would be all of them in memory.
    is_large = isinstance(x, LargeRows)
    left = _adapt_inside(model, x.blocks if is_large else lambda: [x], is_large)
    # What was traced before has the state of that time.
    model.train_function = model.test_function = model.predict_function = None
    if left:
        warn(
            f"The layers {', '.join(left)} have not learnt from data, since adapt=True does not reach the "
            "layers of wrappers and of models that are subclasses. Put them into a functional model, call "
            "their adapt in the builder, or set adapt=False."
        )


def _adapt_inside(model, rows, is_large):
    """Adapt the layers of a model, and of functional models inside; return the names of those not reached.

    ``rows`` returns the inputs of the model, block by block.
    """
    left = []
    for layer in model.layers:
        reaching = functools.partial(_reaching, model, layer, rows)
        if _is_unadapted(layer):
            parts = reaching() if is_large else list(reaching())
            layer.adapt(parts if is_large else parts[0] if len(parts) == 1 else np.concatenate(parts))
            _divide_constants_by_one(layer)
        elif isinstance(layer, keras.Model) and input_specs(layer) is not None:
            left += _adapt_inside(layer, reaching, is_large)
        else:
            left += [f"{part.name!r} in {layer.name!r}" for part in _unadapted_in(layer)]
    return left


def _reaching(model, layer, rows):
    """Return an iterator over what reaches a layer of a model, block by block, for each of its calls."""
    calls = private.inputs_of(layer)
    # A Sequential calls its layers anew where it grows.
    for tensors in calls[-1:] if isinstance(model, keras.Sequential) else calls:
        is_one = not isinstance(layer, keras.Model) or takes_one_array(layer)
        reached = tensors[0] if is_one else keras.tree.pack_sequence_as(_nested_inputs(layer), tensors)
        try:
            before = keras.Model(_nested_inputs(model), reached)
        except ValueError:  # a call in another model
            continue
        for block in rows():
            yield _engine.forward(before, block)


def adapted_spaces(params, X, inputs):
    """Return parameters with copies of each ``keras.utils.FeatureSpace``, adapted to the columns of X.

    ``inputs`` names columns, as for `assign_columns`. Those that were adapted stay as they are.
    """
    params, known = dict(params), getattr(X.dtype, "names", None) or ()
    for name, space in params.items():
        if not is_feature_space(space) or space.built:
            continue
        params[name] = space = copied(space)
        specs = {each: (tuple(tensor.shape[1:]), tensor.dtype) for each, tensor in space.inputs.items()}
        columns = {each: [(inputs or {}).get(each, each)] for each in specs}
        absent = [column for (column,) in columns.values() if column not in known]
        if absent:
            raise ValueError(
                f"{name} is a FeatureSpace with the features {list(specs)}, which are adapted to columns of "
                f"X, but X has no columns {absent}; it has {list(known)}. Give a DataFrame with these "
                "columns, or adapt the FeatureSpace yourself."
            )
        rows = InputColumns(columns, specs, "dict").transform(X)
        space.adapt(tf.data.Dataset.from_tensor_slices(rows).batch(_ADAPTED_AT_ONCE))
        for layer in space.preprocessors.values():
            _divide_constants_by_one(layer)
    return params


def _divide_constants_by_one(layer):
    """Let a Normalization divide a number that is the same in all rows by 1, as `StandardScaler` does.

    Keras 3.15 divides it by 1e-7. A flag that is 0 in all rows to train on would make 1e7 of a 1.
    """
    if isinstance(layer, keras.layers.Normalization):
        mean, variance = (np.asarray(each) for each in (layer.adapt_mean, layer.adapt_variance))
        is_constant = np.sqrt(variance) <= np.minimum(keras.config.epsilon(), 1e-6 * np.abs(mean))
        layer.adapt_variance.assign(np.where(is_constant, 1, variance))
        layer.finalize_state()


def is_feature_space(value):
    """Return whether a parameter is a ``keras.utils.FeatureSpace``, which needs columns by their names."""
    return isinstance(value, keras.Layer) and isinstance(value, keras.utils.FeatureSpace)


def _unadapted_in(layer):
    """Return the layers inside of a model or a wrapper that are to learn from data and have not."""
    parts = getattr(layer, "layers", None) or [getattr(layer, "layer", None)]
    return [each for part in parts if part for each in (part, *_unadapted_in(part)) if _is_unadapted(each)]


def _is_unadapted(layer):
    """Return whether a layer is to learn from data by ``adapt`` and has not learnt yet."""
    layers = keras.layers
    if isinstance(layer, layers.Normalization):
        unset = layer.input_mean is None
        return unset and not np.any(layer.adapt_mean) and bool(np.all(np.asarray(layer.adapt_variance) == 1))
    if isinstance(layer, layers.TextVectorization | layers.StringLookup | layers.IntegerLookup):
        return not layer.get_vocabulary(include_special_tokens=False)
    return isinstance(layer, layers.Discretization) and layer.bin_boundaries is None
