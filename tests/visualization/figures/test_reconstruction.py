import numpy as np
import pytest
from PIL import Image

from digitlens.visualization.figures.reconstruction import (
    Redrawn,
    draw_interpolations,
    draw_reconstructions,
)
from digitlens.visualization.theme import LIGHT, themed

TILES = np.zeros((4, 28, 28), np.uint8)
TILES[:, 6:22, 10:18] = 255
BLUE = tuple(int(LIGHT.blue[k : k + 2], 16) for k in (1, 3, 5))


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    monkeypatch.setattr("digitlens.visualization.theme.DPI", 72)


def _pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def _share(pixels, colour):
    return float((np.abs(pixels - np.array(colour)).max(axis=2) < 24).mean())


def test_what_was_written_is_in_ink_and_what_is_drawn_again_in_blue(tmp_path):
    one = Redrawn(TILES, TILES, np.linspace(0.1, 0.4, 4))
    draw_reconstructions([one] * 10, one, one, tmp_path / "again.png", note="from 16 numbers")
    pixels = _pixels(tmp_path / "again.png")
    assert _share(pixels, BLUE) > 0.02
    assert _share(pixels, (0, 0, 0)) + _share(pixels, (34, 34, 34)) > 0.02
    blank = Redrawn(TILES, np.zeros_like(TILES), one.error)
    draw_reconstructions([blank] * 10, blank, blank, tmp_path / "none.png", note="")
    assert _share(_pixels(tmp_path / "none.png"), BLUE) == 0


def test_ways_and_field_are_drawn_on_dark_too(tmp_path):
    ways = [Redrawn(TILES[:2], TILES, np.zeros(4))] * 10
    field = np.tile(TILES[0], (5, 5, 1, 1))
    with themed("dark") as dark:
        draw_interpolations(ways, field, TILES, tmp_path / "ways.png", note="")
        ground = tuple(int(dark.ground[k : k + 2], 16) for k in (1, 3, 5))
    pixels = _pixels(tmp_path / "ways.png")
    assert _share(pixels, ground) > 0.4
    assert _share(pixels, BLUE) < 0.01
