"""What a page is told: all of it once, then what is new, and curves that are even and bounded."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.server.watch.live import Curve, Live, Mark, TrainingInfo
from digitlens.training.monitor import Check, Mistake, Point, Pulse, SampleScore


@pytest.fixture
def live():
    return Live(TrainingInfo("fast-1", {"epochs": 3}, "9 digits", 9))


def pulse(*steps, member=1, rows=()):
    points = tuple(Point(step, 2.0 / step, 0.5, 0.1) for step in steps)
    return Pulse(member, 2, 1, 3, steps[-1], 30, 1234.5, 9.87, rows, points)


def check(step, accuracy=0.9):
    confusion = np.eye(10, dtype=np.int64)
    return Check(step, SampleScore(0.5, accuracy, confusion, (Mistake(4, 1, 7, 0.98765),)))


def test_a_page_is_told_everything_and_then_what_is_new(live):
    live.tell(pulse(1, 2))
    live.tell(check(2))
    news, mark = live.since(Mark())
    assert news["whole"]
    assert news["steps"] == [(1, 2.0, 0.5, 0.1), (2, 1.0, 0.5, 0.1)]
    assert news["checks"] == [(2, 0.5, 0.9)]
    assert news["mistakes"] == [(4, 1, 7, 0.9877)]
    assert news["progress"]["images_per_second"] == 1234
    assert live.since(mark) == (None, mark)
    live.tell(pulse(3, rows=({"epoch": 1.0},)))
    news, mark = live.since(mark)
    assert not news["whole"]
    assert [step[0] for step in news["steps"]] == [3]
    assert news["progress"]["rows"] == [{"epoch": 1.0}]
    assert news["checks"] == []
    assert "confusion" not in news
    late, _ = live.since(Mark())
    assert [step[0] for step in late["steps"]] == [1, 2, 3]
    json.dumps(late, allow_nan=False)


def test_before_the_first_step_there_is_nothing_and_that_is_told(live):
    news, mark = live.since(Mark())
    assert news == {"whole": True, "steps": [], "checks": [], "ended": ""}
    assert live.since(mark)[0] is None
    live.tell(pulse(1))
    assert live.since(mark)[0]["steps"]


def test_another_member_begins_with_an_empty_page(live):
    live.tell(pulse(1, 2))
    live.tell(check(2))
    _, mark = live.since(Mark())
    live.tell(pulse(1, member=2))
    news, _ = live.since(mark)
    assert news["whole"]
    assert [step[0] for step in news["steps"]] == [1]
    assert news["checks"] == []


def test_the_end_is_told_and_what_is_no_number_does_not_break_the_page(live):
    live.tell(Pulse(1, 1, 1, 1, 1, 1, 1.0, None, (), (Point(1, float("nan"), 0.5, 0.1),)))
    news, mark = live.since(Mark())
    assert news["progress"]["seconds_left"] is None
    json.dumps(news, allow_nan=False)
    live.end("All is well.")
    assert live.since(mark)[0]["ended"] == "All is well."


@given(steps=st.integers(0, 700), most=st.integers(1, 40))
def test_points_are_means_of_equally_many_steps_and_few(steps, most):
    curve = Curve(most)
    for step in range(1, steps + 1):
        curve.add(step, (step, 1.0 / step))
    points = curve.since(0)
    assert len(points) < 2 * most
    if not points:
        assert steps == 0
        return
    stride = int(points[0][0])
    assert [point[0] for point in points] == [stride * (i + 1) for i in range(len(points))]
    assert steps - points[-1][0] < stride
    for last, value in points:
        wanted = np.mean([1 / step for step in range(int(last) - stride + 1, int(last) + 1)])
        assert abs(value - wanted) < 1e-3 * wanted


def test_what_is_later_is_told_alone_and_no_number_is_far_above():
    curve = Curve()
    for serial in (1, 1, 2, 3):
        curve.add(serial, (serial, 0.5))
    assert curve.since(1) == [(2, 0.5), (3, 0.5)]
    curve.add(4, (4, float("nan")))
    assert curve.since(3) == [(4, 1e9)]
    assert curve.since(4) == []
