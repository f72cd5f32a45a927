"""Values of numbers and dates from their marks and their page, with doubts and confidence."""

import math
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from digitlens.alphabet import BLANK, CLASS_OF, CLASSES
from digitlens.reading.doubt import shipped
from digitlens.reading.notation import LOCALES, Notation, meanings
from digitlens.reading.numbers import Spot, numbers_on
from digitlens.reading.values import numbers_of
from digitlens.results import Box, Digit

WIDE, HIGH = 10, 20  # of a character


def page(*rows, gap=40, sure=0.999, **known):
    """The numbers of a page, from rows of text in which ``|`` separates numbers."""
    digits, lines = {}, []
    for y, row in enumerate(rows):
        x, numbers = 0, []
        for text in row.split("|"):
            numbers.append([])
            for char in text:
                box = Box(x, 40 * y, x + WIDE, 40 * y + HIGH)
                place = -1
                if char.isdigit():
                    place = len(digits)
                    digits[place] = digit(int(char), box, sure)
                numbers[-1].append(Spot(char, sure, box, place))
                x += WIDE
            x += gap
        lines.append(numbers)
    return numbers_of(lines, digits, Notation.of(**known))


def digit(value, box, sure=0.999, **more):
    chances = tuple(0.999 if k == value else 0.001 / 9 for k in range(10))
    return Digit(value, sure, chances, box, **more)


def said(text, **known):
    """The value of a number alone on its page, and whether it is stated as sure."""
    (number,) = page(text, **known)
    return number.value, number.status == "number"


@pytest.mark.parametrize(
    ("text", "value", "kind", "unit"),
    [
        ("1864", Decimal(1864), "integer", ""),
        ("+5", Decimal(5), "integer", ""),
        ("-12.50", Decimal("-12.50"), "decimal", ""),
        ("(12.50)", Decimal("-12.50"), "decimal", ""),
        ("12,50-", Decimal("-12.50"), "decimal", ""),
        (".5", Decimal("0.5"), "decimal", ""),
        ("6.022e23", Decimal("6.022e23"), "decimal", ""),
        ("7.5%", Decimal("7.5"), "percent", "%"),
        ("-3 %", Decimal(-3), "percent", "%"),
        ("21,5°C", Decimal("21.5"), "decimal", "°C"),
        ("30°", Decimal(30), "integer", "°"),
        ("$5.00", Decimal(5), "currency", "$"),
        ("-$1,234.50", Decimal("-1234.50"), "currency", "$"),
        ("($1,234.50)", Decimal("-1234.50"), "currency", "$"),
        ("1.234,50 €", Decimal("1234.50"), "currency", "€"),
        ("#12", Decimal(12), "integer", "#"),
        ("1'234", Decimal(1234), "integer", ""),
        ("1'234.50", Decimal("1234.50"), "decimal", ""),
        ("1.234.567", Decimal(1234567), "integer", ""),
        ("12,34,567", Decimal(1234567), "integer", ""),
        ("0.125", Decimal("0.125"), "decimal", ""),
        ("1234.567", Decimal("1234.567"), "decimal", ""),
        ("1/2", Decimal("0.5"), "fraction", ""),
        ("23:59", time(23, 59), "time", ""),
        ("23:59:01", time(23, 59, 1), "time", ""),
        ("27/04/2021", date(2021, 4, 27), "date", ""),
        ("04/27/21", date(2021, 4, 27), "date", ""),
        ("27.04.71", date(1971, 4, 27), "date", ""),
        ("2021-04-27", date(2021, 4, 27), "date", ""),
        ("03/03/2021", date(2021, 3, 3), "date", ""),
        ("0199", Decimal(199), "code", ""),
        ("1234567890", Decimal(1234567890), "code", ""),
    ],
)
def test_a_number_has_value_kind_and_unit(text, value, kind, unit):
    (number,) = page(text)
    assert (number.value, number.kind, number.unit) == (value, kind, unit)
    assert (number.text, number.status, number.reason) == (text, "number", "")


@pytest.mark.parametrize(
    "text", ["123-456-7890", "10.0.0.1", "24:10", "3+4=7", "$5€", "5'11", "1412/35"]
)
def test_text_that_is_no_number_is_a_code_without_value(text):
    (number,) = page(text)
    assert (number.text, number.value, number.kind) == (text, None, "code")


# A factor of a hundred or a thousand is the worst possible error.
AMBIGUOUS = {"1.234": ("1.234", "1234"), "1,234": ("1234", "1.234")}  # decimal . and ,
AMBIGUOUS |= {"12.500": ("12.500", "12500"), "999,000": ("999000", "999.000")}
ONE_WAY = {"12.50": "12.50", "12,5": "12.5", "0,125": "0.125", "1.234,56": "1234.56"}
ONE_WAY |= {"1,234.56": "1234.56", "1.234.567": "1234567", "1,234,567": "1234567"}


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_locale_decides_an_ambiguous_number(text):
    for locale, (decimal, group, *_) in LOCALES.items():
        value, sure = said(text, locale=locale)
        by_point, by_comma = (Decimal(each) for each in AMBIGUOUS[text])
        assert value == (by_point if decimal == "." else by_comma) or not sure
        # A mark that the locale does not use leaves the number unsure.
        assert sure == (("." if "." in text else ",") in {decimal, group})


@pytest.mark.parametrize("text", ONE_WAY)
def test_unambiguous_number_has_the_same_value_in_every_locale(text):
    assert said(text) == (Decimal(ONE_WAY[text]), True)
    for locale in LOCALES:
        assert said(text, locale=locale)[0] == Decimal(ONE_WAY[text])


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_without_a_locale_both_values_are_offered(text):
    (number,) = page(text)
    offered = {number.value, number.alternatives[0].value}
    assert offered == {Decimal(value) for value in AMBIGUOUS[text]}
    assert number.status == "unsure"
    assert number.confidence == pytest.approx(number.alternatives[0].probability)
    assert all(str(value) in number.reason for value in offered)


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        (("1.234", "1.234,56"), ["1234", "1234.56"]),
        (("1,234", "1.234,56"), ["1.234", "1234.56"]),
        (("1.234", "12.50"), ["1.234", "12.50"]),
        (("1,234", "7.5%", "3.20|4.10"), ["1234", "7.5", "3.20", "4.10"]),
        (("1.234", "7.654.321"), ["1234", "7654321"]),
    ],
)
def test_other_numbers_of_the_page_decide_an_ambiguous_one(rows, values):
    numbers = page(*rows, sure=0.9999)
    assert [number.value for number in numbers] == [Decimal(value) for value in values]
    assert {number.status for number in numbers} == {"number"}


@pytest.mark.parametrize("others", [("12.50", "12,50"), ("27.04.2021",), ("1864",), ("1,234",)])
def test_conflicting_or_neutral_numbers_decide_nothing(others):
    assert page("1.234", *others)[0].status == "unsure"


def test_doubtful_mark_decides_nothing():
    digits = {}
    clear, faint = page_spots("1.234", digits), page_spots("12.50", digits)
    faint = seen(faint, {2: {".": 0.5, ",": 0.4}})
    faint[2] = replace(faint[2], confidence=0.5)
    number, other = numbers_of([[clear], [faint]], digits)
    assert (number.status, other.status) == ("unsure", "unsure")
    assert other.reason == "50 % sure of ."
    assert [each.text for each in other.alternatives[:1]] == ["12,50"]


def page_spots(text, digits, y=0, x=0, pitch=10):
    spots = []
    for k, char in enumerate(text):
        box = Box(x + pitch * k, y, x + pitch * k + 9, y + 20)
        place = len(digits) if char.isdigit() else -1
        if place >= 0:
            digits[place] = digit(int(char), box)
        spots.append(Spot(char, 0.999, box, place))
    return spots


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("03/04/2021", [date(2021, 4, 3), date(2021, 3, 4)]),
        ("03-04-21", [date(2021, 4, 3), date(2021, 3, 4), date(2003, 4, 21)]),
    ],
)
def test_ambiguous_date_is_unsure(text, values):
    (number,) = page(text)
    assert number.status == "unsure"
    same = [each.value for each in number.alternatives if each.text == text]
    assert [number.value, *same] == values


@pytest.mark.parametrize(
    ("rows", "known", "value"),
    [
        (("03/04/2021",), {"locale": "en_US"}, date(2021, 3, 4)),
        (("03/04/2021",), {"locale": "en_GB"}, date(2021, 4, 3)),
        (("03/04/2021", "27/04/2021"), {}, date(2021, 4, 3)),
        (("03/04/2021", "04/27/2021"), {}, date(2021, 3, 4)),
    ],
)
def test_locale_or_page_decides_an_ambiguous_date(rows, known, value):
    assert (page(*rows, **known)[0].value, page(*rows, **known)[0].status) == (value, "number")


@pytest.mark.parametrize("text", ["31/02/2021", "27.13.2021", "27.02.194"])
def test_an_impossible_date_has_no_value(text):
    assert said(text) == (None, False)


@pytest.mark.parametrize(
    ("known", "notation"),
    [
        ({}, ("", "", "")),
        ({"decimal": ","}, (",", "", "")),
        ({"grouping": "."}, (",", ".", "")),
        ({"grouping": "\u202f", "decimal": ","}, (",", " ", "")),
        ({"grouping": "\u2019"}, ("", "'", "")),
        ({"locale": "de-DE.UTF-8"}, (",", ".", "DMY")),
        ({"locale": "de"}, (",", ".", "DMY")),
        ({"locale": "fr"}, (",", " ", "DMY")),
        ({"locale": "en"}, (".", ",", "")),
        ({"locale": "en_us"}, (".", ",", "MDY")),
        ({"locale": "en_US", "decimal": ","}, (",", ".", "MDY")),
        ({"locale": "de_DE", "grouping": ","}, (".", ",", "DMY")),
        ({"locale": "de_CH", "decimal": ","}, (",", "'", "DMY")),
    ],
)
def test_notation_is_built_from_locale_and_marks(known, notation):
    made = Notation.of(**known)
    assert (made.decimal, made.grouping, made.order) == notation


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"decimal": ";"}, "decimal: expected . or , found ';'"),
        ({"grouping": "x"}, "grouping: expected . or , or ' or a space, found 'x'"),
        ({"decimal": ",", "grouping": ","}, "expected two marks, found ',' for both"),
        ({"locale": "tlh_QO"}, "locale: expected a language or one of .*found 'tlh_QO'"),
    ],
)
def test_invalid_notation_is_refused(known, words):
    with pytest.raises(ValueError, match=words):
        Notation.of(**known)


def test_number_that_contradicts_the_given_notation_is_unsure():
    assert said("12.50", decimal=",") == (Decimal("12.50"), False)
    assert said("1,234.50", locale="de_DE") == (Decimal("1234.50"), False)


@pytest.mark.parametrize(
    ("row", "gap", "known", "texts", "sure"),
    [
        ("1|376.50", 8, {"grouping": " "}, ["1 376.50"], True),
        ("1|376.50", 8, {"locale": "fr_FR", "decimal": "."}, ["1 376.50"], True),
        ("1|376.50", 8, {}, ["1", "376.50"], False),
        ("1|376.50", 8, {"grouping": ","}, ["1", "376.50"], True),
        ("1|376.50", 40, {"grouping": " "}, ["1", "376.50"], True),
        ("12|345|678", 8, {"grouping": " "}, ["12 345 678"], True),
        ("555|0199", 8, {}, ["555", "0199"], True),
        ("83|15", 8, {}, ["83", "15"], True),
        ("83|15", 8, {"decimal": "."}, ["83", "15"], False),
        ("83|15 €", 8, {"decimal": "."}, ["83", "15 €"], False),
        ("37,1|23.01", 8, {}, ["37,123.01"], False),
        ("27/04/202|1", 8, {}, ["27/04/2021"], False),
        ("1|6/01/2003", 8, {}, ["1", "6/01/2003"], False),
    ],
)
def test_parts_with_a_narrow_gap_may_be_one_number(row, gap, known, texts, sure):
    numbers = page(row, gap=gap, **known)
    assert [number.text for number in numbers] == texts
    assert {number.status for number in numbers} == {"number" if sure else "unsure"}


def seen(spots, doubtful):
    """Characters with recogniser steps; ``doubtful`` maps an index to its probabilities."""
    found = []
    for k, spot in enumerate(spots):
        steps = np.full((2, CLASSES), 1e-7, np.float32)
        chances = doubtful.get(k, {spot.char: 0.999})
        steps[:, BLANK] = 1 - sum(chances.values()), 1
        for char, chance in chances.items():
            steps[0, CLASS_OF[char]] = chance
        found.append(replace(spot, steps=steps))
    return found


def test_digits_added_by_a_rewriting_are_unsure():
    digits = {}
    rows = [page_spots(f"{day}/03/2011", digits, 40 * day) for day in (11, 12, 13, 14)]
    rows[0] = page_spots("24/0/2011", digits)
    rows[0] = seen(rows[0], {4: {"/": 0.55, "3": 0.4}})
    rows[0][3] = replace(rows[0][3], steps=np.r_[rows[0][3].steps, rows[0][4].steps])
    rows[0][4] = replace(rows[0][4], steps=seen(rows[0], {})[4].steps)
    number, *_ = numbers_of([[row] for row in rows], digits)
    assert (number.text, number.value) == ("24/03/2011", date(2011, 3, 24))
    assert "".join(str(each.value) for each in number.digits) == "24032011"
    assert number.digits[3].status == number.status == "unsure"


@pytest.mark.parametrize(
    ("left", "mark", "right", "high", "texts"),
    [
        ("5", ".", "65", 13, ["5.65"]),
        ("5", ".", "65", 20, ["5", "65"]),
        ("08", "/", "27/2024", 20, ["08/27/2024"]),
        ("08", "", "27/2024", 20, ["08", "27/2024"]),
        ("1", ".", "27/2024", 20, ["1", "27/2024"]),
    ],
)
def test_mark_at_the_end_of_a_part_joins_it_to_the_next(left, mark, right, high, texts):
    digits = {}
    parts = page_spots(left, digits), page_spots(right, digits, x=10 * len(left) + 10)
    parts[0][-1] = replace(parts[0][-1], trail=mark and Spot(mark, 0.9, Box(10, 15, 12, 20)))
    parts[1][:] = [replace(spot, box=replace(spot.box, y1=high)) for spot in parts[1]]
    numbers = numbers_of([parts], digits)
    assert [number.text for number in numbers] == texts
    assert len(numbers) > 1 or numbers[0].status == "unsure"


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        (("04/05/2021",), date(2021, 5, 4)),
        (("04/05/2021", "$5.00"), date(2021, 4, 5)),
        (("04/05/2021", "£5.00"), date(2021, 5, 4)),
    ],
)
def test_dollars_on_the_page_suggest_month_first_but_unsure(rows, value):
    number, *_ = page(*rows)
    assert (number.value, number.status) == (value, "unsure")


def test_a_whole_number_among_decimals_may_have_lost_its_mark():
    numbers = page("12.50", "6062", "13.99|47")
    assert [number.status for number in numbers] == ["number", "unsure", "number", "number"]
    assert {numbers[1].value, numbers[1].alternatives[0].value} == {Decimal(6062), Decimal("60.62")}
    assert {number.status for number in page("1250", "6062", "13")} == {"number"}


def test_page_decides_between_two_likely_readings():
    digits = {}
    rows = [page_spots(text, digits, 40 * y) for y, text in enumerate(("12.50", "9.99", "7,25"))]
    rows[2] = seen(rows[2], {1: {",": 0.6, ".": 0.4}})
    rows[2][1] = replace(rows[2][1], confidence=0.6)
    numbers = numbers_of([[row] for row in rows], digits)
    assert (numbers[2].text, numbers[2].value) == ("7.25", Decimal("7.25"))
    assert (numbers[2].status, numbers[2].reason) == ("unsure", "read as 7,25")
    decided = numbers_of([[row] for row in rows], digits, as_read=True)
    assert decided[2].text == "7,25"


def test_digit_rewritten_as_a_mark_is_not_a_digit_of_the_number():
    digits = {}
    spots = page_spots("24/0212010", digits)
    place = spots[5].place
    digits[place] = digit(1, spots[5].box, 0.7, status="unsure", reason="70 % sure")
    spots = seen(spots, {5: {"1": 0.7, "/": 0.25}})
    spots[5] = replace(spots[5], confidence=0.7)
    others = [page_spots(f"{day}/03/2011", digits, 40 + 40 * day) for day in (11, 12, 13)]
    number, *_ = numbers_of([[spots], *([row] for row in others)], digits)
    assert (number.text, number.value) == ("24/02/2010", date(2010, 2, 24))
    assert "".join(str(each.value) for each in number.digits) == "24022010"


def test_widely_spaced_digits_are_not_sure_to_be_separate_numbers():
    for pitch, status in ((20, "unsure"), (10, "number")):
        digits = {}
        starts = [(13 * y, 13 * y + 2 * pitch) for y in range(3)]  # evenly spaced across numbers
        rows = [
            [page_spots("27", digits, 40 * y, x, pitch) for x in xs] for y, xs in enumerate(starts)
        ]
        for row in rows:
            row[1][0] = replace(row[1][0], is_separate=True)
        assert {number.status for number in numbers_of(rows, digits)} == {status}, pitch


@pytest.mark.parametrize(
    ("text", "value"), [("1.938.76", "1938.76"), ("-$1,234,567,8", "-1234567.8")]
)
def test_one_mark_in_two_roles_makes_a_number_unsure(text, value):
    (number,) = page(text)
    assert number.value == Decimal(value)
    assert (number.status, number.reason) == ("unsure", "the same mark for groups and decimals")


@pytest.mark.parametrize(
    ("rows", "sure"),
    [
        (("12.50", "13.60", "14.75", "16.20", "10,08138"), False),
        (("27/04/2021", "28/04/2021", "29/04/2021", "30/04/2021", "28/04/20"), False),
        (("$12.50|$3.75|7.20|$9233",), False),
        (("$12.50|$3.75|$9,233.00",), True),
        (("12.50", "13.60", "14.75", "16.20"), True),
    ],
)
def test_number_unlike_most_of_the_page_is_unsure(rows, sure):
    assert (page(*rows)[-1].status == "number") == sure


@pytest.mark.parametrize(("text", "sure"), [("$042", False), ("$0.42", True), ("$42", True)])
def test_whole_amount_with_a_leading_zero_is_unsure(text, sure):
    assert said(text)[1] == sure


def test_both_readings_of_a_gap_are_offered():
    one, thousands = page("1|376.50", gap=8)
    for number in (one, thousands):
        assert number.alternatives[0].value == Decimal("1376.50")
        assert number.reason == "may be part of 1 376.50"


@pytest.mark.parametrize(
    ("whole", "cents", "end", "value"),
    [
        ("9", "99", "", Decimal("9.99")),
        ("$9", "99", "", Decimal("9.99")),
        ("129", "00", " €", Decimal("129.00")),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_small_raised_digits_are_cents(whole, cents, end, value, apart):
    digits = {}
    large = page_spots(whole, digits)
    x, small = large[-1].box.x1, []
    for char in cents:
        place = len(digits)
        box = Box(x + 1, 0, x + 6, 9)
        digits[place] = digit(int(char), box)
        small.append(Spot(char, 0.99, box, place))
        x += 6
    small += [Spot(char, 0.99, Box(x, 0, x + 9, 20)) for char in end]
    row = [large, small] if apart else [large + small]
    (number,) = numbers_of([row], digits)
    assert number.value == value
    assert number.text == whole + cents + end
    assert number.kind == ("currency" if number.unit else "decimal")


def test_digits_of_equal_size_are_not_cents():
    assert said("999") == (Decimal(999), True)


def test_shorter_but_not_narrower_digits_may_be_cents():
    digits = {}
    spots = page_spots("528", digits)
    spots[0] = replace(spots[0], box=Box(0, 0, 9, 32))
    (number,) = numbers_of([[spots]], digits)
    assert (number.value, number.status) == (Decimal(528), "unsure")
    assert number.alternatives[0].value == Decimal("5.28")
    assert number.reason == "528 or 5.28"


def test_probabilities_of_all_readings_sum_to_at_most_one():
    for rows in (("12.50",), ("1.234",), ("03/04/2021",), ("1|376.50",), ("83", "9,5", "83|15")):
        for number in page(*rows, gap=8, sure=0.7):
            chances = [each.probability for each in number.alternatives]
            assert number.confidence + math.fsum(chances) <= 1
            assert all(one >= other for one, other in pairwise(chances))
            assert len({(each.text, each.value) for each in number.alternatives}) == len(chances)


def test_the_confidence_of_a_number_grows_with_that_of_its_characters():
    doubtful, clear = (page("12.50", sure=sure)[0] for sure in (0.9, 0.999))
    assert 0.4 < doubtful.confidence < 0.9 < clear.confidence < 1
    assert clear.box == Box(0, 0, 50, 20)
    assert [each.value for each in clear.digits] == [1, 2, 5, 0]


def test_an_unsure_digit_makes_the_number_unsure():
    digits = {}
    spots = page_spots("47", digits)
    reason = "50 % sure, could be 1 (40 %)"
    digits[1] = digit(7, digits[1].box, 0.5, status="unsure", reason=reason)
    (number,) = numbers_of([[spots]], digits)
    assert (number.text, number.status) == ("47", "unsure")
    assert number.reason == "digit 2: 50 % sure, could be 1 (40 %)"


@pytest.mark.parametrize(
    ("missed", "sure"), [(("1", 0.01), True), (("1", 0.4), False), (("(", 0.9), False)]
)
def test_character_that_may_have_been_missed_makes_a_number_unsure(missed, sure):
    digits = {}
    spots = page_spots("454.9", digits)
    spots[0] = replace(spots[0], missed=missed)
    (number,) = numbers_of([[spots]], digits)
    assert (number.status == "number") == sure
    if missed[0] == "(":
        assert number.alternatives[0].value == Decimal("-454.9")


def test_malformed_texts_have_meanings():
    for text in ("1..2", "--5", "1/0", "1/2/3", "00:00", "1,2,3", "()1", "1e999", "9" * 99, "%1%"):
        assert meanings(text)


def test_given_weights_also_decide_cents_by_size():
    spots = [Spot(char, 0.999, Box(10 * k, 0, 10 * k + 9, 20), k) for k, char in enumerate("1250")]
    digits = {spot.place: digit(int(spot.char), spot.box) for spot in spots}
    always = {part: (40.0, *[0.0] * (len(shipped()[part]) - 1)) for part in ("sizes", "cents")}
    (number,) = numbers_of([[spots]], digits, fitted={**shipped(), **always})
    assert number.value == Decimal("12.50")


def test_code_with_leading_zeros_is_not_a_price():
    codes = page("12.50", "3.99", "004711", "7.25")
    assert [(each.value, each.kind) for each in codes][2] == (Decimal(4711), "code")


@pytest.mark.parametrize(
    ("line", "values", "status"),
    [
        ("4.5 (872)", ["-872", "872"], "unsure"),
        ("call (212) now", ["-212", "212"], "unsure"),
        ("(212)", ["-212"], "number"),
        ("4.5 (87.25)", ["-87.25"], "number"),
        ("4.5 ($872)", ["-872"], "number"),
    ],
)
def test_brackets_in_running_text_may_not_mean_minus(line, values, status):
    spots, digits = [], {}
    for k, char in enumerate(line):
        box, place = Box(WIDE * k, 0, WIDE * (k + 1), HIGH), k if char.isdigit() else -1
        spots.append(Spot(char, 0.9999, box, place))
        if place >= 0:
            digits[place] = digit(int(char), box, 0.9999)
    number = numbers_of([numbers_on(spots)], digits)[-1]
    others = [each.value for each in number.alternatives if each.text == number.text]
    assert [str(each) for each in (number.value, *others)] == values
    assert number.status == status
