from dataclasses import replace
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
    """A digit in column ``place``, with the remaining probability mostly on a second value."""
    others = np.full(10, (1 - chance) / 90)
    others[(value + 5) % 10 if second is None else second] += (1 - chance) * 0.9
    others[value] = chance
    probabilities = tuple((others / others.sum()).tolist())
    box = Box(40 * place, y - 20, 40 * place + 30, y + 20)
    return Digit(value, chance, probabilities, box)


def reading(*digits, numbers=()):
    return Reading((digits,), 300, 96, "", "", numbers=numbers)


def read(text, *chances):
    """The reading of a counter: its text, and other candidates with their probabilities."""
    texts = [(text, 1 - sum(chance for _, chance, *_ in chances)), *chances]
    found = (Candidate(each, Decimal(each) / 10, *chance) for each, *chance in texts)
    return RegionReading(region(), tuple(sorted(found, key=lambda one: -one.probability)))


def decided(*pictures, wait=0):
    """Status and value of each picture; a picture is given as its reading and its minute."""
    history, verdicts = History(region(), wait), []
    for found, minute in pictures:
        history.observe(found, BEGAN + timedelta(minutes=minute))
        while len(verdicts) < len(pictures) and history.waiting and (one := history.decide()):
            verdicts.append(one)
    while history.waiting:
        verdicts.append(history.decide(last=True))
    return [(each.status, each.value) for each in verdicts]


def test_a_clear_counter_has_one_likely_candidate():
    found = interpret(region(), reading(digit(0, 0), digit(4, 1), digit(7, 2)))
    assert found.candidates[0].value == Decimal("4.7")
    assert found.candidates[0].text == "047"
    assert found.candidates[0].probability > 0.9


@pytest.mark.parametrize(
    ("above", "below", "text"),
    [
        (digit(2, 2, 0.6, 4), digit(3, 2), "042"),  # the 2 moves out and the 3 in
        (digit(8, 2, 0.9), digit(9, 2, 0.9), "048"),
        (digit(4, 2), digit(7, 2, 0.4), "044"),  # seen twice
        (digit(1, 2, y=15), digit(4, 2), "043"),  # a line above the counter
    ],
)
def test_wheel_between_digits_is_read_from_crops_above_and_below(above, below, text):
    clear = digit(0, 0), digit(4, 1)
    half = digit(4, 2, 0.6, 2)
    shifted = reading(*clear, above), reading(*clear, below)
    assert interpret(region(), reading(*clear, half), shifted).candidates[0].text == text


def test_wheel_turns_while_its_right_neighbour_goes_from_nine_to_zero():
    sure = digit(0, 0)
    here = reading(sure, digit(5, 1, 0.8), digit(0, 2, 0.5, 9))
    above = reading(sure, digit(4, 1, 0.9), digit(9, 2, 0.9))
    below = reading(sure, digit(5, 1, 0.9), digit(0, 2, 0.9))
    best = interpret(region(), here, (above, below)).candidates[0]
    assert best.text == "049"
    assert best.between == best.probability


def test_wrong_number_of_digits_gives_no_candidates():
    found = interpret(region(), reading(digit(0, 0), digit(4, 1)))
    assert found.candidates == ()
    assert found.reason == "expected 3 digits, found 2"
    assert interpret(region("number"), reading()).reason == "no digits found"


def test_candidates_of_a_number_are_its_value_and_alternatives():
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
    history = History(region("code"))
    history.observe(found, BEGAN)
    assert history.decide().status == "value"


@pytest.mark.parametrize(
    ("found", "minute", "wanted"),
    [
        (read("103"), 10, ("value", Decimal("10.3"))),
        (read("099"), 10, ("rejected", None)),  # backwards
        (read("103"), 1, ("rejected", None)),  # too fast
        (read("103", ("118", 0.3)), 10, ("value", Decimal("10.3"))),  # 118 would be too fast
        (read("103", ("106", 0.3)), 10, ("doubtful", None)),
        (read("100", ("110", 0.1)), 10, ("value", Decimal("10.0"))),  # more likely than a move
        (read("103", ("104", 0.4, 0.4)), 10, ("doubtful", None)),
        (read("104", ("103", 0.4, 0.4)), 10, ("value", Decimal("10.4"))),  # there, or almost
        (RegionReading(region(), (), "none"), 10, ("doubtful", None)),
    ],
)
def test_last_value_and_elapsed_time_decide(found, minute, wanted):
    assert decided((read("100"), 0), (found, minute)) == [("value", Decimal("10.0")), wanted]


def test_reason_names_the_previous_value():
    history = History(region(), wait=0)
    history.restore(BEGAN, Decimal(10))
    history.observe(read("950"), BEGAN + timedelta(minutes=30))
    assert history.decide().reason == "950 is 95 kWh, which cannot follow 10 within 0.50 h"


def test_the_first_value_waits_for_a_second_picture():
    one = read("100"), 0
    assert decided(one, wait=9) == [("doubtful", None)]
    assert decided(one, (read("100"), 1), wait=9) == [("value", Decimal("10.0"))] * 2
    misread = read("900"), 0
    later = [(read("100"), minute) for minute in (1, 2, 3)]
    statuses = [status for status, _ in decided(misread, *later, wait=9)]
    assert statuses == ["rejected", "value", "value", "value"]


def test_later_pictures_decide_what_a_half_turned_wheel_shows():
    half = read("104", ("106", 0.4, 0.4))  # between 6 and 7, and as likely a 4
    before = (read("100"), 0), (read("100"), 1)
    assert decided(*before, (half, 10), wait=9)[-1] == ("doubtful", None)
    clear = decided(*before, (half, 10), (half, 11), (read("107"), 12), wait=9)
    assert clear[-1] == ("value", Decimal("10.7"))
    doubtful = decided(*before, (half, 10), (read("104"), 12), wait=9)
    assert doubtful[-2:] == [("value", Decimal("10.4"))] * 2


def test_doubtful_picture_waits_for_a_limited_number_of_pictures_and_time():
    half, other = read("103", ("106", 0.5)), read("103", ("106", 0.49))
    for wait, minutes, left in ((2, (10, 11, 12), 2), (9, (10, 80), 1)):
        history = History(region(), wait)
        history.restore(BEGAN, Decimal(10))
        for minute in minutes[:-1]:
            history.observe(half, BEGAN + timedelta(minutes=minute))
            assert history.decide() is None
        history.observe(other, BEGAN + timedelta(minutes=minutes[-1]))
        assert history.decide().status == "doubtful"
        assert history.waiting == left


def test_similar_pictures_suggest_a_meter_at_rest():
    look = np.random.default_rng(0).integers(0, 255, (1, 32, 24)).astype(np.uint8)
    unclear = replace(read("104", ("100", 0.2)), look=look)
    chances = []
    for before in (look, 255 - look):
        history = History(region(), wait=0)
        history.observe(replace(read("100"), look=before), BEGAN)
        assert history.decide().value == 10
        history.observe(unclear, BEGAN + timedelta(minutes=10))
        verdict = history.decide()
        chances.append(verdict.read.value)
    assert chances == [Decimal("10.0"), Decimal("10.4")]


def test_misread_half_digit_is_corrected_from_earlier_pictures(wheels):
    meter = region(digits=5, decimals=0, most_per_hour=99_999)
    stored = ("12345", 5), ("34567", 7), ("56781", 1), ("78916", 6)
    verdicts = []
    for shown in (False, True):
        history = History(meter, wait=0)
        history.restore(BEGAN, Decimal(12345))
        for hour, (text, last) in enumerate([*stored, ("78924", 2.5)], 1):
            sure = 0.999 if last == int(text[-1]) else 0.6
            places = [digit(int(each), k) for k, each in enumerate(text[:-1])]
            seen = reading(*places, digit(int(text[-1]), 4, sure))
            found = interpret(meter, seen, (seen, seen))
            look = wheels(*map(int, text[:-1]), last, noise=4, seed=hour) if shown else None
            history.observe(replace(found, look=look), BEGAN + timedelta(hours=hour))
            verdicts.append(history.decide())
    statuses = [each.status for each in verdicts]
    assert statuses == ["value"] * 4 + ["doubtful"] + ["value"] * 5
    assert verdicts[-1].value in (78922, 78923)


def test_without_history_each_picture_stands_alone():
    sure = RegionReading(region("number"), (Candidate("5", Decimal(5), 0.99),))
    less = RegionReading(region("number"), (Candidate("2", Decimal(2), 0.9),))
    history = History(region("number"))
    for found, wanted in ((sure, ("value", 5)), (less, ("doubtful", None))):
        history.observe(found, BEGAN)
        verdict = history.decide()
        assert (verdict.status, verdict.value) == wanted


def test_picture_of_something_else_is_refused():
    page = np.random.default_rng(0).integers(0, 255, (200, 300)).astype(np.uint8)
    reader = TemplateReader(Template((region(),), page), object())
    with pytest.raises(TemplateError, match=r"expected a similarity of 0\.5 or more, found 0\.00"):
        reader.read(np.full((200, 300), 255, np.uint8))
