import pytest

from digitlens.visualization.classes import draw_classes


def test_class_bars_say_where_their_axis_starts(reported, tmp_path, drawn, texts):
    report = reported({7: 1})
    draw_classes(report, tmp_path / "classes.png")
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


def test_class_bars_start_at_zero_when_a_class_is_lost(reported, tmp_path, drawn, texts):
    lost = reported(dict.fromkeys(range(7, 60, 10), 1))
    draw_classes(lost, tmp_path / "classes.png")
    axes = drawn[0].axes[0]
    assert axes.get_ylim() == (0, 1)
    assert not any("starts at" in text for text in texts(axes))
