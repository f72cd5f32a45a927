from dataclasses import replace

import cv2
import numpy as np
import pytest

from digitlens.datasets.synthetic.strokes import (
    FORMS,
    LETTERS,
    SIDE,
    Pen,
    draw_digit,
    draw_form,
    draw_pen,
)

STEADY = Pen(forms=(0,) * 10, width=4, jitter=0, aspect=0.7, straight=False, gaps=0)
PENS = {
    "hairline": replace(STEADY, width=1.5, jitter=4, aspect=0.45),
    "marker": replace(STEADY, width=20, jitter=4, aspect=0.95),
    "straight": replace(STEADY, straight=True, jitter=2),
    "dry": replace(STEADY, gaps=0.08, jitter=2),
}
ALL_FORMS = [(value, form) for value, forms in enumerate(FORMS) for form in range(len(forms))]


def holes(ink: np.ndarray) -> int:
    count, _ = cv2.connectedComponents((ink < 100).astype(np.uint8), connectivity=4)
    return count - 2  # less the outside, and the ink, which cv2 counts as well


def test_each_digit_has_forms_within_its_frame():
    assert len(FORMS) == 10
    for forms in FORMS:
        assert len(forms) >= 2
        points = np.concatenate([stroke for form in forms for stroke in form])
        assert points.min() >= 0
        assert points.max() <= 1
        assert all(len(stroke) >= 2 for form in forms for stroke in form)


@pytest.mark.parametrize("pen", PENS.values(), ids=PENS)
@pytest.mark.parametrize(("value", "form"), ALL_FORMS)
def test_each_form_is_drawn_within_the_square(value, form, pen):
    for seed in range(3):
        ink = draw_form(FORMS[value][form], pen, np.random.default_rng(seed))
        assert ink.shape == (SIDE, SIDE)
        assert ink.dtype == np.uint8
        rows, columns = np.nonzero(ink > 100)
        assert np.ptp(rows) > SIDE / 2
        assert np.ptp(columns) > 0
        edges = (ink[0], ink[-1], ink[:, 0], ink[:, -1])
        assert not any(edge.any() for edge in edges)


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [(0, 0, 1), (0, 2, 2), (1, 1, 0), (4, 0, 0), (4, 1, 1), (8, 0, 2)],
)
def test_rings_close_and_open_forms_stay_open(value, form, expected, rng):
    assert holes(draw_form(FORMS[value][form], STEADY, rng)) == expected


def test_a_pen_keeps_to_its_form_most_of_the_time(rng):
    pen = replace(STEADY, forms=(0, 4, *(0,) * 8))
    usual = draw_form(FORMS[1][4], pen, rng) > 100
    inks = [draw_digit(1, pen, np.random.default_rng(seed)) > 100 for seed in range(40)]
    alike = [(ink & usual).sum() / (ink | usual).sum() > 0.8 for ink in inks]
    assert 24 <= sum(alike) < 40


def test_a_broad_pen_leaves_more_ink_and_a_dry_one_less():
    def ink(pen: Pen) -> int:
        return int(draw_form(FORMS[2][0], pen, np.random.default_rng(3)).sum(dtype=np.int64))

    assert ink(replace(STEADY, width=12)) > 2 * ink(STEADY)
    assert ink(replace(STEADY, gaps=0.08)) < ink(STEADY)


def test_pens_are_of_any_width_and_the_same_from_the_same_generator():
    first, again = (np.random.default_rng(7) for _ in range(2))
    pen = draw_pen(first)
    assert pen == draw_pen(again)
    assert (draw_digit(5, pen, first) == draw_digit(5, pen, again)).all()
    pens = [draw_pen(np.random.default_rng(seed)) for seed in range(200)]
    assert min(pen.width for pen in pens) < 2
    assert max(pen.width for pen in pens) > 17
    assert {pen.forms[7] for pen in pens} == set(range(len(FORMS[7])))


@pytest.mark.parametrize("char", LETTERS)
def test_each_letter_is_drawn_within_the_square(char):
    strokes = LETTERS[char]
    points = np.concatenate(strokes)
    assert all(len(stroke) >= 2 for stroke in strokes)
    assert points.min() >= 0
    assert points.max() <= 1.25
    rng = np.random.default_rng(3)
    ink = draw_form(strokes, draw_pen(rng), rng)
    assert ink.shape == (SIDE, SIDE)
    assert ink.any()
