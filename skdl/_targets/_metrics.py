"""What each metric of Keras means for each form of target: taken as it is, changed, or refused.

A metric has the value that scikit-learn or NumPy computes from `predict` and `predict_proba` on the same
rows, or is refused before training. The decision, `meant`, takes and returns names of classes and their
configurations; it needs no Keras. Metrics of the user's own are taken as they are.
"""

import functools
from typing import Any, NamedTuple

from skdl._backend import keras
from skdl._targets._output import fitting_outputs, read_loss


class Form(NamedTuple):
    """What the target and the outputs of a network are, as far as a metric must know it.

    Parameters
    ----------
    target : {"binary", "codes", "one-hot", "labels", "numbers", "unknown"}
        One column of 0 and 1 beside one unit; class numbers beside a unit for each class; one column
        for each class; columns of 0 and 1; numbers; something that an encoder of the user's makes.
    n_units : int
        Width of the output.
    logits : {"", "sigmoid", "softmax"}
        What `predict_proba` applies to the outputs.
    loss : str
        Name of the loss without underscores, "" where it is not Keras's.
    """

    target: str
    n_units: int
    logits: str
    loss: str


# Which forms of target the metrics of Keras compare rightly with outputs; Accuracy, which asks whether a
# probability is 1, none. With others TensorFlow fails in the middle of the first step, or broadcasts the
# shapes and returns wrong values.
_COLUMNS = frozenset({"binary", "one-hot", "labels"})
_FORMS = {
    **dict.fromkeys(
        (
            *("BinaryAccuracy", "BinaryIoU", "AUC", "Precision", "Recall"),
            *("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"),
            *("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity"),
            *("SpecificityAtSensitivity", "F1Score", "FBetaScore", "Hinge", "SquaredHinge"),
        ),
        _COLUMNS,
    ),
    **dict.fromkeys(
        (
            *("MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "LogCoshError", "R2Score"),
            *("MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Poisson", "Huber"),
        ),
        _COLUMNS | {"numbers"},
    ),
    **dict.fromkeys(
        (
            *("CategoricalAccuracy", "TopKCategoricalAccuracy", "CategoricalCrossentropy"),
            *("CategoricalHinge", "CategoricalFocalCrossentropy", "OneHotIoU", "OneHotMeanIoU"),
        ),
        frozenset({"one-hot"}),
    ),
    # Of a softmax Keras takes the logits, and puts them into sigmoids.
    **dict.fromkeys(("BinaryCrossentropy", "BinaryFocalCrossentropy"), frozenset({"binary", "labels"})),
    **dict.fromkeys(
        ("SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "SparseCategoricalCrossentropy"),
        frozenset({"codes"}),
    ),
    **dict.fromkeys(("IoU", "MeanIoU"), frozenset({"codes", "one-hot"})),
    "CosineSimilarity": frozenset({"one-hot", "labels", "numbers"}),
    "KLDivergence": frozenset({"one-hot", "numbers"}),
    **dict.fromkeys(("PearsonCorrelation", "ConcordanceCorrelation"), frozenset({"numbers"})),
    **dict.fromkeys(("Accuracy", "Mean", "Sum"), frozenset()),
}
_SHORT = {
    **{"mse": "MeanSquaredError", "mae": "MeanAbsoluteError", "bce": "BinaryCrossentropy"},
    **{"mape": "MeanAbsolutePercentageError", "msle": "MeanSquaredLogarithmicError"},
    **{"logcosh": "LogCoshError"},
}
_CLASSES = {**{name.lower(): name for name in _FORMS}, **_SHORT}

# Names whose meaning follows from the form.
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
_BY_FORM = {"accuracy": _ACCURACY, "acc": _ACCURACY, "crossentropy": _CROSSENTROPY, "ce": _CROSSENTROPY}
# What to give in place of those that end so.
_INSTEAD = {
    "Accuracy": dict.fromkeys(_ACCURACY, '"accuracy"'),
    "Crossentropy": _CROSSENTROPY,
    "KLDivergence": _CROSSENTROPY,
    "IoU": {"binary": "BinaryIoU", "labels": "BinaryIoU"},
    "Hinge": {"binary": "Hinge", "labels": "Hinge"},
}

_BY_CLASS = ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU")
# Losses by which a head beside others is known to predict numbers.
_OF_NUMBERS = frozenset(
    {
        *("meansquarederror", "meanabsoluteerror", "meanabsolutepercentageerror", "poisson", "huber"),
        *("meansquaredlogarithmicerror", "logcosh"),
    }
)

# The threshold of a logit, by the name of the argument: Keras takes no threshold of 0 in some metrics. No
# logit is between 0 and this.
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
# They look at the order of the outputs, which a softmax does not change, or are made for logits.
_OF_ORDER = frozenset(
    {
        *("CategoricalAccuracy", "SparseCategoricalAccuracy", "TopKCategoricalAccuracy"),
        *("SparseTopKCategoricalAccuracy", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"),
        *("Hinge", "SquaredHinge", "CategoricalHinge"),
    }
)


def form_of(kind, n, loss, n_units):
    """Return the form of a target, and of the outputs beside it.

    Parameters
    ----------
    kind : {"classes", "one-hot", "labels", "numbers"} or None
        See `fitting_outputs`; "one-hot" for rows that are given so; None for what an encoder of the
        user's makes, of which the loss tells.
    n : int or None
    loss : str, keras.losses.Loss, type, callable or None
    n_units : int
        Width of the output.

    Returns
    -------
    Form
    """
    name, from_logits = read_loss(loss)
    logits = ("sigmoid" if name.startswith("binary") or n_units == 1 else "softmax") if from_logits else ""
    target = kind
    if kind == "numbers":
        # Cross-entropies compare shares, of which the user knows more. Regressors return the outputs.
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
    return Form("binary" if target == "codes" and n_units == 1 else target, n_units, logits, name)


def meant(name, config, form, loss=None):
    """Return the metric that is meant by one of Keras's, or refuse it.

    Parameters
    ----------
    name : str
        Of a class of ``keras.metrics``, or "accuracy", "acc", "crossentropy" or "ce".
    config : dict
        Its arguments, those that are not given left out or at their default.
    form : Form
    loss : str, keras.losses.Loss, type, callable or None
        For messages.

    Returns
    -------
    name : str
        Of a class of ``keras.metrics``, or "SubsetAccuracy" (see `skdl._targets._subset_accuracy`).
    config : dict

    Raises
    ------
    ValueError
        If the metric has no right value for this form. It says what to use instead.
    """
    if form.target != "unknown":
        name, config = _of_form(name, config, form, loss)
    return _of_logits(name, config, form.logits) if form.logits else (name, config)


def _of_form(name, config, form, loss):
    target = form.target
    if name in _BY_FORM:
        if target not in _BY_FORM[name]:
            raise ValueError(
                f'The metric "{name}" is one of classes, but the target is numbers. Give one of numbers, '
                'such as "mean_absolute_error" or "r2_score", or use a classifier.'
            )
        return _BY_FORM[name][target], {"name": name, **config}
    if name.lower() == form.loss:
        return name, config
    _check_form(name, config, form, loss)
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


def _check_form(name, config, form, loss):
    """Refuse a metric that does not compare a target of this form."""
    target = form.target
    with_loss = f"with loss={getattr(loss, '__name__', loss)!r} the target of the network is"
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
    if target == "codes":
        raise ValueError(
            f"The metric {name} compares one column for each class, but {with_loss} a class number. Give "
            'loss="categorical_crossentropy", for which the labels are encoded as columns; or leave the '
            'metric out, and score by scikit-learn, as with scoring="roc_auc_ovr" or "f1_macro".'
        )
    if name.startswith("Sparse") and target == "one-hot":
        raise ValueError(
            f"The metric {name} takes a class number, but {with_loss} one column for each class. Give the "
            'metric without "sparse", such as "accuracy".'
        )
    what = {
        "binary": "one column of 0 and 1",
        "one-hot": "one column for each class",
        "labels": "one column of 0 and 1 for each label",
        "numbers": "numbers",
    }[target]
    instead = '"mean_absolute_error" or "r2_score"' if target == "numbers" else '"accuracy" or "AUC"'
    for end, by_form in _INSTEAD.items():
        if name.endswith(end):
            instead = by_form.get(target, instead)
    raise ValueError(f"The metric {name} does not compare what is here: {with_loss} {what}. Give {instead}.")


def _of_logits(name, config, logits):
    """Return a metric for outputs that `predict_proba` turns into probabilities."""
    if name in _TAKES_LOGITS[logits]:
        return name, {**config, "from_logits": True}
    argument, zero = _THRESHOLDS.get(name, (None, None))
    threshold = config.get(argument)
    ordered = config.get("top_k") is not None or (name in ("F1Score", "FBetaScore") and threshold is None)
    if name in _OF_ORDER or name in _BY_FORM or ordered:
        return name, config
    if logits == "sigmoid" and argument is not None:
        # A probability of one half is a logit of 0.
        if threshold is None or threshold == 0.5:
            return name, {**config, argument: zero}
        if threshold == zero:
            return name, config
    given = '"accuracy"' if name == "SubsetAccuracy" else name
    raise ValueError(
        f"The metric {given} takes probabilities, but the loss takes logits (from_logits=True). End the "
        f"network with a {logits} and leave from_logits out, or leave the metric out."
    )


# Between metrics as Keras takes them, and names of classes.


def settle(metrics, form, loss):
    """Return metrics that have the right value for a form of target.

    Parameters
    ----------
    metrics : metrics, or nested lists or dicts of them
        Of one output, as ``keras.Model.compile`` takes them.
    form : Form
    loss : str, keras.losses.Loss, type, callable or None
        For messages.

    Returns
    -------
    metrics, or nested lists or dicts of them
        The same objects where nothing is to be changed.

    Raises
    ------
    ValueError
        See `meant`.
    """
    return keras.tree.map_structure(lambda metric: _settled(metric, form, loss), metrics)


def settle_by_output(metrics, loss, n_units, names):
    """Return metrics of several outputs, of whose targets the losses tell.

    Parameters
    ----------
    metrics : metrics, or nested lists or dicts of them
    loss : loss, or list or dict of losses
    n_units : list of int
        Width of each output.
    names : list of str or None
        Of the outputs.
    """
    loss = loss if isinstance(loss, list | tuple | dict) else [loss] * len(n_units)
    losses = _by_output(loss, n_units, names)
    given = _by_output(metrics, n_units, names)
    if losses is None or given is None:  # nested otherwise: Keras says what it takes
        return metrics
    settled = []
    for each, its_loss, n in zip(given, losses, n_units, strict=True):
        kind = "numbers" if read_loss(its_loss)[0] in _OF_NUMBERS else None
        settled.append(None if each is None else settle(each, form_of(kind, None, its_loss, n), its_loss))
    if isinstance(metrics, dict):
        return {name: settled[names.index(name)] for name in metrics}
    return settled


def _by_output(given, n_units, names):
    """Return a list with an entry for each output; None for another structure."""
    if isinstance(given, dict):
        return [given.get(name) for name in names] if names and set(given) <= set(names) else None
    return list(given) if isinstance(given, list | tuple) and len(given) == len(n_units) else None


def _settled(given, form, loss):
    read = _read(given)
    if read is None:
        return given
    name, config, called = read
    new_name, new_config = meant(name, config, form, loss)
    # Keras itself finds out by the shapes which accuracy is meant, but for that of labels.
    as_keras = name in ("accuracy", "acc") and new_name != "SubsetAccuracy" and new_config == {"name": name}
    if as_keras or (new_name, new_config) == (name, config):
        return given
    if new_name == "SubsetAccuracy":
        from skdl._targets._subset_accuracy import SubsetAccuracy as kind
    else:
        kind = getattr(keras.metrics, new_name)
    return kind.from_config(new_config if called is None else {**new_config, "name": called})


def _read(metric) -> tuple[str, dict[str, Any], str | None] | None:
    """Return class, arguments and name of one of Keras's metrics; None for one of the user's own."""
    if isinstance(metric, str):
        if metric.lower() in _BY_FORM:
            return metric.lower(), {}, metric
        return _class_name(metric), {}, metric
    config: dict[str, Any] = {}
    if isinstance(metric, functools.partial) and not metric.args:
        metric, config = metric.func, metric.keywords
    if not (getattr(metric, "__module__", None) or "").startswith("keras."):
        return None
    if isinstance(metric, type):
        name, called = metric.__name__, None
    elif isinstance(metric, keras.metrics.Metric | keras.losses.Loss):
        name, config, called = type(metric).__name__, metric.get_config(), metric.name
    else:
        name = called = metric.__name__
    if isinstance(metric, keras.losses.Loss) or (
        isinstance(metric, type) and issubclass(metric, keras.losses.Loss)
    ):
        raise ValueError(
            f"The loss {name} as a metric is averaged over batches, of which the last has fewer rows. Give a "
            "metric of keras.metrics, or the function, such as keras.losses.huber."
        )
    return None if name == "MeanMetricWrapper" else (_class_name(name), config, called)


def _class_name(name):
    return _CLASSES.get(name.replace("_", "").lower(), name)
