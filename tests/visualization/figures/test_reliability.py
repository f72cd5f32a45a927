import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import answers, measure_uncertainty
from digitlens.evaluation.ood import Rejection, Scored, detect
from digitlens.evaluation.report import evaluate, measure_robustness
from digitlens.evaluation.risk import RiskCoverage
from digitlens.visualization.figures.reliability import (
    draw_corrupted,
    draw_corruptions,
    draw_coverage,
    draw_rejection,
    draw_risk_coverage,
    draw_robustness,
    draw_sweeps,
)
from digitlens.visualization.theme import LIGHT

RIGHT = np.array([True] * 8 + [False, True])
SURE = np.linspace(0.99, 0.5, 10)


def test_risk_is_drawn_against_the_fraction_held_back(tmp_path, drawn):
    draw_coverage({"tiles": (SURE, RIGHT)}, tmp_path / "coverage.svg")
    (axes,) = drawn[0].axes
    line = axes.lines[0]
    assert line.get_xydata() == pytest.approx(np.array([[0.1, 1 / 9]]))  # a log axis has no 0
    assert line.get_label() == "tiles, 10.00 % wrong when all answered"
    title = axes.get_title("left")
    assert title == "80.0 % of the tiles are answered without a mistake"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


CURVE = RiskCoverage((0.999, 0.99, 0.9, 0.5), (100, 400, 800, 1000), (0, 2, 8, 100), 1000)
UNSURE = RiskCoverage((0.8, 0.3), (50, 60), (0, 0), 70)


def test_risk_against_coverage_is_shaded_to_its_bound_and_marked_at_99_percent(tmp_path, drawn):
    draw_risk_coverage({"reader": CURVE}, tmp_path / "risk.png")
    draw_risk_coverage({"reader": CURVE, "unsure": UNSURE}, tmp_path / "two.png")
    axes, two = (figure.axes[0] for figure in drawn)
    (line,) = (line for line in axes.lines if line.get_label() == "reader")
    assert line.get_xdata() == pytest.approx([0.1, 0.398, 0.792, 0.9])
    assert np.isnan(line.get_ydata()[0])  # zero risk is not on a log axis
    assert line.get_ydata()[1:] == pytest.approx([0.005, 0.01, 0.1])
    assert axes.get_yscale() == "log"
    assert axes.get_ylim() == (0.001, 1)
    (shade,) = axes.collections
    corners = shade.get_paths()[0].vertices
    for x, low, high in zip(CURVE.coverage, [0.001, 0.005, 0.01, 0.1], CURVE.upper, strict=True):
        heights = corners[np.isclose(corners[:, 0], x), 1]
        assert (heights.min(), heights.max()) == pytest.approx((low, high))
    marks = [line for line in two.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [(*mark.get_xdata(), *mark.get_ydata()) for mark in marks] == [(0.398, 0.005)]
    shown = [text.get_text() for text in two.get_legend().get_texts()]
    assert shown == ["reader", "unsure", "confidence 99 %"]


def says_three(tiles):
    """Reads every tile as a 3 with probability 0.55."""
    answer = np.full((len(tiles), 10), 0.05, np.float32)
    answer[:, 3] = 0.55
    return answer


@pytest.fixture(scope="module")
def split():
    labels = np.array([3, 3, 3, 8], np.uint8)
    tiles = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    return Split(tiles, labels)


@pytest.fixture(scope="module")
def found(split):
    report = evaluate(says_three, split)
    return measure_robustness(says_three, split, report, recipe={"shear": 5.0})


@pytest.mark.usefixtures("for_a_talk")
def test_three_robustness_figures_are_large_enough_for_a_talk(found, split, tmp_path):
    paths = draw_robustness(found, split, tmp_path)
    assert [path.name for path in paths] == ["corruptions.png", "sweeps.png", "corrupted.png"]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) >= 600
            assert len(picture.convert("L").getcolors()) > 20


def test_bars_show_accuracy_and_are_coloured_by_overlap_with_training(
    found, drawn, tmp_path, texts
):
    draw_corruptions(found, tmp_path / "bars.png")
    axes = drawn[0].axes[0]
    bars = [bar for bar in axes.patches if bar.get_width()]
    assert len(bars) == 15
    assert {bar.get_width() for bar in bars} == {0.75}
    assert len({to_hex(bar.get_facecolor()) for bar in bars}) == 2
    legend = axes.get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["of a kind not covered by training", "of a kind covered by training"]
    shown = dict(zip(names, legend.get_patches(), strict=True))
    shear = next(row.name for row in found.corruptions if row.overlaps).replace("_", " ")
    place = [text.get_text() for text in axes.get_yticklabels()].index(shear)
    assert shown["of a kind covered by training"].get_facecolor() == bars[place].get_facecolor()
    assert "under the 14 of a kind" in " ".join(texts(axes))


def test_bars_have_one_colour_without_a_recipe(split, drawn, tmp_path, texts):
    unknown = measure_robustness(says_three, split, evaluate(says_three, split))
    draw_corruptions(unknown, tmp_path / "bars.svg")
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training unknown"]
    assert "covered by training" not in " ".join(texts(axes))


def test_each_sweep_has_a_curve_and_a_line_at_the_usual_value(found, drawn, tmp_path):
    draw_sweeps(found, tmp_path / "sweeps.png")
    assert len(drawn[0].axes) == 6
    for axes, curve in zip(drawn[0].axes, found.curves, strict=True):
        usual, line = axes.lines
        assert usual.get_xdata()[0] == curve.usual
        assert line.get_xdata().tolist() == list(curve.values)
        assert set(line.get_ydata()) == {0.75}
        assert axes.get_xlabel() == curve.axis


def test_examples_show_what_was_read_and_mark_mistakes(found, split, drawn, tmp_path, texts):
    draw_corrupted(found, split, tmp_path / "examples.png")
    axes = drawn[0].axes[0]
    answers = [text for text in axes.texts if text.get_text() == "3"]
    assert len(answers) == 16 * 2  # the first 3 and the only 8
    red = [text for text in answers if to_hex(text.get_color()) == LIGHT.red.lower()]
    assert len(red) == 16
    mosaic = np.asarray(axes.images[0].get_array())
    assert np.array_equal(mosaic[1:29, 1:29], split.tiles[0])
    assert "motion blur\n75.0 %" in texts(axes)


def drawn(n, sharpness, seed):
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(0, 2, (n, 10))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return labels, chances.astype(np.float32)


def rejection(score, sets):
    """A made-up result for the named score and the given number of sets of negatives."""
    samples = {"clean": drawn(500, 4, 0), "corrupted": drawn(300, 1, 1)}
    names = ["digits", *(f"set {k}" for k in range(sets))]
    scored = {
        name: Scored(chances, {score: chances.max(axis=1).astype(float) - (score == "energy")})
        for k, name in enumerate(names)
        for _, chances in [drawn(40 + k, 3 - 0.3 * k, k)]
    }
    digits = scored["digits"].scores[score]
    table = {name: detect(digits, scored[name].scores[score]) for name in names[1:]}
    tiles = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    return Rejection(
        uncertainty={name: measure_uncertainty(*sample) for name, sample in samples.items()},
        answers={name: answers(*sample) for name, sample in samples.items()},
        scores={score: table},
        recommended=score,
        chosen_by={},
        scaling={},
        negatives={name: tiles[: len(scored[name].probabilities)] for name in names[1:]},
        scored=scored,
    )


@pytest.mark.parametrize(
    ("score", "sets", "mistakes"), [("digit", 4, True), ("energy", 1, True), ("digit", 2, False)]
)
def test_every_rejection_figure_is_written_and_not_empty(tmp_path, score, sets, mistakes):
    found = rejection(score, sets)
    if not mistakes:
        sure = np.linspace(0.9, 1, 50), np.ones(50, bool)
        found.answers.update(clean=sure, corrupted=sure)
    paths = draw_rejection(found, tmp_path)
    names = ("risk", "reliability", "scores", "strangers", "taken")
    assert [path.name for path in paths] == [f"rejection-{name}.png" for name in names]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 100
            assert np.asarray(picture.convert("L")).std() > 8
