"""Plain drawings: strokes are found where they stand apart on flat paper, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitlens.recognition.plain import _around, isolated_strokes

BOXES = [(20, 30, 60, 110), (90, 25, 140, 105)]


def drawn(boxes=BOXES, size=(200, 140), paper=255, ink=0, scale=1):
    """Frames of four pixels, as a pen draws them."""
    page = np.full((size[1] * scale, size[0] * scale), paper, np.uint8)
    for x0, y0, x1, y1 in np.array(boxes) * scale:
        page[y0:y1, x0:x1] = ink
        page[y0 + 4 * scale : y1 - 4 * scale, x0 + 4 * scale : x1 - 4 * scale] = paper
    return page


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (230, 90), (40, 200)])
def test_strokes_are_found_from_left_to_right_on_any_flat_paper(paper, ink):
    found = isolated_strokes(drawn(BOXES[::-1], paper=paper, ink=ink))
    assert found.boxes.tolist() == [list(box) for box in BOXES]
    assert found.boxes.dtype == np.float32
    assert found.scale == 1


def test_colours_count_as_ink():
    page = np.repeat(drawn()[:, :, None], 3, 2)
    page[:, :, 1] = 128
    assert len(isolated_strokes(page).boxes) == 2


def test_boxes_are_in_pixels_of_the_page():
    found = isolated_strokes(drawn(scale=6))
    assert found.boxes == pytest.approx(6 * np.array(BOXES), abs=6)


def test_a_hair_is_shown_in_a_copy_in_which_it_is_seen():
    page = np.full((1200, 1200), 255, np.uint8)
    page[200:1000, 600] = 0
    page[200, 500:600] = 0
    found = isolated_strokes(page)
    assert found.boxes[0] == pytest.approx([500, 200, 601, 1000], abs=4)
    assert found.scale == 4
    assert found.page.shape == (300, 300)
    assert (
        found.page.min() == 0
    )  # an average over 16 pixels would leave three quarters of the paper


def test_a_pen_of_usual_width_is_shown_as_it_is():
    page = drawn(scale=6)
    assert isolated_strokes(page).page is page


def test_specks_are_no_strokes():
    page = drawn()
    page[60:63, 75:78] = 0
    assert len(isolated_strokes(page).boxes) == 2


def stacked():
    return drawn([(20, 10, 60, 60), (20, 75, 60, 130)])


def shaded():
    return (drawn() * np.linspace(1, 0.6, 200)[None, :]).astype(np.uint8)


def smudged():
    page = drawn()
    page[115:138, 60:130] = 190
    return page


def tiny():
    return drawn([(20, 30, 30, 40)], size=(600, 600))


def faint():
    return drawn(paper=200, ink=160)


def crowded():
    return drawn([(10 + 24 * k, 20, 26 + 24 * k, 60) for k in range(13)], size=(330, 90))


def dotted():
    page = drawn()
    page[2:8:3, 30:190:20] = 0
    return page


def flooded():
    page = np.zeros((100, 100), np.uint8)
    page[5:95, 5:95] = 255
    return page


def empty():
    return np.full((100, 100), 255, np.uint8)


@pytest.mark.parametrize(
    "make", [stacked, shaded, smudged, tiny, faint, crowded, dotted, flooded, empty]
)
def test_everything_else_is_left_to_looks(make):
    assert isolated_strokes(make()) is None


@given(
    arrays.arrays(
        np.uint8,
        st.one_of(
            st.tuples(st.integers(1, 60), st.integers(1, 60)),
            st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)),
        ),
        elements=st.sampled_from([0, 5, 200, 255]),
        fill=st.just(255),
    )
)
def test_strokes_of_any_page_lie_on_it(page):
    found = isolated_strokes(page)
    if found is not None:
        height, width = page.shape[:2]
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 2] <= width + 1).all()
        assert (found.boxes[:, 3] <= height + 1).all()


@pytest.mark.parametrize(
    ("shape", "reach"), [((9, 13), 1), ((9, 13), 4), ((3, 40), 6), ((1, 1), 3)]
)
def test_around_is_what_a_square_of_that_reach_meets(shape, reach):
    mask = np.random.default_rng(0).random(shape) < 0.05
    near = [
        [mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].any()
         for x in range(shape[1])]
        for y in range(shape[0])
    ]  # fmt: skip
    np.testing.assert_array_equal(_around(mask, reach), near)
