import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitlens.reading.multiscale import (
    DIGIT_SCALES,
    ScaleView,
    detect,
    explains_ink,
    find_digits,
    find_text,
    first_size,
    reduced_page,
    scaled,
)
from digitlens.reading.nms import Candidates


def page(height, width, *rectangles, colour=False):
    """A white page with rectangles x, y, width, height, gray."""
    blank = np.full((height, width), 255, np.uint8)
    for x, y, w, h, gray in rectangles:
        blank[y : y + h, x : x + w] = gray
    return np.repeat(blank[:, :, None], 3, 2) if colour else blank


class Corner:
    """A detector that finds one digit at the same relative position in each picture."""

    def __init__(self, look_at):
        self.look_at = look_at

    def predict(self, picture):
        height, width = picture.shape[:2]
        box = (width / 4, height / 2, width / 2, 3 * height / 4)
        return self.look_at([box], [6], (height, width))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("height", "width"),
    [(28, 28), (1, 1), (200, 200), (100, 300), (480, 640), (3000, 4000), (1, 5000), (5000, 1)],
)
def test_digits_are_detected_only_at_scales_that_show_more(rectangles, height, width, colour):
    found, views, explained = find_digits(page(height, width, colour=colour), model := rectangles())
    assert (len(found), explained) == (0, False)
    assert all(view.page == (width, height) for view in views)
    longest, sides = max(height, width), [max(shape) for shape in model.pictures]
    assert sides == list(DIGIT_SCALES if 2 * longest > DIGIT_SCALES[1] else DIGIT_SCALES[:1])
    for side, shape in zip(sides, model.pictures, strict=True):
        expected = [max(1, round(part * side / longest)) for part in (height, width)]
        assert shape == (*expected, 3)


@settings(max_examples=30)
@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_boxes_are_in_pixels_of_the_page(look_at, height, width):
    found, views, _ = find_digits(page(height, width), Corner(look_at))
    expected = [width / 4, height / 2, width / 2, 3 * height / 4]
    assert found.boxes == pytest.approx(np.array([expected]), rel=1e-5)
    for view in views:
        assert view.candidates().boxes == pytest.approx(np.array([expected]), rel=1e-5)


def test_detections_mostly_beyond_the_edge_of_a_copy_are_dropped(look_at):
    over = [(-15, 10, 25, 50), (80, 60, 118, 98)]  # mostly on the picture
    beyond = [(-30, 10, 10, 50), (95, 20, 110, 60), (10, 90, 30, 130), (10, -40, 30, -5)]
    found = look_at(beyond + over, [1, 2, 3, 4, 5, 6], (100, 100), score=0.7)
    seen = ScaleView(found, (200, 200)).candidates()
    assert seen.probabilities.argmax(axis=1).tolist() == [5, 6]
    assert seen.boxes.tolist() == [[-30, 20, 50, 100], [160, 120, 236, 196]]
    assert seen.seen.tolist() == [40, 38]  # in pixels of the copy
    assert seen.score.tolist() == pytest.approx([0.7, 0.7])


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("scale", [1, 3, 8])
def test_digits_of_usual_size_are_found_once_at_their_positions(rectangles, scale, colour):
    boxes = np.array([(20, 30, 40, 70), (60, 30, 80, 70), (110, 34, 130, 68)]) * scale
    drawn = [(*box[:2], *(box[2:] - box[:2]), 10 * k) for k, box in enumerate(boxes, 4)]
    shown = page(120 * scale, 160 * scale, *drawn, colour=colour)
    found, views, explained = find_digits(shown, rectangles())
    assert explained
    assert len(views) == 1  # a larger copy would show nothing more
    order = np.argsort(found.boxes[:, 0])
    assert np.abs(found.boxes[order] - boxes).max() <= 2 * scale
    assert found.probabilities[order].argmax(axis=1).tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("more", "score", "expected"),
    [
        ((), 0.9, True),
        ((), 0.45, True),
        ((), 0.35, False),
        ([(80, 80, 3, 3, 90)], 0.9, False),
        ([(60, 30, 20, 40, 30)], 0.45, False),
    ],
)
def test_ink_is_explained_by_sure_digits_or_by_one_likely_digit(look_at, more, score, expected):
    shown = page(96, 96, (20, 30, 20, 40, 30), *more, colour=True)
    boxes = [(20, 30, 40, 70), *([(60, 30, 80, 70)] if more and more[0][0] == 60 else [])]
    found = look_at(boxes, [3] * len(boxes), (96, 96), score)
    assert explains_ink(shown, found) == expected


@pytest.mark.parametrize(
    ("inside", "value", "expected"),
    [
        ((), 0, True),
        ((44, 44, 8, 8), 0, False),
        ((44, 44, 8, 8), 6, True),
        ((30, 44, 8, 8), 0, True),
    ],
)
def test_zero_does_not_explain_ink_inside_it(look_at, inside, value, expected):
    shown = page(96, 96, (20, 20, 56, 56, 30), (30, 30, 36, 36, 255), colour=True)
    if inside:
        x, y, width, height = inside
        shown[y : y + height, x : x + width] = 30
    assert explains_ink(shown, look_at([(18, 18, 78, 78)], [value], (96, 96))) == expected


@pytest.mark.parametrize("scale", [0.31, 0.5, 1, 1.7])
def test_gray_page_is_scaled_like_a_colour_page(scale):
    page = np.random.default_rng(0).integers(0, 256, (97, 61), np.uint8)
    colour = np.repeat(page[:, :, None], 3, axis=2)
    assert np.array_equal(scaled(page, scale), scaled(colour, scale))


def test_blank_paper_is_not_explained(look_at):
    assert not explains_ink(page(96, 96, colour=True), look_at([(0, 0, 96, 96)], [3], (96, 96)))


class NoText:
    """A line detector that counts its pages and finds nothing."""

    def __init__(self):
        self.pages = 0

    def text_maps(self, pictures):
        self.pages += len(pictures)
        sides = [picture.shape[:2] for picture in pictures]
        return [np.zeros([-(-side // 2) for side in each], np.float32) for each in sides]


# With two large digits, lines are detected on a small copy, then, if it has none, on a usual one.
@pytest.mark.parametrize(
    ("drawn", "pages"),
    [([(60, 60, 60, 120, 30)], 0), ([(60, 60, 60, 120, 30), (160, 60, 60, 120, 40)], 2), ([], 1)],
)
def test_line_detection_is_skipped_when_one_digit_explains_all_ink(rectangles, drawn, pages):
    found = detect(page(280, 280, *drawn), rectangles(), lines := NoText())
    assert len(found.digits) == len(drawn)
    assert lines.pages == pages


class OneLine(NoText):
    """A line detector that finds text in one box, x0, y0, x1, y1, of an unscaled page."""

    def __init__(self, *place):
        super().__init__()
        self.place = place

    def text_maps(self, pictures):
        maps = super().text_maps(pictures)
        for text in maps:
            x0, y0, x1, y1 = (16 + side for side in self.place)  # after a margin of paper
            text[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] = 1
        return maps


@pytest.mark.parametrize(
    ("gray", "place", "kept"),
    [
        pytest.param(0, (140, 144, 160, 156), 0, id="in the middle of a ring"),
        pytest.param(30, (140, 144, 160, 156), 1, id="a stroke of a 3"),
        pytest.param(0, (140, 106, 160, 118), 1, id="a stroke of a 0"),
        pytest.param(0, (110, 100, 190, 200), 1, id="a 0 that is a line"),
    ],
)
def test_zero_with_text_in_its_middle_is_dropped(rectangles, gray, place, kept):
    drawn = page(300, 300, (100, 100, 100, 100, gray), (20, 20, 5, 5, 120))
    found = detect(drawn, rectangles(lowest=10), OneLine(*place))
    assert len(found.lines) == 1
    assert len(found.digits) == kept


LARGE = [(60, 60, 60, 120, 30), (160, 80, 60, 96, 40)]  # the smaller one needs a half-size copy


@pytest.mark.parametrize(
    ("drawn", "score", "expected"),
    [
        pytest.param(LARGE, 0.9, 320, id="large digits alone"),
        pytest.param([*LARGE, (136, 170, 6, 6, 30)], 0.9, 320, id="a mark next to one"),
        pytest.param([*LARGE, (400, 300, 40, 3, 120)], 0.9, 640, id="something fine elsewhere"),
        pytest.param([*LARGE, (400, 300, 40, 3, 230)], 0.9, 320, id="something too pale for ink"),
        pytest.param(LARGE, 0.4, 640, id="digits that are not sure"),
        pytest.param([(60, 60, 20, 40, 30)], 0.9, 640, id="a small digit"),
        pytest.param([(60, 60, 200, 400, 30)], 0.9, 192, id="a very large digit"),
        pytest.param([], 0.9, 640, id="none"),
    ],
)
@pytest.mark.parametrize("scale", [1, 5])
def test_large_digits_alone_need_only_a_small_copy_for_lines(drawn, score, expected, scale):
    digits = [(x, y, x + w, y + h) for x, y, w, h, _ in drawn if h >= 40]
    found = Candidates(
        np.full(len(digits), score, np.float32),
        np.full((len(digits), 10), 0.1, np.float32),
        scale * np.array(digits, np.float32).reshape(-1, 4),
        np.full(len(digits), 30, np.float32),
    )
    paper = np.repeat(np.linspace(120, 0, 640).astype(np.uint8)[None], 480, 0)  # soft shadow
    shown = page(480, 640, *drawn) - np.minimum(paper, page(480, 640, *drawn) // 2)
    shown = np.kron(shown, np.ones((scale, scale), np.uint8))
    assert first_size(reduced_page(shown), (640 * scale, 480 * scale), found) == expected


def test_small_copy_is_enough_when_it_shows_lines(rectangles):
    shown = page(480, 640, *LARGE)
    found = detect(shown, rectangles(), lines := Dark())
    assert [size - 32 for size in lines.sizes] == [pytest.approx(320, abs=20)]
    assert len(found.lines) == 2


class Dark:
    """A line detector that takes dark pixels for text and records the sizes of its pictures."""

    def __init__(self):
        self.sizes = []

    def text_maps(self, pictures):
        self.sizes += [max(picture.shape) for picture in pictures]
        return [(picture[::2, ::2, 0] < 128).astype(np.float32) for picture in pictures]


@pytest.mark.parametrize("sides", [(600, 2000), (2000, 600), (1500, 4000)])
def test_line_across_the_parts_of_a_large_copy_stays_one_line(sides):
    shown = np.full(sides, 255, np.uint8)
    height, width = sides
    shown[height // 2 : height // 2 + 20, 100 : width - 100] = 0
    (line,) = find_text(shown, Dark())
    assert line.width == pytest.approx(width - 200, abs=60)


@pytest.mark.parametrize(
    ("thick", "sizes"),
    [
        pytest.param(20, [640], id="high enough"),
        pytest.param(12, [640, 1074], id="as large as it takes"),
        pytest.param(7, [640, 1200], id="no larger than the page"),
    ],
)
def test_small_lines_are_detected_on_a_copy_large_enough_for_them(thick, sizes):
    shown = np.full((1200, 1200), 255, np.uint8)
    for top in range(100, 1100, 100):
        shown[top : top + thick, 100:1100] = 0
    assert len(find_text(shown, lines := Dark())) == 10
    assert [size - 32 for size in lines.sizes] == sizes  # without the margin of paper


def test_line_detection_is_repeated_once_when_nothing_is_found():
    find_text(np.full((900, 900), 255, np.uint8), lines := NoText())
    assert lines.pages == 2
