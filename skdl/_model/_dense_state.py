"""Between Keras's models and the dense networks of `skdl._dense`, which are trained in NumPy."""

import random
import re
import types

import numpy as np

from skdl import _dense
from skdl._arrays import leaves
from skdl._backend import check_not_forked, floatx, keras, keras_is_imported, private, seeded
from skdl._dense import NotDense
from skdl._routing import route_params

_SHORT = {
    **{"bce": "BinaryCrossentropy", "kld": "KLDivergence", "mae": "MeanAbsoluteError"},
    **{"mse": "MeanSquaredError", "mape": "MeanAbsolutePercentageError"},
    **{"msle": "MeanSquaredLogarithmicError"},
}


def _names(classes):
    """Return the class for each name by which Keras knows it."""
    short = {name: cls for name, cls in _SHORT.items() if cls in classes}
    return {
        **{cls: cls for cls in classes},
        **{re.sub(r"([A-Z][a-z])", r"_\1", cls).strip("_").lower(): cls for cls in classes},
        **short,
        **{name.upper(): cls for name, cls in short.items()},
    }


# Names of metrics that Keras reads by the shapes of target and output.
_BY_FORM = ("accuracy", "acc", "crossentropy", "ce")
_KNOWN = {
    "losses": _names(_dense.MEASURES),
    "metrics": {**_names(_dense.MEASURES), **{name: name for name in _BY_FORM}},
    "optimizers": {cls.lower(): cls for cls in _dense.OPTIMIZERS},
}


def described(kind, item, params=None):
    """Return class name and configuration of one of Keras's losses, metrics or optimizers.

    Parameters
    ----------
    kind : {"losses", "metrics", "optimizers"}
    item : str, class, function or instance
    params : dict of str to object, default=None
        Further arguments, which take precedence.

    Returns
    -------
    tuple (str, dict)

    Raises
    ------
    NotDense
        If it is not known by its name, and not Keras's own.
    """
    params = {name: _plain(value) for name, value in (params or {}).items()}
    if isinstance(item, str):
        name = _KNOWN[kind].get(item.lower() if kind == "optimizers" else item)
        if name is None:
            raise NotDense(f"{item!r} is not one of the {kind} of dense networks")
        return name, params
    if item is None or not keras_is_imported():
        raise NotDense(f"{item!r} is not one of Keras's {kind}")
    public, cls = getattr(keras, kind), item if isinstance(item, type) else type(item)
    if getattr(public, cls.__name__, None) is cls or cls.__module__.startswith("skdl."):
        if isinstance(item, keras.optimizers.Optimizer) and any(private.undecayed(item) or ()):
            raise NotDense(
                "the optimizer was told not to decay some weights, which its configuration leaves out"
            )
        return cls.__name__, {**({} if cls is item else _config_of(item)), **params}
    name = getattr(item, "__name__", "")
    if getattr(public, name, None) is item:
        return described(kind, name, params)
    raise NotDense(f"{item!r} is not one of Keras's {kind}")


def _config_of(item):
    try:
        return item.get_config()
    except Exception as error:  # of whatever it holds that Keras can't write
        raise NotDense(f"{item!r} has no configuration") from error


def _plain(value):
    """Return an argument as Keras's configurations have it."""
    if not keras_is_imported() or not isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    if getattr(keras.optimizers.schedules, type(value).__name__, None) is not type(value):
        raise NotDense(f"{value!r} is not one of Keras's schedules")
    return keras.saving.serialize_keras_object(value)


def sequential(row_shape, layers):
    """Return a Keras model, not compiled, of the class names and arguments of its layers."""
    policy = keras.config.dtype_policy()
    if policy.compute_dtype != policy.variable_dtype:  # the outputs have no half precision
        name, arguments = layers[-1]
        layers = [*layers[:-1], (name, {**arguments, "dtype": policy.variable_dtype})]
    layers = [getattr(keras.layers, name)(**arguments) for name, arguments in layers]
    return keras.Sequential([keras.Input(shape=row_shape), *layers])


def described_network(row_shape, layers, compile_params, settle):
    """Return the network that layers and parameters of compiling describe.

    Parameters
    ----------
    row_shape : tuple of int
    layers : list of tuple (str, dict)
        Class name and arguments of each layer.
    compile_params : dict of str to object
        With routed ones, such as ``optimizer__learning_rate``.
    settle : callable
        From class name and configuration of a metric to those of the metric that is meant.

    Returns
    -------
    skdl._dense.Network

    Raises
    ------
    NotDense
        If it is not covered by `skdl._dense`, or not by names alone.
    """
    _check_settings()

    def routed(destination):
        return route_params(compile_params, destination=destination, pass_filter=())

    if routed("compile"):
        raise NotDense("there are further arguments of compile")
    loss, metrics = compile_params["loss"], compile_params["metrics"]
    if isinstance(metrics, dict):
        raise NotDense("metrics is a dict")
    metrics = leaves([] if metrics is None else metrics)
    return _dense.network_of(
        row_shape,
        [(name, _named(arguments)) for name, arguments in layers],
        loss=described("losses", loss, routed("loss")),
        optimizer=described("optimizers", compile_params["optimizer"], routed("optimizer")),
        metrics=[settle(*described("metrics", metric, routed("metrics"))) for metric in metrics],
        dtype=floatx(),
    )


def _check_settings():
    """Refuse settings of Keras for the whole process under which its formulas are others."""
    if keras_is_imported():
        if keras.config.dtype_policy().name != floatx():
            raise NotDense("the dtype policy of Keras is another one")
        if keras.config.epsilon() != _dense.EPSILON:
            raise NotDense("keras.config.epsilon() is another one")


def _named(arguments):
    """Return the arguments of a layer with the names of Keras's activations in their place."""
    activation = arguments.get("activation")
    if activation is None or isinstance(activation, str):
        return arguments
    name = getattr(activation, "__name__", "")
    if not keras_is_imported() or getattr(keras.activations, name, None) is not activation:
        raise NotDense("an activation that is not Keras's")
    return {**arguments, "activation": name}


def initial_state(network, seed):
    """Return the state of a network as Keras would build it under a seed.

    Parameters
    ----------
    network : skdl._dense.Network
    seed : int
        As of `skdl._backend.seeded`.

    Returns
    -------
    skdl._dense.State
    """
    # As keras.src.random.make_default_seed in Keras 3.15.
    draw = random.Random(seed)
    return _dense.initial_state(network, [draw.randint(1, 10**9) for _ in range(_dense.n_seeds(network))])


def keras_model(state, seed):
    """Make the compiled Keras model of a dense network.

    Parameters
    ----------
    state : skdl._dense.State
    seed : int
        Under which it is built; its weights are those of the state.

    Returns
    -------
    keras.Sequential
    """
    check_not_forked()
    described = state.network.described
    with seeded(seed, user_code=False):
        model = sequential(described["input_shape"], described["layers"])
    name, config = described["optimizer"]
    model.compile(
        optimizer=getattr(keras.optimizers, name).from_config(dict(config)),
        loss=_made("losses", described["loss"]),
        loss_weights=described["loss_weights"],
        metrics=[_made("metrics", each) for each in described["metrics"]],
        weighted_metrics=[_made("metrics", each) for each in described["weighted_metrics"]] or None,
    )
    write_state(state, model)
    return model


def _made(kind, described):
    name, config = described
    if name == "SubsetAccuracy":
        from skdl._targets._subset_accuracy import SubsetAccuracy

        return SubsetAccuracy(**config)
    if kind == "losses" and not config:
        return keras.losses.get(_dense.MEASURES.get(name, name))  # the function, as Keras makes of a name
    return getattr(getattr(keras, kind), name)(**config)


def read_state(model, n_columns):
    """Return the state of a dense network that a compiled Keras model is.

    Parameters
    ----------
    model : keras.Model
    n_columns : int
        Of the encoded target.

    Returns
    -------
    skdl._dense.State
        It shares nothing with the model.

    Raises
    ------
    NotDense
        If the model, or how it is compiled, is anything but what `skdl._dense` covers.
    """
    state = _dense.blank_state(_network_of(model, n_columns))
    state.set_weights(model.get_weights())
    state.draws[:] = np.reshape([generator.state.numpy() for generator in _generators(model)], (-1, 2))
    if model.optimizer.built:
        state.set_optimizer_variables([variable.numpy() for variable in model.optimizer.variables])
    return state


def write_state(state, model):
    """Give a compiled Keras model the weights of a dense network, and its optimizer what it keeps.

    Parameters
    ----------
    state : skdl._dense.State
    model : keras.Model
        Of which `read_state` would read the same network.
    """
    model.set_weights(state.get_weights())
    for generator, draws in zip(_generators(model), state.draws, strict=True):
        generator.state.assign(draws)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    for variable, value in zip(model.optimizer.variables, state.optimizer_variables(), strict=True):
        variable.assign(value)


def _generators(model):
    generators = [getattr(layer, "seed_generator", None) for layer in model.layers]
    return [generator for generator in generators if generator is not None]


def _network_of(model, n_columns):
    if type(model) is not keras.Sequential and type(model) not in private.functional_classes():
        raise NotDense(f"{type(model).__name__} is a class of its own")
    if not (model.built and model.compiled and model.trainable):
        raise NotDense("the model is not built, not compiled or not trainable")
    _check_settings()
    layers = [layer for layer in model.layers if type(layer) is not keras.layers.InputLayer]
    _check_chain(model, layers)
    metrics, weighted = private.given_metrics(model) or (None, None)
    n_units = model.output_shape[-1]
    described_parts = {
        "loss": described("losses", model.loss),
        "optimizer": described("optimizers", model.optimizer),
        "metrics": _read_metrics(metrics, n_columns, n_units),
        "weighted_metrics": _read_metrics(weighted, n_columns, n_units),
    }
    how = _compile_config(model)
    if model.run_eagerly or model.steps_per_execution != 1 or how["jit_compile"] is True:
        raise NotDense("the model is compiled to run in another way")
    return _dense.network_of(
        model.input_shape[1:],
        [(type(layer).__name__, layer.get_config()) for layer in layers],
        **described_parts,
        loss_weights=how["loss_weights"],
        dtype=keras.config.floatx(),
    )


def _compile_config(model):
    try:
        return model.get_compile_config()
    except Exception as error:  # of whatever Keras can't write, such as a class in the place of a metric
        raise NotDense("Keras can't tell how the model is compiled") from error


def _read_metrics(metrics, n_columns, n_units):
    """Return class name and configuration of metrics, as Keras settles them for a target and an output."""
    return [_read_metric(metric, n_columns, n_units) for metric in keras.tree.flatten(metrics or [])]


def _read_metric(metric, n_columns, n_units):
    name, config = described("metrics", metric, {"name": metric} if isinstance(metric, str) else {})
    if name not in _BY_FORM:
        return name, config
    if name not in ("accuracy", "acc"):
        raise NotDense(f"the metric {name!r}")
    # keras/src/trainers/compile_utils.py of Keras 3.15: get_metric
    if n_units == 1:
        return "BinaryAccuracy", config
    return "SparseCategoricalAccuracy" if n_columns == 1 else "CategoricalAccuracy", config


# Attributes of layers that hold functions or objects, which a configuration has by name alone.
_PARTS = ("activation", "_initializer", "_regularizer", "_constraint")


def _is_keras_own(value):
    of = value if isinstance(value, types.FunctionType) else type(value)
    return value is None or of.__module__.startswith("keras.")


def _check_chain(model, layers):
    """Refuse anything but layers of Keras's own, each called once, one after the other."""
    one = isinstance(model.input_shape, tuple) and isinstance(model.output_shape, tuple)
    if not one or len(set(map(id, layers))) < len(layers):
        raise NotDense("the model is no chain of layers")
    before = model.inputs[0]
    for layer in layers:
        if getattr(keras.layers, type(layer).__name__, None) is not type(layer):
            raise NotDense(f"the layer {layer.name!r} is not Keras's own")
        for name, value in vars(layer).items():
            if name.endswith(_PARTS) and not _is_keras_own(value):
                raise NotDense(f"the {name} of the layer {layer.name!r} is not Keras's own")
        if not layer.trainable and layer.weights:
            raise NotDense(f"the layer {layer.name!r} is frozen")
        if type(model) is not keras.Sequential:
            try:
                follows = layer.input is before
                before = layer.output
            except AttributeError:  # called more than once
                follows = False
            if not follows:
                raise NotDense("the model is no chain of layers")
    if type(model) is not keras.Sequential and before is not model.outputs[0]:
        raise NotDense("the model is no chain of layers")
