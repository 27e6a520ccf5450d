"""What the guide's code needs when the tests run it."""

import pytest


@pytest.fixture(autouse=True)
def _close_figures():
    """Close the figures that a page leaves open, as a notebook does."""
    yield
    from matplotlib import pyplot as plt

    plt.close("all")
