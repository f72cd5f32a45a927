"""Which lines are read: those of the line detector, and those that lone digits make up."""

import numpy as np
import pytest

from digitlens.reading.multiscale import Detections
from digitlens.reading.nms import Candidates
from digitlens.reading.recognize import line_proposals
from digitlens.reading.text_lines import TextLine


def line(y, height=10, x=50, width=40):
    quad = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return TextLine(np.array(quad, np.float32), 0.9)


def digits(*boxes, score=0.9):
    count = len(boxes)
    return Candidates(
        np.full(count, score, np.float32),
        np.full((count, 10), 0.1, np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 30, np.float32),
    )


@pytest.mark.parametrize(("rows", "kept"), [(1, 0), (3, 0), (4, 4), (7, 7)])
def test_a_digit_swallows_its_strokes_but_no_column_of_numbers(rows, kept):
    lines = [line(20 * k + 12) for k in range(rows)]
    tall = digits([45, 5, 95, 20 * rows + 15])

    proposed = line_proposals(Detections(lines, tall, []))

    assert sum(any(each is one for one in lines) for each in proposed) == kept
    assert len(proposed) == max(kept, 1)  # the digit has a line of its own, or none


def test_digits_on_no_line_make_up_one():
    (made,) = line_proposals(Detections([], digits([10, 10, 20, 30], [24, 10, 34, 30]), []))

    assert made.quad[:, 0].min() < 10
    assert made.quad[:, 0].max() > 34
