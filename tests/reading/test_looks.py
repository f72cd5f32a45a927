import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitlens.reading.looks import Glance, look_around

SIZES = (96, 192, 448, 1024)


def page(height, width, *rectangles, colour=False):
    """A white page with rectangles x, y, width, height, gray."""
    blank = np.full((height, width), 255, np.uint8)
    for x, y, w, h, gray in rectangles:
        blank[y : y + h, x : x + w] = gray
    return np.repeat(blank[:, :, None], 3, 2) if colour else blank


def checkered(height, width, side=8):
    """A page that has contrast everywhere and no dark rectangle."""
    rows, columns = np.arange(height)[:, None] // side, np.arange(width) // side
    return np.where((rows + columns) % 2, 240, 190).astype(np.uint8)


class Corner:
    """Sees one digit in each picture, at the same part of it."""

    def __init__(self, look_at):
        self.look_at = look_at

    def look(self, picture):
        height, width = picture.shape[:2]
        box = (width / 4, height / 2, width / 2, 3 * height / 4)
        return self.look_at([box], [6], (height, width))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("height", "width"),
    [(28, 28), (1, 1), (200, 200), (100, 300), (480, 640), (3000, 4000), (1, 5000), (5000, 1)],
)
def test_a_page_is_looked_at_in_sizes_that_show_something_more(rectangles, height, width, colour):
    found, glances = look_around(page(height, width, colour=colour), model := rectangles(), SIZES)
    assert len(found) == 0
    assert all(glance.region == (0, 0, width, height) for glance in glances)
    longest, sides = max(height, width), [max(shape) for shape in model.pictures]
    assert sides == list(SIZES[: len(sides)])
    assert all(side < 2 * longest for side in sides[1:])
    assert len(sides) == len(SIZES) or SIZES[len(sides)] >= 2 * longest
    for side, shape in zip(sides, model.pictures, strict=True):
        expected = [max(1, round(part * side / longest)) for part in (height, width)]
        assert shape == (*expected, 3)


@settings(max_examples=30)
@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_what_is_found_is_told_in_pixels_of_the_page(look_at, height, width):
    found, glances = look_around(page(height, width), Corner(look_at), SIZES)
    expected = [width / 4, height / 2, width / 2, 3 * height / 4]
    assert found.boxes == pytest.approx(np.array([expected]), rel=1e-5)
    for glance in glances:
        assert glance.candidates().boxes == pytest.approx(np.array([expected]), rel=1e-5)


def test_a_look_at_a_part_tells_where_it_is_on_the_page(look_at):
    look = look_at([(10, 20, 30, 60)], [4], (80, 40), score=0.7)
    seen = Glance(look, (100, 200, 180, 360)).candidates()
    assert seen.boxes.tolist() == [[120, 240, 160, 320]]
    assert seen.seen.tolist() == [40]  # in pixels of the look
    assert seen.score.tolist() == pytest.approx([0.7])
    assert seen.probabilities.argmax(axis=1).tolist() == [4]


def test_what_is_seen_beyond_the_edge_of_a_look_is_no_candidate(look_at):
    over = [(-15, 10, 25, 50), (80, 60, 118, 98)]  # most of them is on the picture
    beyond = [(-30, 10, 10, 50), (95, 20, 110, 60), (10, 90, 30, 130), (10, -40, 30, -5)]
    look = look_at(beyond + over, [1, 2, 3, 4, 5, 6], (100, 100))
    found = Glance(look, (300, 0, 500, 200)).candidates()
    assert found.probabilities.argmax(axis=1).tolist() == [5, 6]
    assert found.boxes.tolist() == [[270, 20, 350, 100], [460, 120, 536, 196]]


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("scale", [1, 3, 8])
def test_digits_of_usual_size_are_found_once_and_where_they_are(rectangles, scale, colour):
    boxes = np.array([(20, 30, 40, 70), (60, 30, 80, 70), (110, 34, 130, 68)]) * scale
    drawn = [(*box[:2], *(box[2:] - box[:2]), 10 * k) for k, box in enumerate(boxes, 4)]
    found, _ = look_around(
        page(120 * scale, 160 * scale, *drawn, colour=colour), rectangles(), SIZES
    )
    order = np.argsort(found.boxes[:, 0])
    assert np.abs(found.boxes[order] - boxes).max() <= 1 * scale
    assert found.probabilities[order].argmax(axis=1).tolist() == [4, 5, 6]


def test_a_page_is_looked_at_in_the_sizes_that_are_wished(rectangles):
    look_around(page(300, 400), model := rectangles(), (64, 128))
    assert [max(shape) for shape in model.pictures] == [64, 128]


@pytest.mark.parametrize(("height", "width"), [(1, 5000), (5000, 1), (3, 20000), (1, 1)])
def test_strips_without_digits_are_looked_at_without_harm(rectangles, height, width):
    dotted = np.where(np.arange(height * width) % 7, 255, 150).astype(np.uint8)
    found, glances = look_around(dotted.reshape(height, width), rectangles(), SIZES)
    assert len(found) == 0
    assert len(glances) <= len(SIZES)


def test_gray_and_colour_are_looked_at_alike(rectangles):
    drawn = [(20, 30, 20, 40, 30), (60, 30, 20, 40, 70)]
    gray, colour = rectangles(), rectangles()
    one, _ = look_around(page(120, 160, *drawn), gray, SIZES)
    other, _ = look_around(page(120, 160, *drawn, colour=True), colour, SIZES)
    assert np.array_equal(one.boxes, other.boxes)
    assert gray.pictures == colour.pictures


def test_the_page_is_left_as_it_is(rectangles):
    before = checkered(1800, 1700)
    kept = before.copy()
    before.flags.writeable = False
    look_around(before, rectangles(), SIZES)
    assert np.array_equal(before, kept)
