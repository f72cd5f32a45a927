"""Rules are followed if faint, bent or half hidden; rows of characters are not rules."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.imaging.rule_paths import follow_rules
from digitlens.imaging.ruling import find_grid

WIDTH, HEIGHT, LEVEL = 480, 160, 80


def drawn(depth=60, grain=0.0, slope=0.0, bend=0.0, hidden=0):
    """int16[H, W] and the height of its rule in each column; ``hidden`` columns lack it."""
    x = np.arange(WIDTH)
    y = LEVEL + slope * (x - WIDTH / 2) + bend * np.sin(np.pi * x / WIDTH)
    page = 200 + np.random.default_rng(0).normal(0, grain, (HEIGHT, WIDTH))
    away = np.abs(np.arange(HEIGHT)[:, None] + 0.5 - y)
    shown = np.ones(WIDTH)
    shown[WIDTH - hidden :] = 0
    page -= depth * shown * np.clip(1.5 - away, 0, 1)
    return page.astype(np.int16), y


@pytest.mark.parametrize(
    "looks",
    [
        {},
        {"depth": 6, "grain": 6.0},
        {"slope": 0.02},
        {"bend": 5.0},
        {"depth": 20, "grain": 4.0, "bend": 4.0},
        {"hidden": 200},
    ],
    ids=["clear", "fainter than grain", "sloping", "bent", "bent and grainy", "hidden in part"],
)
def test_a_rule_is_the_clearest_path(looks):
    page, y = drawn(**looks)
    paths = follow_rules(page, (0, WIDTH))
    seen = paths.xs < WIDTH - looks.get("hidden", 0)
    away = np.abs(paths.heights[0] - y[paths.xs.astype(int)])
    assert away[seen].max() < 2
    assert paths.seen[0, seen].mean() > 0.8
    assert seen.all() or paths.seen[0, ~seen].mean() < 0.2


def test_a_row_of_digits_is_less_clear_than_a_faint_rule():
    page, _ = drawn(depth=12, grain=2.0)
    image, font = Image.fromarray(page.astype(np.uint8)), ImageFont.load_default(24)
    for x in range(20, WIDTH, 80):
        ImageDraw.Draw(image).text((x, 20), "7242", 20, font)
    paths = follow_rules(np.asarray(image).astype(np.int16), (0, WIDTH))
    clearness = paths.gains.mean(axis=1)
    is_rule = np.abs(paths.heights.mean(axis=1) - LEVEL) < 3
    assert is_rule[0]
    assert clearness[~is_rule].max(initial=0.0) < 0.6 * clearness[0]


def test_paths_can_be_taken_in_any_order():
    paths = follow_rules(drawn()[0], (0, WIDTH))
    taken = paths.take(np.array([0, 0]))
    assert np.array_equal(taken.heights, paths.heights[[0, 0]])
    assert taken.depths.shape == (2,)


def test_blank_paper_has_no_clear_path():
    paths = follow_rules(np.full((HEIGHT, WIDTH), 200, np.int16), (0, WIDTH))
    assert paths.gains.mean(axis=1).max(initial=0.0) < 0.3


def table(looks, rows=6, columns=4):
    """uint8[H, W]; a ruled table with numbers in its cells, under glare or on streaked paper."""
    page, font = Image.new("L", (560, 460), 235), ImageFont.load_default(22)
    pen = ImageDraw.Draw(page)
    for x in range(60, 60 + 110 * columns + 1, 110):
        pen.line((x, 50, x, 50 + 60 * rows), 120, 1)
    for y in range(50, 50 + 60 * rows + 1, 60):
        pen.line((60, y, 60 + 110 * columns, y), 120, 1)
    for k in range(rows * columns):
        at = 115 + k % columns * 110, 80 + k // columns * 60
        pen.text(at, str(131 + 47 * k), 60, font, anchor="mm")
    gray, rng = np.asarray(page, float), np.random.default_rng(1)
    y, x = np.mgrid[0:460, 0:560]
    if looks == "glare":
        lit = np.exp(-(((x - 480) / 110) ** 2) - ((y - 230) / 200) ** 2)
        gray = gray + (250 - gray) * 0.9 * lit
    if looks == "a streaked paper":
        gray -= np.abs(np.repeat(rng.normal(0, 9, (23, 560)), 20, axis=0))
    return np.clip(gray + rng.normal(0, 2, gray.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("looks", ["glare", "a streaked paper"])
def test_table_is_found_under_glare_and_on_streaked_paper(looks):
    grid = find_grid(table(looks))
    assert grid is not None
    assert grid.shape == (6, 4)


def test_print_in_columns_has_no_rules():
    page, font = Image.new("L", (560, 420), 240), ImageFont.load_default(26)
    for k in range(40):
        at = 60 + k % 5 * 100, 30 + k // 5 * 45
        ImageDraw.Draw(page).text(at, str(117 + 211 * k), 30, font)
    assert find_grid(np.asarray(page)) is None
