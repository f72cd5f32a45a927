import numpy as np
import pytest


@pytest.fixture(scope="package")
def tiles():
    """Twenty tiles with one slanted stroke each, of different place and darkness."""
    rng = np.random.default_rng(5)
    drawn = np.zeros((20, 28, 28), np.uint8)
    for tile in drawn:
        column = rng.integers(9, 16)
        for row in range(5, 23):
            tile[row, column + row // 8 : column + row // 8 + 3] = rng.integers(120, 256)
    return drawn
