"""Which numbers are doubted, from the notation of other numbers and the positions of digits."""

from dataclasses import replace

import numpy as np
import pytest

from digitlens.alphabet import BLANK, CLASS_OF, CLASSES
from digitlens.reading.doubt import COSTS, SIGNS, PageNumbers, form_of, raised_chance, unmarked
from digitlens.reading.notation import Notation
from digitlens.reading.numbers import Spot
from digitlens.results import Box, Digit


def spots(text, y=0, x=0, confidence=0.999):
    places = iter(range(1000 * y, 1000 * y + len(text)))
    return [
        Spot(
            char,
            confidence,
            Box(x + 10 * k, y, x + 10 * k + 9, y + 20),
            next(places) if char.isdigit() else -1,
        )
        for k, char in enumerate(text)
    ]


def seen(number, *steps):
    """A number with recogniser steps: a character's, with overrides by ``steps``, and a blank."""
    steps = steps or [{}] * len(number)
    return [
        replace(spot, steps=rows({spot.char: spot.confidence} | chances, {}))
        for spot, chances in zip(number, steps, strict=True)
    ]


def rows(*steps):
    found = np.full((len(steps), CLASSES), 1e-7, np.float32)
    for row, chances in zip(found, steps, strict=True):
        row[BLANK] = 1 - sum(chances.values())
        for char, chance in chances.items():
            row[CLASS_OF[char]] = chance
    return found


def digits_of(*numbers):
    return {
        spot.place: Digit(int(spot.char), spot.confidence, (0.1,) * 10, spot.box)
        for number in numbers
        for spot in number
        if spot.place >= 0
    }


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("12.50", ".2"),
        ("-$1,234.50", ".2"),
        ("12,5 %", ",1"),
        ("1.234", "thousands"),
        ("1864", "whole"),
        ("27/04/2021", "2/2/4"),
        ("2021-04-27", "4-2-2"),
        ("27/13/2021", "none"),
        ("1.234.56", "none"),
        ("10:35", "time"),
        ("06.122006", "none"),
        ("06.12", ".2"),
    ],
)
def test_numbers_in_the_same_notation_have_one_form(text, way):
    assert form_of(text) == way


def test_number_contradicting_the_known_notation_has_no_form():
    assert form_of("12.50", Notation.of(decimal=",")) == "none"


def test_slightly_smaller_digits_are_cents_only_among_prices():
    number = spots("281")
    for k in (1, 2):
        box = number[k].box
        number[k] = replace(number[k], box=Box(box.x0, 1, box.x1, 19))
    prices = [spots(f"{k}.50", 40 * k) for k in range(1, 6)]
    assert PageNumbers([number]).cents[0] < 0.05 < PageNumbers([number, *prices]).cents[0]


@pytest.mark.parametrize(("others", "doubted"), [((), False), ((spots("7", x=90),), True)])
def test_wide_gaps_are_doubted_only_with_something_nearby(others, doubted):
    wide = [replace(one, box=Box(30 * k, 0, 30 * k + 9, 20)) for k, one in enumerate(spots("123"))]
    page = PageNumbers([wide, *others])
    signs = page.signs(0, page.rewritings(0, digits_of(wide))[0], 1.0)
    assert (signs[SIGNS.index("near")] > 0) == doubted


def test_numbers_support_the_form_they_share():
    page = PageNumbers(
        [spots(text, 40 * y) for y, text in enumerate(("1.50", "2.50", "3.50", "4,50"))]
    )
    (on_page, in_column), other = page.support(3, ".2"), page.support(3, ",2")
    assert on_page > 0 > other[0]
    assert in_column > 0 > other[1]
    assert PageNumbers([spots("1.50")]).support(0, ".2") == (0, 0)


def test_rewritings_begin_with_the_number_itself():
    number = seen(spots("1/5", confidence=0.8), {}, {"/": 0.6, ".": 0.3}, {})
    page = PageNumbers([number])
    texts = [each.text for each in page.rewritings(0, digits_of(number))]
    assert texts[0] == "1/5"
    assert {"1.5", "15"} <= set(texts)
    assert len(set(texts)) == len(texts)
    assert page.likelihoods(page.rewritings(0, digits_of(number))).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "steps", "wanted", "chars"),
    [
        ("1250", rows({"2": 0.999}, {".": 0.3}), "12.50", ("1", "2.", "5", "0")),
        ("1250", rows({"2": 0.999}, {"4": 0.3}), "12450", ("1", "24", "5", "0")),
        ("2/615", rows({"/": 0.6, "1": 0.4}, {}), "21615", ("2", "1", "6", "1", "5")),
        ("12.50", rows({"2": 0.5, "7": 0.5}, {}), "17.50", ("1", "7", ".", "5", "0")),
        ("121.50", rows({"2": 0.6}, {}), "11.50", ("1", "", "1", ".", "5", "0")),
    ],
)
def test_rewritings_follow_the_alternatives_of_the_recogniser(text, steps, wanted, chars):
    number = seen(spots(text))
    number[1] = replace(number[1], steps=steps)
    page = PageNumbers([number])
    found = {each.text: each for each in page.rewritings(0, digits_of(number))}
    assert found[wanted].chars == chars
    assert 0.2 < np.exp(found[wanted].features[COSTS.index("recognizer")]) < 1.1


def test_form_of_other_numbers_is_tried_without_support_of_the_recogniser():
    numbers = [seen(spots(text, 40 * y)) for y, text in enumerate(("1250", "3.75", "4.20"))]
    page = PageNumbers(numbers)
    found = {each.text: each for each in page.rewritings(0, digits_of(*numbers))}
    assert found["12.50"].features[COSTS.index("recognizer")] < -5


@pytest.mark.parametrize(
    ("ends", "short_of_edge"),
    [((100, 100, 100, 92), 1), ((100, 100, 100, 100), 0.0), ((90, 70, 110, 92), 0)],
)
@pytest.mark.parametrize("tilt", [-3, 0, 3])
def test_number_short_of_the_edge_of_its_column_may_have_lost_its_end(ends, short_of_edge, tilt):
    numbers = [
        spots(text, 40 * y, end - 10 * len(text) + tilt * y)
        for y, (end, text) in enumerate(zip(ends, ("1.50", "12.50", "3.75", "14.20"), strict=True))
    ]
    assert PageNumbers(numbers).short_of_edge(3) == pytest.approx(short_of_edge, abs=0.02)


@pytest.mark.parametrize(
    ("text", "others", "wanted"),
    [
        ("20240502", ("2024-04-27", "2024-05-01"), "2024-05-02"),
        ("2024-0502", ("2024-04-27", "2024-05-01"), "2024-05-02"),
        ("05105/2024", ("27/04/2024", "01/05/2024"), "05/05/2024"),
        ("1250", ("3,75", "4,20"), "12,50"),
        ("1.45932", ("3,75", "4,20"), "1.459,32"),
    ],
)
def test_number_is_rewritten_in_the_forms_of_its_column(text, others, wanted):
    numbers = [spots(each, 40 * y) for y, each in enumerate((text, *others))]
    page = PageNumbers(numbers)
    assert wanted in {each.text for each in page.rewritings(0, digits_of(*numbers))}
    assert wanted not in {
        each.text for each in PageNumbers(numbers[:1]).rewritings(0, digits_of(*numbers))
    }


@pytest.mark.parametrize("slope", [-3, 0, 3])
@pytest.mark.parametrize(("high", "likely"), [(0, False), (11, True)])
def test_small_raised_digits_are_likely_cents_even_on_a_slanted_tag(slope, high, likely):
    boxes = [Box(20 * k, 50 + slope * k, 20 * k + 16, 90 + slope * k) for k in range(3)]
    for k in (3, 4):
        bottom = 90 if not high else 70
        wide = 16 if not high else 9
        boxes.append(Box(20 * k, 50 + slope * k, 20 * k + wide, bottom + slope * k))
    number = [Spot("9", 1.0, box, k) for k, box in enumerate(boxes)]
    assert (raised_chance(number) > 0.5) == likely


@pytest.mark.parametrize(
    ("text", "others", "priced"),
    [
        ("1250", ("3.75", "4.20", "9.15"), True),
        ("1250", ("3.75", "420", "915"), False),
        ("1250", ("27/04/2024", "01/05/2024"), False),
        ("$1250", ("3.75",), True),
        ("075", ("3.75",), True),
        ("1250", (), False),
        ("19052016", ("3.75", "4.20", "9.15"), False),  # too long
    ],
)
def test_amount_with_a_missed_mark_is_recognised_by_currency_or_column(text, others, priced):
    numbers = [spots(each, 40 * y) for y, each in enumerate((text, *others))]
    assert PageNumbers(numbers).is_priced(0) == priced


@pytest.mark.parametrize(
    ("text", "count"), [("$999", 3), ("12 345", 5), ("99", 0), ("9.99", 0), ("2021-04", 0)]
)
def test_a_number_without_a_mark_may_have_cents(text, count):
    assert len(unmarked(spots(text))) == count


def test_distant_neighbour_is_not_part_of_a_number():
    page = PageNumbers([spots("27"), spots("35", x=35), spots("48", x=400)])
    assert page.side_gap(0) < 1 < page.side_gap(2)
    assert page.joint_text(0) == "2735"
    assert page.joint_text(2) == ""
