"""The metric of Keras that fits the form of a target: as it is, with other arguments, or none.

A metric has the value that scikit-learn or NumPy computes from `predict` and `predict_proba` on the same
rows, or is refused before training. `fitting_metric` decides by names of classes and configurations, without
Keras. Metrics of the user's own are taken as they are.
"""

import functools
from typing import Any, NamedTuple

from skdl._backend import keras
from skdl._targets._output import SHORT_NAMES, fitting_outputs, output_function, read_loss


class Form(NamedTuple):
    """The form of a target and of the outputs of a network."""

    # "binary" (0 and 1, one unit), "codes" (class numbers), "one-hot", "labels" (columns of 0 and 1),
    # "numbers", or "unknown" (of a user's encoder)
    target: str
    n_units: int
    logits: str  # "", or the function that `predict_proba` applies: "sigmoid" or "softmax"
    loss: Any  # as of `read_loss`


# The forms of target that each metric compares with the outputs. With others TensorFlow fails in the first
# step, or broadcasts the shapes and returns wrong values. Accuracy compares probabilities with 1.
_FORMS = {
    name: frozenset(forms.split())
    for forms, names in {
        "binary one-hot labels": """
            BinaryAccuracy BinaryIoU AUC Precision Recall TruePositives TrueNegatives FalsePositives
            FalseNegatives PrecisionAtRecall RecallAtPrecision SensitivityAtSpecificity
            SpecificityAtSensitivity F1Score FBetaScore Hinge SquaredHinge
            """,
        "binary one-hot labels numbers": """
            MeanSquaredError RootMeanSquaredError MeanAbsoluteError LogCoshError R2Score
            MeanAbsolutePercentageError MeanSquaredLogarithmicError Poisson Huber
            """,
        "one-hot": """
            CategoricalAccuracy TopKCategoricalAccuracy CategoricalCrossentropy CategoricalHinge
            CategoricalFocalCrossentropy OneHotIoU OneHotMeanIoU
            """,
        # For a softmax Keras would compute them from its logits, as from logits of sigmoids.
        "binary labels": "BinaryCrossentropy BinaryFocalCrossentropy",
        "codes": "SparseCategoricalAccuracy SparseTopKCategoricalAccuracy SparseCategoricalCrossentropy",
        "codes one-hot": "IoU MeanIoU",
        "one-hot labels numbers": "CosineSimilarity",
        "one-hot numbers": "KLDivergence",
        "numbers": "PearsonCorrelation ConcordanceCorrelation",
        "": "Accuracy Mean Sum",
    }.items()
    for name in names.split()
}
_CLASSES = {name.lower(): name for name in _FORMS} | SHORT_NAMES | {"logcosh": "LogCoshError"}

# The classes of metrics that Keras chooses by the shapes of target and output.
_ACCURACY = {
    "binary": "BinaryAccuracy",
    "codes": "SparseCategoricalAccuracy",
    "one-hot": "CategoricalAccuracy",
    "labels": "SubsetAccuracy",
}
_CROSSENTROPY = {
    "binary": "BinaryCrossentropy",
    "codes": "SparseCategoricalCrossentropy",
    "one-hot": "CategoricalCrossentropy",
    "labels": "BinaryCrossentropy",
}
_BY_SHAPE = {"accuracy": _ACCURACY, "acc": _ACCURACY, "crossentropy": _CROSSENTROPY, "ce": _CROSSENTROPY}

# What a network is trained on, by the form of its target, and what to use instead of a refused metric.
_WANTED = {
    "binary": ("one column of 0 and 1", '"accuracy" or "AUC"'),
    "codes": (
        "a class number, not one column for each class",
        'loss="categorical_crossentropy", for which the labels are encoded as columns; or leave the metric '
        'out, and score by scikit-learn, as with scoring="roc_auc_ovr" or "f1_macro"',
    ),
    "one-hot": (
        "one column for each class, not a class number",
        '"accuracy", "AUC", or the metric without "sparse"',
    ),
    "labels": ("one column of 0 and 1 for each label", '"accuracy" or "AUC"'),
    "numbers": ("numbers", '"mean_absolute_error" or "r2_score"'),
}
_BY_CLASS = ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU")
# Losses of numbers, for models of several outputs.
_LOSSES_OF_NUMBERS = (
    *("meansquarederror", "meanabsoluteerror", "meanabsolutepercentageerror", "poisson", "huber"),
    *("meansquaredlogarithmicerror", "logcosh"),
)

# A probability of one half is a logit of 0. Some metrics take no threshold of 0; no logit lies between it and
# this one.
_ABOVE_ZERO = 1e-30
_THRESHOLDS = {
    **dict.fromkeys(("BinaryAccuracy", "F1Score", "FBetaScore"), ("threshold", _ABOVE_ZERO)),
    **dict.fromkeys(("SubsetAccuracy", "BinaryIoU"), ("threshold", 0.0)),
    **dict.fromkeys(("Precision", "Recall", "TruePositives", "TrueNegatives"), ("thresholds", 0.0)),
    **dict.fromkeys(("FalsePositives", "FalseNegatives"), ("thresholds", 0.0)),
}
_TAKES_LOGITS = {
    "sigmoid": ("BinaryCrossentropy", "AUC"),
    "softmax": ("CategoricalCrossentropy", "SparseCategoricalCrossentropy"),
}
# Metrics of the order of the outputs, which a softmax does not change, and metrics of logits.
_TAKES_ANY_OUTPUT = (
    *("CategoricalAccuracy", "SparseCategoricalAccuracy", "TopKCategoricalAccuracy"),
    *("SparseTopKCategoricalAccuracy", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"),
    *("Hinge", "SquaredHinge", "CategoricalHinge"),
)


def form_of(kind, n, loss, n_units):
    """Return the form of a target and an output.

    ``kind`` is that of `fitting_outputs`, "one-hot" for one-hot rows, or None for the target of a user's
    encoder, whose form follows from the loss.
    """
    name, _ = read_loss(loss)
    target, logits = kind, output_function(loss, n_units) or ""
    if kind == "numbers":
        # Cross-entropies compare shares, whose form only the user knows. Regressors return the outputs.
        target, logits = ("unknown" if "entropy" in name or name == "kldivergence" else kind), ""
    elif kind == "classes":
        fitting = fitting_outputs(kind, n, loss)
        target = next((each.encoding for each in fitting if each.units == n_units), fitting[0].encoding)
    elif kind is None and name.startswith("sparse"):
        target = "codes"
    elif kind is None and name.startswith("categorical"):
        target = "one-hot"
    elif kind is None:
        target = "codes" if n_units == 1 else "unknown"
    return Form("binary" if target == "codes" and n_units == 1 else target, n_units, logits, loss)


def fitting_metric(name, config, form):
    """Return name and configuration of the metric that fits a form of target, or refuse it.

    ``name`` is a class of ``keras.metrics``, or "accuracy", "acc", "crossentropy" or "ce". The result may be
    "SubsetAccuracy" (see `skdl._targets._subset_accuracy`).
    """
    if form.target != "unknown":
        name, config = _for_target(name, config, form)
    logits = form.logits
    if not logits:
        return name, config
    if name in _TAKES_LOGITS[logits]:
        return name, {**config, "from_logits": True}
    argument, zero = _THRESHOLDS.get(name, (None, None))
    threshold = config.get(argument)
    ordered = config.get("top_k") is not None or (name in ("F1Score", "FBetaScore") and threshold is None)
    if name in _TAKES_ANY_OUTPUT or name in _BY_SHAPE or ordered:
        return name, config
    if logits == "sigmoid" and argument is not None:
        if threshold is None or threshold == 0.5:
            return name, {**config, argument: zero}
        if threshold == zero:
            return name, config
    metric = '"accuracy"' if name == "SubsetAccuracy" else name
    raise ValueError(
        f"The metric {metric} takes probabilities, but the loss takes logits (from_logits=True). End the "
        f"network with a {logits} and leave from_logits out, or leave the metric out."
    )


def _for_target(name, config, form):
    target = form.target
    if name in _BY_SHAPE:
        if target not in _BY_SHAPE[name]:
            raise ValueError(
                f'The metric "{name}" is one of classes, but the target is numbers. Give one of numbers, '
                'such as "mean_absolute_error" or "r2_score", or use a classifier.'
            )
        return _BY_SHAPE[name][target], {"name": name, **config}
    if name.lower() == read_loss(form.loss)[0]:
        return name, config
    _check_form(name, config, form)
    if target == "binary" and any(config.get(each) is not None for each in ("top_k", "class_id")):
        raise ValueError(
            f"The metric {name} has top_k or class_id, but the network has one unit, that of the second "
            "class. Give the metric without it."
        )
    if name in ("PearsonCorrelation", "ConcordanceCorrelation", "CosineSimilarity"):
        if form.n_units == 1 or config.get("axis", -1) not in (-1, 1):
            raise ValueError(
                f"The metric {name} compares the columns of each row, of which there must be several; over "
                'rows it would be averaged by batches. Give "r2_score", or a function as scoring.'
            )
    if name in ("F1Score", "FBetaScore") and target in ("binary", "labels"):
        # Without a threshold Keras takes the largest output of each row.
        changed = {"threshold": config.get("threshold") or 0.5}
        if target == "binary":
            changed["average"] = config.get("average") or "macro"  # of one column: a number
        config = {**config, **changed}
    return name, config


def _check_form(name, config, form):
    """Refuse a metric that can't compare a target of this form with the outputs."""
    target = form.target
    if name in _BY_CLASS and target in _FORMS[name]:
        one_hot, n_units = name.startswith("OneHot"), form.n_units
        wanted = {} if one_hot else {"sparse_y_true": target == "codes"}
        wanted["sparse_y_pred"] = False
        if any(config.get(argument, not one_hot) != value for argument, value in wanted.items()):
            arguments = ", ".join(f"{argument}={value}" for argument, value in wanted.items())
            raise ValueError(
                f"The metric {name} does not compare the outputs of the network, one for each class, with "
                f"its target. Give keras.metrics.{name}(..., {arguments})."
            )
        if config.get("num_classes", n_units) < n_units:
            raise ValueError(
                f"The metric {name} has num_classes={config['num_classes']}, which leaves out rows of other "
                f"classes. Give num_classes={n_units}, and target_class_ids for some of them."
            )
    if name not in _FORMS:
        raise ValueError(
            f"What Keras's {name} compares as a metric is not known. Give a function of your own that calls "
            "it, which is taken as it is."
        )
    if target in _FORMS[name]:
        return
    what, instead = _WANTED[target]
    loss = form.loss[0] if isinstance(form.loss, tuple) else form.loss
    raise ValueError(
        f"The metric {name} does not fit the target: with loss={getattr(loss, '__name__', loss)!r} the "
        f"target of the network is {what}. Give {instead}."
    )


def fitting_metrics(metrics, form):
    """Return the metrics of one output, perhaps nested, that fit a form of target."""
    return keras.tree.map_structure(lambda metric: _fitting(metric, form), metrics)


def fitting_metrics_by_output(metrics, loss, n_units, names):
    """Return the metrics of several outputs that fit the targets, by their losses."""
    loss = loss if isinstance(loss, list | tuple | dict) else [loss] * len(n_units)
    losses = _by_output(loss, n_units, names)
    of_outputs = _by_output(metrics, n_units, names)
    if losses is None or of_outputs is None:  # Keras refuses other structures
        return metrics
    fitting = []
    for of_output, loss, n in zip(of_outputs, losses, n_units, strict=True):
        kind = "numbers" if read_loss(loss)[0] in _LOSSES_OF_NUMBERS else None
        form = form_of(kind, None, loss, n)
        fitting.append(None if of_output is None else fitting_metrics(of_output, form))
    if isinstance(metrics, dict):
        return {name: fitting[names.index(name)] for name in metrics}
    return fitting


def _by_output(items, n_units, names):
    """Return a list with an entry for each output; None for another structure."""
    if isinstance(items, dict):
        return [items.get(name) for name in names] if names and set(items) <= set(names) else None
    return list(items) if isinstance(items, list | tuple) and len(items) == len(n_units) else None


def _fitting(metric, form):
    read = _read(metric)
    if read is None:
        return metric
    name, config, history_name = read
    new_name, new_config = fitting_metric(name, config, form)
    # Keras chooses the class of an accuracy by the shapes, and has none for labels.
    as_keras = name in ("accuracy", "acc") and new_name != "SubsetAccuracy" and new_config == {"name": name}
    if as_keras or (new_name, new_config) == (name, config):
        return metric
    if new_name == "SubsetAccuracy":
        from skdl._targets._subset_accuracy import SubsetAccuracy as cls
    else:
        cls = getattr(keras.metrics, new_name)
    return cls.from_config(new_config if history_name is None else {**new_config, "name": history_name})


def _read(metric) -> tuple[str, dict[str, Any], str | None] | None:
    """Return class, arguments and name in the history of a metric of Keras; None for one of the user's."""
    config: dict[str, Any] = {}
    if isinstance(metric, str):
        name = metric.lower()
        return name if name in _BY_SHAPE else _class_name(metric), config, metric
    if isinstance(metric, functools.partial) and not metric.args:
        metric, config = metric.func, metric.keywords
    if not (getattr(metric, "__module__", None) or "").startswith("keras."):
        return None
    cls = metric if isinstance(metric, type) else type(metric)
    if issubclass(cls, keras.losses.Loss):
        raise ValueError(
            f"The loss {cls.__name__} as a metric is averaged over batches, of which the last has fewer "
            "rows. Give a metric of keras.metrics, or the function, such as keras.losses.huber."
        )
    if isinstance(metric, type):
        name, history_name = metric.__name__, None
    elif isinstance(metric, keras.metrics.Metric):
        name, config, history_name = cls.__name__, metric.get_config(), metric.name
    else:
        name = history_name = metric.__name__
    return None if name == "MeanMetricWrapper" else (_class_name(name), config, history_name)


def _class_name(name):
    return _CLASSES.get(name.replace("_", "").lower(), name)
