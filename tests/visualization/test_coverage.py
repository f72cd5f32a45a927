import numpy as np
import pytest

from digitlens.visualization.coverage import draw_coverage

RIGHT = np.array([True] * 8 + [False, True])
SURE = np.linspace(0.99, 0.5, 10)


def test_risk_falls_to_nothing_while_the_least_sure_are_kept_back(tmp_path, drawn):
    draw_coverage({"tiles": (SURE, RIGHT)}, tmp_path / "coverage.svg")
    (axes,) = drawn[0].axes
    line = axes.lines[0]
    assert line.get_xydata() == pytest.approx(np.array([[0.1, 1 / 9]]))  # all answered has no place
    assert line.get_label() == "tiles, 10.00 % wrong when all answered"
    title = axes.get_title("left")
    assert title == "80.0 % of the tiles are answered without a mistake"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_no_answers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="found none"):
        draw_coverage({}, tmp_path / "coverage.svg")
    assert not list(tmp_path.iterdir())
