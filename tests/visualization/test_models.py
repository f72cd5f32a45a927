import numpy as np
import pytest

from digitlens.visualization.models import ModelPoint, draw_models
from digitlens.visualization.style import themed

SMALL = ModelPoint("small", 7_000, 30_000, 0.99, (0.985, 0.994), 9.0)
LARGE = ModelPoint("large", 2_000_000, 8_000_000, 0.995, (0.992, 0.997), 400.0)
TWIN = ModelPoint("twin", 2_100_000, 8_100_000, 0.995, (0.992, 0.997), 410.0)


@pytest.mark.parametrize(("name", "suffix"), [("light", ".png"), ("dark", ".svg")])
def test_mistakes_stand_against_size_and_time(tmp_path, drawn, texts, name, suffix):
    with themed(name):
        draw_models([SMALL, LARGE], tmp_path / f"models{suffix}", note="by the clock")
    left, right = drawn[0].axes
    for axes, along in ((left, [7_000, 2_000_000]), (right, [9, 400])):
        dots = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(dots, np.column_stack([along, [0.01, 0.005]]))
        assert axes.get_xscale() == axes.get_yscale() == "log"
    spans = [line.get_ydata() for line in left.lines if line.get_marker() != "o"]
    np.testing.assert_allclose(spans[0], [0.006, 0.015])
    assert {"small", "1.00 % wrong · 30 kB"} <= set(texts(left))
    assert {"large", "0.50 % wrong · 400 µs", "by the clock"} <= set(texts(right))
    ticks = [label.get_text() for label in left.get_xticklabels()]
    assert {"10 k", "1 M"} <= set(ticks)


def test_names_of_models_that_are_alike_do_not_touch(tmp_path, drawn):
    draw_models([LARGE, TWIN, SMALL], tmp_path / "models.png")
    figure = drawn[0]
    for axes in figure.axes:
        named = [text for text in axes.texts if text.get_weight() == "bold" and text.get_text()]
        boxes = [text.get_window_extent() for text in named]
        assert len(boxes) == 3
        assert not any(
            one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[at + 1 :]
        )


def test_a_model_without_mistakes_has_a_place(tmp_path, drawn):
    perfect = ModelPoint("perfect", 10, 100, 1.0, (0.98, 1.0), 1.0)
    draw_models([perfect], tmp_path / "models.png")
    axes = drawn[0].axes[0]
    assert axes.get_yscale() == "linear"
    low, high = axes.get_ylim()
    assert low < 0 < high
    with pytest.raises(ValueError, match="found none"):
        draw_models([], tmp_path / "models.png")
