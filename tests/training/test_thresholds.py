"""Fitting the threshold for sure digits on pictures with known text."""

import numpy as np
import pytest

from digitlens.datasets.labelled import LabelledPicture
from digitlens.errors import DataError
from digitlens.models.bundle import SHIPPED_LINES, lines_of, load_bundle, load_line_bundle
from digitlens.reading.reader import DigitReader
from digitlens.results import Box, Digit, Reading
from digitlens.training import thresholds
from digitlens.training.thresholds import OwnAnswers, answer_own, calibrate_own, promise

PAGE = np.zeros((20, 40), np.uint8)


class Reads:
    """A reader that returns the given digits and confidences."""

    def __init__(self, *answers):
        self.answers = answers

    def read_many(self, pages):
        for _, (text, confidence) in zip(pages, self.answers, strict=True):
            digits = tuple(
                _digit(int(char), each) for char, each in zip(text, confidence, strict=True)
            )
            yield Reading((digits,), 40, 20, "told", "")


def _digit(value, confidence):
    return Digit(value, confidence, tuple(np.eye(10)[value]), Box(0, 0, 1, 1), "unsure")


def answers(right, wrong, pictures=100):
    """Returns this many right digits with confidences from 0.9 and wrong ones up to 0.5."""
    confidence = np.r_[np.linspace(0.9, 0.999, right), np.linspace(0.3, 0.5, wrong)]
    return OwnAnswers(
        tuple(confidence), (True,) * right + (False,) * wrong, right + wrong, pictures
    )


def test_digits_are_matched_with_the_label_by_fewest_edits():
    pictures = [LabelledPicture("a", PAGE, "12.50\n-7"), LabelledPicture("b", PAGE, "")]
    reader = Reads(("1850", [0.9, 0.4, 0.8, 0.7]), ("3", [0.6]))
    found = answer_own(reader, pictures)
    assert found.right == (True, False, True, True, False)
    assert found.confidence == (0.9, 0.4, 0.8, 0.7, 0.6)
    assert (found.total, found.pictures, found.wrong) == (5, 2, 2)


def test_target_gets_the_lowest_proven_threshold_or_the_digits_needed():
    found = answers(800, 40)
    kept = promise(found, found.curve(), 0.01)
    assert 0.5 < kept.threshold <= 0.91
    assert (kept.wrong, kept.digits_needed) == (0, 299)
    assert kept.coverage == kept.sure / 840
    assert kept.pictures_needed == 36  # with 8.4 digits each
    found = answers(500, 10)
    kept = promise(found, found.curve(), 0.005)
    assert (kept.threshold, kept.sure) == (None, 0)
    assert (kept.digits_needed, kept.pictures_needed) == (598, 118)
    with pytest.raises(DataError, match="no digit was read on 3 pictures"):
        OwnAnswers((), (), 12, 3).curve()


def test_model_is_written_with_the_first_achievable_target(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    monkeypatch.setattr(thresholds, "answer_own", lambda *_: answers(20, 1))
    _, promises = calibrate_own("swift", [], [0.001], folder)
    assert promises[0].threshold is None
    assert not folder.exists()
    monkeypatch.setattr(thresholds, "answer_own", lambda *_: answers(800, 40))
    _, promises = calibrate_own("swift", [], [0.0001, 0.01, 0.05], folder)
    assert [each.threshold is not None for each in promises] == [False, True, True]
    assert load_bundle(folder).card.name == "swift"
    reader = DigitReader(folder)
    assert reader.thresholds["digit"] == promises[1].threshold
    assert reader.at(0.05).thresholds["digit"] == promises[2].threshold
    assert lines_of(folder) == folder / "lines"
    assert load_line_bundle(SHIPPED_LINES).card.thresholds["digit"] != promises[1].threshold
