import numpy as np
import pytest

from digitlens.reading.agreement import agreement
from digitlens.reading.candidates import Candidates


class View:
    def __init__(self, scale, boxes, scores, region=(0, 0, 400, 400)):
        self.scale, self.region = scale, region
        self._found = found(boxes, scores)

    def candidates(self):
        return self._found


def found(boxes, scores):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    rows = np.full((len(boxes), 10), 0.1, np.float32)
    return Candidates(np.array(scores, np.float32), rows, boxes, boxes[:, 3] - boxes[:, 1])


DIGIT = [100, 100, 130, 150]


def test_looks_that_agree_leave_the_score_as_it_is():
    views = [View(1.0, [DIGIT], [0.8]), View(1.2, [DIGIT], [0.8])]
    assert agreement(found([DIGIT], [0.8]), views) == pytest.approx([0.8])


def test_a_look_that_should_have_seen_it_and_did_not_speaks_against_it():
    views = [View(1.0, [DIGIT], [0.8]), View(1.2, [], [])]
    assert agreement(found([DIGIT], [0.8]), views)[0] == pytest.approx(0.41)


@pytest.mark.parametrize(
    "other",
    [
        View(0.1, [], []),  # it would be five pixels high
        View(20.0, [], []),  # or a thousand
        View(1.0, [], [], region=(110, 0, 400, 400)),  # or cut
    ],
)
def test_looks_that_could_not_see_it_say_nothing(other):
    views = [View(1.0, [DIGIT], [0.8]), other]
    assert agreement(found([DIGIT], [0.8]), views) == pytest.approx([0.8])


def test_without_any_look_that_could_see_it_the_score_stands():
    assert agreement(found([DIGIT], [0.7]), []) == pytest.approx([0.7])


def test_nothing_found_agrees_with_nothing():
    assert agreement(found([], []), [View(1.0, [DIGIT], [0.8])]).shape == (0,)
