"""What holds in every test."""

import gc
import signal

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

# Searched for doctests it would be a second module of this name, beside that of the guide.
collect_ignore = ["conftest.py"]


@pytest.fixture(autouse=True, scope="session")
def interrupts_are_heard():
    """Let interrupts from the keyboard arrive where a shell runs the tests in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def imported_modules_are_no_garbage():
    """Leave what the imports made out of Python's searches for garbage, which each trace causes some of."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def cancer():
    """Scaled breast cancer data: 569 rows with 30 features; some modules have a part of their own."""
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y
