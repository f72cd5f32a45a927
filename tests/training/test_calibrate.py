"""Fitting the fusion of a line reader on pictures with known digits."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from digitlens.datasets.mnist import Split, load_writers, writer_split
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.reading.fusion import Scores
from digitlens.training import calibrate
from digitlens.training.calibrate import (
    CLUTTER,
    IGNORED,
    LONE,
    PLAIN,
    SIDES,
    Drawers,
    Example,
    FoundPlaces,
    answers,
    fit_fusion,
    true_digits,
    writer_halves,
)
from digitlens.training.recipe import HELD_OUT


def drawn(view_of, values, seen, start=10.0):
    """Returns a view of adjacent digits read as ``seen``, and an example with ``values``."""
    boxes = [[start + 14 * i, 10, start + 10 + 14 * i, 30] for i in range(len(seen))]
    chances = np.full((len(seen), 10), 0.02, np.float32)
    chances[np.arange(len(seen)), seen] = 0.82
    view = view_of(boxes, [0.9] * len(seen), chances)
    there = np.array(boxes[: len(values)], np.float32).reshape(-1, 4)
    return view, Example(np.zeros((40, 200, 3), np.uint8), np.array(values, np.int8), there)


@pytest.mark.parametrize(
    ("there", "read", "boxed", "truth"),
    [
        ([1, 2, 3], [1, 2, 8], True, [1, 2, 3]),
        ([1, 2], [1, 2, 7], True, [1, 2, -1]),
        ([4, 6], [4, 5, 6], False, [4, -1, 6]),
        ([], [], True, []),
    ],
    ids=["misread", "one beside all", "aligned by what is read", "empty"],
)
def test_each_place_gets_the_digit_at_its_position(view_of, there, read, boxed, truth):
    view, example = drawn(view_of, there, read)
    found, counts = true_digits(view, example if boxed else example._replace(boxes=None))
    assert found.tolist() == truth
    assert counts.all()


def test_truth_needs_overlap_and_optional_digits_do_not_count(view_of):
    view, example = drawn(view_of, [1, 2, 3], [1, 2, 3])
    for lower, truth in ((10, [1, 2, 3]), (15, [-1, -1, -1])):  # relative to the detected line
        moved = example.boxes + np.array([0, lower, 0, lower], np.float32)
        assert true_digits(view, example._replace(boxes=moved))[0].tolist() == truth
    view, example = drawn(view_of, [1, IGNORED, 3], [1, 2, 3])
    truth, counts = true_digits(view, example)
    assert truth[[0, 2]].tolist() == [1, 3]
    assert counts.tolist() == [True, False, True]


def test_fit_separates_sure_places_from_doubtful_ones(view_of):
    random = np.random.default_rng(0)
    scores: list[Scores] = []
    truth = []
    for _ in range(150):
        values = random.integers(0, 10, 3)
        sure = random.random(3) < 0.7
        seen = np.where(sure, values, random.integers(0, 10, 3))
        chances = np.full((3, 10), 0.02, np.float32)
        chances[np.arange(3), seen] = np.where(sure, 0.82, 0.4)
        boxes = [[14 * i, 0, 14 * i + 10, 20] for i in range(3)]
        scores.append(view_of(boxes, np.where(sure, 0.9, 0.3), chances).scores)
        truth.append(np.where(sure, values, -1).astype(np.int8))
    finds = FoundPlaces(scores, truth, [3] * len(scores))
    fusion = fit_fusion(finds, steps=300)
    confidence, right = answers(fusion, finds)
    assert confidence[right].mean() > confidence[~right].mean() + 0.5
    exists = fusion.fuse(Scores.joined(scores)).existence
    assert exists[np.concatenate(truth) >= 0].min() > exists[np.concatenate(truth) < 0].max()
    assert sum(part.total for part in (finds.part(0, 2), finds.part(1, 2))) == finds.total


def test_measured_half_has_the_same_distribution_as_the_fitted_one(monkeypatch):
    asked = []

    def draw(_, **choices):
        asked.append(choices)
        drawing = {"pixels": np.zeros((48, 40, 3), np.uint8), "text": "7"}
        return SimpleNamespace(**drawing, values=np.zeros(0), boxes=np.zeros((0, 4)))

    for maker in ("LineMaker", "PageMaker", "DocumentMaker"):
        made = SimpleNamespace(line=draw, page=draw, document=draw)
        monkeypatch.setattr(calibrate, maker, lambda *_, made=made: made)
    pictures = Drawers(
        Split(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8)), Fonts((), ()), 0
    )
    for kind, name, among in (
        ("lines", "kind", LONE),
        ("pages", "kind", PLAIN),
        ("pages", "side", SIDES),
        ("clutter", "kind", CLUTTER),
    ):
        asked.clear()
        for number in range(600):
            pictures.draw(kind, number)
        fitted, measured = (Counter(each[name] for each in asked[half::2]) for half in (0, 1))
        assert {*among} <= {*fitted}
        assert all(measured[each] == pytest.approx(fitted[each], abs=32) for each in fitted)


def test_halves_share_no_writer_and_cover_all_held_out_ones():
    writer, series, *_ = load_writers()
    first, second = writer_halves()
    assert len(first) == pytest.approx(len(second), rel=0.2)
    assert not {*writer[first]} & {*writer[second]}
    both = np.union1d(first, second)
    assert both.tolist() == np.flatnonzero(writer_split(writer, series, HELD_OUT, 0)).tolist()
    assert not {*writer[both]} & {*np.delete(writer, both)}
