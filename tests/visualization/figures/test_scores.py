from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import evaluate
from digitlens.evaluation.significance import Facts, compare
from digitlens.visualization.figures import scores as predictions
from digitlens.visualization.theme import LIGHT, themed


def test_confusion_matrix_shows_every_count_and_no_zero(report, tmp_path, drawn, texts):
    predictions.draw_confusion(report, tmp_path / "confusion.png")
    axes = drawn[0].axes[0]
    cells = {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in axes.texts
        if text.get_text().isdigit()
    }
    rates = [text for text in texts(axes) if text.endswith(" %") and len(text) < 9]
    expected = {
        (int(row), int(column)): str(report.confusion[row, column])
        for row, column in zip(*np.nonzero(report.confusion), strict=True)
    }
    assert cells == expected
    assert sorted(rates) == sorted(
        ["100 %"] * 8 + ["50.0 %", "33.3 %", "16.7 %", "16.7 %", "83.3 %"]
    )
    assert axes.get_title("left") == "4 errors in 60 tiles"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("read as", "truth")
    assert any("accuracy 93.33 %" in text for text in texts(axes))


def test_class_bars_state_where_the_axis_starts_and_start_at_0_for_a_lost_class(
    reported, tmp_path, drawn, texts
):
    report = reported({7: 1})
    predictions.draw_classes(report, tmp_path / "classes.png")
    predictions.draw_classes(reported(dict.fromkeys(range(7, 60, 10), 1)), tmp_path / "lost.png")
    axes, lost = (figure.axes[0] for figure in drawn)
    start, end = axes.get_ylim()
    lowest = min(min(row.precision, row.recall, row.f1) for row in report.classes)
    assert start > 0
    assert lowest - start >= 0.25 * (end - start)  # no bar looks empty
    assert end == 1
    assert any(f"starts at {start:.1%}".replace("%", " %") in text for text in texts(axes))
    for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        assert float(label.get_text().removesuffix(" %")) == pytest.approx(100 * tick)
    tops = sorted(patch.get_y() + patch.get_height() for patch in axes.patches)
    scores = sorted(s for row in report.classes for s in (row.precision, row.recall, row.f1))
    assert tops == pytest.approx(scores)
    assert lost.get_ylim() == (0, 1)
    assert not any("starts at" in text for text in texts(lost))


def test_wrong_predictions_are_sorted_by_confidence_with_both_labels(
    report, tiles, tmp_path, drawn, texts
):
    answer = np.full((1, 10), 0.0001 / 9, np.float32)
    answer[0, 3] = 0.9999
    one = evaluate(lambda _: answer, Split(tiles[:1], np.array([8], np.uint8)))
    marked = replace(report, data=replace(report.data, label_errors=(7,)))
    for shown, most in ((report, {}), (report, {"most": 2}), (marked, {}), (one, {})):
        predictions.draw_wrong(shown, tiles, tmp_path / "wrong.png", **most)
    axes, cut, whole, sure = (figure.axes[0] for figure in drawn)
    captions = [text for text in texts(axes) if text.count("→") == 1 and len(text) < 9]
    assert captions == ["4 → 6", "4 → 9", "7 → 1", "4 → 9"]
    surest = f"{report.confidence[24]:.1%}".replace("%", " %")
    assert texts(axes)[1] == surest
    assert np.array_equal(axes.images[0].get_array()[2:30, 3:31], tiles[24])
    assert axes.get_title("left") == "4 wrong of 60"
    assert cut.get_title("left") == "4 wrong of 60, the 2 most confident ones"
    assert [text for text in texts(whole) if text.endswith(" *")] == ["7 → 1 *"]
    assert any("known to be wrong" in text for text in texts(whole))
    assert "> 99.9 %" in texts(sure)  # never shown as 100 %


def test_correct_predictions_have_a_column_per_digit(report, tiles, tmp_path, drawn):
    predictions.draw_correct(report, tiles, tmp_path / "correct.png")
    axes = drawn[0].axes[0]
    captions = [text for text in axes.texts if len(text.get_text()) == 5 and "→" in text.get_text()]
    assert {text.get_text() for text in captions} == {f"{d} → {d}" for d in range(10)}
    for text in captions:
        assert int(text.get_position()[0] // predictions.WIDE) == int(text.get_text()[0])
    # Three of the six fours are right; every other digit fills its column.
    assert sum(text.get_text() == "4 → 4" for text in captions) == 3
    assert sum(text.get_text() == "0 → 0" for text in captions) == 5


def test_extremes_are_the_surest_mistakes_above_the_least_sure_hits(
    report, reported, tiles, tmp_path, drawn, texts
):
    for shown in (report, reported({})):
        predictions.draw_extremes(shown, tiles, tmp_path / "extremes.svg", most=3)
    axes, perfect = (figure.axes[0] for figure in drawn)
    captions = [text for text in texts(axes) if text.count("→") == 1 and len(text) < 9]
    assert captions == ["4 → 6", "4 → 9", "7 → 1", "0 → 0", "1 → 1", "2 → 2"]
    mosaic, without = (np.asarray(each.images[0].get_array()) for each in (axes, perfect))
    assert np.array_equal(mosaic[2:30, 3:31], tiles[24])
    for shown in (mosaic, without):
        below = shown[predictions.HIGH :]
        assert below.shape[0] == predictions.HIGH
        assert np.array_equal(below[2:30, 3:31], tiles[0])
    assert not without[: predictions.HIGH].any()
    assert {"errors", "correct"} <= set(texts(axes))
    assert axes.get_title("left") == "The 3 most confident errors and 3 least confident hits"


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


@pytest.mark.usefixtures("for_a_talk")
def test_accuracies_and_differences_are_drawn_with_their_intervals(tmp_path, drawn):
    found = comparison(good=[1], poor=range(40), worse=range(41))
    predictions.draw_comparison(found, tmp_path / "comparison.png")
    left, right = drawn[0].axes
    dots = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert dots == pytest.approx([0.995, 0.8, 0.795])
    ends = [line.get_xdata() for line in left.lines if line.get_marker() != "o"]
    assert ends[1] == pytest.approx(found.reports["poor"].interval)
    spans = [line for line in right.lines if line.get_linewidth() == 2]
    assert [line.get_color() for line in spans] == [LIGHT.orange, LIGHT.orange, LIGHT.blue]
    assert spans[0].get_xdata() == pytest.approx(found.pairs[0].interval)
    assert right.get_yticklabels()[2].get_text().startswith("poor minus worse\np = 1")
    with Image.open(tmp_path / "comparison.png") as picture:
        assert min(picture.size) >= 700


def test_disagreements_are_shown_with_the_answer_of_each_model(tmp_path, drawn, texts):
    for wrong in (([3], [14]), ([], range(90)), ([1], [1])):
        found = comparison(**dict(zip(("one", "two"), wrong, strict=True)))
        predictions.draw_disagreements(found, TILES.tiles, tmp_path / "sheet.png")
    axes, many, none = (figure.axes[0] for figure in drawn)
    assert axes.get_title(loc="left") == "2 of 200 tiles are read differently"
    soft, red, ink = LIGHT.soft, LIGHT.red, LIGHT.ink
    assert [(text.get_text(), text.get_color()) for text in axes.texts[:6]] == [
        *(("label 3", soft), ("A 4  91 %", red), ("B 3  91 %", ink)),
        *(("label 4", soft), ("A 4  91 %", ink), ("B 5  91 %", red)),
    ]
    assert "A = one,  B = two" in texts(axes)[-1]
    assert sum(text.startswith("label") for text in texts(many)) == 50
    assert "the 50 most confident ones" in many.get_title(loc="left")
    assert none.get_title(loc="left") == "0 of 200 tiles are read differently"


SMALL = predictions.ModelPoint("small", 7_000, 30_000, 0.99, (0.985, 0.994), 9.0)
LARGE = predictions.ModelPoint("large", 2_000_000, 8_000_000, 0.995, (0.992, 0.997), 400.0)
TWIN = predictions.ModelPoint("twin", 2_100_000, 8_100_000, 0.995, (0.992, 0.997), 410.0)


def test_error_is_drawn_against_size_and_time(tmp_path, drawn, texts):
    with themed("dark"):
        predictions.draw_models([SMALL, LARGE], tmp_path / "models.svg", note="by the clock")
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


def test_names_of_similar_models_do_not_overlap(tmp_path, drawn):
    predictions.draw_models([LARGE, TWIN, SMALL], tmp_path / "models.png")
    figure = drawn[0]
    for axes in figure.axes:
        named = [text for text in axes.texts if text.get_weight() == "bold" and text.get_text()]
        boxes = [text.get_window_extent() for text in named]
        assert len(boxes) == 3
        assert not any(
            one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[at + 1 :]
        )


def test_model_without_mistakes_is_drawn(tmp_path, drawn):
    perfect = predictions.ModelPoint("perfect", 10, 100, 1.0, (0.98, 1.0), 1.0)
    predictions.draw_models([perfect], tmp_path / "models.png")
    axes = drawn[0].axes[0]
    assert axes.get_yscale() == "linear"
    low, high = axes.get_ylim()
    assert low < 0 < high
