import pytest
from PIL import Image

from digitlens.training.search_space import StudyResult, Trial, parse_space
from digitlens.visualization.figures.curves import draw_curves, draw_runs, draw_tuning
from digitlens.visualization.theme import MAX_SERIES


def test_curves_show_training_and_validation_and_mark_the_best_epoch(history, tmp_path, drawn):
    draw_curves(history, tmp_path / "curves.png")
    loss, accuracy, rate = drawn[0].axes
    lines = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert lines["training"] == [row["train_loss"] for row in history]
    assert lines["validation"] == [row["val_loss"] for row in history]
    assert {"training", "validation"} <= {line.get_label() for line in accuracy.lines}
    assert list(rate.lines[0].get_ydata()) == [0.001] * 3
    assert loss.collections[0].get_offsets().tolist() == [[2, 0.2]]
    assert accuracy.collections[0].get_offsets().tolist() == [[2, 0.95]]


@pytest.mark.parametrize(
    "measured", [{"found": 0.5, "right": 0.9}, {"val_error": 0.1}], ids=["detector", "autoencoder"]
)
def test_curves_by_step_show_losses_and_other_measures(tmp_path, drawn, measured):
    history = [
        {"step": step, "train_loss": 4.0, "val_loss": loss, **measured}
        for step, loss in ((500, 3.0), (1000, 2.0))
    ]
    draw_curves(history, tmp_path / "curves.png")
    loss, others = drawn[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in loss.lines}
    assert lines["training"] == [[500, 4], [1000, 4]]
    assert lines["validation"] == [[500, 3], [1000, 2]]
    assert [line.get_ydata()[0] for line in others.lines] == list(measured.values())


def test_unknown_suffix_and_failure_leave_the_old_file(history, tmp_path):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=r"\.png or \.svg, found curves.jpeg"):
        draw_curves(history, tmp_path / "curves.jpeg")
    with pytest.raises(KeyError):
        draw_curves([{"train_loss": 0.5}], path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("curves.png", b"old")]


def test_runs_share_axes_and_each_has_its_own_line_style(history, tmp_path, drawn):
    names = [f"run {number}" for number in range(MAX_SERIES)]
    draw_runs(dict.fromkeys(names, history), tmp_path / "runs.svg")
    loss, accuracy = drawn[0].axes
    shown = [line for line in loss.lines if line.get_label().startswith("run")]
    assert len({(line.get_color(), line.get_linestyle()) for line in shown}) == MAX_SERIES
    assert shown[0].get_label() == "run 0: loss 0.2000, accuracy 95.00 %, epoch 2"
    assert list(shown[0].get_ydata()) == [0.4, 0.2, 0.3]
    dots = {tuple(line.get_xydata()[0]) for line in loss.lines if len(line.get_xdata()) == 1}
    assert dots == {(2, 0.2)}
    assert accuracy.get_title("left") == "Validation accuracy"
    legend = drawn[0].legends[0].get_texts()
    assert len(legend) == MAX_SERIES


def test_runs_are_compared_by_training_loss_if_some_lack_validation(history, tmp_path, drawn):
    whole = [{key: row[key] for key in row if "val" not in key} for row in history]
    draw_runs({"validated": history, "whole": whole}, tmp_path / "runs.svg")
    loss, _ = drawn[0].axes
    assert loss.get_title("left") == "Training loss"
    assert [line.get_ydata()[0] for line in loss.lines if len(line.get_xdata()) == 3] == [0.5, 0.5]
    assert "not every run has validation tiles" in loss.texts[0].get_text()


def test_missing_measures_have_no_axes_and_one_epoch_is_a_point(tmp_path, drawn):
    rows = [{"epoch": 1, "train_loss": 0.5, "val_loss": 0.4}]
    draw_curves(rows, tmp_path / "curves.svg")
    (loss,) = drawn[0].axes
    assert loss.get_xticks().tolist() == [1]
    assert loss.get_xlim() == (0, 2)
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")


SPACE = parse_space(
    "classic", [], ["learning_rate=0.001..0.1:log", "pool=max|stride", "epochs=2..9"]
)


def chosen(rate, pool="max", epochs=2):
    return {"learning_rate": rate, "pool": pool, "epochs": epochs}


TRIALS = (
    Trial(1, "complete", chosen(0.01), 0.9),
    Trial(2, "pruned", chosen(0.09), latest=0.5, reason="behind"),
    Trial(3, "complete", chosen(0.002, "stride", 9), 0.99),
    Trial(4, "failed", chosen(0.05), reason="no memory"),
    Trial(5, "complete", chosen(0.02), 0.95),
)
IMPORTANCE = {"epochs": 0.6, "learning_rate": 0.3, "pool": 0.1}


@pytest.mark.usefixtures("for_a_talk")
def test_trials_are_drawn_in_order_with_the_best_so_far_marked(tmp_path, drawn):
    perfect = (Trial(1, "complete", chosen(0.01), 1.0),)
    for trials in (TRIALS, perfect):
        draw_tuning(StudyResult("mine", SPACE, 1, 1000, trials), tmp_path / "tuning.png")
    axes = drawn[0].axes[0]
    found = {line.get_label(): line for line in axes.lines}
    assert found["complete"].get_xdata().tolist() == [1, 3, 5]
    assert found["complete"].get_ydata() == pytest.approx([0.1, 0.01, 0.05])
    assert found["best so far"].get_ydata() == pytest.approx([0.1, 0.01, 0.01, 0.01])
    assert list(found["pruned, latest value"].get_xdata()) == [2]
    assert (*found["best"].get_xdata(), *found["best"].get_ydata()) == pytest.approx((3, 0.01))
    assert axes.get_yscale() == "log"
    assert drawn[1].axes[0].lines[1].get_ydata() == pytest.approx([0.0005])  # an error of 0
    with Image.open(tmp_path / "tuning.png") as picture:
        assert min(picture.size) >= 1000


def test_each_field_has_a_slice_sorted_by_importance(tmp_path, drawn):
    result = StudyResult("mine", SPACE, 1, 1000, TRIALS, IMPORTANCE)
    draw_tuning(result, tmp_path / "tuning.svg")
    slices = drawn[0].axes[1:]
    assert [axes.get_title(loc="left") for axes in slices] == list(IMPORTANCE)
    epochs, rate, pool = slices
    assert epochs.texts[0].get_text() == "importance 60 %"
    assert rate.get_xscale() == "log"
    assert rate.lines[0].get_xdata() == pytest.approx([0.01, 0.002, 0.02])
    assert [tick.get_text() for tick in pool.get_xticklabels()] == ["max", "stride"]
    assert pool.lines[0].get_xdata() == pytest.approx([0, 1, 0])
