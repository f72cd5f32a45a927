"""Which lines are read: those of the line detector, and lines formed from lone digits."""

import numpy as np
import pytest

from digitlens.alphabet import CLASS_OF, CLASSES
from digitlens.reading.decode import decode
from digitlens.reading.multiscale import Detections
from digitlens.reading.nms import Candidates
from digitlens.reading.recognize import (
    LineCrop,
    RecognizedLine,
    line_proposals,
    near_digits,
    parts_with_digits,
    recognize,
    respace,
)
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
def test_tall_digit_replaces_lines_within_it_but_not_a_column_of_numbers(rows, kept):
    lines = [line(20 * k + 12) for k in range(rows)]
    tall = digits([45, 5, 95, 20 * rows + 15])

    proposed = line_proposals(Detections(lines, tall, []))

    assert sum(any(each is one for one in lines) for each in proposed) == kept
    assert len(proposed) == max(kept, 1)  # the digit has a line of its own, or none


def test_digits_on_no_line_form_a_line():
    (made,) = line_proposals(Detections([], digits([10, 10, 20, 30], [24, 10, 34, 30]), []))

    assert made.quad[:, 0].min() < 10
    assert made.quad[:, 0].max() > 34


@pytest.mark.parametrize(
    ("box", "made"),
    [
        pytest.param([44, 6, 54, 14], 1, id="beside a line"),
        pytest.param([64, -10, 76, 38], 1, id="around a part of one, perhaps its stroke"),
        pytest.param([64, 0, 76, 55], 0, id="around parts of two"),
        pytest.param([82, 8, 93, 52], 0, id="over the ends of two"),
    ],
)
def test_unsure_digit_across_several_lines_gets_no_line(box, made):
    lines = [line(10), line(40)]
    found = Detections(lines, digits(box, score=0.3), [])
    assert len(line_proposals(found)) == 2 + made


@pytest.mark.parametrize("ink", [10, 90])
def test_paper_colour_comes_from_the_edges_of_a_line_full_of_ink(ink):
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
def test_parts_near_digits_extend_to_spaces(text, parts):
    spots = np.array([[char.isdigit(), char == " "] for char in text], np.float32) * 0.9
    assert [text[first:last] for first, last in near_digits(spots)] == parts


class Network:
    """A fake recogniser and spotter that read white columns as a 7 and black ones as a space."""

    def __init__(self):
        self.columns = 0

    def posteriors(self, batches):
        self.columns += sum(lines.shape[0] * lines.shape[2] for lines in batches)
        return [self._posteriors(steps) for steps in self.spots(batches)]

    def _posteriors(self, steps):
        chances = np.full((*steps.shape[:2], CLASSES), 1e-4, np.float32)
        chances[..., 0] = 1 - steps[..., 0]
        chances[..., CLASS_OF["7"]] = steps[..., 0]
        return chances

    def spots(self, batches):
        grays = [lines[:, 24, 4::8, 0] for lines in batches]
        return [np.stack([gray == 255, gray == 0], axis=2).astype(np.float32) for gray in grays]


def test_in_much_text_only_parts_near_digits_are_recognised():
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
    assert sum(each.line.width > 1000 for each in read) == 3  # read whole, for orientation
    few = recognize(page, lines[:3], network, network)
    assert [each.line.width for each in few] == [1200] * 3


def test_box_of_a_digit_without_ink_is_as_high_as_its_line():
    page = np.full((48, 96, 3), 127, np.uint8)
    page[20:22] = 200  # a crease through the line that cuts off the stroke of the digit
    page[24, 44:52] = 255
    (read,) = recognize(page, [line(0, 48, 0, 96)], Network())

    ((_, top, _, bottom),) = read.boxes
    assert read.symbols.text == "7"
    assert bottom - top > 30


def printed(text, spaces):
    """A recognised line of blocks 24 columns apart, with spaces before those in ``spaces``."""
    crop = np.full((48, 24 * len(text) + 16, 3), 255, np.uint8)
    rows = np.zeros((crop.shape[1] // 8, CLASSES), np.float32)
    rows[:, 0] = 1
    for k, char in enumerate(text):
        crop[6:42, 24 * k + 8 : 24 * k + 28] = 0
        step = 3 * k + 2
        rows[step, [0, CLASS_OF[char]]] = 0, 1
        if k in spaces:
            rows[step - 1, [0, CLASS_OF[" "]]] = 0.3, 0.7
    return RecognizedLine(line(0), crop, rows, decode(rows))


def test_space_takes_no_ink_from_its_neighbours():
    plain, spaced = printed("4711", ()), printed("4711", {2})
    assert spaced.symbols.text == "47 11"
    assert spaced.boxes[[0, 1, 3, 4]] == pytest.approx(plain.boxes)


def test_space_is_removed_where_digits_are_as_close_as_on_other_lines():
    others = [printed("".join(map(str, np.arange(8) * k % 10)), ()) for k in (1, 3, 7, 9)]
    *same, found = respace([*others, printed("0087", {2})])
    assert found.symbols.text == "0087"
    assert all(one is other for one, other in zip(same, others, strict=True))
    assert found.posteriors.sum(axis=1) == pytest.approx(1)


def test_space_after_a_mark_is_removed_when_dates_on_the_page_have_none():
    dates = [printed(text, ()) for text in ("11.04.2021", "30.12.1987", "25.06.1834")]
    assert respace([*dates, printed("455.50", {4})])[-1].symbols.text == "455.50"


def test_missed_space_is_inserted_at_a_wide_gap():
    others = [printed("".join(map(str, np.arange(8) * k % 10)), ()) for k in (1, 3, 7, 9)]
    wide = printed("1234567", ())  # its middle digit is replaced by paper and a faint space
    crop, rows = wide.crop.copy(), wide.posteriors.copy()
    crop[:, 24 * 3 : 24 * 4] = 255
    rows[9:12] = 0
    rows[9:12, [0, CLASS_OF[" "]]] = 0.8, 0.2
    missed = RecognizedLine(wide.line, crop, rows, decode(rows))
    assert missed.symbols.text == "123567"
    assert respace([*others, missed])[-1].symbols.text == "123 567"


def test_boxes_of_a_squeezed_line_match_its_ink():
    crop = np.full((48, 1280, 3), 255, np.uint8)
    crop[6:42, 640:656] = 0
    rows = np.zeros((160, CLASSES), np.float32)
    rows[:, 0] = 1
    rows[81, [0, CLASS_OF["7"]]] = 0, 1
    long = line(0, x=0, width=600)  # 2880 columns at this height
    whole = RecognizedLine(long, crop, rows, decode(rows))
    (part,) = parts_with_digits([LineCrop(long, crop, 1280)] * 4, [spots_of(rows)] * 4)[3:]
    cut = RecognizedLine(part.line, part.crop, rows[77:86], decode(rows[77:86]), part.columns)

    assert whole.boxes[0, ::2] == pytest.approx([300, 307.5])
    assert cut.boxes == pytest.approx(whole.boxes)
    assert cut.place(np.float32([[300, 5]]))[0, 0] == pytest.approx(640 - 8 * 77)


def spots_of(rows):
    """Spotter outputs: the digit, and spaces four steps before and after it."""
    digits = rows[:, CLASS_OF["7"]]
    return np.stack([digits, np.roll(digits, -4) + np.roll(digits, 4)], axis=1)


def test_span_of_a_ring_has_both_sides_unless_one_belongs_to_a_neighbour():
    ring = printed("0", ())
    crop = np.full_like(ring.crop, 255)
    crop[6:42, 8:12] = crop[6:42, 24:28] = 0
    alone = RecognizedLine(ring.line, crop, ring.posteriors, ring.symbols)
    assert alone.spans.tolist() == [[8, 28]]

    two = printed("01", ())
    crop = np.full_like(two.crop, 255)
    crop[6:42, 8:12] = crop[6:42, 42:46] = 0
    beside = RecognizedLine(two.line, crop, two.posteriors, two.symbols)
    assert beside.spans.tolist() == [[8, 12], [42, 46]]
