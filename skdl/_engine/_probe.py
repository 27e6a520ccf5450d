"""Whether the compiled engine can be used with the Keras and TensorFlow that are installed.

It needs private names of both, which may be gone in another version, or mean something else.
Then ``keras.Model.fit`` trains.
"""

import threading

import numpy as np

from skdl._backend import keras, private, tf
from skdl._engine._loop import Pass, training_variables
from skdl._engine._tensors import Layout, tensors
from skdl._warnings import warn

# Releases of Keras and TensorFlow with which the tests run.
TESTED = {("3.15", "2.21")}

_lock = threading.Lock()
_UNKNOWN = object()
_verdict, _told = _UNKNOWN, False


def why_unusable():
    """Return why the compiled engine can't be used in this process, or None.

    Found out once. With other releases than those that the tests run with, a small model is
    trained, and the result compared with NumPy's.

    Returns
    -------
    str or None
    """
    global _verdict
    if _verdict is _UNKNOWN:
        # Not under a lock, since training takes others. Two threads come to the same result.
        reason = _find_reason()
        _verdict = None if reason is None else unavailable(reason)
    return _verdict


def unavailable(reason):
    """Return why Keras trains instead, and warn of it the first time.

    Parameters
    ----------
    reason : str or Exception

    Returns
    -------
    str
    """
    global _told
    versions = f"Keras {keras.version()} and TensorFlow {tf.__version__}"
    reason = f"the compiled engine does not work with {versions} ({reason})"
    with _lock:
        first, _told = not _told, True
    if first:
        tested = " or ".join(f"Keras {ours}.* with TensorFlow {tfs}.*" for ours, tfs in sorted(TESTED))
        warn(
            f"{reason[0].upper()}{reason[1:]}, so keras.Model.fit trains, which gives the same results more "
            f"slowly. Install {tested}, or a newer version of skdl.",
        )
    return reason


def _find_reason():
    if _releases() in TESTED:
        return None
    try:
        trained, expected = _trained(), _expected()
    except Exception as error:
        return f"training a linear model raised {type(error).__name__}: {error}"
    precise = keras.config.floatx() in ("float32", "float64")
    if not np.allclose(trained, expected, rtol=1e-4 if precise else 0.05):
        return f"a linear model was trained to {trained}, not to {expected}"
    return None


def _releases():
    return tuple(".".join(version.split(".")[:2]) for version in (keras.version(), tf.__version__))


# A linear model with one weight and one intercept, five rows in batches of two, two epochs.
_X = np.array([[-1.0], [0.0], [0.5], [1.0], [2.0]], np.float32)
_Y = 3 * _X + 1
_ORDERS = np.array([[0, 1, 2, 3, 4], [4, 2, 0, 3, 1]], np.int32)
_RATE = 0.125


def _trained():
    """Return losses, weight and intercept of the model, trained by a program."""
    # All with names, or the names of the user's models would have other numbers.
    model = keras.Sequential(
        [
            keras.Input((1,), name="probe_input"),
            keras.layers.Dense(1, kernel_initializer="zeros", name="probe_dense"),
        ],
        name="probe",
    )
    model.compile(
        keras.optimizers.SGD(_RATE, name="probe_sgd"), keras.losses.MeanSquaredError(name="probe_loss")
    )
    data = tensors((_X, _Y))
    private.build_all(model, data)
    training = Pass(model, "train_step", Layout(data), training_variables(model))
    losses = []
    for order in _ORDERS:
        model.reset_metrics()
        _, last = training.run(order, 2, data)
        losses.append(float(training.logs(model, last)["loss"]))
    return np.concatenate([losses, *(np.ravel(w) for w in model.get_weights())])


def _expected():
    """Return the same, computed by NumPy."""
    weight, intercept, losses = 0.0, 0.0, []
    for order in _ORDERS:
        squares = []
        for start in range(0, len(order), 2):
            x, y = _X[order[start : start + 2], 0], _Y[order[start : start + 2], 0]
            error = weight * x + intercept - y
            squares.extend(error**2)
            weight -= _RATE * 2 * np.mean(error * x)
            intercept -= _RATE * 2 * np.mean(error)
        losses.append(np.mean(squares))
    return np.array([*losses, weight, intercept])
