"""Conversion between Keras models and the dense networks of `skdl._dense`, which are trained in NumPy."""

import types

import numpy as np

from skdl import _dense
from skdl._arrays import leaves
from skdl._backend import check_not_forked, floatx, keras, keras_is_imported, private, seeded
from skdl._dense import NotDense
from skdl._model._compile import routed_params
from skdl._targets._output import SHORT_NAMES

# Metrics whose class Keras chooses by the shapes of target and output.
_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")
_MEASURES = SHORT_NAMES | {cls.lower(): cls for cls in _dense.MEASURES}
_KNOWN = {
    "losses": _MEASURES,
    "metrics": _MEASURES | {name: name for name in _BY_SHAPE},
    "optimizers": {cls.lower(): cls for cls in _dense.OPTIMIZERS},
}


def described(kind, item, params=None):
    """Return the class name and the configuration of a loss, a metric or an optimizer of Keras.

    ``kind`` is the module: "losses", "metrics" or "optimizers". Raise `NotDense` for other objects.
    """
    params = {name: _plain(value) for name, value in (params or {}).items()}
    if isinstance(item, str):
        name = _KNOWN[kind].get(item.lower().replace("_", ""))
        if name is None:
            raise NotDense(f"{item!r} is not one of the {kind} of dense networks")
        return name, params
    if item is not None and keras_is_imported():
        module, cls = getattr(keras, kind), item if isinstance(item, type) else type(item)
        if getattr(module, cls.__name__, None) is cls or cls.__module__.startswith("skdl."):
            if isinstance(item, keras.optimizers.Optimizer) and any(private.undecayed(item) or ()):
                raise NotDense(
                    "the optimizer excludes some weights from decay, and its configuration does not say so"
                )
            return cls.__name__, {**({} if cls is item else _config_of(item)), **params}
        name = getattr(item, "__name__", "")
        if getattr(module, name, None) is item:
            return described(kind, name, params)
    raise NotDense(f"{item!r} is not one of Keras's {kind}")


def _config_of(item, method="get_config"):
    try:
        return getattr(item, method)()
    except Exception as error:  # any, from the user's own classes
        raise NotDense(f"{item!r} has no configuration by {method}") from error


def _plain(value):
    """Return an argument as a configuration of Keras has it."""
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


def described_network(row_shape, layers, compile_params, fit_metric):
    """Return the dense network of described layers and parameters of compiling, or raise `NotDense`."""
    _check_settings()
    routed = {
        name: routed_params(compile_params, name) for name in ("compile", "loss", "optimizer", "metrics")
    }
    if routed["compile"]:
        raise NotDense("there are further arguments of compile")
    loss, metrics = compile_params["loss"], compile_params["metrics"]
    if isinstance(metrics, dict):
        raise NotDense("metrics is a dict")
    metrics = leaves([] if metrics is None else metrics)
    named = []
    for name, arguments in layers:
        activation = arguments.get("activation")
        if activation is not None and not isinstance(activation, str):
            known = getattr(activation, "__name__", "")
            if not keras_is_imported() or getattr(keras.activations, known, None) is not activation:
                raise NotDense("an activation that is not Keras's")
            arguments = {**arguments, "activation": known}
        named.append((name, arguments))
    return _dense.network_of(
        row_shape,
        named,
        loss=described("losses", loss, routed["loss"]),
        optimizer=described("optimizers", compile_params["optimizer"], routed["optimizer"]),
        metrics=[fit_metric(*described("metrics", metric, routed["metrics"])) for metric in metrics],
        dtype=floatx(),
    )


def _check_settings():
    """Refuse global settings of Keras that change its formulas."""
    if keras_is_imported():
        if keras.config.dtype_policy().name != floatx():
            raise NotDense("the dtype policy of Keras is not its float type")
        if keras.config.epsilon() != _dense.EPSILON:
            raise NotDense("keras.config.epsilon() is not its default")


def keras_model(state, seed):
    """Return the compiled Keras model of a dense network, built under a seed, with the state's weights."""
    check_not_forked()
    described = state.network.described
    with seeded(seed, user_code=False):
        model = sequential(described["input_shape"], described["layers"])
    name, config = described["optimizer"]
    model.compile(
        optimizer=getattr(keras.optimizers, name).from_config(dict(config)),
        loss=_made("losses", described["loss"]),
        metrics=[_made("metrics", each) for each in described["metrics"]],
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
    """Return a new state of the dense network that a compiled Keras model is, or raise `NotDense`."""
    if type(model) is not keras.Sequential and type(model) not in private.functional_classes():
        raise NotDense(f"{type(model).__name__} is a subclass of keras.Model")
    if not (model.built and model.compiled and model.trainable):
        raise NotDense("the model is not built, not compiled or not trainable")
    _check_settings()
    layers = [layer for layer in model.layers if type(layer) is not keras.layers.InputLayer]
    _check_chain(model, layers)
    metrics, weighted = private.given_metrics(model) or (None, None)
    compiled = _config_of(model, "get_compile_config")
    if weighted or compiled["loss_weights"] is not None:
        raise NotDense("the model is compiled with weighted_metrics or loss_weights")
    if model.run_eagerly or model.steps_per_execution != 1 or compiled["jit_compile"] is True:
        raise NotDense("the model is compiled with run_eagerly, steps_per_execution or jit_compile")
    network = _dense.network_of(
        model.input_shape[1:],
        [(type(layer).__name__, layer.get_config()) for layer in layers],
        loss=described("losses", model.loss),
        optimizer=described("optimizers", model.optimizer),
        metrics=[
            _read_metric(each, n_columns, model.output_shape[-1])
            for each in keras.tree.flatten(metrics or [])
        ],
        dtype=keras.config.floatx(),
    )
    state = _dense.blank_state(network)
    state.set_weights(model.get_weights())
    state.draws[:] = np.reshape([generator.state.numpy() for generator in _generators(model)], (-1, 2))
    if model.optimizer.built:
        state.set_optimizer_variables([variable.numpy() for variable in model.optimizer.variables])
    return state


def write_state(state, model):
    """Give a compiled Keras model the weights and the optimizer state of its dense network."""
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


def _read_metric(metric, n_columns, n_units):
    """Return class name and configuration of a metric, as Keras chooses it for a target and an output."""
    name, config = described("metrics", metric, {"name": metric} if isinstance(metric, str) else {})
    if name not in _BY_SHAPE:
        return name, config
    if name not in ("accuracy", "acc"):
        raise NotDense(f"the metric {name!r}")
    # As get_metric in keras/src/trainers/compile_utils.py of Keras 3.15.
    if n_units == 1:
        return "BinaryAccuracy", config
    return "SparseCategoricalAccuracy" if n_columns == 1 else "CategoricalAccuracy", config


# Attributes of layers whose functions or objects stand in a configuration by name alone.
_PARTS = ("activation", "_initializer", "_regularizer", "_constraint")


def _check_chain(model, layers):
    """Refuse a model that is not a chain of layers of Keras, each called once."""
    is_chain = isinstance(model.input_shape, tuple) and isinstance(model.output_shape, tuple)
    if type(model) is not keras.Sequential:
        try:
            given = [model.inputs[0], *(layer.output for layer in layers)]
            taken = [*(layer.input for layer in layers), model.outputs[0]]
            is_chain = is_chain and all(one is other for one, other in zip(given, taken, strict=True))
        except AttributeError:  # a layer is called more than once
            is_chain = False
    if not is_chain or len(set(map(id, layers))) < len(layers):
        raise NotDense("the model is no chain of layers")
    for layer in layers:
        if getattr(keras.layers, type(layer).__name__, None) is not type(layer):
            raise NotDense(f"the layer {layer.name!r} is not Keras's own")
        for name, value in vars(layer).items():
            cls = value if isinstance(value, types.FunctionType) else type(value)
            if name.endswith(_PARTS) and value is not None and not cls.__module__.startswith("keras."):
                raise NotDense(f"the {name} of the layer {layer.name!r} is not Keras's own")
        if not layer.trainable and layer.weights:
            raise NotDense(f"the layer {layer.name!r} is frozen")
