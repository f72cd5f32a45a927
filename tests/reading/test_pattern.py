import pytest

from digitlens.reading.pattern import ANY, Pattern


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
def test_patterns(text, places):
    assert Pattern.parse(text).places == tuple(places)


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
