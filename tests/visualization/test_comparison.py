import numpy as np
import pytest
from PIL import Image

from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import evaluate
from digitlens.evaluation.significance import Facts, compare
from digitlens.visualization.comparison import draw_comparison, draw_disagreements
from digitlens.visualization.style import LIGHT

LABELS = np.arange(200, dtype=np.uint8) % 10
TILES = Split(np.repeat(LABELS * 20, 784).reshape(200, 28, 28), LABELS)


def comparison(**wrong):
    reports = {}
    for name, indices in wrong.items():
        read = LABELS.astype(int)
        read[list(indices)] = (read[list(indices)] + 1) % 10
        answers = np.eye(10, dtype=np.float32)[read] * 0.9 + 0.01
        reports[name] = evaluate(lambda _, answers=answers: answers, TILES)
    return compare("tiles", reports, {name: Facts() for name in reports})


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_accuracies_and_differences_are_drawn_with_their_intervals(tmp_path, drawn):
    found = comparison(good=[1], poor=range(40), worse=range(41))
    draw_comparison(found, tmp_path / "comparison.png")
    left, right = drawn[0].axes
    dots = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert dots == pytest.approx([0.995, 0.8, 0.795])
    ends = [line.get_xdata() for line in left.lines if line.get_marker() != "o"]
    assert ends[1] == pytest.approx(found.reports["poor"].interval)
    spans = [line for line in right.lines if line.get_linewidth() == 2]
    assert [line.get_color() for line in spans] == [LIGHT.orange, LIGHT.orange, LIGHT.blue]
    assert spans[0].get_xdata() == pytest.approx(found.pairs[0].interval)
    assert right.get_yticklabels()[2].get_text().startswith("poor less worse\np = 1")
    with Image.open(tmp_path / "comparison.png") as picture:
        assert min(picture.size) >= 700


def test_tiles_that_are_read_differently_are_shown_with_what_each_read(tmp_path, drawn):
    draw_disagreements(comparison(one=[3], two=[14]), TILES.tiles, tmp_path / "sheet.png")
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "2 of 200 tiles are read differently"
    assert texts(axes)[:6] == [
        "label 3",
        "A 4  91 %",
        "B 3  91 %",
        "label 4",
        "A 4  91 %",
        "B 5  91 %",
    ]
    colours = [text.get_color() for text in axes.texts[:6]]
    soft, red, ink = LIGHT.soft, LIGHT.red, LIGHT.ink
    assert colours == [soft, red, ink, soft, ink, red]
    assert "A = one,  B = two" in texts(axes)[-1]


def test_a_sheet_shows_the_first_of_many_and_may_be_empty(tmp_path, drawn):
    draw_disagreements(comparison(one=[], two=range(90)), TILES.tiles, tmp_path / "many.png")
    draw_disagreements(comparison(one=[1], two=[1]), TILES.tiles, tmp_path / "none.png")
    many, none = (figure.axes[0] for figure in drawn)
    assert sum(text.startswith("label") for text in texts(many)) == 50
    assert "the 50 on which all are surest" in many.get_title(loc="left")
    assert none.get_title(loc="left") == "0 of 200 tiles are read differently"
