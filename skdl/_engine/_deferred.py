"""Networks whose Keras model is made when somebody asks for it."""

import contextlib
import itertools
import threading

from skdl._backend import check_not_forked, keras, private, tf
from skdl._engine import _keras_only, _probe, _store
from skdl._engine._data import take, tensors, why_not_arrays
from skdl._engine._prepare import build
from skdl._engine._program import Layout, may_use_gpu, value_of
from skdl._engine._template import NotReplayable, Replay, Template
from skdl._engine._training import packed

# What was found out of kinds of networks, and the templates of these.
_kinds, _templates = _store.Recent(lambda: 1024), _store.Recent(lambda: 64)
_REFUSED = False


class _Making(threading.local):
    """Entered while the model of a network is made, in this thread."""

    depth = 0

    def __enter__(self):
        self.depth += 1

    def __exit__(self, *_):
        self.depth -= 1


_making = _Making()


def n_making():
    """Return how many models of networks are being made in this thread, one inside of the other."""
    return _making.depth


def _precision():
    return keras.config.floatx(), keras.config.dtype_policy().name


def defer(kind, **how):
    """Return a `Deferred` network, or None where a Keras model is made at once.

    Parameters
    ----------
    kind, **how
        As of `Deferred`.
    """
    if not _probe.is_tested() or may_use_gpu():
        return None
    try:
        if private.custom_object_scope():
            return None
        return Deferred(kind, **how)
    except (private.Unavailable, TypeError):
        return None


class Deferred:
    """A network whose Keras model is made when somebody asks for it.

    The first network of a kind in a process is made, trained and asked for predictions as any other
    Keras model is. What was found out about it is kept, see `remember`. For the next ones a
    `Template` stands, and a program trains them without a model.

    Parameters
    ----------
    kind : hashable
        All that decides on the model but the parameters below, and the settings of Keras.
    sizes : tuple of int
        Units of the hidden layers.
    rate : float or None
        The learning rate, where it is given as a number.
    seed : int
        Under which the model is made.
    make : callable
        Returns the model, compiled. It refers to nothing that may change.

    Raises
    ------
    TypeError
        If the kind can't be hashed.
    """

    # As `keras.Model` has it.
    compiled = True

    def __init__(self, kind, *, sizes, rate, seed, make):
        ones, names = tuple(size == 1 for size in sizes), keras.saving.get_custom_objects()
        self._precision = _precision()
        of_keras = _keras_only.environment(), self._precision, tuple(names.items())
        self._kind = kind, ones, rate is None, of_keras
        hash(self._kind)
        self._sizes, self._rate, self._seed, self._make = sizes, rate, seed, make
        self._lock, self._model, self.template = threading.Lock(), None, None
        self._lent = None, []

    @property
    def facts(self):
        """What was remembered of the first network of the kind, or None."""
        return _kinds.get(self._kind)

    def remember(self, facts):
        """Remember what was found out about the first network of the kind."""
        _kinds.put(self._kind, facts)

    @property
    def has_model(self):
        """Whether there is a Keras model already."""
        return self._model is not None

    @property
    def model(self):
        """The Keras model, as it is now."""
        if self._model is None:
            check_not_forked()
            if _precision() != self._precision:
                raise RuntimeError(
                    "The Keras model of an estimator is made when it is asked for. Keras's float type "
                    f"and dtype policy are {_precision()} now, and were {self._precision} in fit. Set "
                    "them back by keras.config.set_floatx and keras.config.set_dtype_policy."
                )
            # Somebody may ask while a function is traced.
            with _making, tf.init_scope():
                model = self._make()
                if self.template is not None:
                    self._set_state(model)
            # Not held while it is made, which waits for other locks.
            with self._lock:
                if self._model is None:
                    self._model = model
        return self._model

    def replay(self, x, y, sample_weight, settings, loop):
        """Train without a Keras model.

        Parameters
        ----------
        x, y, sample_weight, settings, loop
            As of `Replay`.

        Returns
        -------
        keras.callbacks.History or None
            None where the model is needed. It is then as it would have been.
        """
        data = packed(x, y, sample_weight)
        if self._model is not None or any(why_not_arrays(part, "data") for part in data):
            return None
        batch, replay = tensors(take(data, slice(0, 1))), None
        try:
            template = self._find_template(batch)
            shapes = template.shapes(self._sizes)
            replay = Replay(template, shapes, x, y, sample_weight, settings, loop)
            handles, history = replay.train(template.values(self._seed, shapes, self._rate))
        except (NotReplayable, private.Unavailable):
            if replay is not None and replay.has_begun:
                raise
            return None
        history.interrupted = replay.interrupted
        self.template, self._shapes, self._handles = template, shapes, handles
        self._batch, self._history = tf.nest.map_structure(tf.zeros_like, batch), history
        return history

    def _find_template(self, batch):
        of_any_width, of_these = ((self._kind, Layout(batch).key, each) for each in (None, self._sizes))
        template = _templates.get(of_any_width) or _templates.get(of_these)
        if template is _REFUSED:
            raise NotReplayable("no network of its kind is")
        if template is not None:
            return template
        model = self.model
        try:
            template = Template(model, batch, sizes=self._sizes, rate=self._rate, seed=self._seed)
        except NotReplayable:
            _templates.put(of_these, _REFUSED)
            raise
        _templates.put(of_any_width if template.any_width else of_these, template)
        self._model = None  # it is the template's now
        return template

    def _set_state(self, model):
        """Let the model be as its training would have left it."""
        build(model, self._batch, seed=self._seed)
        for variable, value in zip(private.training_variables(model), self._values(), strict=True):
            variable.value.assign(value)
        model.stop_training = False
        self._history.set_model(model)
        model.history = self._history

    def _values(self, n=None):
        """Return the values of the variables, or of the first ones."""
        each = zip(self._handles, self.template.variables, self._shapes, strict=True)
        return [value_of(handle, v.value.dtype, shape) for handle, v, shape in itertools.islice(each, n)]

    # What is asked of a network that is trained, in place of its model.

    @property
    def loss(self):
        """The loss, as the model has it."""
        return self.template.model.loss

    def get_weights(self):
        """Return the weights, as `keras.Model.get_weights` does."""
        model = self.template.model
        weights, values = set(map(id, model.weights)), self._values(len(model.variables))
        pairs = zip(model.variables, values, strict=True)
        return [value.numpy() for variable, value in pairs if id(variable) in weights]

    def lent(self, program):
        """Return a context with handles for a program of the forward pass, the same at each call."""
        last, handles = self._lent
        if last is not program:
            handles = program.handles(self._values(len(self.template.model.variables)))
            self._lent = program, handles
        return contextlib.nullcontext(handles)

    def more_units(self):
        """Return how many units all layers have, less those of the template."""
        return self.template.more_units(self._shapes)
