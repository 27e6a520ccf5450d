"""Whether the compiled engine can be used with the Keras and TensorFlow that are installed.

It needs private names of both, which may be gone in another version, or mean something else.
Then ``keras.Model.fit`` trains.
"""

import threading

import numpy as np

from skdl._backend import keras, private, tf
from skdl._engine._program import Pass, training_variables
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
        ours, keras_own = _trained(by_program=True), _trained(by_program=False)
    except Exception as error:
        return f"training a linear model raised {type(error).__name__}: {error}"
    precise = keras.config.floatx() in ("float32", "float64")
    if not np.allclose(ours, keras_own, rtol=1e-4 if precise else 0.05):
        return f"a linear model was trained to {ours}, and by Keras to {keras_own}"
    return None


def _releases():
    return tuple(".".join(version.split(".")[:2]) for version in (keras.version(), tf.__version__))


def _trained(*, by_program):
    """Return weight and intercept of a linear model, trained by a program or by Keras."""
    # All with names, or the names of the user's models would have other numbers.
    layer = keras.layers.Dense(1, kernel_initializer="zeros", name="probe_dense")
    model = keras.Sequential([keras.Input((1,), name="probe_input"), layer], name="probe")
    loss = keras.losses.MeanSquaredError(name="probe_loss")
    model.compile(keras.optimizers.SGD(0.125, name="probe_sgd"), loss)
    x, order = np.array([[-1.0], [0.0], [0.5], [1.0], [2.0]], np.float32), [0, 1, 2, 3, 4, 4, 2, 0, 3, 1]
    data = tensors((x, 3 * x + 1))
    private.build_all(model, data)
    if by_program:
        training = Pass(model, "train_step", Layout(data), training_variables(model))
        training.run(np.array(order, np.int32), 2, data)
    else:
        for start in range(0, len(order), 2):
            rows = x[order[start : start + 2]]
            model.train_on_batch(rows, 3 * rows + 1)
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()])
