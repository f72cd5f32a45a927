"""Decoding the posteriors of a line into characters."""

import numpy as np
import pytest

from digitlens.alphabet import BLANK, CLASS_OF, CLASSES
from digitlens.reading.constraints import Expectation
from digitlens.reading.decode import (
    STRIDE,
    Step,
    decode,
    digit_evidence,
    likely_texts,
    search,
    space_chances,
    text_odds,
    with_numerals,
)


@pytest.mark.parametrize(
    ("path", "text"),
    [("____", ""), ("_1_2", "12"), ("11_1", "11"), ("1112", "12"), ("-_3.5", "-3.5"), ("7", "7")],
)
def test_repeated_characters_collapse_unless_a_blank_separates_them(posteriors, path, text):
    symbols = decode(posteriors(path))
    assert symbols.text == text
    assert len(symbols) == len(text)
    assert symbols.confidence == pytest.approx(0.9)


def test_character_is_centred_on_its_steps(posteriors):
    assert decode(posteriors("__44__")).centres == pytest.approx([3 * STRIDE])


def test_character_has_the_posteriors_of_its_most_confident_step(posteriors):
    rows = posteriors("44")
    rows[1, CLASS_OF["4"]] = 0.99
    assert decode(rows).confidence == pytest.approx([0.99])


def test_evidence_comes_from_the_step_with_the_most_digit_probability(posteriors):
    rows = posteriors("_a3_", sure=0.8)
    found = digit_evidence(rows, 0, 4 * STRIDE)
    assert found.values.argmax() == 3
    assert found.values.sum() == pytest.approx(1, abs=0.01)
    assert 0.8 < found.mass < found.given <= found.numeric <= 1


def pairs(gaps, said, seed=0):
    """Gaps between pairs of digits, the digits, and the recogniser's probabilities of a space."""
    gaps, said = np.array(gaps, float), np.array(said, float)
    return gaps, np.random.default_rng(seed).integers(0, 10, (2, len(gaps))), said


def test_rounding_to_pixels_makes_no_space_in_even_print():
    found = space_chances(*pairs([0.1, 0.2] * 30 + [0.38, 0.35], [0.0] * 60 + [0.8, 0.6]))
    assert found.max() < 0.5


def test_faint_spaces_are_found_on_a_page_with_narrow_spaces():
    gaps = [0.1] * 200 + [0.38] * 12
    found = space_chances(*pairs(gaps, [0.0] * 200 + [0.95] * 10 + [0.2, 0.1]))
    assert (found > 0.5).tolist() == [gap > 0.2 for gap in gaps]


def test_a_digit_that_always_has_wide_gaps_makes_no_spaces():
    gaps, sides, said = pairs([0.12] * 80, [0.0] * 80)
    gaps[sides[1] == 1] += 0.3
    said[np.flatnonzero(sides[1] == 1)[0]] = 0.8
    assert space_chances(gaps, sides, said).max() < 0.5


def test_wide_gap_is_no_space_if_the_recogniser_sees_none():
    found = space_chances(*pairs([0.1] * 60 + [0.9], [0.0] * 60 + [0.01]))
    assert found[-1] == 0


@pytest.mark.parametrize("count", [1, 4, 60])
def test_recogniser_decides_when_gaps_are_few_or_uneven(count):
    gaps, sides, said = pairs(np.random.default_rng(1).uniform(0, 0.6, count), [0.05] * count)
    said[0] = 0.95
    assert (space_chances(gaps, sides, said) > 0.5).tolist() == (said > 0.5).tolist()


def test_digit_read_as_a_letter_is_likely_only_if_letters_are_ruled_out():
    row = np.zeros((1, CLASSES), np.float32)
    row[0, [CLASS_OF["O"], CLASS_OF["0"], CLASS_OF["."]]] = 0.9, 0.09, 0.01
    found = digit_evidence(row, 0, STRIDE)
    assert found.mass == pytest.approx(0.09)
    assert found.numeric == pytest.approx(0.9, abs=0.01)


def test_evidence_beyond_the_line_comes_from_its_end(posteriors):
    rows = posteriors("__5", sure=0.8)
    assert digit_evidence(rows, 100 * STRIDE, 120 * STRIDE).values.argmax() == 5


def joined(posteriors, chars):
    return [
        Step(tuple(zip(chars, row[1:].tolist(), strict=True)), float(row[0]), float(row[0]), True)
        for row in posteriors
    ]


@pytest.mark.parametrize("expect", ["2", "3", "1#", "one of 17, 71, 717", "luhn"])
def test_search_returns_the_ctc_odds_of_allowed_texts(ctc, expect):
    random = np.random.default_rng(3)
    allowed = Expectation.of(expect)
    for _ in range(5):
        posteriors = random.dirichlet([0.6] * 4, size=5)
        every = ctc(posteriors, "178")
        wanted = {text: p for text, p in every.items() if not allowed.broken(text)}
        found = {each.text: each for each in search(joined(posteriors, "178"), allowed, width=500)}
        assert found.keys() >= {text for text, chance in wanted.items() if chance > 1e-5}
        for text, each in found.items():
            best = posteriors.max(axis=1).prod()
            assert each.odds == pytest.approx(wanted[text] / best, abs=1e-4)
            assert len(each.steps) == len(text)
            assert list(each.steps) == sorted(set(each.steps))


def test_separate_steps_can_repeat_a_character():
    steps = [Step((("7", 0.9),), 0.1, 0.1) for _ in range(3)]
    [best] = search(steps, Expectation.of("3"))
    assert (best.text, best.steps) == ("777", (0, 1, 2))
    assert best.odds == pytest.approx(1)
    assert search(steps, Expectation.of("4")) == []


def test_check_digit_decides_an_earlier_digit():
    """The right first digit ranks last of ten, which is more than the beam is wide."""
    chances = [*((digit, 0.1 + 0.001 * int(digit)) for digit in "987654320"), ("1", 0.05)]
    steps = [Step(tuple(chances), 0.05, 0.05)]
    steps.append(Step((("8", 0.99),), 0.01, 0.01))
    found = search(steps, Expectation.of(["2", "luhn"]), width=4)
    assert found[0].text == "18"


def test_letters_are_free_around_a_number_and_costly_within_it():
    def seen(text):
        return [Step(((c, 0.99),), 0.01, 0.01 if c.isdigit() else 1.0) for c in text]

    account = Expectation.of("iban")
    best = search(seen("IBANDE89370400440532013000EUR"), account)[0]
    assert best.text == "DE89370400440532013000"
    assert best.odds > 0.9
    assert all(each.odds < 0.02 for each in search(seen("DE89X370400440532013000"), account))


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("at l7:3O", "at 17:30"),
        ("58OB", "580B"),
        ("H2O, 5l, 2OB, SO5", "H2O, 5l, 2OB, SO5"),
        ("1OO", "100"),
        ("10/1Z/Z014 8Z.5", "10/12/2014 82.5"),
        ("1.5g 12Z4 1ZZ.5 Z.5", "1.5g 12Z4 1ZZ.5 Z.5"),  # units, codes, words, too few digits
    ],
)
def test_letters_in_numbers_become_the_digits_they_look_like(posteriors, read, meant):
    assert spelled(posteriors, read, 0.05) == meant


def test_letter_in_a_number_stays_if_a_digit_is_improbable(posteriors):
    assert spelled(posteriors, "1O", 0.005) == "1O"


def spelled(posteriors, text, chance):
    """The text read when O, l, Z and g may be digits with the given probability."""
    rows = posteriors("_".join(text))
    for char, digit in ("O0", "l1", "Z2", "g9"):
        rows[rows[:, CLASS_OF[char]] > 0.5, CLASS_OF[digit]] = chance
    return decode(with_numerals(rows, decode(rows))).text


def test_likely_texts_have_their_ctc_odds(ctc):
    random = np.random.default_rng(5)
    rows = np.zeros((5, CLASSES), np.float32)
    rows[:, [BLANK, *map(CLASS_OF.get, "17/")]] = random.dirichlet([0.6] * 4, size=5)
    every = ctc(rows[:, [BLANK, *map(CLASS_OF.get, "17/")]], "17/")
    found = [each.text for each in likely_texts(rows, 8)]
    odds = text_odds(rows, found)
    top = max(filter(None, every), key=every.get)
    assert found[0] == top
    assert (odds / odds[0]).tolist() == pytest.approx([every[t] / every[top] for t in found], 1e-2)
    assert text_odds(rows, ["8"])[0] < 1e-3


def test_letters_around_a_likely_text_cost_nothing(posteriors):
    text, letters = posteriors("12"), posteriors("_A_")
    rows = np.concatenate([letters, text, letters])
    assert likely_texts(rows, 4)[0].text == "12"
    assert text_odds(rows, ["12"]) == pytest.approx(text_odds(text, ["12"]), rel=0.1)
