from types import SimpleNamespace

import numpy as np
import pytest

import harness
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
def test_numbers_are_extracted_from_text(text, numbers):
    assert harness.numbers(text) == numbers


def test_only_digits_are_kept():
    assert harness.digits_only("-1 234,50 EUR\n\nno. 7\nnothing") == "123450\n7"


@pytest.mark.parametrize(("reply", "text", "digits"), [("No. 7", "No. 7", "7"), (None, "?", "?")])
def test_error_of_a_peer_counts_as_wrong(tmp_path, reply, text, digits):
    def answer(question):
        assert np.load(question["page"]).shape == (2, 3)
        said = {"error": "too small"} if reply is None else {"text": reply}
        return said | {"milliseconds": 1.0}

    page, peer = np.zeros((2, 3), np.uint8), SimpleNamespace(ask=answer)
    said = harness.ask_rapidocr(peer, "line", tmp_path / "page.npy", page)
    assert (said.text, said.digits) == (text, digits)


def test_table_shows_the_peers_best_mode_with_ties_broken_by_the_next_measure():
    ours, columns = {"digitlens": {"a": 1, "b": 0}}, ("group | a", "{group} | {a}")
    modes = {"default": (0.5, 1), "line": (0.5, 2), "digits": (0.4, 3)}
    scores = ours | {mode: {"a": a, "b": b} for mode, (a, b) in modes.items()}
    beside = ("a | mode", "{best[a]} | {best[mode]}")
    table = harness.compared(columns, beside, {"x": scores}, "a", "b")
    assert table.splitlines()[2] == "| x | 1 | 0.5 | recogniser alone |"
    alone = harness.compared(columns, beside, {"x": ours}, "a", "b")
    assert alone == "| group | a |\n| --- | --- |\n| x | 1 |\n"


@pytest.mark.parametrize(("digits", "text"), [(False, "B11"), (True, "811")])
def test_greedy_decoding(digits, text):
    characters = ["blank", *"0123456789", "B"]
    best = ["B", "B", "blank", "1", "blank", "1", "1"]
    posteriors = np.zeros((len(best), len(characters)), np.float32)
    for t, character in enumerate(best):
        posteriors[t, characters.index(character)] = 0.9
    posteriors[:2, characters.index("8")] = 0.1
    assert worker.decode(posteriors, characters, digits) == text


def test_images_are_converted_to_bgr():
    assert worker.to_bgr(np.full((1, 2), 7, np.uint8)).tolist() == [[[7] * 3] * 2]
    assert worker.to_bgr(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[3, 2, 1]]]
