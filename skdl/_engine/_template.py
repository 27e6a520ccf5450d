"""Keras models that stand for others of their kind, which are trained without layers of their own.

Keras takes longer to make the layers, the optimizer and the metrics of a small network than a program
takes to train it. What a program needs of a network are its variables alone. Those of two networks that
differ in nothing but the widths of hidden layers, the learning rate and the seed can be told from each
other. So a model that is never trained, a `Template`, tells the variables of all networks of its kind,
and a `Replay` trains them by a program that an ordinary training has left.
"""

import contextlib

import numpy as np

from skdl._backend import keras, private, seeded, tf
from skdl._engine import _keras_only, _probe, _store
from skdl._engine._prepare import build
from skdl._engine._program import is_large, shapes_of
from skdl._engine._rules import why_not
from skdl._engine._training import Training
from skdl._engine._widths import OPTIMIZERS, dense_layers, of_any_width, units

# Layers that make no variables but kernels, biases and the states of generators, or whose variables
# begin with the same numbers in all networks.
_LAYERS = (
    *(keras.layers.InputLayer, keras.layers.Dense, keras.layers.Activation, keras.layers.Dropout),
    keras.layers.BatchNormalization,
)


class NotReplayable(Exception):
    """The reason why a network cannot be trained, or cannot predict, without a Keras model."""


class Template:
    """A Keras model that stands for all networks of its kind. It is never trained.

    Parameters
    ----------
    model : keras.Sequential
        Compiled. A chain of layers: one dense layer for each of ``sizes``, and the output layer.
    batch : tuple of nested tf.Tensor
        ``(x, y)`` or ``(x, y, sample_weight)``, as it is to be trained on.
    sizes : tuple of int
        Units of the hidden layers.
    rate : float or None
        The learning rate, where it is given as a number.
    seed : int
        Under which the model was made.

    Attributes
    ----------
    model : keras.Model
    variables : list of keras.Variable
        All that training it would read or write.
    metric_names : list of str
        Of the results of a training step.
    any_width : bool
        Whether it stands for networks of other widths, too.

    Raises
    ------
    NotReplayable
        If the variables of another network can't be told from it.
    """

    def __init__(self, model, batch, *, sizes, rate, seed):
        build(model, batch, seed=seed)
        self.model, self.variables = model, private.training_variables(model)
        if is_large(shapes_of(self.variables)):
            raise NotReplayable("a network whose training takes longer than building it")
        chain = private.layer_graph(model).operations
        dense = dense_layers(chain)
        drawing = [layer for layer in chain if _draws(layer)]
        if type(model) is not keras.Sequential or not all(type(layer) in _LAYERS for layer in chain):
            raise NotReplayable("a layer that may draw its weights in a way of its own")
        if [layer.units for layer in dense[:-1]] != list(sizes):
            raise NotReplayable("other dense layers than those of its sizes")
        if type(model.optimizer) not in OPTIMIZERS or model.optimizer.use_ema:
            raise NotReplayable("an optimizer with a state of its own, or one that averages weights")
        wide = of_any_width(model, self.variables)
        self.any_width = len(wide) == sum(layer.units > 1 for layer in dense[:-1])
        self.metric_names, self._described = list(model.get_metrics_result()), {}
        self._set_axes(dense)
        self._set_sources(dense, drawing)
        if rate is not None and "rate" not in dict(self._sources):
            raise NotReplayable("an optimizer that keeps its learning rate in another place")
        found = self.values(seed, self.shapes(sizes), rate)
        if not all(np.array_equal(a, v.value) for a, v in zip(found, self.variables, strict=True)):
            raise NotReplayable("variables that begin in a way of their own")

    def _set_axes(self, dense):
        """Find out for each axis of each variable the dense layer that decides its length, if any."""
        axes = {}
        for i, layer in enumerate(dense):
            inputs = i - 1 if i else None
            for variable in layer.variables:
                axes[id(variable)] = (inputs, i)[-len(variable.shape) :]
        if self.any_width:
            axes.update({id(slot): axes.get(id(v)) for slot, v in private.slots(self.model.optimizer)})
        self._axes = [(self.any_width and axes.get(id(v))) or (None,) * len(v.shape) for v in self.variables]
        self._output = dense[-1].units

    def _set_sources(self, dense, drawing):
        """Find out for each variable where its first value comes from."""
        places = {id(layer): i for i, layer in enumerate(drawing)}
        drawn = {id(layer.kernel): places[id(layer)] for layer in dense if id(layer) in places}
        states = {
            id(layer.seed_generator.state): places[id(layer)]
            for layer in drawing
            if type(layer) is keras.layers.Dropout
        }
        rate = private.learning_rate_of(self.model.optimizer)
        self._n_drawn, self._sources = len(drawing), []
        for variable, axes in zip(self.variables, self._axes, strict=True):
            value = variable.value.numpy()
            if id(variable) in drawn:
                source = "kernel", drawn[id(variable)]
            elif id(variable) in states:
                source = "state", states[id(variable)]
            elif variable is rate:
                source = "rate", value
            elif axes != (None,) * len(axes):
                source = "filled", value.flat[0]
            else:
                source = "fixed", tf.constant(value)
            self._sources.append(source)

    def described(self, of_any_width):
        """Return the quick key of the programs that train it, see `skdl._engine._keras_only.describe`."""
        if of_any_width not in self._described:
            self._described[of_any_width] = _keras_only.describe(
                self.model, self.metric_names, of_any_width=of_any_width
            )
        return self._described[of_any_width]

    def shapes(self, sizes):
        """Return the shapes of the variables of a network with some hidden layers."""
        lengths = [*sizes, self._output]
        return tuple(
            tuple(n if i is None else lengths[i] for n, i in zip(variable.shape, axes, strict=True))
            for variable, axes in zip(self.variables, self._axes, strict=True)
        )

    def values(self, seed, shapes, rate):
        """Return the values that the variables of a network have before its training.

        Parameters
        ----------
        seed : int
            Under which Keras would make the network.
        shapes : tuple of tuple
        rate : float or None

        Returns
        -------
        list of tf.Tensor
        """
        values = []
        with seeded(seed, user_code=False):
            # Every layer that draws takes one seed when it is made.
            seeds = [keras.initializers.GlorotUniform().seed for _ in range(self._n_drawn)]
            for (kind, given), variable, shape in zip(self._sources, self.variables, shapes, strict=True):
                if kind == "kernel":
                    initial = keras.initializers.GlorotUniform(seeds[given])
                    values.append(tf.convert_to_tensor(initial(shape, variable.dtype)))
                elif kind == "state":
                    values.append(tf.constant([seeds[given], 0], variable.dtype))
                elif kind == "rate":
                    values.append(tf.constant(given if rate is None else rate, variable.dtype))
                else:
                    values.append(given if kind == "fixed" else tf.constant(np.full(shape, given)))
        return values

    def more_units(self, shapes):
        """Return how many units all layers of a network have, less those of the model."""
        layers = private.flat_layers(self.model, include_self=False)
        of_network, own = (
            sum(units(layers, self.model, self.variables, each))
            for each in (shapes, shapes_of(self.variables))
        )
        return of_network - own


def _draws(layer):
    """Whether a layer draws a seed when it is made."""
    if type(layer) is keras.layers.Dropout:
        return hasattr(layer, "seed_generator")
    return type(getattr(layer, "kernel_initializer", None)) is keras.initializers.GlorotUniform


class Replay(Training):
    """A training of a network of which there is no Keras model, by a program that is there already.

    Parameters
    ----------
    template : Template
    shapes : tuple of tuple
        Of the variables of the network.
    x, y, sample_weight
        As of `Training`.
    settings, loop : dict
        Further parameters of `Training`: those that `why_not` takes, and those of the epochs.

    Raises
    ------
    NotReplayable
        If there is no such program, or none that has run with these shapes, or if the training
        needs the model.
    """

    def __init__(self, template, shapes, x, y, sample_weight, settings, loop):
        reason = why_not(template.model, x, y, sample_weight, **settings) or _probe.why_unusable()
        if settings["callbacks"] or settings["verbose"] or is_large(shapes):
            reason = (
                "callbacks and what is printed need the model, and large networks have programs of their own"
            )
        if reason is not None:
            raise NotReplayable(reason)
        self._template, self._shapes = template, shapes
        super().__init__(template.model, x, y, sample_weight, **settings, **loop)
        program = self.program
        if not program.shared or (program.xla and self.shapes not in program.compiled.proven):
            raise NotReplayable("no program that has run with these shapes")

    def _build(self, data):
        pass

    def _metric_names(self):
        return self._template.metric_names

    def _described(self, names, **how):
        return self._template.described(**how)

    def _own_shapes(self):
        return self._shapes

    def _found(self, key, trace):
        program = None if key is None else _store.get(key)
        if program is None:
            raise NotReplayable("no program of its kind")
        return program

    def _lent(self):
        return contextlib.nullcontext(self._handles)

    def train(self, values):
        """Train the variables of the network.

        Parameters
        ----------
        values : list of tf.Tensor
            At the beginning.

        Returns
        -------
        handles : list of tf.Tensor
            Of the variables at the end, which may be larger than those of the network.
        history : keras.callbacks.History
            As of `Training.run`.
        """
        history = keras.callbacks.History()
        history.set_params({"verbose": self.verbose, "epochs": self.epochs, "steps": self.steps})
        history.on_train_begin()
        self._handles = self.program.handles(values, self.shapes)
        self._in_blocks(self.initial_epoch, history)
        return self._handles, history
