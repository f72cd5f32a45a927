from typing import NamedTuple

import numpy as np
import pytest

from digitlens.evaluation.pages import calibrated, collect, summary
from digitlens.evaluation.votes import Votes


class Page(NamedTuple):
    pixels: np.ndarray
    boxes: np.ndarray
    values: np.ndarray


PIXELS = np.zeros((50, 100, 3), np.uint8)
PAGE = Page(
    PIXELS,
    np.array([[0, 0, 10, 20], [20, 0, 30, 20], [40, 0, 50, 20]], np.float32),
    np.array([3, 7, -1], np.int8),
)


def chances(*values):
    return np.eye(10, dtype=np.float32)[list(values)] * 0.9 + 0.01


def found(boxes, existence, values):
    names = np.repeat(chances(*values)[:, None], 3, axis=1)
    score, around = np.array(existence, np.float32), np.array(boxes, np.float32)
    return Votes(score, score, names, around)


def test_each_digit_is_given_to_the_surest_find_that_overlaps_it():
    boxes = [[0, 0, 10, 20], [1, 0, 11, 20], [70, 0, 80, 20], [40, 1, 50, 20]]
    finds = collect(lambda _: found(boxes, [0.5, 0.9, 0.8, 0.7], [3, 3, 1, 5]), [PAGE])
    # The first is a double of the second, the third is on paper, the fourth does not count.
    assert finds.truth.tolist() == [-1, 3, -1]
    assert np.allclose(finds.votes[0].existence, [0.5, 0.9, 0.8])
    assert (finds.total, len(finds.votes)) == (2, 1)


def test_pages_without_digits_make_every_find_false():
    empty = Page(PIXELS, np.zeros((0, 4), np.float32), np.zeros(0, np.int8))
    finds = collect(lambda _: found([[0, 0, 9, 9]], [0.6], [2]), [empty])
    assert finds.truth.tolist() == [-1]


def test_calibration_comes_from_some_pages_and_the_curve_from_others():
    rng = np.random.default_rng(0)
    raw = rng.random(4000).astype(np.float32)
    right = rng.random(4000) < raw**2
    calibration, risk = calibrated(
        (raw[:2000], right[:2000]), (raw[2000:], right[2000:]), total=2500
    )
    assert calibration.apply(np.array([0.5], np.float32))[0] == pytest.approx(0.25, abs=0.08)
    assert risk.total == 2500


def test_summary_counts_what_is_stated():
    boxes = [[0, 0, 10, 20], [20, 0, 30, 20], [70, 0, 80, 20]]
    finds = collect(lambda _: found(boxes, [0.9, 0.8, 0.7], [3, 1, 4]), [PAGE])
    right = np.array([True, False, False])
    told = summary(finds, np.array([0.995, 0.6, 0.2], np.float32), right)
    assert (told["recall"], told["precision"], told["value_accuracy"]) == (0.5, 0.5, 0.5)
    assert (told["stated_99"], told["right_99"], told["false_finds_per_page"]) == (1, 1.0, 0.0)
