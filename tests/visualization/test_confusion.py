import numpy as np

from digitlens.visualization.confusion import draw_confusion


def test_confusion_matrix_shows_every_count_and_no_zero(report, tmp_path, drawn, texts):
    draw_confusion(report, tmp_path / "confusion.png")
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
    assert axes.get_title("left") == "4 mistakes in 60 tiles"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("read as", "truth")
    assert any("accuracy 93.33 %" in text for text in texts(axes))


def test_no_global_figure_is_left(report, tmp_path):
    from matplotlib import pyplot as plt  # noqa: PLC0415

    draw_confusion(report, tmp_path / "confusion.png")
    assert plt.get_fignums() == []
