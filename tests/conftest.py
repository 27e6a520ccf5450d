"""What holds in every test."""

import signal
import sys

import pytest

# Searched for doctests it would be a second module of this name, beside that of the guide.
collect_ignore = ["conftest.py"]


@pytest.fixture(autouse=True, scope="session")
def interrupts_are_heard():
    """Let interrupts from the keyboard arrive where a shell runs the tests in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def quick_keys_tell_the_truth(monkeypatch):
    """Trace wherever a program is found by its quick key, and compare the graphs.

    For the first model that finds a program of another one, in each process.
    """
    if "skdl._engine" not in sys.modules:  # a test without any training
        return
    from skdl._backend import private, seeded
    from skdl._engine import _store

    find = _store.find

    def checked(key, build, *, kind, seed):
        known = None if key is None else _store.get(key)
        program = find(key, build, kind=kind, seed=seed)
        if known is not None and key not in _checked:
            _checked.add(key)
            with (
                seeded(seed, user_code=False),
                private.short_call_stacks(),
                private.without_reduced_gradients(),
            ):
                assert build().digest == known.digest, "equal quick keys, but other graphs"
        return program

    monkeypatch.setattr(_store, "find", checked)


_checked = set()
