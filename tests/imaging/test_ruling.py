"""Grids drawn in perspective, bent or in the shade are found; other drawings are not grids."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from digitlens.imaging.framing import perspective
from digitlens.imaging.ruling import Grid, find_grid, straighten, without_rules

CORNERS = [(90, 60), (560, 30), (600, 420), (40, 380)]


def ruled(rows=5, columns=4, corners=CORNERS, *, size=(640, 460), inner=1, frame=3):
    """uint8[H, W]; a table between four corners, drawn in black on white."""
    page = Image.new("L", size, 255)
    pen = ImageDraw.Draw(page)
    for (r0, c0), (r1, c1) in lines(rows, columns):
        ends = nodes(rows, columns, corners)[[r0, r1], [c0, c1]]
        is_frame = (r0 == r1 and r0 in {0, rows}) or (c0 == c1 and c0 in {0, columns})
        pen.line([tuple(end) for end in ends], 0, frame if is_frame else inner)
    return np.asarray(page.filter(ImageFilter.GaussianBlur(0.6)))


def lines(rows, columns):
    for r in range(rows + 1):
        yield (r, 0), (r, columns)
    for c in range(columns + 1):
        yield (0, c), (rows, c)


def nodes(rows, columns, corners):
    """Where rules cross: float64[rows + 1, columns + 1, 2]."""
    a, b, c, d, e, f, g, h = perspective(np.array(corners, float), (columns, rows))
    x, y = np.meshgrid(np.arange(columns + 1), np.arange(rows + 1))
    depth = g * x + h * y + 1
    return np.stack([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth], axis=-1)


def is_found(page, rows=5, columns=4, corners=CORNERS, shape=None):
    """Whether the crossings of a table are found to within 2.5 pixels."""
    grid = find_grid(page, shape)
    return grid is not None and np.abs(grid.nodes - nodes(rows, columns, corners)).max() < 2.5


def under_a_hard_shadow(page):
    half = np.add.outer(np.arange(page.shape[0]), np.arange(page.shape[1])) < sum(page.shape) / 2
    return (page * np.where(half, 0.5, 1)).astype(np.uint8)


def pale_and_grainy(page):
    grain = np.random.default_rng(0).normal(0, 4, page.shape)
    return np.clip(200 - 0.15 * (255.0 - page) + grain, 0, 255).astype(np.uint8)


def with_numbers(page):
    """Dark numbers of two or three digits in all cells."""
    image, font = Image.fromarray(page), ImageFont.load_default(26)
    for k, (x, y) in enumerate((nodes(5, 4, CORNERS)[:-1, :-1] + [60, 40]).reshape(-1, 2)):
        ImageDraw.Draw(image).text((x, y), str(68 + 47 * k), 0, font, anchor="mm")
    return np.asarray(image)


def with_a_hidden_corner(page):
    """Glare where two sides of the table meet."""
    image = Image.fromarray(page)
    ImageDraw.Draw(image).ellipse((20, 10, 150, 110), 255)
    return np.asarray(image)


def on_stripes(page):
    """A table on paper that lies on a striped cloth."""
    cloth = page.copy()
    cloth[:, 612::6] = 60
    return cloth


def bent(page):
    """Columns of the page moved down along half a wave of five pixels."""
    shift = np.rint(5 * np.sin(np.pi * np.arange(page.shape[1]) / page.shape[1])).astype(int)
    return np.stack([np.roll(page[:, x], shift[x]) for x in range(page.shape[1])], axis=1)


@pytest.mark.parametrize(("level", "shape"), [(195, None), (195, (9, 9)), (210, (9, 9))])
def test_pale_rules_are_found(level, shape):
    """Between thicker rules, and, if their number is known, even if all are pale."""
    page = Image.new("L", (1000, 1000), 250)
    pen = ImageDraw.Draw(page)
    for k in range(10):
        at, wide = 68 + 96 * k, 3 if k % 3 else 10
        pen.line((68, at, 932, at), level, wide)
        pen.line((at, 68, at, 932), level, wide)
    grid = find_grid(np.asarray(page.filter(ImageFilter.GaussianBlur(2))), shape)
    assert grid.shape == (9, 9)
    assert grid.nodes[4, 5] == pytest.approx((548, 452), abs=4)


def test_uneven_columns_are_kept():
    page = Image.new("L", (500, 300), 250)
    pen = ImageDraw.Draw(page)
    for x in (30, 130, 330, 470):
        pen.line((x, 30, x, 270), 60, 3)
    for y in range(30, 271, 40):
        pen.line((30, y, 470, y), 60, 3)
    pen.line((230, 30, 230, 270), 235, 2)  # shows through
    assert find_grid(np.asarray(page)).shape == (6, 3)


CHANGES = {
    "as drawn": lambda page: page,
    "in the shade": lambda page: (page * np.linspace(0.3, 1, page.shape[1])).astype(np.uint8),
    "light on dark": lambda page: 255 - page,
    "in colour": lambda page: np.stack([page] * 3, axis=2),
    "under a hard shadow": under_a_hard_shadow,
    "pale and grainy": pale_and_grainy,
    "with numbers": with_numbers,
    "pale, with dark numbers": lambda page: with_numbers(pale_and_grainy(page)),
    "with a hidden corner": with_a_hidden_corner,
    "on stripes": on_stripes,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_crossings_of_rules_are_found(change):
    assert is_found(change(ruled()))


def test_outer_rules_may_lie_at_the_edge_of_the_picture():
    corners = [(1, 1), (298, 1), (298, 298), (1, 298)]
    assert is_found(ruled(4, 4, corners, size=(300, 300)), 4, 4, corners)


def test_a_bent_table_is_followed():
    grid = find_grid(bent(ruled()))
    assert grid is not None
    assert grid.shape == (5, 4)
    middle = grid.nodes[2, 2] - nodes(5, 4, CORNERS)[2, 2]
    assert 3 < middle[1] < 7


NONE = {
    "paper": np.full((300, 400), 255, np.uint8),
    "a frame": ruled(1, 1),
    "shade": np.linspace(0, 255, 300 * 400).reshape(300, 400).astype(np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8),
    "a pixel": np.zeros((1, 1), np.uint8),
    "a strip": np.zeros((3, 2000), np.uint8),
}


@pytest.mark.parametrize("page", NONE.values(), ids=NONE)
def test_pictures_without_a_grid_have_no_table(page):
    assert find_grid(page) is None


def test_known_shape_decides_which_rules_belong_to_the_table():
    square = [(20, 20), (440, 20), (440, 440), (20, 440)]
    page = ruled(3, 3, square)  # only the thick rules of a Sudoku: the thin ones are too pale
    assert is_found(page, 9, 9, square, shape=(9, 9))
    assert find_grid(page, (4, 4)) is None
    assert find_grid(ruled(), (9, 9)) is None
    page = ruled(6, 6, square).copy()
    page[204:206, 20:441] = 0  # a shade, or a line that is drawn through a row
    assert is_found(page, 6, 6, square, shape=(6, 6))
    assert find_grid(page, (5, 6)) is None


def test_cells_are_straightened_and_rules_painted_over():
    page, corners = ruled(), nodes(5, 4, CORNERS)
    x, y = (corners[1, 1] + corners[2, 2]) / 2
    page = page.copy()
    page[int(y) - 6 : int(y) + 6, int(x) - 6 : int(x) + 6] = 0
    grid = find_grid(page)
    assert grid is not None
    straight, upright = straighten(page, grid)
    clean = without_rules(straight, upright)
    dark = clean < 128
    rows, columns = (np.flatnonzero(dark.any(axis=axis)) for axis in (1, 0))
    top, left, bottom, right = *upright.nodes[1, 1][::-1], *upright.nodes[2, 2][::-1]
    assert top < rows.min() < rows.max() < bottom
    assert left < columns.min() < columns.max() < right
    assert dark.sum() > 100


def test_turned_grid_starts_at_another_corner():
    grid = Grid(nodes(2, 3, CORNERS))
    turned = grid.turned(1)
    assert turned.shape == (3, 2)
    assert turned.quads()[0, 0, 0] == pytest.approx(grid.quads()[0, 2, 1])
