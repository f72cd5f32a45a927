import dataclasses
from itertools import combinations, pairwise

import numpy as np
import pytest

from digitlens.reading.layout import judge
from digitlens.reading.pattern import ANY, Pattern, fit, fitted
from digitlens.results import Box


def scores(*texts):
    """Probabilities and existence of candidates: ``7`` is a sure 7, ``7~`` hardly a digit at all.

    ``17`` is a 1 with 0.6, a 7 with 0.3.
    """
    probabilities = np.full((len(texts), 10), 0.001)
    existence = np.array([0.05 if "~" in text else 0.97 for text in texts], np.float32)
    for row, text in zip(probabilities, texts, strict=True):
        for value, share in zip(text.rstrip("~"), (0.6, 0.3), strict=False):
            row[int(value)] = share
    return (probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32), existence


def fitting(pattern, *texts, **options):
    return fit(Pattern.parse(pattern), *scores(*texts), range(len(texts)), **options)


@pytest.mark.parametrize(
    ("text", "places", "printed"),
    [
        ("4", [ANY] * 4, [""] * 5),
        (" 12 ", [ANY] * 12, [""] * 13),
        ("##", [ANY] * 2, ["", "", ""]),
        ("20##", [(2,), (0,), ANY, ANY], [""] * 5),
        ("####-##", [ANY] * 6, ["", "", "", "", "-", "", ""]),
        ("# ### ###", [ANY] * 7, ["", " ", "", "", " ", "", "", ""]),
        ("No. #, #.", [ANY] * 2, ["No. ", ", ", "."]),
        ("[0-3]#:[159]", [(0, 1, 2, 3), ANY, (1, 5, 9)], ["", "", ":", ""]),
        ("[97-80-1]", [(0, 1, 7, 8, 9)], ["", ""]),
        ("12:30", [(1,), (2,), (3,), (0,)], ["", "", ":", "", ""]),
    ],
)
def test_patterns(text, places, printed):
    pattern = Pattern.parse(text)
    assert pattern.places == tuple(places)
    assert pattern.printed == tuple(printed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 places"),
        ("-", "has 0 places"),
        ("#" * 100, "has 100 places"),
        ("0", "no number of digits"),
        ("07", "no number of digits"),
        ("2024", "no number of digits"),
        ("#[3", r"'\[' cannot stand at position 2"),
        ("#3]", r"'\]' cannot stand at position 3"),
        ("#\n#", "cannot stand at position 2"),
        ("[]#", r"\[\] is no set"),
        ("[3-0]", r"\[3-0\] is no set"),
        ("[1,2]", r"\[1,2\] is no set"),
        ("[1-]", r"\[1-\] is no set"),
        ("[^5]", r"\[\^5\] is no set"),
    ],
)
def test_what_is_no_pattern_is_refused_with_what_is_allowed(text, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        Pattern.parse(text)
    assert "# is any digit" in str(refused.value)


def test_a_pattern_is_checked_when_it_is_made():
    with pytest.raises(ValueError, match="found 1 texts around 1 places"):
        Pattern((ANY,), ("",))
    with pytest.raises(ValueError, match="from 0 to 9"):
        Pattern(((10,),), ("", ""))
    with pytest.raises(ValueError, match="from 0 to 9"):
        Pattern(((),), ("", ""))


def test_values_are_written_as_printed():
    pattern = Pattern.parse("####-##")
    assert pattern.format([4, 0, 7, 5, 1, 2]) == "4075-12"
    assert pattern.format([4, 0, None, 5, 1, None]) == "40?5-1?"
    with pytest.raises(ValueError, match="expected 6 values, found 2"):
        pattern.format([1, 2])


def test_what_fits_is_taken_as_it_is():
    choice = fitting("##-##", "4", "0", "7", "5")
    assert choice.text == "40-75"
    assert (choice.kept, choice.values, choice.places) == ((0, 1, 2, 3), (4, 0, 7, 5), (0, 1, 2, 3))
    assert choice.fulfilled
    assert choice.missing == ()


def test_the_least_likely_candidate_is_left_out():
    choice = fitting("3", "4", "8~", "0", "7")
    assert (choice.kept, choice.text) == ((0, 2, 3), "407")


def test_a_doubtful_candidate_is_kept_if_it_is_needed():
    choice = fitting("4", "4", "8~", "0", "7")
    assert (choice.text, choice.fulfilled) == ("4807", True)


def test_allowed_digits_decide_what_is_read():
    assert fitting("2", "17", "83").values == (1, 8)
    assert fitting("[7-9][0-3]", "17", "83").values == (7, 3)
    assert fitting("20##", "3", "0", "2", "4").values == (2, 0, 2, 4)


def test_known_digits_decide_what_is_left_out():
    choice = fitting("20#", "7", "2", "0", "5", "9")
    assert choice.text in {"205", "209"}
    assert choice.kept[:2] == (1, 2)


def test_confidence_is_renormalised_over_what_is_allowed():
    probabilities = np.full((2, 10), 0.0)
    probabilities[0, [1, 7, 9]] = 0.6, 0.3, 0.1
    probabilities[1, [2, 5]] = 0.2, 0.8
    choice = fit(Pattern.parse("[79]2"), probabilities, np.full(2, 0.9), [0, 1])
    assert choice.values == (7, 2)
    assert choice.confidences == pytest.approx((0.75, 1.0), abs=1e-6)


def test_too_few_candidates_leave_places_empty_at_the_end():
    choice = fitting("####-##", "4", "0", "7~")
    assert choice.text == "407?-??"
    assert not choice.fulfilled
    assert choice.missing == (3, 4, 5)


def test_too_few_candidates_leave_the_place_empty_that_fits_least():
    choice = fitting("20#[5-9]", "0", "3", "8")
    assert choice.text == "?038"
    assert (choice.kept, choice.places) == ((0, 1, 2), (1, 2, 3))


def test_no_candidates():
    choice = fitting("##:##")
    assert choice.text == "??:??"
    assert choice.kept == choice.values == choice.confidences == ()


def test_the_reading_order_is_that_given():
    probabilities, existence = scores("7", "4", "0")
    choice = fit(Pattern.parse("3"), probabilities, existence, [1, 2, 0])
    assert (choice.kept, choice.text) == ((1, 2, 0), "407")


def test_of_candidates_that_exclude_each_other_one_is_kept():
    # 1 is 2 and 3 taken as one digit.
    excluding = [(1, 2), (3, 1)]
    assert fitting("2", "4", "8", "1", "3", excluding=excluding).kept == (0, 1)
    assert fitting("3", "4", "8", "1", "3", excluding=excluding).kept == (0, 2, 3)
    too_many = fitting("4", "4", "8", "1", "3", excluding=excluding)
    assert (too_many.kept, too_many.text) == ((0, 2, 3), "413?")


def test_certain_scores_are_no_trouble():
    probabilities = np.eye(10, dtype=np.float32)[[4, 0, 7]]
    existence = np.array([1, 0, 1], np.float32)
    assert fit(Pattern.parse("2"), probabilities, existence, range(3)).text == "47"
    assert fit(Pattern.parse("111#"), probabilities, existence, range(3)).kept == (0, 1, 2)


@pytest.mark.parametrize(
    ("probabilities", "existence", "order", "message"),
    [
        (np.ones((2, 11)), np.ones(2), [0, 1], r"found shapes \(2, 11\)"),
        (np.ones((2, 10)), np.ones(3), [0, 1], r"and \(3,\)"),
        (np.ones((2, 10)), np.ones(2), [0], r"expected float\[1, 10\]"),
        (np.ones((2, 10)), np.ones(2), [0, 0], "every candidate from 0 to 1 once"),
    ],
)
def test_what_does_not_belong_together_is_refused(probabilities, existence, order, message):
    with pytest.raises(ValueError, match=message):
        fit(Pattern.parse("2"), probabilities, existence, order)


def joint(pattern, probabilities, existence, kept, places):
    """Log probability of keeping these candidates, in reading order, for these places."""
    left_out = np.log(np.delete(1 - existence, kept)).sum()
    chosen = zip(kept, places, strict=True)
    values = [max(probabilities[i, list(pattern.places[k])]) for i, k in chosen]
    return left_out + np.log(existence[list(kept)]).sum() + np.log(values).sum()


def best_of_all(pattern, probabilities, existence, overlapping):
    """The most digits that are possible, and the log probability of the best way to have them."""
    count, places = len(existence), len(pattern.places)
    for size in range(min(count, places), -1, -1):
        found = [
            joint(pattern, probabilities, existence, kept, filled)
            for kept in combinations(range(count), size)
            if not any(pair in overlapping for pair in pairwise(kept))
            for filled in combinations(range(places), size)
        ]
        if found:
            return size, max(found)
    raise AssertionError("keeping nothing is always possible")


@pytest.mark.parametrize("seed", range(60))
def test_no_other_choice_is_more_probable(seed):
    random = np.random.default_rng(seed)
    pattern = Pattern.parse(["3", "1#[4-6]", "##-##", "20#", "[01]#:[0-5]#"][seed % 5])
    count = int(random.integers(0, 7))
    probabilities = random.dirichlet(np.full(10, 0.4), count) * 0.99 + 0.001
    existence = random.uniform(0.02, 0.98, count)
    pairs = [pair for pair in combinations(range(count), 2) if random.random() < 0.3]

    choice = fit(pattern, probabilities, existence, range(count), pairs)
    size, best = best_of_all(pattern, probabilities, existence, pairs)

    assert len(choice.kept) == size
    assert joint(pattern, probabilities, existence, choice.kept, choice.places) == pytest.approx(
        best
    )
    assert not any(pair in pairs for pair in pairwise(choice.kept))
    for value, place in zip(choice.values, choice.places, strict=True):
        assert value in pattern.places[place]


def test_a_page_full_of_candidates():
    random = np.random.default_rng(0)
    probabilities, existence = random.dirichlet(np.ones(10), 300), np.full(300, 0.01)
    digits = [20, 21, 100, 290]
    existence[digits] = 0.99
    choice = fit(Pattern.parse("4"), probabilities, existence, range(300))
    assert choice.kept == tuple(digits)
    assert choice.values == tuple(probabilities[digits].argmax(1))


THRESHOLDS = {"digit": 0.8, "reject": 0.4}


def chances(value, second=None):
    """91 % for one value; or 52 % for it and 40 % for the second one."""
    row = np.full(10, 0.01, np.float32)
    row[value] = 0.91 if second is None else 0.52
    if second is not None:
        row[second] = 0.4
    return row


def composed(*rows):
    """Lines from rows of value (or value and second), x, y, confidence; those of one y are one."""
    lines = {}
    for value, x, y, confidence in rows:
        named, box = chances(*np.atleast_1d(value)), Box(x, y, x + 20, y + 40)
        digit = judge(min(1, confidence / 0.9), named, confidence, box, THRESHOLDS)
        lines.setdefault(y, []).append(dataclasses.replace(digit, starts_number=x > 100))
    return tuple(tuple(line) for line in lines.values())


def values(lines):
    return ["".join(str(digit.value) for digit in line) for line in lines]


def statuses(lines):
    return ["".join(digit.status[0] for digit in line) for line in lines]


def expected(pattern, *rows):
    [line] = fitted(composed(*rows), Pattern.parse(pattern), THRESHOLDS)
    return line


def test_a_pattern_revives_what_was_rejected():
    line = expected("3", (1, 0, 10, 0.9), (2, 30, 10, 0.2), (3, 60, 10, 0.9))
    assert [digit.value for digit in line] == [1, 2, 3]
    assert [digit.status for digit in line] == ["digit", "unsure", "digit"]
    assert "also from what was expected" in line[1].reason


def test_a_pattern_drops_the_least_sure_of_too_many():
    line = expected("2", (1, 0, 10, 0.9), (2, 30, 10, 0.5), (3, 60, 10, 0.9))
    assert [digit.status for digit in line] == ["digit", "rejected", "digit"]
    assert line[1].reason == "more than the digits that were expected"
    assert line[1].value == 2


def test_what_is_rejected_and_not_needed_keeps_its_reason():
    line = expected("2", (1, 0, 10, 0.9), (9, 30, 10, 0.1), (3, 60, 10, 0.9))
    assert [digit.status for digit in line] == ["digit", "rejected", "digit"]
    assert "hardly a digit" in line[1].reason


def test_a_pattern_chooses_another_value():
    line = expected("[49]", ((7, 4), 0, 10, 0.51))
    assert line[0].value == 4
    assert line[0].status == "digit"  # of the two that are allowed, 9 is out of question
    assert line[0].reason == ""
    assert line[0].confidence > 0.8


def test_a_value_that_is_given_leaves_only_whether_there_is_a_digit():
    line = expected("7#", ((1, 7), 0, 10, 0.5), (3, 40, 10, 0.9))
    assert [digit.value for digit in line] == [7, 3]
    assert line[0].confidence == pytest.approx(0.5 / 0.52, abs=0.01)


def test_what_is_unsure_because_of_two_values_stays_so_if_both_are_allowed():
    line = expected("1", ((7, 4), 0, 10, 0.5))
    assert (line[0].value, line[0].status) == (7, "unsure")
    assert line[0].reason == "50 % sure, also from what was expected"


def test_a_pattern_goes_over_lines_and_keeps_them():
    lines = composed((1, 0, 10, 0.9), (2, 0, 100, 0.9), (3, 30, 100, 0.3))
    fit = fitted(lines, Pattern.parse("#\u00b7##"), THRESHOLDS)
    assert values(fit) == ["1", "23"]
    assert statuses(fit) == ["d", "du"]


def test_too_few_digits_are_all_kept():
    line = expected("5", (1, 0, 10, 0.9), (2, 30, 10, 0.9))
    assert [digit.status for digit in line] == ["digit", "digit"]


def test_nothing_fits_no_pattern():
    assert fitted((), Pattern.parse("3"), THRESHOLDS) == ()


def test_boxes_numbers_and_probabilities_are_left_as_they_were():
    rows = ((1, 0, 10, 0.9), (2, 30, 10, 0.3), (3, 120, 10, 0.9))
    [before], after = composed(*rows), expected("3", *rows)
    for one, other in zip(before, after, strict=True):
        assert (one.box, one.probabilities) == (other.box, other.probabilities)
        assert one.starts_number == other.starts_number
