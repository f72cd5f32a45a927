import pytest

from digitlens.visualization.curves import draw_curves, draw_page_curves, draw_runs

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


def test_curves_show_both_sides_of_both_and_mark_the_best_epoch(tmp_path, drawn):
    draw_curves(HISTORY, tmp_path / "curves.png")
    loss, accuracy, rate = drawn[0].axes
    lines = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert lines["training"] == [row["train_loss"] for row in HISTORY]
    assert lines["validation"] == [row["val_loss"] for row in HISTORY]
    assert {"training", "validation"} <= {line.get_label() for line in accuracy.lines}
    assert list(rate.lines[0].get_ydata()) == [0.001] * 3
    assert loss.collections[0].get_offsets().tolist() == [[2, 0.2]]
    assert accuracy.collections[0].get_offsets().tolist() == [[2, 0.95]]


def test_curves_of_one_epoch_are_points(tmp_path):
    draw_curves(HISTORY[:1], tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")


def test_curves_of_a_page_reader_show_losses_and_shares(tmp_path, drawn):
    history = [
        {"step": step, "train_loss": 4.0, "val_loss": loss, "found": 0.5, "right": 0.9}
        for step, loss in ((500, 3.0), (1000, 2.0))
    ]
    draw_page_curves(history, tmp_path / "curves.png")
    loss, shares = drawn[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in loss.lines}
    assert lines["training"] == [[500, 4], [1000, 4]]
    assert lines["validation"] == [[500, 3], [1000, 2]]
    assert [line.get_ydata()[0] for line in shares.lines] == [0.5, 0.9]


@pytest.mark.parametrize("draw", [draw_curves, draw_page_curves])
def test_curves_of_nothing_are_refused(draw, tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        draw([], tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_figure_is_the_same_file(tmp_path, suffix):
    for name in ("one", "two"):
        draw_curves(HISTORY, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.svg, found curves.jpeg"):
        draw_curves(HISTORY, tmp_path / "curves.jpeg")


def test_a_failure_leaves_the_old_picture(tmp_path):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")
    with pytest.raises(KeyError):
        draw_curves([{"epoch": 1, "val_loss": 0.5}], path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("curves.png", b"old")]
