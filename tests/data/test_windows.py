import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.data.windows import CONTEXT, SIDE, windows


def page(height=200, width=300):
    """White, with a black bar of 20 x 60 pixels in its middle."""
    drawn = np.full((height, width, 3), 255, np.uint8)
    y, x = height // 2, width // 2
    drawn[y - 30 : y + 30, x - 10 : x + 10] = 0
    return drawn, np.array([[x - 10, y - 30, x + 10, y + 30]], np.float32)


def inked(window):
    """x0, y0, x1, y1 of what is dark."""
    y, x = np.nonzero(window.mean(axis=2) < 128)
    return x.min(), y.min(), x.max() + 1, y.max() + 1


@pytest.mark.parametrize("scale", [0.2, 1, 3, 10])
def test_a_box_stands_in_the_middle_as_large_whatever_its_size(scale):
    drawn, boxes = page(round(200 * scale), round(300 * scale))
    drawn[:] = 255
    boxes = boxes.copy()
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.array([[10, 30]]) * scale
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    x0, y0, x1, y1 = np.rint(boxes[0]).astype(int)
    drawn[y0:y1, x0:x1] = 0
    found = inked(windows(drawn, boxes)[0])
    tall = SIDE / CONTEXT
    expected = [SIDE / 2 - tall / 6, SIDE / 2 - tall / 2, SIDE / 2 + tall / 6, SIDE / 2 + tall / 2]
    assert found == pytest.approx(expected, abs=1.6)


def test_gray_pages_give_windows_of_three_equal_planes():
    drawn, boxes = page()
    gray = windows(np.ascontiguousarray(drawn[:, :, 0]), boxes)
    assert gray.shape == (1, SIDE, SIDE, 3)
    assert np.array_equal(gray, windows(drawn, boxes))


def test_beyond_its_edge_a_page_goes_on_as_it_ends():
    drawn = np.zeros((40, 40, 3), np.uint8)
    drawn[:, 20:] = 200
    seen = windows(drawn, np.array([[10, 10, 50, 50]], np.float32))[0]
    assert (seen[:, -SIDE // 3 :] == 200).all()
    assert (seen[:, 0] == 0).all()


def test_no_boxes_are_no_windows():
    assert windows(page()[0], np.zeros((0, 4), np.float32)).shape == (0, SIDE, SIDE, 3)


@given(
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.lists(st.floats(-200, 200, width=32), min_size=4, max_size=4),
)
def test_any_box_has_a_window(shape, corners):
    drawn = np.full((*shape, 3), 7, np.uint8)
    assert (windows(drawn, np.array([corners], np.float32)) == 7).all()
