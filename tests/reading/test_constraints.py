import pytest

from digitlens.reading.constraints import ANY, Expectation, Pattern, parse, satisfies

KEPT = {
    "4": ["4075", "40-75"],
    "####-##": ["4075-12", "407512"],
    "range 0..500": ["0", "500", "12.50", "12,5", "007", "499.999", "0,499", "1.234"],
    "range 1000..2000": ["1,234.50", "1.234,50", "1234", "1.234", "1999,99"],
    "range -5..-1": ["-3", "-1.5", "-5"],
    "range ..9.5": ["9.5", "-1000", "0,1"],
    ">= 1234.5": ["1234.5", "1,234.5", "99999999"],
    "<=3": ["3", "-3", "2.99"],
    "after 1234.5 by 20": ["1234.5", "01254.5", "1240"],
    "after 99": ["99", "100", "1000000"],
    "one of 12, 15 ,18": ["12", "15", "18", "1.8"],
    "one of 1,50|15": ["1,50", "15"],
    "one of 1.5, 15": ["1.5", "15"],
    "one of A12, B7": ["A12", "B7"],
    "luhn": ["4539148803436467", "79927398713", "18"],
    "ean": ["4006381333931", "73513537", "036000291452"],
    "ean-8": ["73513537"],
    "isbn": ["978-0-306-40615-7", "0-306-40615-2", "080442957X"],
    "isbn-10": ["080442957X"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32", "NO9386011117947"],
    "mod 11-2": ["0000-0002-1825-0097", "079X"],
    "iso7064 mod 37-2": ["G123489654321Y", "G123489654321-Y"],
    "mod 97-10": ["79444"],
}
BROKEN = {
    "4": ["407", "40751", ""],
    "range 0..500": ["501", "500.01", "1,234.5", "-3", "12.", ",", ""],
    "range 1000..2000": ["999", "12,34.50", "1,2345", "2000.5"],
    "range -5..-1": ["3", "-6", "-"],
    "after 1234.5 by 20": ["1234.4", "1254.6"],
    "one of 12, 15 ,18": ["1", "125", ""],
    "one of 1.5, 15": ["1,5"],
    "luhn": ["4539148803436468", "0"],
    "ean": ["4006381333932", "40063813339"],
    "isbn": ["9770306406157", "0306406153", "08044X9570"],
    "iban": ["DE89 3704 0044 0532 0130 01", "XX89370400440532013000", "DE8937040044053201300"],
    "mod 11-2": ["078", "07X9"],
    "mod 97-10": ["79045"],
}


@pytest.mark.parametrize(("text", "number"), [(t, n) for t, all_ in KEPT.items() for n in all_])
def test_number_satisfies_the_constraint(text, number):
    assert satisfies(parse(text), number)


@pytest.mark.parametrize(("text", "number"), [(t, n) for t, all_ in BROKEN.items() for n in all_])
def test_number_violates_the_constraint(text, number):
    assert not satisfies(parse(text), number)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("range 5..3", "expected bounds in ascending order"),
        ("range five", "expected a constraint: range 0..500"),
        ("one of", "expected a constraint"),
        ("one of x", "expected values of digits"),
        ("one of ,", "expected values of digits"),
        (">= many", "expected a constraint"),
        ("mod 10-3", "expected a constraint"),
        ("many", "expected a number of digits from 1 to 99, or a pattern"),
        ("", "expected a number of digits from 1 to 99, or a pattern"),
        (["4", "one of 12,15"], "no number can satisfy 4; one of 12,15"),
        (["3", "ean"], "no number can satisfy 3; ean"),
        (["2", "range 100..200"], "no number can satisfy"),
        (["range 1..2", "range 3..4"], "no number can satisfy"),
        (["range 0..1", ">= 7"], "no number can satisfy range 0..1; >= 7"),
        ("one of 12,15; luhn", "no number can satisfy"),
        ([], "found nothing"),
    ],
)
def test_invalid_or_contradictory_constraints_are_refused(text, found):
    with pytest.raises(ValueError, match=found):
        Expectation.of(text)


def test_search_for_contradictions_is_bounded(monkeypatch):
    steps = []
    step = Expectation.step
    monkeypatch.setattr(Expectation, "step", lambda *told: (steps.append(1), step(*told))[1])
    Expectation.of([*(f"range {10**20 + k}..{10**21}" for k in range(40)), "luhn", "mod 97-10"])
    assert len(steps) < 10_000


def test_several_ranges_apply_to_the_same_value():
    both = Expectation.of(["range 0..10", ">= 7"])

    def accepted(text):
        state = both.start
        for char in text:
            state = state and both.step(state, char)
        return state is not None and both.accepts(state)

    told = {"8.5": True, "7": True, "1,234": False, "9,000": True, "11": False, "6.999": False}
    assert {text: accepted(text) for text in told} == told


def test_combined_constraints_all_apply_and_keep_their_text():
    both = Expectation.of(["5", "luhn", "range 1..99999"])
    assert both.text == "5; luhn; range 1..99999"
    assert both == Expectation.of(both.text)
    assert Expectation.of(both) is both
    assert [each.text for each in both.broken("12345")] == ["luhn"]
    assert both.broken("18") == (Pattern.parse("5"),)
    assert Expectation.of(None) is None


def test_texts_that_used_to_be_patterns_still_are():
    for text in ("##;##", "Nr. 12##", "20##", "[0-2]#:[0-5]#"):
        assert parse(text) == Pattern.parse(text)
        assert Expectation.of(text).constraints == (Pattern.parse(text),)


def test_an_allowed_value_is_written_as_in_the_list():
    listed = Expectation.of("one of 12.50, 99.00")
    assert listed.written("1250") == "12.50"
    assert Expectation.of("4").written("1250") == "1250"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("4", [ANY] * 4),
        (" 12 ", [ANY] * 12),
        ("##", [ANY] * 2),
        ("20##", [(2,), (0,), ANY, ANY]),
        ("####-##", [ANY] * 6),
        ("# ### ###", [ANY] * 7),
        ("No. #, #.", [ANY] * 2),
        ("[0-3]#:[159]", [(0, 1, 2, 3), ANY, (1, 5, 9)]),
        ("[97-80-1]", [(0, 1, 7, 8, 9)]),
        ("12:30", [(1,), (2,), (3,), (0,)]),
    ],
)
def test_pattern_lists_the_digits_allowed_at_each_position(text, places):
    assert Pattern.parse(text).places == tuple(places)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 places"),
        ("-", "has 0 places"),
        ("#" * 100, "has 100 places"),
        ("0", "not a number of digits"),
        ("07", "not a number of digits"),
        ("2024", "not a number of digits"),
        ("#[3", r"'\[' is not allowed at position 2"),
        ("#3]", r"'\]' is not allowed at position 3"),
        ("#\n#", "is not allowed at position 2"),
        ("[]#", r"\[\] is not a set"),
        ("[3-0]", r"\[3-0\] is not a set"),
        ("[1,2]", r"\[1,2\] is not a set"),
        ("[1-]", r"\[1-\] is not a set"),
        ("[^5]", r"\[\^5\] is not a set"),
    ],
)
def test_invalid_pattern_is_refused_with_the_allowed_syntax(text, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        Pattern.parse(text)
    assert "# is any digit" in str(refused.value)
