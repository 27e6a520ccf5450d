"""How the tabular estimators read a table, and average their networks, as nodes."""

import numpy as np

_LARGEST = 1e300


def add_table(graph, variables, reader, encoder):
    """Add what `TableReader` and `TableEncoder` do, and return the name of the network's input.

    Parameters
    ----------
    graph : Graph
    variables : list of skl2onnx.common._topology.Variable
        One array of numbers, or a column each.
    reader : skdl._tabular.TableReader
    encoder : skdl._tabular.TableEncoder
        Both fitted.
    """
    categorical = np.flatnonzero(reader.is_categorical_)
    numeric = np.flatnonzero(~reader.is_categorical_)
    parts = []
    if len(numeric):
        parts += _add_numbers(
            graph, _columns(graph, variables, numeric), encoder.columns_.named_transformers_
        )
    if len(categorical):
        parts.append(_add_categories(graph, variables, categorical, reader, encoder))
    x = graph.add("Concat", *(graph.cast(part, np.float32) for part in parts), axis=1)
    folds = graph.add("Unsqueeze", x, np.int64([1]))
    return graph.add("Tile", folds, np.int64([1, encoder.n_folds, 1]))


def _columns(graph, variables, places):
    """Return the name of some columns as one array of numbers."""
    if len(variables) == 1:
        return graph.cast(graph.add("Gather", variables[0].onnx_name, places, axis=1), np.float64)
    return graph.add("Concat", *(graph.cast(variables[i].onnx_name, np.float64) for i in places), axis=1)


def _add_numbers(graph, x, transformers):
    """Impute, scale and bend numbers, and tell what was missing."""
    imputer, clipper = transformers["numeric"].imputer_, transformers["numeric"].clipper_
    missing = graph.add("IsNaN", x)
    x = graph.add("Where", missing, imputer.statistics_, x)
    x = graph.add("Clip", x, np.float64(-_LARGEST), np.float64(_LARGEST))
    z = graph.add("Sub", graph.add("Mul", x, clipper.scale_), clipper.center_ * clipper.scale_)
    z = graph.add("Clip", z, np.float64(-1e6), np.float64(1e6))
    third = graph.add("Div", z, np.float64(3))
    root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", third, third), np.float64(1)))
    parts = [graph.add("Div", z, root)]
    if imputer.add_indicator:
        parts.append(graph.add("Gather", missing, imputer.indicator_.features_, axis=1))
    return parts


def _add_categories(graph, variables, places, reader, encoder):
    """Add up what each category changes in the columns of a row without any known category."""
    from skl2onnx.common.data_types import StringTensorType

    codes = np.full((1, len(reader.is_categorical_)), np.nan)
    codes[:, ~reader.is_categorical_] = 0
    first = encoder.columns_.output_indices_["categorical"].start
    none = encoder.transform(codes)[0, 0, first:]
    total = None
    for place, known in zip(places, reader.categories_.categories_, strict=True):
        known = [each for each in known if isinstance(each, str)]
        rows = np.repeat(codes, len(known) + 1, axis=0)
        rows[:-1, place] = np.arange(len(known))
        changes = encoder.transform(rows)[:, 0, first:] - none
        variable = variables[place if len(variables) > 1 else 0]
        if isinstance(variable.type, StringTensorType):
            number = graph.add(
                "LabelEncoder",
                graph.add("Flatten", variable.onnx_name, axis=1),
                domain="ai.onnx.ml",
                keys_strings=known,
                values_int64s=list(range(len(known))),
                default_int64=len(known),
            )
            part = graph.add("Gather", changes, graph.add("Squeeze", number, np.int64([1])), axis=0)
        else:
            values = np.array([_number(each) for each in known])
            same = graph.add("Equal", _columns(graph, variables, [place]), values)
            part = graph.add("MatMul", graph.cast(same, np.float32), changes[:-1])
        total = graph.add("Add", none, part) if total is None else graph.add("Add", total, part)
    return total


def _number(category):
    """Return the number whose text a category is, of a column of numbers."""
    return {"True": 1.0, "False": 0.0}[category] if category in ("True", "False") else float(category)


def add_average(graph, y, scaler=None, limits=None):
    """Add the average over the folds: of probabilities, or of numbers in the target's units.

    Parameters
    ----------
    graph : Graph
    y : str
        Name of the network's output, of shape (n_samples, n_folds, 1, n_units).
    scaler : sklearn.preprocessing.StandardScaler, default=None
        Of the target; None for classes, of which the network returns logarithms of probabilities.
    limits : tuple of ndarray (smallest, largest), default=None
        Of the target.
    """
    y = graph.cast(graph.add("Squeeze", y, np.int64([2])), np.float64)
    if scaler is None:
        y = graph.add("ReduceMean", graph.add("Exp", y), np.int64([1]), keepdims=0)
        return graph.add("Div", y, graph.add("ReduceSum", y, np.int64([1]), keepdims=1))
    y = graph.add("ReduceMean", y, np.int64([1]), keepdims=0)
    y = graph.add("Add", graph.add("Mul", y, scaler.scale_), scaler.mean_)
    return graph.add("Min", graph.add("Max", y, limits[0]), limits[1])
