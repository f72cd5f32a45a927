"""Fixtures of the visualization tests: tiles, reports, and the figures that were drawn."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import evaluate
from digitlens.visualization import theme as style

LABELS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 6, np.uint8)
MISREAD = {4: 9, 14: 9, 24: 6, 7: 1}  # index → read as


@pytest.fixture(scope="session")
def tiles():
    """Sixty tiles of noise."""
    return np.random.default_rng(0).integers(0, 256, (len(LABELS), 28, 28), dtype=np.uint8)


@pytest.fixture(scope="session")
def reported(tiles):
    """Makes a report on the tiles from a dict of the misread ones: index → read as."""

    def make(misread):
        read = LABELS.copy()
        read[list(misread)] = list(misread.values())
        confidence = np.linspace(0.55, 0.95, len(LABELS))
        answer = np.repeat((1 - confidence[:, None]) / 9, 10, axis=1)
        answer[np.arange(len(LABELS)), read] = confidence
        return evaluate(lambda _: answer.astype(np.float32), Split(tiles, LABELS))

    return make


@pytest.fixture(scope="session")
def report(reported):
    """Four of sixty read wrong: two fours as nine, one as six, a seven as one."""
    return reported(MISREAD)


@pytest.fixture(scope="session")
def history():
    """History of three epochs; the second has the lowest validation loss."""
    return [
        {
            "epoch": epoch,
            "train_loss": 0.5 / epoch,
            "val_loss": loss,
            "train_accuracy": 0.9,
            "val_accuracy": 0.95,
            "learning_rate": 0.001,
            "images_per_second": 1000.0,
            "seconds": 1.0,
        }
        for epoch, loss in enumerate([0.4, 0.2, 0.3], start=1)
    ]


@pytest.fixture
def texts():
    """Returns the texts drawn in given axes."""
    return lambda axes: [text.get_text() for text in axes.texts if text.get_text()]


@pytest.fixture
def drawn(monkeypatch):
    """The figures created so far, in order."""
    made = []

    class Kept(Figure):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(style, "Figure", Kept)
    return made
