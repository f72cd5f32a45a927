import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import evaluate
from digitlens.visualization import predictions


def test_wrong_predictions_come_surest_first_with_both_labels(
    report, tiles, tmp_path, drawn, texts
):
    predictions.draw_wrong(report, tiles, tmp_path / "wrong.png")
    axes = drawn[0].axes[0]
    captions = [text for text in texts(axes) if text.count("→") == 1 and len(text) < 9]
    assert captions == ["4 → 6", "4 → 9", "7 → 1", "4 → 9"]
    surest = f"{report.confidence[24]:.1%}".replace("%", " %")
    assert texts(axes)[1] == surest
    mosaic = axes.images[0].get_array()
    assert np.array_equal(mosaic[2:30, 3:31], tiles[24])
    assert axes.get_title("left") == "4 wrong of 60"


def test_wrong_predictions_are_cut_and_say_so(report, tiles, tmp_path, drawn):
    predictions.draw_wrong(report, tiles, tmp_path / "wrong.png", most=2)
    assert drawn[0].axes[0].get_title("left") == "4 wrong of 60, the 2 surest of them"


def test_known_label_errors_are_marked(report, tiles, tmp_path, drawn, texts):
    object.__setattr__(report.data, "label_errors", (7,))
    try:
        predictions.draw_wrong(report, tiles, tmp_path / "wrong.png")
    finally:
        object.__setattr__(report.data, "label_errors", ())
    shown = texts(drawn[0].axes[0])
    assert [text for text in shown if text.endswith(" *")] == ["7 → 1 *"]
    assert any("known to be wrong" in text for text in shown)


def test_correct_predictions_have_a_column_a_digit(report, tiles, tmp_path, drawn):
    predictions.draw_correct(report, tiles, tmp_path / "correct.png")
    axes = drawn[0].axes[0]
    captions = [text for text in axes.texts if len(text.get_text()) == 5 and "→" in text.get_text()]
    assert {text.get_text() for text in captions} == {f"{d} → {d}" for d in range(10)}
    for text in captions:
        assert int(text.get_position()[0] // predictions.WIDE) == int(text.get_text()[0])
    # The fours that were misread leave three right ones; every other digit fills its column.
    assert sum(text.get_text() == "4 → 4" for text in captions) == 3
    assert sum(text.get_text() == "0 → 0" for text in captions) == 5


def test_nearly_sure_is_not_shown_as_certain(tiles, tmp_path, drawn, texts):
    answer = np.full((1, 10), 0.0001 / 9, np.float32)
    answer[0, 3] = 0.9999
    one = evaluate(lambda _: answer, Split(tiles[:1], np.array([8], np.uint8)))
    predictions.draw_wrong(one, tiles[:1], tmp_path / "wrong.png")
    assert "> 99.9 %" in texts(drawn[0].axes[0])


def test_extremes_are_the_surest_mistakes_above_the_least_sure_hits(
    report, tiles, tmp_path, drawn, texts
):
    predictions.draw_extremes(report, tiles, tmp_path / "extremes.svg", most=3)
    (axes,) = drawn[0].axes
    captions = [text for text in texts(axes) if text.count("→") == 1 and len(text) < 9]
    assert captions == ["4 → 6", "4 → 9", "7 → 1", "0 → 0", "1 → 1", "2 → 2"]
    mosaic = axes.images[0].get_array()
    assert np.array_equal(mosaic[2:30, 3:31], tiles[24])
    assert np.array_equal(mosaic[predictions.HIGH + 2 : predictions.HIGH + 30, 3:31], tiles[0])
    assert {"surest\nmistakes", "least sure\nhits"} <= set(texts(axes))
    assert axes.get_title("left") == "The 3 surest mistakes and the 3 least sure hits"


def test_extremes_without_a_mistake_leave_a_row_empty(reported, tiles, tmp_path, drawn):
    predictions.draw_extremes(reported({}), tiles, tmp_path / "extremes.svg", most=3)
    mosaic = np.asarray(drawn[0].axes[0].images[0].get_array())
    assert mosaic.shape[0] == 2 * predictions.HIGH
    assert not mosaic[: predictions.HIGH].any()
    assert np.array_equal(mosaic[predictions.HIGH + 2 : predictions.HIGH + 30, 3:31], tiles[0])
