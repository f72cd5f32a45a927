"""What tests of pictures share: figures that tell what they show, and a digit to explain."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import evaluate
from digitlens.explain.evidence import Counterfactual
from digitlens.explain.explanation import Attributions, DigitExplanation, Neighbour, SimilarDigits
from digitlens.results import Box, Digit
from digitlens.visualization import theme as style

LABELS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 6, np.uint8)
MISREAD = {4: 9, 14: 9, 24: 6, 7: 1}  # index → read as


@pytest.fixture(scope="session")
def tiles():
    """Sixty tiles of noise."""
    return np.random.default_rng(0).integers(0, 256, (len(LABELS), 28, 28), dtype=np.uint8)


@pytest.fixture(scope="session")
def reported(tiles):
    """A report on them, with those misread that are given with what they are read as."""

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
    """A training of three epochs, of which the second validates best."""
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
    """What is written into axes."""
    return lambda axes: [text.get_text() for text in axes.texts if text.get_text()]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were made, in order."""
    made = []

    class Kept(Figure):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(style, "Figure", Kept)
    return made


@pytest.fixture
def account():
    """Makes what is known of an explained digit: an upright stroke, taken for a 4."""
    return _account


def _account(number=1, status="digit"):
    tile = np.zeros((28, 28), np.uint8)
    tile[4:24, 12:16] = 255
    own = np.full(10, 0.02)
    own[4] = 0.82
    reason = "" if status == "digit" else "50 % sure, <could> be 9"
    digit = Digit(4, 0.9, tuple(own.tolist()), Box(10, 20, 40, 80), status, reason)
    ones = tuple(Neighbour(k, 4 + 5 * (k % 2), 0.25, tile) for k in range(8))
    evidence = np.zeros((28, 28), np.float32)
    evidence[5, 13], evidence[20, 20] = 2, -2
    found = (
        Counterfactual("erase", 3, (4, 12), 0.1, 9, 0.7, tile),
        Counterfactual("turn", -12, None, 0.0, 7, 0.6, tile),
    )
    reasons = None if status == "rejected" else Attributions(evidence, evidence, found)
    scores = np.stack([own] * 3)
    alike = SimilarDigits(ones, ones[::2], ones[1::2], 0.3, 1000)
    seen, exists = (True, True), (0.8, 0.9, 0.95)
    return DigitExplanation(number, digit, tile, scores, exists, seen, "4", 9, reasons, alike)
