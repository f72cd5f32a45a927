"""Lines are right or wrong as a whole and by the character, with and without letters."""

import pytest

from digitlens.alphabet import OTHER_SIGN, encode
from digitlens.training.tasks.line_score import best_path, edit_distance, line_scores, numeric


def test_repeats_are_one_character_unless_a_blank_is_between():
    one, two = encode("12")
    assert best_path([0, one, one, 0, one, two, two, 0]) == "112"
    assert best_path([]) == ""
    assert best_path(encode("é")) == OTHER_SIGN


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("", "", 0), ("123", "123", 0), ("", "12", 2), ("123", "193", 1), ("kitten", "sitting", 3)],
)
def test_edit_distance(first, second, expected):
    assert edit_distance(first, second) == expected
    assert edit_distance(second, first) == expected


def test_letters_and_spaces_are_no_part_of_a_number():
    assert numeric("Room 101B, $3.50�") == "101,$3.50"


def test_scores():
    scores = line_scores(
        [("12", "12", "a"), ("a1", "b1", "a"), ("345", "35", "b"), ("", "", "nothing")]
    )
    assert scores["exact"] == 0.5
    assert scores["errors"] == pytest.approx(2 / 7)
    assert scores["numeric_exact"] == 0.75
    assert scores["numeric_errors"] == pytest.approx(1 / 6)
    assert (scores["exact/a"], scores["exact/b"], scores["exact/nothing"]) == (0.5, 0.0, 1.0)
