"""Pages drawn for the tests, by the hand that drew the example pictures."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def examples():
    """The folder of example pictures."""
    return EXAMPLES


@pytest.fixture(scope="session")
def write():
    """Writes digits: float[height, width], 1 where there is ink."""
    specification = importlib.util.spec_from_file_location(
        "examples", EXAMPLES / "make_examples.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    def write(text, x=60, y=40, height=120, pen=10, size=(600, 220), seed=0):
        hand = module.Hand(*size, seed)
        hand.write(text, x, y, height, pen)
        return np.asarray(hand.ink())

    return write


@pytest.fixture
def grain():
    """Noise of a camera on a page: uint8, clipped."""
    random = np.random.default_rng(0)

    def grain(page, deviation=3.0):
        return np.clip(page + random.normal(0, deviation, page.shape), 0, 255).astype(np.uint8)

    return grain
