import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from digitlens.data.mnist import Split
from digitlens.evaluation.evaluate import evaluate
from digitlens.visualization import figures, predictions

LABELS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 6, np.uint8)
MISREAD = {4: 9, 14: 9, 24: 6, 7: 1}  # index → read as
HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 0.5 / epoch,
        "val_loss": loss,
        "train_accuracy": 0.9,
        "val_accuracy": 0.95,
        "learning_rate": 0.001,
        "seconds": 1.0,
    }
    for epoch, loss in enumerate([0.4, 0.2, 0.3], start=1)
]


@pytest.fixture(scope="module")
def tiles():
    return np.random.default_rng(0).integers(0, 256, (len(LABELS), 28, 28), dtype=np.uint8)


def reported(tiles, misread):
    read = LABELS.copy()
    read[list(misread)] = list(misread.values())
    confidence = np.linspace(0.55, 0.95, len(LABELS))
    answer = np.repeat((1 - confidence[:, None]) / 9, 10, axis=1)
    answer[np.arange(len(LABELS)), read] = confidence
    return evaluate(lambda _: answer.astype(np.float32), Split(tiles, LABELS))


@pytest.fixture(scope="module")
def report(tiles):
    return reported(tiles, MISREAD)


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_every_picture_of_a_report_is_written_and_large_enough_for_a_talk(report, tiles, tmp_path):
    settings = dict(mpl.rcParams)
    written = figures.draw_report(report, tiles, tmp_path / "new")
    names = ["confusion", "classes", "calibration", "wrong", "correct"]
    assert [path.name for path in written] == [f"{name}.png" for name in names]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        f"{name}.png" for name in names
    )
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) >= 400
            assert max(picture.size) >= 1400
            assert len(picture.convert("L").getcolors()) > 20  # something is drawn
    assert dict(mpl.rcParams) == settings


def test_confusion_matrix_shows_every_count_and_no_zero(report, tmp_path, drawn):
    figures.draw_confusion(report, tmp_path / "confusion.png")
    axes = drawn[0].axes[0]
    cells = {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in axes.texts
        if text.get_text().isdigit()
    }
    expected = {
        (int(row), int(column)): str(report.confusion[row, column])
        for row, column in zip(*np.nonzero(report.confusion), strict=True)
    }
    assert cells == expected
    assert axes.get_title("left") == "4 mistakes in 60 tiles"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("read as", "truth")
    assert any("accuracy 93.33 %" in text for text in texts(axes))


def test_wrong_predictions_come_surest_first_with_both_labels(report, tiles, tmp_path, drawn):
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


def test_known_label_errors_are_marked(report, tiles, tmp_path, drawn):
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


def test_nothing_wrong_and_nothing_right_can_be_drawn(tiles, tmp_path):
    perfect = reported(tiles, {})
    hopeless = reported(tiles, {i: (int(label) + 1) % 10 for i, label in enumerate(LABELS)})
    for name, one in (("perfect", perfect), ("hopeless", hopeless)):
        assert len(figures.draw_report(one, tiles, tmp_path / name)) == 5


def test_nearly_sure_is_not_shown_as_certain(tiles, tmp_path, drawn):
    answer = np.full((1, 10), 0.0001 / 9, np.float32)
    answer[0, 3] = 0.9999
    one = evaluate(lambda _: answer, Split(tiles[:1], np.array([8], np.uint8)))
    predictions.draw_wrong(one, tiles[:1], tmp_path / "wrong.png")
    assert "> 99.9 %" in texts(drawn[0].axes[0])


def test_class_bars_say_where_their_axis_starts(tiles, tmp_path, drawn):
    report = reported(tiles, {7: 1})
    figures.draw_classes(report, tmp_path / "classes.png")
    axes = drawn[0].axes[0]
    start, end = axes.get_ylim()
    lowest = min(min(row.precision, row.recall, row.f1) for row in report.classes)
    assert start > 0
    assert lowest - start >= 0.25 * (end - start)  # no bar looks like nothing
    assert end == 1
    assert any(f"starts at {start:.1%}".replace("%", " %") in text for text in texts(axes))
    for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        assert float(label.get_text().removesuffix(" %")) == pytest.approx(100 * tick)
    tops = sorted(patch.get_y() + patch.get_height() for patch in axes.patches)
    scores = sorted(s for row in report.classes for s in (row.precision, row.recall, row.f1))
    assert tops == pytest.approx(scores)


def test_class_bars_start_at_zero_when_a_class_is_lost(tiles, tmp_path, drawn):
    lost = reported(tiles, {i: 1 for i, label in enumerate(LABELS) if label == 7})
    figures.draw_classes(lost, tmp_path / "classes.png")
    axes = drawn[0].axes[0]
    assert axes.get_ylim() == (0, 1)
    assert not any("starts at" in text for text in texts(axes))


def test_curves_show_both_sides_of_both_and_mark_the_best_epoch(tmp_path, drawn):
    figures.draw_curves(HISTORY, tmp_path / "curves.png")
    loss, accuracy = drawn[0].axes
    lines = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert lines["training"] == [row["train_loss"] for row in HISTORY]
    assert lines["validation"] == [row["val_loss"] for row in HISTORY]
    assert {"training", "validation"} <= {line.get_label() for line in accuracy.lines}
    assert loss.collections[0].get_offsets().tolist() == [[2, 0.2]]
    assert accuracy.collections[0].get_offsets().tolist() == [[2, 0.95]]


def test_curves_of_one_epoch_are_points(tmp_path):
    figures.draw_curves(HISTORY[:1], tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")


def test_curves_of_a_page_reader_show_losses_and_shares(tmp_path, drawn):
    history = [
        {"step": step, "train_loss": 4.0, "val_loss": loss, "found": 0.5, "right": 0.9}
        for step, loss in ((500, 3.0), (1000, 2.0))
    ]
    figures.draw_page_curves(history, tmp_path / "curves.png")
    loss, shares = drawn[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in loss.lines}
    assert lines["training"] == [[500, 4], [1000, 4]]
    assert lines["validation"] == [[500, 3], [1000, 2]]
    assert [line.get_ydata()[0] for line in shares.lines] == [0.5, 0.9]


@pytest.mark.parametrize("draw", [figures.draw_curves, figures.draw_page_curves])
def test_curves_of_nothing_are_refused(draw, tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        draw([], tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_figure_is_the_same_file(tmp_path, suffix):
    for name in ("one", "two"):
        figures.draw_curves(HISTORY, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.svg, found curves.jpeg"):
        figures.draw_curves(HISTORY, tmp_path / "curves.jpeg")


def test_a_failure_leaves_the_old_picture(tmp_path):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")
    with pytest.raises(KeyError):
        figures.draw_curves([{"epoch": 1, "val_loss": 0.5}], path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("curves.png", b"old")]


def test_no_global_figure_is_left(report, tmp_path):
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figures.draw_confusion(report, tmp_path / "confusion.png")
    assert plt.get_fignums() == []
