import numpy as np
import pytest
from PIL import Image

from digitlens.results import Box, Digit, Reading
from digitlens.visualization.overlay import draw_reading, place_labels, write_reading

GREEN, AMBER, RED = (0, 122, 102), (186, 84, 0), (176, 42, 64)
COLOURS = {"digit": GREEN, "unsure": AMBER, "rejected": RED}


def digit(box, status="digit", value=7, confidence=0.9):
    rest = (1 - confidence) / 9
    probabilities = tuple(confidence if k == value else rest for k in range(10))
    reason = "" if status == "digit" else "for a reason"
    return Digit(value, confidence, probabilities, Box(*box), status, reason)


def reading(*digits, size=(400, 300)):
    return Reading((digits,) if digits else (), *size, "model", "0" * 64)


def page(size=(400, 300)):
    return np.full((size[1], size[0]), 255, np.uint8)


def count(picture, colour):
    return int((picture == colour).all(axis=2).sum())


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (300, 40), (40, 900), (4000, 3000)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_pages_of_all_sizes_are_drawn_at_a_viewable_size(size, channels):
    blank = np.full((size[1], size[0], *channels), 200, np.uint8)
    picture = draw_reading(blank, reading(digit((0, 0, *size)), size=size))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert 800 < max(picture.shape) < 2600


def test_drawing_contains_the_picture_unchanged():
    colours = np.random.default_rng(0).integers(0, 256, (900, 1000, 3), dtype=np.uint8)
    picture = draw_reading(colours, reading(size=(1000, 900)))
    y, x = next(
        (y, x)
        for y in range(picture.shape[0] - 900)
        for x in range(picture.shape[1] - 1000)
        if (picture[y, x] == colours[0, 0]).all()
    )
    assert np.array_equal(picture[y : y + 900, x : x + 1000], colours)


BOX = (100, 100, 200, 250)
BLACK, WHITE, RANDOM = 0, 255, None


def drawn(status, background=WHITE, box=BOX):
    blank = page()
    if background is None:
        blank = np.random.default_rng(0).integers(0, 256, blank.shape, dtype=np.uint8)
    else:
        blank[:] = background
    return draw_reading(blank, reading(digit(box, status)))


def at(picture, x, y):
    """Row and column in the drawing of a point on the page, which is drawn at twice its size."""
    margin = (picture.shape[1] - 800) // 2
    return margin + 2 * y, margin + 2 * x


def on_the_left_side(picture, colour):
    """bool[N], for each pixel along the left side of the box: whether the line covers it."""
    top, left = at(picture, BOX[0], BOX[1] + 10)
    bottom, _ = at(picture, BOX[0], BOX[3] - 10)
    return (picture[top:bottom, left - 14 : left + 4] == colour).all(axis=2).any(axis=1)


@pytest.mark.parametrize("background", [BLACK, WHITE, RANDOM])
@pytest.mark.parametrize("status", COLOURS)
def test_each_status_has_its_own_colour_and_line_style_with_a_white_rim(background, status):
    picture = drawn(status, background)
    assert {name for name, other in COLOURS.items() if count(picture, other) > 20} == {status}
    share = on_the_left_side(picture, COLOURS[status]).mean()
    assert 0.3 < share < 0.8 if status == "unsure" else share == 1  # dashes have gaps
    assert on_the_left_side(picture, (255, 255, 255)).mean() > 0.95


@pytest.mark.parametrize("status", COLOURS)
def test_only_rejected_digits_are_crossed_out_and_unlabelled(status):
    picture = drawn(status)
    y, x = at(picture, (BOX[0] + BOX[2]) // 2, (BOX[1] + BOX[3]) // 2)
    middle = picture[y - 4 : y + 4, x - 4 : x + 4]
    assert bool(count(middle, COLOURS[status])) == (status == "rejected")
    top, _ = at(picture, BOX[0], BOX[1])
    assert bool(count(picture[: top - 20], COLOURS[status])) == (status != "rejected")


def test_only_the_likeliest_of_many_rejected_digits_are_drawn():
    boxes = [(8 * k, 8 * row, 8 * k + 6, 8 * row + 6) for k in range(40) for row in range(20)]
    many = [digit(box, "rejected", confidence=0.1 + k / 10_000) for k, box in enumerate(boxes)]
    assert count(draw_reading(page(), reading(*many)), RED) < 40 * 200
    first, last = (draw_reading(page(), reading(*part)) for part in (many[:800], many[-40:]))
    height = 600  # the text below counts all of them
    assert np.array_equal(first[:height], last[:height])


def test_box_is_drawn_around_the_digit_and_label_above_it():
    picture = draw_reading(page(), reading(digit((100, 100, 200, 250))))
    margin = (picture.shape[1] - 800) // 2
    rows, columns = np.nonzero((picture == GREEN).all(axis=2))
    assert columns.min() == pytest.approx(margin + 200, abs=8)
    assert columns.max() == pytest.approx(margin + 400, abs=8)
    assert rows.max() == pytest.approx(margin + 500, abs=8)
    assert margin + 100 < rows.min() < margin + 200 - 15


def test_labels_cover_no_neighbour_if_there_is_room():
    row = [digit((20 + 34 * k, 150, 50 + 34 * k, 190)) for k in range(10)]
    blank = page()
    for one in row:
        blank[one.box.y0 : one.box.y1, one.box.x0 : one.box.x1] = 77
    marked, bare = (draw_reading(blank, reading(*digits)) for digits in (row, []))
    assert count(marked, (77, 77, 77)) > 0.99 * count(bare, (77, 77, 77))


def test_labels_of_sure_digits_are_short_on_a_crowded_page():
    def green(gap):
        boxes = [
            (20 + 16 * k, 40 + gap * row, 34 + 16 * k, 60 + gap * row)
            for k in range(12)
            for row in range(6)
        ]
        return count(draw_reading(page(), reading(*map(digit, boxes))), GREEN)

    assert green(22) < 0.95 * green(42)


def test_tiny_digits_are_enlarged_to_a_legible_size():
    wide = (1600, 1200)
    picture = draw_reading(page(wide), reading(digit((100, 100, 108, 112)), size=wide))
    assert 2900 < picture.shape[1] < 3400


def test_long_text_is_truncated():
    lines = [(digit((10, 4 * k, 12, 4 * k + 3)),) for k in range(70)]
    one, six, seventy = (
        draw_reading(page(), Reading(tuple(lines[:n]), 400, 300, "model", "0" * 64)).shape[0]
        for n in (1, 6, 70)
    )
    assert one < six < seventy < six + (six - one) / 2


def test_empty_reading_is_drawn_and_one_of_another_page_size_refused():
    picture = draw_reading(page(), reading())
    assert count(picture, GREEN) == count(picture, AMBER) == count(picture, RED) == 0
    assert (picture < 60).any()  # the text below
    with pytest.raises(ValueError, match="expected a page of 400 x 300 pixels"):
        draw_reading(page((300, 400)), reading())


def test_file_holds_the_drawing_and_the_page_is_not_modified(tmp_path):
    target = tmp_path / "new" / "folder" / "page.png"
    blank, answer = page(), reading(digit((100, 100, 200, 250)))
    write_reading(target, blank, answer)
    assert (blank == 255).all()
    with Image.open(target) as picture:
        assert np.array_equal(np.asarray(picture), draw_reading(page(), answer))
    assert [path.name for path in target.parent.iterdir()] == ["page.png"]


AREA = (1000, 800)


def place(boxes, size=(30, 20), area=AREA):
    count = len(boxes)
    boxes = np.array(boxes, float).reshape(-1, 4)
    return place_labels(
        boxes, np.tile(np.array(size, float), (count, 1)), np.full(count, 3.0), area
    )


def common(one, other):
    """Area of the intersection of two rectangles."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    return float(np.clip(high - low, 0, None).prod())


def test_lone_label_is_centred_above_its_box_or_below_it_at_the_top_edge():
    places, free = place([(400, 300, 440, 360)])
    assert places.tolist() == [[405, 277, 435, 297]]
    assert free.tolist() == [True]
    assert place([(400, 5, 440, 60)])[0][0, 1] == 63
    places, free = place([])
    assert (places.shape, free.shape) == ((0, 4), (0,))


@pytest.mark.parametrize("corner", [(0, 0), (960, 0), (0, 740), (960, 740)])
def test_labels_stay_inside_the_picture(corner):
    x, y = corner
    [label], free = place([(x, y, x + 40, y + 60)], (120, 20))
    assert 0 <= label[0] < label[2] <= AREA[0]
    assert 0 <= label[1] < label[3] <= AREA[1]
    assert free[0]


LINE = [(100 + 34 * k, 300, 130 + 34 * k, 360) for k in range(12)]
CROWD = [(20 * k, 40 * row, 20 * k + 18, 40 * row + 38) for k in range(50) for row in range(20)]


@pytest.mark.parametrize(
    ("boxes", "size", "room"), [(LINE, (44, 20), True), (CROWD, (16, 20), False)]
)
def test_labels_overlap_nothing_if_there_is_room_and_are_flagged_otherwise(boxes, size, room):
    places, free = place(boxes, size)
    assert len({tuple(label) for label in places.tolist()}) == len(boxes)
    assert (free == room).all()
    for k, label in enumerate(places if room else ()):
        assert not any(common(label, np.array(box)) for box in boxes)
        assert not any(common(label, other) for other in places[:k])
