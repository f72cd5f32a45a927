"""The digit spotter learns positions of digits from a recogniser and is exported as a graph."""

import dataclasses
import shutil

import numpy as np
import pytest

from digitlens.alphabet import CLASS_OF, CLASSES
from digitlens.errors import ModelError
from digitlens.models.bundle import (
    SHIPPED_LINES,
    SPOTTER,
    load_line_bundle,
    load_line_card,
    write_line_card,
)
from digitlens.models.networks import DigitSpotter
from digitlens.training.spotter import (
    KINDS,
    Spotted,
    spotted_lines,
    spotting_scores,
    train_spotter,
    write_spotter,
)

pytestmark = pytest.mark.train


def _line(number):
    """Draws a line whose dark bars are digits and whose gray bars are letters."""
    rng = np.random.default_rng(number)
    steps = int(rng.integers(6, 10))
    pixels = np.full((48, 8 * steps, 3), 220, np.uint8)
    digit = rng.random(steps) < 0.3
    pixels[10:40] = np.repeat(np.where(digit, 20, 180), 8)[None, :, None]
    return Spotted(pixels, np.stack([digit, ~digit], axis=1).astype(np.float32))


@pytest.fixture(scope="module")
def lines():
    return [_line(number) for number in range(60)]


@pytest.fixture(scope="module")
def network(lines):
    return train_spotter(lines, 40)


def test_spotter_learns_and_is_determined_by_the_seed(network, lines):
    untrained = spotting_scores(train_spotter(lines, 1), lines)
    scores = spotting_scores(network, lines)
    assert scores["found"] > 0.9
    assert scores["found"] - scores["wrong"] > untrained["found"] - untrained["wrong"]
    first, second = (train_spotter(lines, 2, seed=3).state_dict() for _ in range(2))
    assert all(first[name].equal(second[name]) for name in first)


def test_spotter_is_written_to_a_line_reader_but_optional(network, lines, tmp_path):
    folder = shutil.copytree(SHIPPED_LINES, tmp_path / "lines")
    write_spotter(folder, network, [line.pixels for line in lines[:5]])
    graph = load_line_bundle(folder).spotter
    assert graph == (folder / SPOTTER).read_bytes()
    (spots,) = DigitSpotter(graph).spots([lines[0].pixels[None]])
    assert spots.shape == (1, len(lines[0].steps), 2)
    assert ((spots > 0) & (spots < 1)).all()
    (folder / SPOTTER).write_bytes(b"damaged")
    with pytest.raises(ModelError, match="SHA-256"):
        load_line_bundle(folder)
    write_line_card(folder, dataclasses.replace(load_line_card(folder), spotter_sha256=""))
    assert load_line_bundle(folder).spotter is None


def test_labels_of_lines_come_from_the_recogniser():
    class Maker:
        def line(self, number, *, kind):
            assert kind in KINDS
            return Spotted(np.full((48, 32, 3), number % 256, np.uint8), None)

    class Recogniser:
        def posteriors(self, batches):
            said = np.zeros((1, batches[0].shape[2] // 8, CLASSES), np.float32)
            said[0, 1, CLASS_OF["7"]], said[0, 2, CLASS_OF[" "]] = 0.9, 0.8
            return [said]

    assert sum(KINDS.values()) == pytest.approx(1)
    (line,) = spotted_lines(Maker(), Recogniser(), 1, seed=0)
    assert line.steps == pytest.approx(np.array([[0, 0], [0.9, 0], [0, 0.8], [0, 0]]))
