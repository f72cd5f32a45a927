"""Which numbers are doubted, by how the others of a page are written and by where digits stand."""

from dataclasses import replace

import pytest

from digitlens.reading.doubt import SIGNS, PageNumbers, form, raised_chance, unmarked
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
    ],
)
def test_numbers_that_are_written_alike_have_one_form(text, way):
    assert form(text) == way


def test_what_is_not_written_as_is_known_has_no_form():
    assert form("12.50", Notation.of(decimal=",")) == "none"


def test_a_lone_number_has_no_cents_because_its_digits_differ_a_little():
    number = spots("281")
    for k in (1, 2):
        box = number[k].box
        number[k] = replace(number[k], box=Box(box.x0, 1, box.x1, 19))
    prices = [spots(f"{k}.50", 40 * k) for k in range(1, 6)]
    assert PageNumbers([number]).cents[0] < 0.05 < PageNumbers([number, *prices]).cents[0]


@pytest.mark.parametrize(("others", "doubted"), [((), False), ((spots("7", x=90),), True)])
def test_wide_gaps_are_doubted_only_where_something_is_near(others, doubted):
    wide = [replace(one, box=Box(30 * k, 0, 30 * k + 9, 20)) for k, one in enumerate(spots("123"))]
    page = PageNumbers([wide, *others])
    signs = page.signs(0, page.rewritings(0, digits_of(wide))[0], 1.0)
    assert (signs[SIGNS.index("near")] > 0) == doubted


def test_others_support_the_form_that_they_have():
    page = PageNumbers(
        [spots(text, 40 * y) for y, text in enumerate(("1.50", "2.50", "3.50", "4,50"))]
    )
    (on_page, in_column), other = page.support(3, ".2"), page.support(3, ",2")
    assert on_page > 0 > other[0]
    assert in_column > 0 > other[1]
    assert PageNumbers([spots("1.50")]).support(0, ".2") == (0, 0)


def test_a_number_has_itself_and_its_changes_as_rewritings():
    number = spots("1/5", confidence=0.8)
    number[1] = Spot("/", 0.6, number[1].box, others=((".", 0.3),))
    page = PageNumbers([number])
    texts = [each.text for each in page.rewritings(0, digits_of(number))]
    assert texts[0] == "1/5"
    assert {"1.5", "15"} <= set(texts)
    assert len(set(texts)) == len(texts)
    assert page.likelihoods(page.rewritings(0, digits_of(number))).sum() == pytest.approx(1)


def test_marks_that_may_stand_behind_a_character_are_put_there():
    number = spots("1250")
    number[1] = replace(number[1], behind=((".", 0.3),))
    page = PageNumbers([number])
    found = {each.text: each for each in page.rewritings(0, digits_of(number))}
    assert found["12.50"].chars == ("1", "2.", "5", "0")
    assert found["12.50"].odds == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "others", "wanted"),
    [
        ("20240502", ("2024-04-27", "2024-05-01"), "2024-05-02"),
        ("2024-0502", ("2024-04-27", "2024-05-01"), "2024-05-02"),
        ("05105/2024", ("27/04/2024", "01/05/2024"), "05/05/2024"),
        ("1250", ("3,75", "4,20"), "12,50"),
    ],
)
def test_a_number_is_looked_at_in_the_forms_of_its_column(text, others, wanted):
    numbers = [spots(each, 40 * y) for y, each in enumerate((text, *others))]
    page = PageNumbers(numbers)
    assert wanted in {each.text for each in page.rewritings(0, digits_of(*numbers))}
    assert wanted not in {
        each.text for each in PageNumbers(numbers[:1]).rewritings(0, digits_of(*numbers))
    }


@pytest.mark.parametrize("slope", [-3, 0, 3])
@pytest.mark.parametrize(("high", "likely"), [(0, False), (11, True)])
def test_small_high_digits_are_likely_cents_on_a_slanted_tag_too(slope, high, likely):
    boxes = [Box(20 * k, 50 + slope * k, 20 * k + 16, 90 + slope * k) for k in range(3)]
    for k in (3, 4):
        bottom = 90 if not high else 70
        wide = 16 if not high else 9
        boxes.append(Box(20 * k, 50 + slope * k, 20 * k + wide, bottom + slope * k))
    number = [Spot("9", 1.0, box, k) for k, box in enumerate(boxes)]
    assert (raised_chance(number) > 0.5) == likely


@pytest.mark.parametrize(
    ("text", "count"), [("$999", 3), ("12 345", 5), ("99", 0), ("9.99", 0), ("2021-04", 0)]
)
def test_a_number_without_a_mark_may_have_cents(text, count):
    assert len(unmarked(spots(text))) == count


def test_a_neighbour_far_away_is_no_part_of_a_number():
    page = PageNumbers([spots("27"), spots("35", x=35), spots("48", x=400)])
    assert page.near(0) < 1 < page.near(2)
    assert page.with_next(0) == "2735"
    assert page.with_next(2) == ""
