"""What holds in every test."""

import signal

import pytest

# Searched for doctests it would be a second module of this name, beside that of the guide.
collect_ignore = ["conftest.py"]


@pytest.fixture(autouse=True, scope="session")
def interrupts_are_heard():
    """Let interrupts from the keyboard arrive where a shell runs the tests in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
