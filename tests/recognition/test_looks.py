import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitlens.recognition.looks import SIZES, Glance, look_around

TILES = 12  # closer looks at most
PIXELS = 1_400_000  # of one look at most: 1,000,000 and what it has in common with others


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


class Blind:
    """Sees nothing."""

    def __init__(self, look_at):
        self.look_at = look_at

    def look(self, picture):
        return self.look_at([], [], picture.shape[:2])


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("height", "width"),
    [(28, 28), (1, 1), (200, 200), (100, 300), (480, 640), (3000, 4000), (1, 5000), (5000, 1)],
)
def test_a_page_is_looked_at_in_sizes_that_show_something_more(rectangles, height, width, colour):
    found, glances = look_around(page(height, width, colour=colour), model := rectangles())
    assert len(found) == 0
    assert all(glance.region == (0, 0, width, height) for glance in glances)
    longest, sides = max(height, width), [max(shape) for shape in model.pictures]
    assert sides == list(SIZES[: len(sides)])
    assert all(side < 2 * longest for side in sides[1:])
    assert sides[-1] >= 0.9 * min(longest, 448)
    assert sides[-1] == SIZES[-1] or longest < SIZES[-1]
    for side, shape in zip(sides, model.pictures, strict=True):
        expected = [max(1, round(part * side / longest)) for part in (height, width)]
        assert shape == (*expected, 3)


@settings(max_examples=30)
@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_what_is_found_is_told_in_pixels_of_the_page(look_at, height, width):
    found, glances = look_around(page(height, width), Corner(look_at))
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
    found, _ = look_around(page(120 * scale, 160 * scale, *drawn, colour=colour), rectangles())
    order = np.argsort(found.boxes[:, 0])
    assert np.abs(found.boxes[order] - boxes).max() <= 1 * scale
    assert found.probabilities[order].argmax(axis=1).tolist() == [4, 5, 6]


def test_digits_of_usual_size_need_no_closer_look(rectangles):
    big = page(1500, 2000, (300, 300, 100, 200, 0), (500, 300, 100, 200, 0))
    look_around(big, model := rectangles())
    assert len(model.pictures) == len(SIZES) - 1


def test_the_largest_look_is_taken_where_something_may_be_small(rectangles):
    large = (300, 300, 100, 200, 0), (500, 300, 100, 200, 0)
    look_around(page(1500, 2000, *large, (1200, 700, 30, 40, 0)), model := rectangles())
    assert max(max(shape[:2]) for shape in model.pictures) >= SIZES[-1]
    middling = (300, 300, 60, 100, 0), (500, 300, 60, 100, 0)
    look_around(page(1500, 2000, *middling), model := rectangles())
    assert len(model.pictures) == len(SIZES)


def test_tiny_digits_are_looked_at_again_closer(rectangles):
    drawn = [(900 + 36 * k, 1200, 18, 36, 10 * k) for k in range(8)]
    found, glances = look_around(page(2000, 3000, *drawn), rectangles(lowest=6))
    x0, y0, x1, y1 = glances[-1].region
    assert len(glances) == len(SIZES) + 1
    assert (x0 < 890, y0 < 1190, x1 > 1180, y1 > 1246) == (True,) * 4
    assert glances[-1].look.size[0] == pytest.approx((y1 - y0) * 30 / 36, rel=0.3)
    order = np.argsort(found.boxes[:, 0])
    expected = [(x, y, x + w, y + h) for x, y, w, h, _ in drawn]
    assert np.abs(found.boxes[order] - expected).max() <= 1
    assert found.probabilities[order].argmax(axis=1).tolist() == list(range(8))
    assert found.seen.min() > 20


def test_digits_too_tiny_for_the_whole_page_are_searched_for(rectangles):
    drawn = [(400 + 40 * k, 2700, 20, 30, 10) for k in range(4)]
    found, _ = look_around(page(3000, 4000, *drawn), rectangles(lowest=12))
    assert sorted(found.boxes[:, 0].round()) == pytest.approx([400, 440, 480, 520], abs=2)


def test_a_few_tiny_digits_far_apart_are_all_looked_at_closer(rectangles):
    corners = [(100, 100), (3800, 100), (100, 2800), (3800, 2800)]
    drawn = [(x, y, 10, 40, 10) for x, y in corners]
    found, _ = look_around(page(3000, 4000, *drawn), rectangles(lowest=6))
    assert len(found) == 4
    assert found.seen.min() > 20


def test_a_large_page_without_digits_is_searched_where_it_has_contrast(look_at):
    half = checkered(3000, 4000)
    half[:, :2000] = 255
    _, glances = look_around(half, Blind(look_at))
    closer = [glance.region for glance in glances[len(SIZES) :]]
    assert closer
    assert all(x1 > 1900 for _, _, x1, _ in closer)


@pytest.mark.parametrize(
    ("height", "width"), [(3000, 4000), (5000, 5000), (1700, 1600), (1000, 9000), (12000, 700)]
)
def test_closer_looks_are_few_and_small_and_cover_everything(look_at, height, width):
    _, glances = look_around(checkered(height, width), Blind(look_at))
    closer, seen = glances[len(SIZES) :], np.zeros((height, width), bool)
    assert 1 <= len(closer) <= TILES
    for glance in closer:
        x0, y0, x1, y1 = glance.region
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert np.prod(glance.look.size) <= PIXELS
        seen[y0:y1, x0:x1] = True
    assert seen.all()


def test_a_digit_on_the_border_of_two_regions_is_whole_in_one(look_at):
    _, glances = look_around(checkered(3000, 4000), Blind(look_at))
    regions = [glance.region for glance in glances[len(SIZES) :]]
    scale = glances[-1].look.size[1] / (regions[-1][2] - regions[-1][0])
    side = 30 / scale
    for x in np.arange(0, 4000 - side, 37):
        assert any(x0 <= x and x + side <= x1 for x0, _, x1, _ in regions)


@pytest.mark.parametrize(("height", "width"), [(80, 5000), (5000, 80), (300, 8000)])
def test_tiny_digits_on_a_long_strip_are_found_with_few_looks(rectangles, height, width):
    places = range(50, max(height, width) - 50, 400)
    size = max(height, width) // 80
    drawn = [
        (k, 20, *(size,) * 2, 0) if width > height else (20, k, *(size,) * 2, 0) for k in places
    ]
    found, glances = look_around(page(height, width, *drawn), rectangles(lowest=6))
    closer = glances[len(SIZES) :]
    assert 1 <= len(closer) <= TILES
    assert all(np.prod(glance.look.size) <= PIXELS for glance in closer)
    assert len(found) == len(places)
    assert found.seen.min() > 20


@pytest.mark.parametrize(("height", "width"), [(1, 5000), (5000, 1), (3, 20000), (1, 1)])
def test_strips_without_digits_are_looked_at_without_harm(rectangles, height, width):
    dotted = np.where(np.arange(height * width) % 7, 255, 150).astype(np.uint8)
    found, glances = look_around(dotted.reshape(height, width), rectangles())
    assert len(found) == 0
    assert len(glances) <= len(SIZES) + TILES


def test_gray_and_colour_are_looked_at_alike(rectangles):
    drawn = [(20, 30, 20, 40, 30), (60, 30, 20, 40, 70)]
    gray, colour = rectangles(), rectangles()
    one, _ = look_around(page(120, 160, *drawn), gray)
    other, _ = look_around(page(120, 160, *drawn, colour=True), colour)
    assert np.array_equal(one.boxes, other.boxes)
    assert gray.pictures == colour.pictures


def test_the_page_is_left_as_it_is(rectangles):
    before = checkered(1800, 1700)
    kept = before.copy()
    before.flags.writeable = False
    look_around(before, rectangles())
    assert np.array_equal(before, kept)
