from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import answers
from digitlens.evaluation.report import evaluate, measure_robustness
from digitlens.visualization import theme as style
from digitlens.visualization.figures.curves import draw_curves, draw_runs
from digitlens.visualization.figures.reliability import (
    draw_calibration,
    draw_corrupted,
    draw_corruptions,
    draw_coverage,
    draw_sweeps,
)
from digitlens.visualization.figures.scores import draw_classes, draw_confusion, draw_extremes

# G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, "A physiologically-based model for
# simulation of color vision deficiency", IEEE TVCG 15 (2009): without red and without green cones.
SEEN_BY = {
    "all": np.eye(3),
    "protanopes": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopes": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
# IEC 61966-2-1: sRGB to CIE XYZ, and the white point.
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1, 1.08883])


def lab(colour, seen_by):
    """CIELAB of a colour as seen by the given kind of vision (CIE 15:2004)."""
    values = np.array(to_rgb(colour))
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    share = TO_XYZ @ np.clip(seen_by @ linear, 0, 1) / WHITE
    root = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.fixture(params=style.THEMES)
def themed(request):
    with style.themed(request.param) as chosen:
        yield chosen


def test_text_and_hues_contrast_with_the_background(themed):
    for text in (themed.ink, themed.soft):
        assert style.contrast(text, themed.ground) >= 4.5
        assert style.contrast(text, themed.pale) >= 4.5
    assert style.contrast(themed.red, themed.ground) >= 4.5  # the colour of mistakes in text
    for hue in (themed.blue, themed.orange, themed.green):
        assert style.contrast(hue, themed.ground) >= 3


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_hues_are_distinguishable_with_colour_vision_deficiency(themed, eyes):
    hues = [
        lab(hue, SEEN_BY[eyes]) for hue in (themed.blue, themed.orange, themed.green, themed.red)
    ]
    assert min(np.linalg.norm(one - other) for one, other in combinations(hues, 2)) >= 20


def test_contrast_and_lab_match_published_values():
    assert style.contrast("black", "white") == pytest.approx(21)
    assert style.contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)
    assert lab("#FF0000", SEEN_BY["all"]) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


def test_theme_lasts_for_its_block_and_an_unknown_one_is_refused():
    with style.themed("dark"):
        assert style.theme() is style.DARK
    assert style.theme() is style.LIGHT
    with pytest.raises(ValueError, match="light, dark, found 'sepia'"), style.themed("sepia"):
        pass


def test_tile_colours_run_from_the_background_to_high_contrast(themed):
    tiles = themed.tiles
    assert style.contrast(tiles(0), themed.ground) == pytest.approx(1)
    assert style.contrast(tiles(255), themed.ground) > 15


@pytest.fixture(scope="module")
def figures(report, tiles, history):
    """Every results figure by name, as a function of the path."""
    split = Split(tiles, report.labels)
    found = measure_robustness(_unsure, split, evaluate(_unsure, split), recipe={"shear": 5.0})
    sample = {"clean": answers(report.labels, report.probabilities)}
    return {
        "curves": lambda path: draw_curves(history, path),
        "runs": lambda path: draw_runs({"one": history, "two": history[:1]}, path),
        "confusion": lambda path: draw_confusion(report, path),
        "classes": lambda path: draw_classes(report, path),
        "extremes": lambda path: draw_extremes(report, tiles, path),
        "reliability": lambda path: draw_calibration(report, path),
        "coverage": lambda path: draw_coverage(sample, path),
        "robustness": lambda path: draw_sweeps(found, path),
        "corruptions": lambda path: draw_corruptions(found, path),
        "corrupted": lambda path: draw_corrupted(found, split, path),
    }


def _unsure(tiles):
    return np.full((len(tiles), 10), 0.1, np.float32)


NAMES = (
    *("curves", "runs", "confusion", "classes", "extremes", "reliability"),
    *("coverage", "robustness", "corruptions", "corrupted"),
)


@pytest.mark.usefixtures("themed")
@pytest.mark.parametrize("name", NAMES)
def test_all_text_is_readable_and_inside_the_figure(name, figures, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: path.touch())  # takes seconds
    figures[name](tmp_path / "figure.png")
    (figure,) = drawn
    figure.set_dpi(50)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # else hiding the texts moves their neighbours
    places = list(_places(figure))
    for text, _ in places:
        text.set_visible(False)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255
    assert len(places) > 5
    for text, (x0, y0, x1, y1) in places:
        assert min(x0, y0) >= 0, text
        assert x1 <= pixels.shape[1], text
        assert y1 <= pixels.shape[0], text
        ground = np.median(pixels[y0:y1, x0:x1].reshape(-1, 3), axis=0)
        assert style.contrast(text.get_color(), ground) >= 4.5, text


def _places(figure):
    """Yields each drawn text with its bounding box in pixels."""
    ticks = [
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for label in _beyond(axis)
    ]
    for text in figure.findobj(Text):
        box = text.get_window_extent().extents.round().astype(int)
        if text.get_visible() and text not in ticks and (box[2:] > box[:2] + 1).all():
            yield text, box


def _beyond(axis):
    """Yields labels of ticks beyond the ends of the axis, which are not drawn."""
    low, high = sorted(axis.get_view_interval())
    for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
        if not low <= tick.get_loc() <= high:
            yield from (tick.label1, tick.label2)


@pytest.mark.parametrize("suffix", style.SUFFIXES)
def test_dark_figure_is_reproducible_byte_for_byte(suffix, figures, tmp_path, monkeypatch):
    monkeypatch.setattr(style, "DPI", 40)
    made = [tmp_path / f"{number}{suffix}" for number in range(2)]
    for path in made:
        with style.themed("dark"):
            figures["classes"](path)
    assert made[0].read_bytes() == made[1].read_bytes()
    if suffix == ".svg":
        assert f"fill: {style.DARK.ground.lower()}" in made[0].read_text()
    else:
        with Image.open(made[0]) as picture:
            assert picture.convert("RGB").getpixel((0, 0)) == (0x15, 0x18, 0x1D)
