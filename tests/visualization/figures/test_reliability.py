import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from digitlens.evaluation.risk import RiskCoverage, risk_coverage
from digitlens.visualization.figures.reliability import draw_coverage, draw_risk_coverage

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


CURVE = RiskCoverage((0.999, 0.99, 0.9, 0.5), (100, 400, 800, 1000), (0, 2, 8, 100), 1000)
SURE_risk = RiskCoverage((0.8, 0.3), (50, 60), (0, 0), 70)


def answers(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(4, 3, n)
    confidence = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return confidence, rng.random(n) < 1 / (1 + np.exp(-0.6 * logits))


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_pictures_are_written_large_enough_for_a_talk(tmp_path):
    confidence, right = answers()
    curve = risk_coverage(confidence, right, len(right))
    draw_risk_coverage({"one": curve, "two": SURE_risk}, tmp_path / "risk.png")
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert min(picture.size) >= 1000
            assert len(picture.convert("L").getcolors()) > 20


def test_risk_is_drawn_against_coverage_and_shaded_up_to_its_bound(tmp_path, drawn):
    draw_risk_coverage({"reader": CURVE}, tmp_path / "risk.png")
    (axes,) = drawn[0].axes
    line = lines(axes)["reader"]
    assert line.get_xdata() == pytest.approx([0.1, 0.398, 0.792, 0.9])
    assert np.isnan(line.get_ydata()[0])  # nothing wrong: no place on a logarithmic axis
    assert line.get_ydata()[1:] == pytest.approx([0.005, 0.01, 0.1])
    assert axes.get_yscale() == "log"
    assert axes.get_ylim() == (0.001, 1)
    (shade,) = axes.collections
    corners = shade.get_paths()[0].vertices
    for x, low, high in zip(CURVE.coverage, [0.001, 0.005, 0.01, 0.1], CURVE.upper, strict=True):
        heights = corners[np.isclose(corners[:, 0], x), 1]
        assert (heights.min(), heights.max()) == pytest.approx((low, high))


def test_the_last_point_that_is_99_percent_sure_is_marked(tmp_path, drawn):
    draw_risk_coverage({"reader": CURVE, "unsure": SURE_risk}, tmp_path / "risk.png")
    (axes,) = drawn[0].axes
    marks = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [(*mark.get_xdata(), *mark.get_ydata()) for mark in marks] == [(0.398, 0.005)]
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["reader", "unsure", "confidence 99 %"]


def test_every_curve_looks_different(tmp_path, drawn):
    names = [f"model {i}" for i in range(5)]
    draw_risk_coverage(dict.fromkeys(names, CURVE), tmp_path / "risk.svg")
    found = lines(drawn[0].axes[0])
    looks = {(to_hex(found[n].get_color()), found[n].get_linestyle()) for n in names}
    assert len(looks) == 5


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found none"):
        draw_coverage({}, tmp_path / "coverage.svg")
    with pytest.raises(ValueError, match="found nothing"):
        draw_risk_coverage({}, tmp_path / "nothing.png")
    assert not list(tmp_path.iterdir())
