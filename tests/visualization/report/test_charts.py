"""Charts put values where they belong, say them, and escape what they say."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitlens.visualization.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    Series,
    bar,
    columns,
    linear,
    logarithmic,
)

NUMBERS = st.integers(-(10**6), 10**6).map(lambda number: number / 1000)


@settings(max_examples=50)
@given(st.lists(NUMBERS, min_size=1, max_size=20), st.booleans())
def test_an_axis_holds_its_values_and_its_ticks(values, whole):
    axis = linear("x", values, str, whole=whole)
    assert axis.low < axis.high
    assert all(0 <= axis.share(value) <= 1 for value in values)
    assert axis.low - 1e-6 * abs(axis.low) <= min(values)
    assert axis.high + 1e-6 * abs(axis.high) >= max(values)
    ticks = [tick for tick, _ in axis.ticks]
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= 9


@settings(max_examples=50)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20))
def test_a_logarithmic_axis_too(values):
    axis = logarithmic("x", values, str)
    assert axis.low * (1 - 1e-9) <= min(values)
    assert max(values) <= axis.high * (1 + 1e-9)
    assert len(axis.ticks) >= 1
    middle = (axis.low * axis.high) ** 0.5
    assert axis.share(middle) == pytest.approx(0.5)


def test_ticks_are_round():
    ticks = [text for _, text in linear("share", [0.013, 0.98], "{:g}".format).ticks]
    assert ticks == ["0", "0.25", "0.5", "0.75", "1"]
    assert [text for _, text in linear("epoch", [1, 2], "{:g}".format, whole=True).ticks] == [
        "1",
        "2",
    ]
    assert [tick for tick, _ in logarithmic("loss", [0.03, 0.9], str).ticks] == pytest.approx(
        [0.02, 0.05, 0.1, 0.2, 0.5, 1]
    )


def test_points_lie_where_they_belong_and_say_their_values():
    axis = linear("x <y>", [0, 1], "{:g}".format, low=0, high=1)
    series = Series("found & lost", "blue", [(0, 0), (1, 1)], ["<low>", "high"], [(0, 0.5), (1, 1)])
    chart = Chart("chart", "A <b>", "what & why", axis, axis, [series], (0.5, "kept"))
    picture = ET.fromstring(chart.drawn)
    dots = [(float(d.get("cx")), float(d.get("cy"))) for d in picture.iter("circle")]
    ends = [(LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP)]
    assert dots == [*ends, *ends]  # to be seen, and to be pointed at
    assert [title.text for title in picture.iter("title")] == ["A <b>", "<low>", "high"]
    assert next(picture.iter("desc")).text == "what & why"
    assert "kept" in [text.text for text in picture.iter("text")]
    assert chart.legend == [series]


def test_bars_start_where_they_say():
    picture = ET.fromstring(bar(0.9, 0.95, (0.8, 1.0)))
    _, fill = picture.iter("rect")
    assert float(fill.get("width")) == pytest.approx(50)
    assert next(picture.iter("path")).get("d") == "M0 6H100.0"
    assert float(list(ET.fromstring(bar(0.9, 0.5)).iter("rect"))[1].get("width")) == 0


def test_ten_columns_as_high_as_their_shares():
    shares = [0.0] * 9 + [1.0]
    rects = list(ET.fromstring(columns(shares, ["soft"] * 9 + ["red"])).iter("rect"))
    assert [float(rect.get("height")) for rect in rects] == [0.6] * 9 + [30]
    assert rects[9].get("class") == "red"
