"""A curve of any length is even, bounded, and true to its steps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from digitlens.server.watch.curve import Curve


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


def test_what_is_later_is_told_alone():
    curve = Curve()
    for serial in (1, 1, 2, 3):
        curve.add(serial, (serial, 0.5))
    assert curve.since(1) == [(2, 0.5), (3, 0.5)]
    assert curve.since(3) == []


def test_no_number_is_far_above():
    curve = Curve()
    curve.add(1, (1, float("nan")))
    assert curve.since(0) == [(1, 1e9)]
