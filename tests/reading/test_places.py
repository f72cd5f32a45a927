"""Matching the digits of the detector with the characters of the recogniser."""

from dataclasses import replace

import numpy as np
import pytest

from digitlens.alphabet import CLASS_OF, CLASSES
from digitlens.reading.decode import decode
from digitlens.reading.nms import Candidates
from digitlens.reading.places import DIGIT, MARK, NOTHING, UNSEEN, gather
from digitlens.reading.recognize import RecognizedLine
from digitlens.reading.text_lines import TextLine

HEIGHT = 48


def line(text, pitch=32):
    """A line at the origin on which each character is a bar, centred in its slot."""
    width = pitch * len(text)
    crop = np.full((HEIGHT, width, 3), 255, np.uint8)
    rows = np.full((width // 8, CLASSES), 1e-4, np.float32)
    rows[:, 0] = 0.99
    for i, char in enumerate(text):
        middle = i * pitch + pitch // 2
        crop[8:40, middle - 8 : middle + 8] = 0
        rows[middle // 8] = 1e-4
        rows[middle // 8, CLASS_OF[char]] = 0.99
    quad = np.array([[0, 0], [width, 0], [width, HEIGHT], [0, HEIGHT]], np.float32)
    return RecognizedLine(TextLine(quad, 0.9), crop, rows, decode(rows))


def digits(*found):
    """Candidates from (score, value, x0, x1)."""
    chances = np.full((len(found), 10), 0.01, np.float32)
    for row, (_, value, _, _) in zip(chances, found, strict=True):
        row[value] = 0.91
    boxes = np.array([[x0, 8, x1, 40] for _, _, x0, x1 in found], np.float32).reshape(-1, 4)
    score = np.array([each[0] for each in found], np.float32)
    return Candidates(score, chances.reshape(-1, 10), boxes, np.full(len(found), 30, np.float32))


def test_digit_found_by_detector_and_recogniser_is_one_place():
    places = gather(digits((0.8, 1, 8, 24)), [line("17")])
    order = np.argsort(places.boxes[:, 0])
    assert places.symbol[order].tolist() == [0, 1]
    assert places.reads.tolist() == [DIGIT, DIGIT]
    assert places.objectness[order] == pytest.approx([0.8, UNSEEN])
    assert places.recognizer[order].argmax(axis=1).tolist() == [1, 7]


def test_box_comes_from_the_ink_when_the_detector_is_unsure():
    places = gather(digits((0.3, 1, 2, 30)), [line("1")])
    assert places.boxes[0] == pytest.approx([8, 8, 24, 40], abs=1)
    assert gather(digits((0.8, 1, 2, 30)), [line("1")]).boxes[0, 0] == 2


def test_mark_detected_as_a_digit_is_classed_as_a_mark():
    places = gather(digits((0.6, 1, 40, 56)), [line("3/4")])
    slash = int(np.flatnonzero(places.symbol == 1)[0])
    assert places.reads[slash] == MARK
    assert places.mass[slash] < 0.01


def test_box_around_two_characters_matches_neither():
    places = gather(digits((0.6, 4, 0, 66)), [line("17")])
    assert (places.objectness == np.float32(UNSEEN)).all()


def test_a_digit_without_a_character_is_kept_if_the_detector_is_sure():
    far = digits((0.7, 5, 120, 136), (0.05, 6, 20, 36))
    places = gather(far, [line("1", pitch=160)])
    assert (places.reads == NOTHING).sum() == 1
    assert places.objectness[places.reads == NOTHING] == pytest.approx([0.7])


def test_without_lines_there_are_no_places():
    assert len(gather(digits((0.7, 5, 100, 116)), [])) == 0


@pytest.mark.parametrize(("rows", "kept"), [(4, False), (5, True)])
def test_a_box_around_a_column_of_sure_digits_is_no_digit(rows, kept):
    heights = [HEIGHT * row for row in range(rows)]
    lines = [moved(line("7"), height) for height in heights]
    column = digits(*((0.8, 7, 8, 24) for _ in heights))
    column.boxes[:, 1::2] += np.array(heights, np.float32)[:, None]
    tall, around = line("1"), digits((0.99, 1, 8, 24))
    left = np.float32([16 - 16 * rows, 0])  # all centred
    tall = replace(tall, line=TextLine(tall.line.quad * np.float32(rows) + left, 0.9))
    around.boxes[:] = around.boxes * rows + [*left, *left]
    pairs = zip(vars(column).values(), vars(around).values(), strict=True)
    found = Candidates(*(np.concatenate(pair) for pair in pairs))
    places = gather(found, [*lines, tall])
    read = sorted(places.boxes[places.objectness > 0.5][:, 1].tolist())
    assert (read == [8 + height for height in heights]) == kept


def test_recognised_digits_are_not_suppressed_by_a_box_around_them():
    lines = [moved(line("77"), HEIGHT * row) for row in range(3)]
    around, tall = digits((0.99, 1, 8, 24)), line("  ")
    faint = np.full_like(tall.posteriors, 1e-4)
    faint[:, [0, CLASS_OF["1"]]] = 0.6, 0.4
    quad = tall.line.quad * np.float32(3)
    tall = replace(tall, line=TextLine(quad, 0.0), posteriors=faint, symbols=decode(faint))
    around.boxes[:] = 4, 4, 60, 140
    places = gather(around, [*lines, tall])
    assert places.recognizer.argmax(axis=1).tolist() == [7] * 6


def moved(read, down):
    return replace(read, line=TextLine(read.line.quad + np.float32([0, down]), 0.9))
