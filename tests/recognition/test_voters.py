import numpy as np
import pytest

from digitlens.recognition.candidates import Candidates
from digitlens.recognition.voters import cast_votes, tiles_shown


class Crops:
    """Says of every window what it is told."""

    def __init__(self, *rows):
        self.rows = np.array(rows, np.float32)

    def predict_proba(self, windows):
        assert windows.shape == (len(self.rows), 56, 56, 3)
        return self.rows


class Tiles:
    """Takes every tile for a 9, and counts how many it is asked about."""

    asked = 0

    def predict_proba(self, tiles):
        self.asked += len(tiles)
        return np.eye(10, dtype=np.float32)[[9] * len(tiles)]

    @staticmethod
    def which(votes):
        """Which candidates it was asked about."""
        return (votes.names[:, 2, 9] == 1).tolist()


def crop(value, sure, digit):
    """Probabilities of a window: a digit at all, and if so, which one."""
    row = np.full(11, digit * (1 - sure) / 9)
    row[value], row[10] = digit * sure, 1 - digit
    return row


def cast(*rows, value=3, sure=0.99):
    named = np.full((len(rows), 10), (1 - sure) / 9, np.float32)
    named[:, value] = sure
    boxes = np.array([[10, 10, 30, 40]] * len(rows), np.float32).reshape(-1, 4)
    score = np.full(len(rows), 0.6, np.float32)
    page, tiles = np.zeros((60, 60, 3), np.uint8), Tiles()
    found = Candidates(score, named, boxes, score)
    _, shown, votes = cast_votes(page, found, Crops(*rows), tiles)
    assert [tile is not None for tile in shown] == tiles.which(votes)
    return votes, tiles.asked


def test_the_crop_network_says_whether_and_which():
    votes, _ = cast(crop(5, 0.8, 0.25))
    assert votes.digit == pytest.approx([0.25])
    assert votes.names[0, 1, 5] == pytest.approx(0.8)
    assert votes.names[0, 1].sum() == pytest.approx(1)
    assert votes.height == pytest.approx([30])
    assert votes.existence == pytest.approx([0.6])


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        (crop(3, 0.99, 0.9), False),
        (crop(3, 0.9, 0.9), True),
        (crop(5, 0.99, 0.9), True),
        (crop(5, 0.5, 0.01), False),
    ],
    ids=["both certain", "one doubts", "they disagree", "no digit"],
)
def test_the_classifier_is_asked_where_it_may_decide(row, asked):
    votes, count = cast(row)
    assert count == asked
    assert (votes.names[0, 2].argmax() == 9) == asked
    if not asked:
        assert np.array_equal(votes.names[0, 2], votes.names[0, 1])


def test_a_certain_page_network_is_not_enough():
    assert cast(crop(3, 0.99, 0.9), sure=0.6)[1] == 1


def test_each_candidate_has_its_own_votes():
    votes, asked = cast(crop(3, 0.99, 0.9), crop(4, 0.7, 0.8))
    assert asked == 1
    assert votes.names[:, 2].argmax(axis=1).tolist() == [3, 9]


def test_a_tile_that_was_seen_is_shown_and_the_others_are_cut_from_their_boxes():
    page = np.full((60, 60), 255, np.uint8)
    page[20:40, 28:32] = 0
    seen = np.full((28, 28), 7, np.uint8)
    boxes = np.array([[20, 15, 40, 45]] * 2, np.float32)
    shown = tiles_shown([seen, None], page, boxes)
    assert np.array_equal(shown[0], seen)
    assert shown[1].max() == 255
    assert tiles_shown([], page, boxes[:0]).shape == (0, 28, 28)
