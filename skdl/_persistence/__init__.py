"""Estimators and Keras models copied, pickled and saved."""

import copy

from sklearn.base import BaseEstimator

from skdl._persistence._graph import Flat, PacksItself, flatten, holds_keras, unflatten
from skdl._persistence._safe import from_plain, remade, to_plain

__all__ = [
    "PacksStateMixin",
    "copied",
    "copies_in",
    "copy_model",
    "remade",
]


def copied(thing, memo=None):
    """Copy an object with all parts of Keras in it: a model, or parameters that hold layers.

    Parameters
    ----------
    thing : object
    memo : dict or None, default=None
        That of `copy.deepcopy`, where this copy is a part of a larger one.

    Returns
    -------
    object
        With the same values, states and functions, that shares no variable with the original.

    Raises
    ------
    TypeError
        If it holds what can't be copied. The message names the part and its attribute.
    """
    flat = flatten(thing, share=True)
    memo = {} if memo is None else memo
    given = [copy.deepcopy(each, memo) if isinstance(each, PacksItself) else each for each in flat.given]
    return unflatten(flat._replace(given=given))


def copy_model(model):
    """Copy a Keras model with its weights, compile arguments and the states of optimizer and seeds.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    keras.Model
    """
    return copied(model)


class Packed:
    """An object with parts of Keras in it, that pickles and deep-copies.

    Parameters
    ----------
    thing : object
    """

    def __init__(self, thing):
        self.thing = thing

    def __reduce_ex__(self, protocol):
        return _unpacked, tuple(flatten(self.thing, share=False))

    def __reduce__(self):
        # skops asks whether a call of the class makes the object again. It does not: see below.
        return Packed.__new__, (Packed,)

    # What skops saves and restores, in which there is no code.

    def __getstate__(self):
        return to_plain(self.thing)

    def __setstate__(self, state):
        self.thing = from_plain(state)

    def __deepcopy__(self, memo):
        return Packed(copied(self.thing, memo))


def _unpacked(*flat):
    return Packed(unflatten(Flat(*flat)))


# Under this name the attributes that hold parts of Keras stand in a state.
_PACKED = "_packed"


def _packed(state):
    """Put the attributes of an estimator that hold parts of Keras together, for pickles and copies.

    Together, since they may share parts: a callback has the model that it watched.

    Parameters
    ----------
    state : dict of str to object

    Returns
    -------
    dict of str to object
    """
    with_keras = {name: value for name, value in state.items() if holds_keras(value)}
    if not with_keras:
        return state
    others = {name: value for name, value in state.items() if name not in with_keras}
    return {**others, _PACKED: Packed(with_keras)}


def _unpacked_state(state):
    """Undo `_packed`."""
    state = dict(state)
    packed = state.pop(_PACKED, None)
    return state if packed is None else {**state, **packed.thing}


def copies_in(params):
    """Copy those of some parameters that hold parts of Keras, such as a layer for a builder.

    Parameters
    ----------
    params : dict of str to object

    Returns
    -------
    dict of str to object
        The copies, which share among each other what the originals share, and all else as it is.
    """
    with_keras = {name: value for name, value in params.items() if holds_keras(value)}
    return {**params, **copied(with_keras)} if with_keras else params


class _Clone:
    """A parameter that is copied already when scikit-learn comes to clone it."""

    def __init__(self, copy):
        self._copy = copy

    def __sklearn_clone__(self):
        return self._copy


def _with_parameters_copied(estimator):
    """Prepare an estimator for `sklearn.base.clone`.

    Parameters
    ----------
    estimator : estimator
        With parameters that may hold parts of Keras.

    Returns
    -------
    estimator
        The same, or one like it of which a clone has copies of these parameters.
    """
    params = estimator.get_params(deep=False)
    copies = copies_in({n: value for n, value in params.items() if not hasattr(value, "__sklearn_clone__")})
    changed = {name: value for name, value in copies.items() if value is not params[name]}
    if not changed:
        return estimator
    stand_in = object.__new__(type(estimator))
    vars(stand_in).update(vars(estimator), _routed_params=dict(estimator._routed_params))
    for name, value in changed.items():
        setattr(stand_in, name, _Clone(value))
    return stand_in


# What scikit-learn keeps on an estimator during a fit. The copies that callbacks get, and
# may keep and fit again, are of their own.
_OF_A_RUNNING_FIT = {"_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown"}


class PacksStateMixin(PacksItself):
    """Clone, copy and pickle an estimator with parts of Keras; stands before `BaseEstimator` in the bases."""

    def __sklearn_clone__(self):
        # scikit-learn copies parameters by copy.deepcopy, which Keras answers by configuration.
        return BaseEstimator.__sklearn_clone__(_with_parameters_copied(self))

    def __getstate__(self):
        state = super().__getstate__()
        return _packed({name: value for name, value in state.items() if name not in _OF_A_RUNNING_FIT})

    def __setstate__(self, state):
        super().__setstate__(_unpacked_state(state))
