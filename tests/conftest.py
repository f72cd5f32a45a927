"""What several test folders need: the real MNIST, and a small drawn stand-in for it."""

import contextlib
import functools
import signal

import numpy as np
import pytest

from digitlens.data.mnist import Mnist, Split, load_mnist

with contextlib.suppress(ModuleNotFoundError):  # the core environment has no hypothesis
    from hypothesis import settings

    settings.load_profile("ci")  # the same examples each time, and no time limit for one

# torch reads the source of its 500 ONNX functions anew for each export: 1.1 of 2.6 s, sixty times.
with contextlib.suppress(ImportError, AttributeError):
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))

# Seven-segment digits on a 28 x 28 tile: (rows, columns) of each segment, and who lights which.
SEGMENTS = {
    "top": (slice(4, 7), slice(9, 19)),
    "middle": (slice(13, 16), slice(9, 19)),
    "bottom": (slice(21, 24), slice(9, 19)),
    "upper left": (slice(4, 15), slice(8, 11)),
    "upper right": (slice(4, 15), slice(17, 20)),
    "lower left": (slice(13, 24), slice(8, 11)),
    "lower right": (slice(13, 24), slice(17, 20)),
}
UNLIT = {
    0: ["middle"],
    1: ["top", "middle", "bottom", "upper left", "lower left"],
    2: ["upper left", "lower right"],
    3: ["upper left", "lower left"],
    4: ["top", "bottom", "lower left"],
    5: ["upper right", "lower left"],
    6: ["upper right"],
    7: ["middle", "bottom", "upper left", "lower left"],
    8: [],
    9: ["lower left"],
}


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    """The real data; without it the tests marked ``mnist`` fail, they are not skipped."""
    return load_mnist()


@pytest.fixture(scope="session")
def small_split() -> Split:
    """Forty seven-segment digits of each class, shifted, of different darkness, with noise."""
    random = np.random.default_rng(0)
    labels = np.tile(np.arange(10, dtype=np.uint8), 40)
    return Split(np.stack([_draw(int(label), random) for label in labels]), labels)


def _draw(value: int, random: np.random.Generator) -> np.ndarray:
    tile = np.zeros((28, 28), np.uint8)
    for name, place in SEGMENTS.items():
        if name not in UNLIT[value]:
            tile[place] = random.integers(170, 220)
    shifted = np.roll(tile, random.integers(-2, 3, 2), axis=(0, 1))
    return shifted + random.integers(0, 30, (28, 28), dtype=np.uint8)


@pytest.fixture
def interruptible():
    """Processes that a test starts hear Ctrl-C, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
