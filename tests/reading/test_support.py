import numpy as np
import pytest

from digitlens.reading.support import support


def row(*starts, y=0, height=20):
    return np.array([[x, y, x + 10, y + height] for x in starts], np.float32)


def test_neighbours_speak_for_and_against():
    found = support(row(0, 15, 30), np.array([-1.0, 3.0, 3.0]))
    assert found[0] > 1.5
    assert found[1] < found[0]
    assert support(row(0, 15), np.array([2.0, -4.0]))[0] < -1


def test_nearer_ones_say_more():
    found = support(row(0, 15, 60), np.array([0.0, 2.0, -2.0]))
    assert found[0] > 0


@pytest.mark.parametrize(
    "other",
    [row(200)[0], row(15, y=60)[0], row(15, height=80)[0]],
    ids=["far away", "another line", "another size"],
)
def test_who_is_not_of_the_line_has_no_say(other):
    boxes = np.stack([row(0)[0], other])
    assert support(boxes, np.array([1.0, 5.0])) == pytest.approx([0, 0])


def test_nobody_is_sure_beyond_measure():
    certain = support(row(0, 12), np.array([0.0, 1e9]))[0]
    assert certain == pytest.approx(support(row(0, 12), np.array([0.0, 6.0]))[0])


def test_one_alone_and_none_have_no_support():
    assert support(row(5), np.array([3.0])) == pytest.approx([0])
    assert support(np.zeros((0, 4), np.float32), np.zeros(0)).shape == (0,)
