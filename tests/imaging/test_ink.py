import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitlens.imaging.ink import connected_components, encloses, ink_in, tiles_of
from digitlens.imaging.tiles import to_tile

LONGEST = 96  # pixels per side at most
CLOSE = 10.0  # gray levels: mean difference of two tiles that show the same digit


def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def inked(mask, pen, paper):
    """A page with ink of one colour on paper of another."""
    pen, paper = np.array(pen, float), np.array(paper, float)
    mask = mask if pen.ndim == 0 else mask[:, :, None]
    return np.rint(mask * pen + (1 - mask) * paper).astype(np.uint8)


def difference(ink, mask):
    """Mean difference between the tile of extracted ink and the tile of the drawing."""
    return apart(to_tile(ink), to_tile(np.uint8(255 * mask)))


def apart(tile, expected):
    """Mean difference of two tiles, one of which may be shifted by a pixel."""
    shifted = [np.roll(tile, (y, x), (0, 1)).astype(int) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return min(np.abs(one - expected).mean() for one in shifted)


@pytest.fixture(scope="module")
def five(printed):
    """float[100, 80]; a 5 of 60 pixels."""
    return printed("5", x=18, y=20, size=(80, 100))


@pytest.mark.parametrize(
    ("pen", "paper"),
    [
        (20, 240),
        (240, 20),
        (120, 150),
        ((20, 30, 160), (250, 245, 230)),
        ((240, 240, 220), (30, 70, 50)),
        ((200, 80, 80), (80, 140, 87)),  # equally bright
        ((80, 140, 87), (200, 80, 80)),
        ((255, 0, 0), (0, 0, 255)),
    ],
)
def test_ink_is_bright_and_paper_dark_whatever_their_colours(five, pen, paper):
    ink = ink_in(inked(five, pen, paper), box_of(five > 0.1))
    assert ink.dtype == np.uint8
    assert ink.max() == 255
    assert np.median(ink) == 0
    assert difference(ink, five) < CLOSE


@pytest.mark.parametrize("digit", "0123456789")
def test_each_digit_is_extracted_as_it_was_drawn(printed, digit):
    mask = printed(digit, x=18, y=20, size=(90, 100))
    assert difference(ink_in(inked(mask, 30, 220), box_of(mask > 0.1)), mask) < CLOSE


@pytest.mark.parametrize(("down", "across"), [(0.5, 1), (1, 0.45), (1.6, 0.6)])
def test_uneven_light_is_paper(five, down, across):
    light = np.linspace(1, down, 100)[:, None] * np.linspace(1, across, 80)
    page = np.uint8(inked(five, 40, 150) * light)
    assert difference(ink_in(page, box_of(five > 0.1)), five) < CLOSE


@pytest.mark.parametrize("pen", [1.5, 3, 10, 50])
@pytest.mark.parametrize("digit", "0247")
def test_large_digits_by_any_pen_are_extracted_whole(write, grain, digit, pen):
    mask = write(digit, 60, 40, 480, pen, size=(480, 560))
    page = grain(inked(mask, 96, 226))
    assert difference(ink_in(page, box_of(mask > 0.1)), mask) < CLOSE


@pytest.mark.parametrize(
    "place",
    [np.s_[:, :12], np.s_[:, -16:-10], np.s_[:14], np.s_[-13:], np.s_[25:70, 66:72]],
    ids=["left", "right", "above", "below", "a one"],
)
def test_strokes_of_neighbours_are_removed(five, place):
    box = box_of(five > 0.1)
    page = inked(five, 30, 230)
    crowded = page.copy()
    crowded[place] = 30
    assert to_tile(ink_in(page, box)).any()
    assert difference(ink_in(crowded, box), five) < CLOSE


def test_a_stroke_that_leaves_the_box_a_little_is_kept_whole(five):
    box = np.add(box_of(five > 0.1), [3, 3, -3, -3])
    assert difference(ink_in(inked(five, 30, 230), box), five) < CLOSE


@pytest.mark.parametrize("side", range(4))
def test_box_may_extend_beyond_the_edge_of_the_page(five, side):
    x0, y0, *_ = box_of(five > 0.1).astype(int)
    cut = np.rot90(five[y0:, x0:], side)  # the digit touches two edges
    box = np.add(box_of(cut > 0.1), [-3, -3, 3, 3])
    assert difference(ink_in(inked(cut, 30, 230), box), cut) < CLOSE


@pytest.mark.parametrize(
    "box",
    [
        (20, 20, 60, 80),
        (-30, -30, -10, -10),
        (200, 300, 240, 360),
        (-500, -500, 900, 900),
        (30, 30, 30, 30),
        (30.2, 30.2, 30.3, 30.4),
    ],
    ids=["inside", "before", "behind", "around", "empty", "within a pixel"],
)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_page_has_no_ink(box, level):
    ink = ink_in(np.full((100, 80), level, np.uint8), np.array(box, np.float32))
    assert ink.size > 0
    assert not ink.any()


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (2, 2), (3, 500)])
def test_single_pixels_and_strips_are_harmless(height, width, colour):
    shape = (height, width, 3) if colour else (height, width)
    page = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ink = ink_in(page, np.array([0, 0, width, height], np.float32))
    assert ink.ndim == 2
    assert max(ink.shape) <= LONGEST


SMALL = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
NUMBERS = st.floats(-1e4, 1e4, width=32)


@settings(max_examples=60)
@given(st.tuples(NUMBERS, NUMBERS), st.tuples(*[st.floats(0, 1e4, width=32)] * 2))
def test_any_box_gives_a_small_picture(corner, size):
    box = np.array([*corner, corner[0] + size[0], corner[1] + size[1]], np.float32)
    ink = ink_in(SMALL, box)
    assert ink.dtype == np.uint8
    assert ink.size > 0
    assert max(ink.shape) <= LONGEST


@pytest.mark.mnist
def test_enlarged_mnist_becomes_mnist_again(mnist):
    tiles = mnist.train.tiles[:100]
    pages = [np.kron(np.pad(tile, 6), np.ones((5, 5), np.uint8)) for tile in tiles]
    found = np.stack([to_tile(ink_in(page, box_of(page > 0))) for page in pages])
    away = [apart(*pair) for pair in zip(found, tiles, strict=True)]
    assert np.median(away) < CLOSE / 2
    assert np.quantile(away, 0.95) < CLOSE


MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def flooded(mask):
    """Labels by a flood fill from each pixel in turn, slow and simple."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        count += 1
        todo = [start]
        while todo:
            y, x = todo.pop()
            if (
                0 <= y < mask.shape[0]
                and 0 <= x < mask.shape[1]
                and mask[y, x]
                and not labels[y, x]
            ):
                labels[y, x] = count
                todo += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return labels


@given(MASKS)
def test_components_match_a_flood_fill_with_their_boxes_and_areas(mask):
    parts = connected_components(mask)
    assert np.array_equal(parts.labels, flooded(mask))
    assert len(parts.boxes) == len(parts.areas) == parts.labels.max()
    for label, (box, area) in enumerate(zip(parts.boxes, parts.areas, strict=True), 1):
        rows, columns = np.nonzero(parts.labels == label)
        assert area == len(rows)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_long_snake_is_one_component_and_rows_do_not_wrap_around():
    snake = np.zeros((101, 80), bool)
    snake[::2] = True
    snake[1::4, -1] = snake[3::4, 0] = True
    assert connected_components(snake).areas.tolist() == [snake.sum()]
    mask = np.zeros((3, 5), bool)
    mask[0, 4] = mask[2, 0] = True
    assert len(connected_components(mask).areas) == 2


@pytest.mark.parametrize(
    ("dot", "expected"),
    [((5, 5), True), ((1, 5), False), ((12, 5), False), ((5, 2), False), (None, False)],
)
def test_ring_encloses_only_separate_ink_inside_it(dot, expected):
    mask = np.zeros((14, 14), bool)
    mask[1:11, 1:11] = True
    mask[3:9, 3:9] = False
    if dot:
        mask[dot] = True
    assert encloses(mask) == expected
    assert not encloses(np.zeros((3, 3), bool))


def test_each_box_gives_a_tile():
    page = np.full((60, 60), 255, np.uint8)
    page[20:40, 28:32] = 0
    boxes = np.array([[20, 15, 40, 45], [0, 0, 12, 12]], np.float32)
    tiles = tiles_of(page, boxes)
    assert tiles.shape == (2, 28, 28)
    assert [tile.max() for tile in tiles] == [255, 0]
    assert tiles_of(page, boxes[:0]).shape == (0, 28, 28)
