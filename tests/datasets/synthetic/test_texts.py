import re
from collections.abc import Callable

import numpy as np
import pytest

from digitlens.datasets.synthetic import texts
from digitlens.datasets.synthetic.glyph_sources import ICON_FORMS

NUMBERS = [
    *(texts.integer, texts.decimal, texts.thousands, texts.signed, texts.percent),
    *(texts.temperature, texts.money, texts.raised_price, texts.time, texts.phone),
    *(texts.grouped, texts.serial, texts.dimension, texts.span, texts.fraction),
    *(texts.exponent, texts.isbn, texts.enumerated, texts.marked, texts.equation),
    *(texts.measured, texts.table_row, texts.receipt, texts.phrase, texts.hand_number),
    *(texts.amount, texts.plate, texts.comb, texts.ordinal, texts.leader),
]
LETTERS = [texts.word, texts.words, texts.joined, texts.shapes, texts.letter, texts.only_words]


def drawn(grammar: Callable[[np.random.Generator], str], count: int = 60) -> list[str]:
    rng = np.random.default_rng(1)
    return [grammar(rng) for _ in range(count)]


@pytest.mark.parametrize("grammar", NUMBERS)
def test_numbers_have_digits_and_vary(grammar):
    found = drawn(grammar)
    assert sum(any(char.isdigit() for char in text) for text in found) > 50
    assert len(set(found)) > 15
    assert not any(text.startswith((" ", texts.GAP)) for text in found)


@pytest.mark.parametrize("grammar", LETTERS)
def test_words_have_no_digits(grammar):
    assert not re.search(r"\d", "".join(drawn(grammar)))


def test_raised_text_is_closed():
    assert all(text.count(texts.RAISE) in (0, 2) for text in drawn(texts.amount, 200))
    assert all(text.count(texts.RAISE) == 2 for text in drawn(texts.raised_price))


@pytest.mark.parametrize(
    ("grammar", "form"),
    [(texts.decimal, r"\d*[.,]\d+"), (texts.thousands, r"\d{1,3}([., ']\d{3})+([.,]\d{2})?")],
)
def test_decimals_and_thousands_are_well_formed(grammar, form):
    assert all(re.fullmatch(form, text) for text in drawn(grammar))


def test_numbers_have_no_leading_zero(rng):
    found = [texts.natural(rng, 1, 3) for _ in range(200)]
    assert all(text == "0" or text[0] != "0" for text in found)
    assert {len(text) for text in found} == {1, 2, 3}


def test_signs_join_words_and_dots_lead_to_a_number():
    assert sum("&" in text for text in drawn(texts.joined, 200)) > 100
    assert all(re.search(r"(\. ?){4} ?\d+(\.\d\d)?$", text) for text in drawn(texts.leader))


def test_ordinals_have_their_ending():
    found = {text.split()[-1] for text in drawn(texts.ordinal, 900) if text[-2:] in ("st", "th")}
    assert {"1st", "21st", "11th", "4th"} <= found
    assert not found & {"11st", "1th"}


def test_formulas_have_digits_and_are_no_numbers_if_letters_are_taken_for_digits():
    for text in drawn(texts.formula):
        assert re.search(r"\d", text)
        assert re.search("[A-Za-z]", text.lstrip("OIl"))


def test_pointed_text_has_one_kind_of_icon_and_sometimes_a_number():
    found = drawn(texts.pointed, 200)
    pictures = [set(text) & set(ICON_FORMS) for text in found]
    assert all(len(each) == 1 for each in pictures)
    assert {*ICON_FORMS} == set().union(*pictures)
    assert 0.2 < np.mean([bool(re.search(r"\d", text)) for text in found]) < 0.8
