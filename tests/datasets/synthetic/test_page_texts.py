import numpy as np
import pytest

from digitlens.datasets.synthetic import page_texts as texts
from digitlens.datasets.synthetic.hands import DIGITS, LATIN, MARKS, FontHand, WriterHand

SEEDS = range(300)


def drawn(draw, *arguments) -> list[str]:
    return [draw(*arguments, np.random.default_rng(seed)) for seed in SEEDS]


def digits_of(text: str) -> int:
    return sum(char in DIGITS for char in text)


def test_digits_are_digits_and_all_ten_come():
    found = [texts.digits(np.random.default_rng(seed), 6) for seed in SEEDS]

    assert {len(text) for text in found} == {6}
    assert set("".join(found)) == set(DIGITS)
    assert {texts.digit(np.random.default_rng(seed)) for seed in SEEDS} == set(DIGITS)
    assert 0.05 < np.mean([len(set(text)) == 1 for text in found]) < 0.25  # runs like 777777


def test_numbers_have_one_to_eleven_digits_and_marks_that_numbers_have():
    found = drawn(texts.number)

    assert {digits_of(text) for text in found} == {1, 2, 3, 4, 5, 6, 8, 11}
    assert set("".join(found)) <= set(DIGITS + "., '-/:$€#+=%")
    assert any(text.isdigit() for text in found)
    assert any("," in text for text in found)


def test_amounts_have_three_to_seven_digits_and_often_end_in_zeros():
    found = drawn(texts.amount)

    assert {digits_of(text) for text in found} == {3, 4, 5, 6, 7}
    assert np.mean([text.rstrip(".-,=/ ").endswith("00") for text in found]) > 0.2
    assert any(text.endswith(".-") for text in found)


@pytest.mark.parametrize("draw", [texts.word, lambda hand, rng: texts.letters(hand, 3, rng)])
def test_words_and_letters_have_no_digit(font_hand: FontHand, draw):
    found = drawn(draw, font_hand)

    assert all(found)
    assert not set("".join(found)) & set(DIGITS)


def test_words_are_letters_with_a_mark_behind_some():
    class Latin:
        letters = LATIN

    found = drawn(texts.word, Latin())

    assert all(set(word[:-1]) <= set(LATIN) for word in found)
    assert {len(word) for word in found} == set(range(1, 10))
    assert 0.1 < np.mean([word[-1] in MARKS for word in found]) < 0.3
    assert any(word.isupper() for word in found)
    assert any(word.islower() for word in found)


def test_foreign_letters_make_words_of_their_own():
    class Greek:
        letters = LATIN + "αβγ"

    found = drawn(texts.word, Greek())

    foreign = [word for word in found if set(word) & set("αβγ")]
    assert len(foreign) > 40
    assert all(set(word) <= set("αβγ") for word in foreign)


def test_a_hand_without_letters_is_asked_for_latin_ones(rng):
    hand = WriterHand([np.zeros((1, 28, 28), np.uint8)] * 10)
    assert set(texts.letters(hand, 50, rng)) <= set(LATIN)
