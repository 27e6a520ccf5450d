"""Conversion of fitted estimators and Pipelines to ONNX: `to_onnx`."""

import copy
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdl._onnx._converters import Decision, Step, calibrated, imputed, inverse_target, register, thresholded
from skdl._onnx._onnx_network import OPSETS
from skdl._typing import MatrixLike

# Rows on which the written model is compared with the estimator.
_COMPARED = 1000
_HINT = "Some operators take float32 alone: give X_sample as float32, or leave the step out."
_UNKNOWN_HINT = "Replace it, leave it out, or register a converter by skl2onnx.update_registered_converter."


def to_onnx(
    estimator: Any, X_sample: MatrixLike | None = None, path: str | os.PathLike[str] | None = None
) -> Any:
    """Write a fitted estimator, Pipeline or search as one ONNX model.

    The model needs neither Python nor scikit-learn, Keras or TensorFlow: any ONNX runtime predicts with it.
    Scalers, encoders, ``ColumnTransformer`` and other parts of scikit-learn are converted by skl2onnx [1]_,
    dense networks become matrix products, and other Keras models are converted by tf2onnx [2]_. Samplers are
    left out, since they act in `fit` alone; of a search the best estimator is converted.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted.
    X_sample : array or DataFrame, default=None
        Rows such as `predict` takes. Their types become those of the inputs: one input ``X``, or for a
        DataFrame an input for each column, with its name and shape (n_samples, 1). The written model predicts
        the first 1000 of them, and it is an error if more than one label or number in a thousand differs from
        the estimator's (in a hundred with isotonic calibration, whose steps are steep). None for one input
        with the features of `fit`, of type float64 (float32 for an estimator of skdl alone), which is not
        compared. Needed where the features have names.
    path : str or path-like, default=None
        File to write.

    Returns
    -------
    onnx.ModelProto
        Classifiers have two outputs: the labels of shape (n_samples,), which are text where the classes are,
        and the probabilities of shape (n_samples, n_classes). For several labels or one-hot targets both have
        shape (n_samples, n_labels). Regressors have one output of shape (n_samples, n_outputs), in the
        target's units.

    Raises
    ------
    ImportError
        If the packages of ``pip install "skdl[onnx]"`` are missing.
    ValueError
        Before anything is written: if a part can't be converted, with its name; or if the model predicts
        something else than the estimator for ``X_sample``.

    See Also
    --------
    save : A file for Python, from which training can go on.

    Notes
    -----
    Importing skdl's estimators after skl2onnx, or calling this function once, registers their converters:
    ``skl2onnx.to_onnx`` then converts them too, alone and in Pipelines without samplers.

    ``TransformedTargetRegressor`` is converted with scalers, and with a function of NumPy such as
    ``inverse_func=np.expm1``.

    References
    ----------
    .. [1] https://onnx.ai/sklearn-onnx
    .. [2] https://github.com/onnx/tensorflow-onnx

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdl import DNNClassifier, make_pipeline, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), DNNClassifier((8,), epochs=5, random_state=0))
    >>> model = to_onnx(pipeline.fit(X, y), X)
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']

    A process with onnxruntime and NumPy alone predicts from the file, or from its bytes:

    >>> import onnxruntime
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> labels, probabilities = session.run(None, {"X": X[:2]})
    >>> labels.shape, probabilities.shape
    ((2,), (2, 3))
    """
    try:
        import onnxruntime
        import skl2onnx
    except ImportError as error:
        raise ImportError(f'to_onnx needs further packages: pip install "skdl[onnx]" ({error}).') from error
    check_is_fitted(estimator)
    if hasattr(X_sample, "toarray"):
        X_sample = X_sample.toarray()
    register(Step)
    register(Decision)
    parts = []
    plain = _plain(estimator, parts)
    inputs = _inputs(estimator, X_sample)
    if (
        hasattr(X_sample, "columns")
        and all(each.dtype.kind in "biuf" for each in inputs.values())
        and not any(isinstance(each, ColumnTransformer) for each in parts)
    ):
        columns = Step(len(inputs), lambda graph, x: x)  # joins them
        plain = Pipeline([("columns", columns), ("estimator", plain)])
    final = plain
    while isinstance(final, Pipeline):
        final = final.steps[-1][1]
    try:
        model = skl2onnx.to_onnx(
            plain,
            initial_types=[(name, _declared(each)) for name, each in inputs.items()],
            target_opset=OPSETS,
            options={id(final): {"zipmap": False}} if is_classifier(final) else None,
        )
    except Exception as error:
        hint = _UNKNOWN_HINT if type(error).__name__ == "MissingShapeCalculator" else _HINT
        raise ValueError(
            f"skl2onnx can't convert a part of {type(estimator).__name__}. {hint} It says: {error}"
        ) from error
    _amend(model, inputs)
    content = model.SerializeToString()
    if X_sample is not None and len(X_sample):
        quiet = onnxruntime.SessionOptions()
        quiet.log_severity_level = 3
        # At a step of an isotonic calibration, rounding of float32 may move a probability.
        has_steps = any(getattr(each, "method", None) == "isotonic" for each in parts)
        session = partial(onnxruntime.InferenceSession, content, quiet)
        _compare(estimator, X_sample[:_COMPARED], inputs, session, 0.01 if has_steps else 0.001)
    if path is not None:
        Path(path).write_bytes(content)
    return model


def _plain(item, parts):
    """Return an estimator in classes that skl2onnx converts; append its parts to a list."""
    if hasattr(item, "best_estimator_"):
        return _plain(item.best_estimator_, parts)
    if isinstance(item, Pipeline):
        steps = [
            (name, _plain(step, parts))
            for name, step in item.steps
            if step not in (None, "passthrough") and not _is_sampler(step)
        ]
        return Pipeline(steps) if len(steps) > 1 else steps[0][1]
    if isinstance(item, TransformedTargetRegressor) and hasattr(item, "regressor_"):
        inverse = inverse_target(item.transformer_)
        return Pipeline([("regressor", _plain(item.regressor_, parts)), ("inverse", inverse)])
    if hasattr(item, "_onnx_parts"):
        if item.__sklearn_is_fitted__():  # else the template of an ensemble
            item._onnx_parts()
            register(type(item))
            parts.append(item)
        return item
    if isinstance(item, FrozenEstimator):
        return _plain(item.estimator, parts)
    if (
        type(item) is SimpleImputer
        and hasattr(item, "statistics_")
        and item.statistics_.dtype.kind == "f"
        and isinstance(item.missing_values, float)
        and np.isnan(item.missing_values)
    ):
        return imputed(item)
    if isinstance(item, list | tuple):
        return type(item)(_plain(each, parts) for each in item)
    if hasattr(item, "calibrated_classifiers_"):
        parts.append(item)
        pairs = [copy.copy(each) for each in item.calibrated_classifiers_]
        for pair in pairs:
            pair.estimator = _plain(pair.estimator, parts)
        return calibrated(pairs, item.classes_)
    if isinstance(item, FixedThresholdClassifier | TunedThresholdClassifierCV):
        return thresholded(item, _plain(getattr(item, "estimator_", item.estimator), parts))
    if not isinstance(item, BaseEstimator):
        return item
    parts.append(item)
    copied = copy.copy(item)
    for name in vars(item):
        if name.endswith("_") or name == "transformer_list":
            vars(copied)[name] = _plain(getattr(item, name), parts)
    if hasattr(copied, "flatten_transform"):
        copied.flatten_transform = False  # else skl2onnx refuses VotingClassifier
    return copied


def _is_sampler(step):
    return hasattr(step, "fit_resample") and not hasattr(step, "transform")


def _inputs(estimator, X):
    """Return the rows to compare as onnxruntime takes them, by name; missing text is "nan" or "None"."""
    if X is None:
        if hasattr(estimator, "feature_names_in_") or not hasattr(estimator, "n_features_in_"):
            raise ValueError(
                "to_onnx needs X_sample, some rows as predict takes them, for the names and types of the "
                "inputs."
            )
        shape = getattr(estimator, "X_shape_", (None, estimator.n_features_in_))
        return {"X": np.empty((0, *shape[1:]), getattr(estimator, "X_dtype_", float))}
    # All rows have a say in the types: an integer column of polars with a null becomes floats.
    if hasattr(X, "columns"):
        arrays = {name: np.asarray(X[name])[:_COMPARED, None] for name in X.columns}
    else:
        arrays = {"X": np.asarray(X)[:_COMPARED]}
    as_text = np.vectorize(str, otypes=[object])
    return {name: each if each.dtype.kind in "biuf" else as_text(each) for name, each in arrays.items()}


def _declared(array):
    """Return a type of skl2onnx: float64 for single columns, the only type that it joins correctly."""
    from skl2onnx.common import data_types

    name = "Float" if array.dtype == np.float32 and array.shape[1:] != (1,) else "Double"
    name = "String" if array.dtype == object else name
    return getattr(data_types, f"{name}TensorType")([None, *array.shape[1:]])


def _amend(model, inputs):
    """Change the types of a model's inputs to the given ones, and let it take no rows."""
    from onnx import helper

    constants = {each.name for each in model.graph.initializer if len(each.dims) == 1}
    for node in model.graph.node:
        # skl2onnx looks up labels by ArrayFeatureExtractor, which takes no empty index.
        if node.op_type == "ArrayFeatureExtractor" and node.input[0] in constants:
            node.op_type, node.domain = "Gather", ""
            node.attribute.append(helper.make_attribute("axis", 0))
    for tensor in model.graph.input:
        declared, name = tensor.type.tensor_type, tensor.name
        elem_type = helper.np_dtype_to_tensor_dtype(inputs[name].dtype)
        if declared.elem_type == elem_type:
            continue
        inside = f"{name}_cast"
        for node in model.graph.node:
            node.input[:] = [inside if each == name else each for each in node.input]
        cast = helper.make_node("Cast", [name], [inside], name=inside, to=declared.elem_type)
        model.graph.node.insert(0, cast)
        declared.elem_type = elem_type


def _compare(estimator, X, inputs, session, allowed):
    """Refuse a model that onnxruntime can't run, or of which more than an allowed share of values differ."""
    try:
        outputs = session().run(None, inputs)
    except Exception as error:
        raise ValueError(
            f"onnxruntime can't run the model of {type(estimator).__name__}. {_HINT} It says: {error}"
        ) from error
    for method, written in zip(("predict", "predict_proba"), outputs, strict=False):
        if not hasattr(estimator, method):
            continue
        expected = np.asarray(getattr(estimator, method)(X))
        written = np.reshape(written, expected.shape)
        if method == "predict" and is_classifier(estimator):
            differs = written != expected
        else:
            scale = max(1, np.max(np.abs(expected), initial=0))
            differs = ~(np.abs(written - expected) <= 1e-3 * scale)
        if np.mean(differs) > allowed:
            raise ValueError(
                f"The ONNX model differs from {method} of {type(estimator).__name__} in "
                f"{np.mean(differs):.1%} of the values for {len(X)} rows of X_sample, so nothing is written. "
                "A converter of skl2onnx computes something else: find the step by leaving out others, and "
                "replace it."
            )
