"""diagnose: on real trainings made to go wrong, and on good ones; on curves at the thresholds."""

import pickle
import re

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import scale

from skdl import Diagnosis, DNNClassifier, DNNRegressor, diagnose

SEEDS = range(10)


def _cancer(seed):
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


def _diabetes(seed):
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def _iris(seed):
    X, y = load_iris(return_X_y=True)
    return scale(X), y


def _noise(seed):
    """Labels that have nothing to do with the features: all that is learnt is over-fitted."""
    rng = np.random.RandomState(seed)
    return rng.normal(size=(120, 20)), rng.randint(2, size=120)


# How training was made to go wrong, or well: estimator, data, the finding that must be there (None for
# a good fit). One step an epoch, so that the ten seeds are quick.
FULL_BATCH = {"batch_size": -1, "validation_split": 0.3}
TRAININGS = {
    "learning rate too small": (
        DNNClassifier((16,), learning_rate=5e-3, epochs=8, **FULL_BATCH),
        _cancer,
        "still-improving",
    ),
    "noise learnt by heart": (
        DNNClassifier((64,), learning_rate=3e-2, epochs=20, **FULL_BATCH),
        _noise,
        "overfitting",
    ),
    "learning rate far too large": (
        DNNClassifier((16,), learning_rate=1.0, epochs=25, batch_size=-1),
        _iris,
        "jagged",
    ),
    "steps that overshoot": (
        DNNRegressor((), optimizer="sgd", learning_rate=0.5, epochs=6, batch_size=-1),
        _diabetes,
        "diverging",
    ),
    "steps to infinity": (
        DNNRegressor((8,), optimizer="sgd", learning_rate=500.0, epochs=5, batch_size=-1),
        _diabetes,
        "not-finite",
    ),
    "learning rate of nothing": (
        DNNClassifier((16,), learning_rate=1e-6, epochs=6, batch_size=-1),
        _cancer,
        "flat",
    ),
    "good classifier": (
        DNNClassifier((8,), learning_rate=3e-2, epochs=120, l2_regularization=0.01, **FULL_BATCH),
        _cancer,
        None,
    ),
    "good regressor": (
        DNNRegressor((), learning_rate=0.05, epochs=80, **FULL_BATCH),
        _diabetes,
        None,
    ),
    "stopped in time": (
        DNNRegressor(
            (32,), learning_rate=3e-2, epochs=60, early_stopping=True, n_iter_no_change=5, **FULL_BATCH
        ),
        _diabetes,
        None,
    ),
}


@pytest.mark.filterwarnings("ignore:The training diverged:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", TRAININGS)
def test_real_trainings(name):
    estimator, data, code = TRAININGS[name]
    for seed in SEEDS:
        fitted = clone(estimator).set_params(random_state=seed).fit(*data(seed))
        diagnosis = diagnose(fitted)
        where = f"{name}, random_state={seed}: {diagnosis}\n{fitted.history_}"
        if code is None:
            assert diagnosis.verdict == "good fit", where
            assert not diagnosis.findings, where
        else:
            assert code in diagnosis.codes, where


def _decay(n_epochs, tau, floor=0.2, height=1.0):
    return floor + height * np.exp(-np.arange(n_epochs) / tau)


def test_good_curve():
    diagnosis = diagnose({"loss": _decay(50, 8), "val_loss": _decay(50, 8, floor=0.22)})
    assert diagnosis.verdict == "good fit"
    assert diagnosis.findings == ()
    assert diagnosis.codes == []
    assert diagnosis.validated
    assert str(diagnosis) == "Good fit (50 epochs)"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("history", "code"),
    [
        ({"loss": np.linspace(1, 0.9, 20)}, "still-improving"),
        ({"loss": _decay(50, 8), "val_loss": np.r_[_decay(20, 8), np.linspace(0.3, 0.9, 30)]}, "overfitting"),
        ({"loss": _decay(50, 8), "val_loss": _decay(50, 8, floor=0.8)}, "gap"),
        ({"loss": _decay(50, 8) + 0.3 * (np.arange(50) % 2)}, "jagged"),
        ({"loss": np.r_[_decay(10, 3), np.linspace(0.3, 3, 10)]}, "diverging"),
        ({"loss": np.full(20, 0.69)}, "flat"),
    ],
)
def test_thresholds_are_relative(history, code, scale):
    history = {name: np.asarray(values) * scale for name, values in history.items()}
    assert diagnose(history).codes == [code]


def test_small_losses_are_left_alone():
    # Twice the loss, and jumps by half: all of it within a hundredth of the first loss.
    loss = np.r_[_decay(20, 2, floor=0.004), 0.004 + 0.002 * (np.arange(30) % 2)]
    val_loss = np.r_[_decay(20, 2, floor=0.01), np.linspace(0.01, 0.02, 30)]
    assert diagnose({"loss": loss, "val_loss": val_loss}).verdict == "good fit"


def test_noise_is_no_finding():
    rng = np.random.RandomState(0)
    for _ in range(100):
        loss = _decay(60, 6) * rng.normal(1, 0.02, size=60)
        val_loss = _decay(60, 6, floor=0.25) * rng.normal(1, 0.03, size=60)
        diagnosis = diagnose({"loss": loss, "val_loss": val_loss})
        assert diagnosis.verdict == "good fit", diagnosis


def test_not_finite_beats_all_and_names_the_epoch():
    diagnosis = diagnose({"loss": [1, 3, 9, 30, 100, 1e3, np.inf, np.nan]})
    assert diagnosis.codes == ["not-finite", "diverging"]
    assert diagnosis.findings[0].evidence == {"from_epoch": 6}
    assert "epoch 7" in str(diagnosis)
    for val_loss in ([1.0, 0.9, np.nan], [np.nan, np.nan, np.nan], [1.0, np.inf, 0.9]):
        assert diagnose({"loss": [1.0, 0.9, 0.8], "val_loss": val_loss}).codes == ["not-finite"]


def test_too_short():
    diagnosis = diagnose({"loss": [0.7, 0.5]})
    assert diagnosis.codes == ["too-short"]
    assert diagnosis.verdict == "too short to judge"


def test_what_follows_an_explosion_may_be_too_short_to_judge():
    assert diagnose({"loss": [900.0, 0.7, 0.6, 0.5, 0.45]}).codes == ["exploded"]


def test_one_validated_epoch_says_nothing_of_a_trend():
    history = {"loss": _decay(8, 2), "val_loss": np.r_[np.full(7, np.nan), 0.1]}
    assert "still-improving" not in diagnose(history).codes


def test_evidence_counts_from_zero_and_text_from_one():
    history = {"loss": _decay(30, 8), "val_loss": np.r_[np.linspace(1, 0.5, 11), np.linspace(0.53, 1.1, 19)]}
    (finding,) = diagnose(history).findings
    assert finding.evidence["from_epoch"] == 10
    assert finding.evidence["best_val_loss"] == 0.5
    assert "From epoch 11 to the end" in finding.detail
    assert "rises from 0.5 to 1.068" in finding.detail
    assert finding.advice in str(finding)


def test_early_stopping_is_judged_at_the_epoch_it_kept():
    rising = np.r_[_decay(20, 6), np.linspace(0.25, 0.6, 15)]
    stub = _Stub({"loss": _decay(35, 6), "val_loss": rising}, best_epoch=19)
    assert diagnose(stub).codes == ["overfitting"]
    stub.early_stopping = True
    assert diagnose(stub).codes == []


def test_epochs_without_validation_are_left_out():
    loss = _decay(60, 8)
    val_loss = np.r_[_decay(20, 8), np.linspace(0.3, 0.9, 40)]
    everywhere = diagnose({"loss": loss, "val_loss": val_loss})
    with_gaps = np.where(np.arange(60) % 3 == 2, val_loss, np.nan)
    gaps = diagnose({"loss": loss, "val_loss": with_gaps})
    # Keras's own history has the validated epochs alone.
    assert diagnose({"loss": loss, "val_loss": val_loss[2::3]}) == gaps
    assert gaps.codes == everywhere.codes == ["overfitting"]
    epoch = gaps.findings[0].evidence["from_epoch"]
    assert epoch == np.nanargmin(with_gaps)
    assert f"From epoch {epoch + 1} to the end" in gaps.findings[0].detail
    assert gaps.validated


def _numbers(text):
    return [float(number) for number in re.findall(r"-?\d+\.\d+", text)]


def test_the_numbers_of_a_sentence_agree():
    # A slow fall, whose numbers differ in their third digit.
    loss = np.r_[0.643, 0.6435, np.linspace(0.642, 0.639, 8)]
    (finding,) = diagnose({"loss": 100 * loss - 60}).findings
    assert finding.code == "still-improving"
    first, last, before = _numbers(finding.detail)
    assert first > before > last
    drop = finding.evidence["recent_drop"]
    assert before - last == pytest.approx(drop, rel=0.1)


def test_an_explosion_in_the_first_epochs_is_found_and_hides_nothing():
    calm = _decay(40, 6)
    for start in ([900.0, 12.0], [2.0, 900.0], [900.0]):
        history = {"loss": np.r_[start, calm], "val_loss": np.r_[start, calm + 0.02]}
        diagnosis = diagnose(history)
        assert diagnosis.codes == ["exploded"], diagnosis
        evidence = diagnosis.findings[0].evidence
        assert evidence["peak_loss"] == 900
        assert evidence["until_epoch"] == len(start)
    stuck = diagnose({"loss": np.r_[900.0, np.full(30, 0.69)]})
    assert stuck.codes == ["exploded", "flat"]
    assert "0.69 at epoch 2" in stuck.findings[1].detail
    rising = np.r_[900.0, _decay(20, 4), np.linspace(0.3, 0.9, 20)]
    over = diagnose({"loss": np.r_[900.0, calm], "val_loss": rising})
    assert over.codes == ["exploded", "overfitting"]
    assert over.findings[1].evidence["from_epoch"] == np.argmin(rising)


def test_a_quick_start_is_no_explosion():
    assert diagnose({"loss": np.r_[2.3, 0.5, 0.3, 0.25, np.full(20, 0.24)]}).verdict == "good fit"


def test_text_of_a_diagnosis():
    diagnosis = diagnose({"loss": np.linspace(1, 0.9, 20)})
    assert isinstance(diagnosis, Diagnosis)
    assert repr(diagnosis) == (
        "Diagnosis(verdict='still improving at the end', codes=['still-improving'], n_epochs=20)"
    )
    text = str(diagnosis)
    for part in ("Still improving at the end", "20 epochs", "Try: more epochs", "hold rows out"):
        assert part in text
    assert pickle.loads(pickle.dumps(diagnosis)) == diagnosis


class _Stub(BaseEstimator):
    """What has a history, as far as diagnose looks."""

    early_stopping = False

    def __init__(self, history=None, best_epoch=None):
        self.history = None
        self.history_ = history
        self.best_epoch_ = best_epoch

    def fit(self, X, y):
        return self


def test_what_can_be_diagnosed():
    history = {"loss": list(np.linspace(1, 0.9, 20))}
    expected = diagnose(history)
    fitted = _Stub(history)
    keras_history = type("History", (), {"history": history})()
    search = GridSearchCV(fitted, {})
    search.best_estimator_ = make_pipeline("passthrough", fitted)
    wrapped = TransformedTargetRegressor(fitted)
    wrapped.regressor_ = fitted
    for source in (fitted, keras_history, make_pipeline("passthrough", fitted), search, wrapped):
        assert diagnose(source) == expected


@pytest.mark.parametrize(
    ("source", "error", "match"),
    [
        (DNNClassifier(), NotFittedError, "DNNClassifier has no history_.*Call fit first"),
        (make_pipeline("passthrough", DNNClassifier()), NotFittedError, r"in this Pipeline.*no history_"),
        (LogisticRegression(), NotFittedError, "LogisticRegression has no history_"),
        (7, TypeError, "Expected a fitted estimator.*got int"),
        ({"accuracy": [1, 2]}, ValueError, r"needs the key 'loss'.*it has \['accuracy'\]"),
        ({"loss": []}, ValueError, "empty"),
        ({"loss": [1, 2], "accuracy": [1]}, ValueError, r"one length.*'accuracy': 1"),
        ({"loss": [1] * 9, "val_loss": [1] * 5}, ValueError, "9 epochs and 5 validation losses.*with NaN"),
    ],
)
def test_what_can_not_be_diagnosed(source, error, match):
    with pytest.raises(error, match=match):
        diagnose(source)


def test_search_without_refit():
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, refit=False).fit(*_iris(0))
    with pytest.raises(ValueError, match="refit=False"):
        diagnose(search)
