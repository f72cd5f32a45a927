import numpy as np
import pytest

from digitlens.datasets.synthetic.hands import FontHand
from digitlens.datasets.synthetic.sheet import IGNORED, Sheet

BLOCK = np.full((30, 20), 255, np.uint8)


def placed(x: float, y: float, scale: float = 1.0) -> np.ndarray:
    return np.array([[scale, 0, x], [0, scale, y]])


def ink_box(sheet: Sheet, above: int = 70) -> tuple[int, ...]:
    rows, columns = np.nonzero(sheet.ink > above)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_ink_that_is_not_changed_gets_its_exact_box():
    sheet = Sheet(100, 80, np.eye(3))

    sheet.put(BLOCK, placed(12, 7), 4)

    assert sheet.boxes == [(12, 7, 32, 37)]
    assert sheet.values == [4]
    assert (sheet.ink[7:37, 12:32] == 255).all()
    assert np.count_nonzero(sheet.ink) == BLOCK.size


@pytest.mark.parametrize("scale", [0.1, 0.33, 0.7, 1.5, 2.6])
def test_the_box_follows_the_scale(scale: float):
    sheet = Sheet(100, 100, np.eye(3))

    sheet.put(BLOCK, placed(10.3, 11.6, scale), 4)

    expected = (10.3, 11.6, 10.3 + 20 * scale, 11.6 + 30 * scale)
    assert np.abs(np.subtract(sheet.boxes[0], expected)).max() <= 0.75


@pytest.mark.parametrize("value", range(10))
def test_the_box_of_a_digit_is_tight_around_its_ink(font_hand: FontHand, value: int):
    sheet = Sheet(120, 120, np.eye(3))
    ink = font_hand.glyphs[str(value)].ink

    sheet.put(ink, placed(20, 21), value)

    right, bottom = 20 + ink.shape[1], 21 + ink.shape[0]
    assert np.abs(np.subtract(sheet.boxes[0], (20, 21, right, bottom))).max() <= 1


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (1.5e-3, 0.0), (-1e-3, 1.2e-3)])
def test_the_box_follows_turns_and_perspective(font_hand: FontHand, tilt: tuple[float, float]):
    view = np.array([[0.96, -0.25, 30], [0.25, 0.96, -10], [*tilt, 1]])
    sheet = Sheet(200, 200, view)
    ink = font_hand.glyphs["8"].ink

    sheet.put(ink, placed(80, 60, 0.8), 8)

    assert sheet.boxes[0] == ink_box(sheet)
    rows, columns = np.nonzero(ink > 128)  # where the homography itself takes each pixel
    points = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    to_paper = np.vstack([placed(80, 60, 0.8), [0, 0, 1]])
    x, y, w = view @ to_paper @ points
    expected = ((x / w).min(), (y / w).min(), (x / w).max(), (y / w).max())
    assert np.abs(np.subtract(sheet.boxes[0], expected)).max() <= 3


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0, [4]),
        (-8, [4]),  # 12 of 20 columns are seen
        (-12, [IGNORED]),
        (-19, []),
        (-40, []),
        (90, [IGNORED]),
        (200, []),
    ],
)
def test_a_cut_digit_counts_by_how_much_of_it_is_seen(x: int, expected: list[int]):
    sheet = Sheet(100, 80, np.eye(3))

    sheet.put(BLOCK, placed(x, 7), 4)

    assert sheet.values == expected
    for box in sheet.boxes:
        assert box == (max(0, x), 7, min(100, x + 20), 37)


def test_what_is_no_digit_leaves_ink_and_no_box():
    sheet = Sheet(100, 80, np.eye(3))

    sheet.put(BLOCK, placed(12, 7), None)

    assert sheet.boxes == []
    assert sheet.values == []
    assert np.count_nonzero(sheet.ink) == BLOCK.size


def test_ink_without_ink_is_no_digit():
    sheet = Sheet(100, 80, np.eye(3))

    sheet.put(np.zeros_like(BLOCK), placed(12, 7), 4)

    assert sheet.values == []


def test_ink_over_ink_keeps_the_darker():
    sheet = Sheet(100, 80, np.eye(3))

    sheet.put(BLOCK, placed(12, 7), 4)
    sheet.put(BLOCK // 2, placed(22, 7), 5)

    assert (sheet.ink[7:37, 12:32] == 255).all()
    assert (sheet.ink[7:37, 32:42] == 127).all()
    assert sheet.boxes[1] == (22, 7, 42, 37)


def test_ink_blown_up_beyond_all_measure_is_left_out():
    sheet = Sheet(100, 80, np.eye(3))

    sheet.put(BLOCK, placed(-500, -500, 100), 4)

    assert not sheet.ink.any()
    assert sheet.values == []


def test_a_rule_runs_between_its_points_as_seen():
    turned = np.array([[0, -1, 100], [1, 0, 0], [0, 0, 1]])  # a quarter to the right
    sheet = Sheet(100, 100, turned)

    sheet.line((20, 30), (80, 30), 3, level=160)

    assert sheet.at((20, 30)) == (70, 20)
    left, top, right, bottom = ink_box(sheet)
    assert abs(left - 69) <= 1
    assert abs(right - 72) <= 1
    assert abs(top - 20) <= 2
    assert abs(bottom - 81) <= 2
    assert sheet.ink.max() == 160
