from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from digitlens.errors import TemplateError
from digitlens.reading.meter import Candidate, History, RegionReading, TemplateReader, interpret
from digitlens.reading.template import Template, make_region
from digitlens.results import Alternative, Box, Digit, Number, Reading

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def region(kind="counter", **more):
    values = {"box": [0, 0, 1, 1], "kind": kind, **more}
    if kind == "counter":
        values = {"digits": 3, "decimals": 1, "most_per_hour": 6, "unit": "kWh", **values}
    return make_region("main", values)


def digit(value, place, chance=0.999, second=None, y=48):
    """A digit in a column, and what else it may be."""
    others = np.full(10, (1 - chance) / 90)
    others[(value + 5) % 10 if second is None else second] += (1 - chance) * 0.9
    others[value] = chance
    probabilities = tuple((others / others.sum()).tolist())
    box = Box(40 * place, y - 20, 40 * place + 30, y + 20)
    return Digit(value, chance, probabilities, box)


def reading(*digits, numbers=()):
    return Reading((digits,), 300, 96, "", "", numbers=numbers)


def read(text, *chances):
    """What a counter may say, with candidates of its last digit."""
    texts = [(text, 1 - sum(chance for _, chance in chances)), *chances]
    found = (Candidate(each, Decimal(each) / 10, chance) for each, chance in texts)
    return RegionReading(region(), tuple(sorted(found, key=lambda one: -one.probability)))


def weighed(history, found, minute):
    when = BEGAN + timedelta(minutes=minute)
    verdict = history.weigh(found, when)
    history.remember(when, verdict.read.value if verdict.read else None, verdict.value)
    return verdict.status, verdict.value


def test_a_clear_counter_has_one_likely_candidate():
    found = interpret(region(), reading(digit(0, 0), digit(4, 1), digit(7, 2)))
    assert found.candidates[0].value == Decimal("4.7")
    assert found.candidates[0].text == "047"
    assert found.candidates[0].probability > 0.99


@pytest.mark.parametrize(
    ("above", "below", "text"),
    [
        (digit(2, 2, 0.6, 4), digit(3, 2), "042"),  # 2 goes up, 3 comes
        (digit(8, 2, 0.9), digit(9, 2, 0.9), "048"),
        (digit(4, 2), digit(7, 2, 0.4), "044"),  # seen twice
        (digit(1, 2, y=15), digit(4, 2), "044"),  # a line above the counter
    ],
)
def test_a_wheel_between_two_digits_is_seen_from_above_and_below(above, below, text):
    clear = digit(0, 0), digit(4, 1)
    half = digit(4, 2, 0.6, 2)
    beside = reading(*clear, above), reading(*clear, below)
    assert interpret(region(), reading(*clear, half), beside).candidates[0].text == text


def test_a_wheel_goes_on_while_the_one_to_its_right_goes_from_nine_to_zero():
    sure = digit(0, 0)
    here = reading(sure, digit(5, 1, 0.8), digit(0, 2, 0.5, 9))
    above = reading(sure, digit(4, 1, 0.9), digit(9, 2, 0.9))
    below = reading(sure, digit(5, 1, 0.9), digit(0, 2, 0.9))
    texts = [each.text for each in interpret(region(), here, (above, below)).candidates]
    assert set(texts[:2]) == {"049", "050"}  # and not 059


def test_what_does_not_fit_has_no_candidates():
    found = interpret(region(), reading(digit(0, 0), digit(4, 1)))
    assert found.candidates == ()
    assert found.reason == "expected 3 digits, found 2"
    assert interpret(region("number"), reading()).reason == "no digits were found"


def test_a_number_has_its_value_and_its_alternatives():
    other = Alternative("12.60", Decimal("12.60"), 0.02)
    places = digit(1, 0), digit(2, 1)
    number = Number(
        "12.50", Decimal("12.50"), "decimal", "", Box(0, 0, 9, 9), places, 0.9, (other,)
    )
    found = interpret(region("number"), reading(*places, numbers=(number,)))
    assert [each.value for each in found.candidates] == [Decimal("12.50"), Decimal("12.60")]
    assert "expected one number, found 2" in (
        interpret(region("number"), reading(*places, numbers=(number, number))).reason
    )


def test_a_code_has_no_value():
    found = interpret(region("code"), reading(digit(0, 0), digit(7, 1)))
    assert (found.candidates[0].text, found.candidates[0].value) == ("07", None)
    assert History().weigh(found, BEGAN).status == "value"


@pytest.mark.parametrize(
    ("found", "minute", "wanted"),
    [
        (read("103"), 10, ("value", Decimal("10.3"))),
        (read("099", ("100", 0.4)), 10, ("value", Decimal("10.0"))),  # a wheel on its way
        (read("099"), 10, ("doubtful", None)),  # clear: the last value may have been wrong
        (read("098"), 10, ("rejected", None)),  # back
        (read("103"), 1, ("rejected", None)),  # too fast
        (read("103", ("118", 0.3)), 10, ("value", Decimal("10.3"))),  # 118 would be too fast
        (read("103", ("106", 0.3)), 10, ("doubtful", None)),
        (read("101", ("106", 0.2)), 10, ("value", Decimal("10.1"))),  # hardly moved: likelier
        (read("198", ("101", 0.04)), 10, ("rejected", None)),
        (RegionReading(region(), (), "none"), 10, ("doubtful", None)),
    ],
)
def test_the_last_value_and_the_time_decide(found, minute, wanted):
    history = History()
    assert weighed(history, read("100"), 0)[0] == "value"
    assert weighed(history, found, minute) == wanted


def test_a_reason_says_what_was_read_before():
    history = History()
    weighed(history, read("100"), 0)
    verdict = history.weigh(read("950"), BEGAN + timedelta(minutes=30))
    assert verdict.reason == "950 is 95 kWh, which cannot follow 10 within 0.50 h"


def test_pictures_vote():
    history = History(3)
    assert weighed(history, read("900"), 0)[0] == "doubtful"  # the first is misread
    assert weighed(history, read("100"), 1)[0] == "doubtful"
    assert weighed(history, read("100"), 2) == ("value", Decimal("10.0"))
    assert weighed(history, read("101"), 3) == ("value", Decimal("10.1"))


def test_without_history_each_picture_stands_alone():
    sure = RegionReading(region("number"), (Candidate("5", Decimal(5), 0.99),))
    less = RegionReading(region("number"), (Candidate("2", Decimal(2), 0.9),))
    history = History(3)
    assert weighed(history, sure, 0) == ("value", Decimal(5))
    assert weighed(history, less, 1) == ("doubtful", None)


def test_another_picture_is_told():
    page = np.random.default_rng(0).integers(0, 255, (200, 300)).astype(np.uint8)
    reader = TemplateReader(Template((region(),), page), object())
    with pytest.raises(TemplateError, match=r"expected a similarity of 0\.5 or more, found 0\.00"):
        reader.read(np.full((200, 300), 255, np.uint8))
