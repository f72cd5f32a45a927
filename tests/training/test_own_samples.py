"""What is learned from labelled pictures: lines with their texts, and digits."""

import numpy as np
import pytest

from digitlens.datasets.labelled import LabelledPicture, load_pictures
from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.lines import Line
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.reading.reader import DigitReader
from digitlens.training.own_samples import (
    HELD_OUT,
    MixedLines,
    OwnMaker,
    OwnSample,
    gather_samples,
    joined,
    matched,
    split_samples,
)

pytestmark = pytest.mark.train
NO_TILES = joined([])


@pytest.mark.parametrize(
    ("texts", "found", "pairs"),
    [
        (["372"], ["3+2"], [("372", 0)]),
        (["7"], ["+"], [("7", 0)]),
        (["12.50"], ["Total", "12.50"], [("12.50", 1)]),
        (["123", "4567"], ["4567", "128"], [("123", 1), ("4567", 0)]),
        (["123456"], ["x"], []),
        ([], ["12"], []),
    ],
)
def test_texts_are_matched_with_the_lines_that_are_most_like_them(texts, found, pairs):
    assert matched(texts, found) == pairs


def test_lines_and_digits_of_a_picture_have_their_labels(examples, tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\nnote.jpg,2049\n")
    (tmp_path / "note.jpg").write_bytes((examples / "note.jpg").read_bytes())
    (sample,) = gather_samples(DigitReader(), load_pictures(tmp_path))
    (line,) = sample.lines
    assert (line.text, line.pixels.shape[0]) == ("2049", 48)
    assert sample.tiles.labels.tolist() == [2, 0, 4, 9]  # the last is an 8 that is labelled wrong
    assert sample.tiles.tiles.shape == (4, 28, 28)
    assert sample.wrong == 3  # by the reader, the classifier and the recogniser


def test_misread_pictures_are_held_out_as_often_as_others():
    picture = LabelledPicture("", np.zeros((1, 1), np.uint8), "")
    samples = [OwnSample(picture, (), NO_TILES, int(number < 10)) for number in range(50)]
    learned, held_out = split_samples(samples)
    assert (len(learned), len(held_out)) == (50 - 50 // HELD_OUT, 50 // HELD_OUT)
    assert sum(sample.wrong for sample in held_out) == 10 // HELD_OUT


def test_lines_are_written_with_the_digits_of_the_user(maker):
    tiles = np.zeros((10, 28, 28), np.uint8)
    tiles[:, 4:24, 4:24] = 255  # the user writes blocks
    own = Split(tiles, np.arange(10, dtype=np.uint8))
    fonts: Fonts = maker(0)._styles.fonts
    lines = [OwnMaker(own, fonts, 3).line(0) for _ in range(2)]
    assert any(char.isdecimal() for char in lines[0].text)
    assert (lines[0].pixels == lines[1].pixels).all()


def test_lines_of_three_sources_are_mixed_the_same_way_each_time():
    class Source:
        def __init__(self, kind):
            self.kind = kind

        def line(self, number):
            return Line(np.zeros((48, 32, 3), np.uint8), str(number), self.kind)

    mixed = MixedLines((Line(np.zeros((48, 32, 3), np.uint8), "7", "own"),), *map(Source, "wr"), 0)
    kinds = [mixed.line(number).kind for number in range(300)]
    assert {kind: kinds.count(kind) > 60 for kind in ("own", "w", "r")} == dict.fromkeys(
        ("own", "w", "r"), True
    )
    assert kinds == [mixed.line(number).kind for number in range(300)]
