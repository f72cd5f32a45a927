"""Which lines are read: those of the line detector, and those that lone digits make up."""

import numpy as np
import pytest

from digitlens.alphabet import CLASS_OF, CLASSES
from digitlens.reading.decode import decode
from digitlens.reading.multiscale import Detections
from digitlens.reading.nms import Candidates
from digitlens.reading.recognize import RecognizedLine, line_proposals, near_digits, recognize
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


@pytest.mark.parametrize("ink", [10, 90])
def test_paper_is_what_the_edges_show_where_blurred_ink_covers_most_of_a_line(ink):
    crop = np.full((48, 100, 3), 250, np.uint8)
    crop[4:44, :ink] = np.linspace(20, 240, 40, dtype=np.uint8)[:, None, None]
    nothing = np.zeros((12, CLASSES), np.float32)
    paper = RecognizedLine(line(0), crop, nothing, decode(nothing)).paper
    assert paper == pytest.approx([250] * 3)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("no digit at all", []),
        ("7", ["7"]),
        ("total 12.50", ["total 12.50"]),
        ("of all that is written 12 is the only number here", [" written 12 is "]),
        ("12 begins a line and 34 ends it", ["12 begins ", " and 34 ends "]),
        ("near 1 far 2 too", ["near 1 far 2 too"]),
    ],
)
def test_a_part_reaches_from_one_space_to_another(text, parts):
    spots = np.array([[char.isdigit(), char == " "] for char in text], np.float32) * 0.9
    assert [text[first:last] for first, last in near_digits(spots)] == parts


class Network:
    """A recogniser and a spotter to which white columns are a 7, black ones a space."""

    def __init__(self):
        self.columns = 0

    def posteriors(self, lines):
        self.columns += lines.shape[0] * lines.shape[2]
        steps = self.spots(lines)
        chances = np.full((*steps.shape[:2], CLASSES), 1e-4, np.float32)
        chances[..., 0] = 1 - steps[..., 0]
        chances[..., CLASS_OF["7"]] = steps[..., 0]
        return chances

    def spots(self, lines):
        gray = lines[:, 24, 4::8, 0]
        return np.stack([gray == 255, gray == 0], axis=2).astype(np.float32)


def test_of_much_text_only_what_is_near_digits_is_read():
    page = np.full((20 * 48, 1200, 3), 127, np.uint8)
    for row in range(20):
        page[row * 48 : row * 48 + 48, 400:408] = page[row * 48 : row * 48 + 48, 600:608] = 0
        page[row * 48 : row * 48 + 48, 500:508] = 255
    lines = [line(48 * row, 48, 0, 1200) for row in range(20)]
    everything, network = Network(), Network()

    whole = recognize(page, lines, everything)
    read = recognize(page, lines, network, network)

    assert (
        [each.symbols.text for each in read] == [each.symbols.text for each in whole] == 20 * ["7"]
    )
    boxes = [np.concatenate([each.boxes for each in some]) for some in (read, whole)]
    assert boxes[0] == pytest.approx(boxes[1], abs=1)
    assert network.columns < everything.columns / 2
    assert sum(each.line.width > 1000 for each in read) == 3  # they tell which way is up
    few = recognize(page, lines[:3], network, network)
    assert [each.line.width for each in few] == [1200] * 3


def test_of_a_digit_whose_ink_is_lost_the_box_is_as_high_as_its_line():
    page = np.full((48, 96, 3), 127, np.uint8)
    page[20:22] = 200  # a crease through the line, in which the stroke of the digit ends
    page[24, 44:52] = 255
    (read,) = recognize(page, [line(0, 48, 0, 96)], Network())

    ((_, top, _, bottom),) = read.boxes
    assert read.symbols.text == "7"
    assert bottom - top > 30
