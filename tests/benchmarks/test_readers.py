from types import SimpleNamespace

import numpy as np
import pytest

import readers
import worker


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Total: $1,284.50, paid", ["$1,284.50"]),
        ("-37 7.5% 3/4", ["-37", "7.5%", "3/4"]),
        ("\N{MINUS SIGN}37", ["-37"]),
        ("Room 101B", ["101"]),
        ("PRO:2021/02/02(Y/M/D)", ["2021/02/02"]),
        ("Lot No. 0H10B2", ["0102"]),
        ("below 30°C", ["30°"]),
        ("12|34 56", ["12", "34", "56"]),
        ("hello world - /", []),
    ],
)
def test_numbers_of_a_text(text, numbers):
    assert readers.numbers(text) == numbers


def test_only_digits_are_kept():
    assert readers.digits_only("-1 234,50 EUR\n\nno. 7\nnothing") == "123450\n7"


@pytest.mark.parametrize(
    ("reading", "text", "digits"),
    [
        ({"text": "1250\n37", "numbers": ("12", "50", "37")}, "12 50 37", "1250\n37"),
        ({"text": "12.50\n-37", "digits_only": "1250\n37"}, "12.50\n-37", "1250\n37"),
    ],
)
def test_readers_with_and_without_marks(reading, text, digits):
    answer = SimpleNamespace(**reading, digits=[SimpleNamespace(confidence=0.9)])
    asked = SimpleNamespace(_reader=SimpleNamespace(read=lambda _: answer))
    said = readers.Readers._ours(asked, None)
    assert (said.text, said.digits, said.confidences) == (text, digits, (0.9,))


@pytest.mark.parametrize(("reply", "text", "digits"), [("No. 7", "No. 7", "7"), (None, "?", "?")])
def test_an_error_of_the_peer_is_never_right(reply, text, digits):
    answer = {"error": "too small"} if reply is None else {"text": reply}
    peer = SimpleNamespace(ask=lambda _question, _page: answer | {"milliseconds": 1.0})
    said = readers._theirs(peer, "line", np.zeros((2, 3), np.uint8))
    assert (said.text, said.digits) == (text, digits)


def test_the_best_mode_comes_first_in_the_first_measure():
    scores = {
        "default": {"a": 0.5, "b": 1},
        "line": {"a": 0.5, "b": 2},
        "digits": {"a": 0.4, "b": 3},
    }
    assert readers.best_mode(scores, "a", "b") == "line"
    assert readers.best_mode({"digitlens": {}}, "a") is None


@pytest.mark.parametrize(("digits", "text"), [(False, "B11"), (True, "811")])
def test_greedy_decoding_with_and_without_letters(digits, text):
    characters = ["blank", *"0123456789", "B"]
    best = ["B", "B", "blank", "1", "blank", "1", "1"]
    posteriors = np.zeros((len(best), len(characters)), np.float32)
    for t, character in enumerate(best):
        posteriors[t, characters.index(character)] = 0.9
    posteriors[:2, characters.index("8")] = 0.1
    assert worker.decode(posteriors, characters, digits) == text


def test_gray_and_colour_are_given_as_opencv_has_them():
    assert worker.to_bgr(np.full((1, 2), 7, np.uint8)).tolist() == [[[7] * 3] * 2]
    assert worker.to_bgr(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[3, 2, 1]]]
