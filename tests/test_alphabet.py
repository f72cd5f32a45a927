"""The characters that the line recogniser tells apart."""

import pytest

from digitlens.alphabet import (
    ALPHABET,
    BLANK,
    CHARACTERS,
    CLASS_OF,
    CLASSES,
    OTHER,
    OTHER_SIGN,
    encode,
)


def test_each_character_has_a_class_of_its_own_after_the_blank():
    assert len(set(ALPHABET)) == len(ALPHABET)
    assert sorted(CLASS_OF.values()) == list(range(1, CLASSES))
    assert len(CHARACTERS) == CLASSES
    assert BLANK == 0


@pytest.mark.parametrize(
    ("text", "classes"), [("", []), ("09", [1, 10]), ("ß7", [OTHER, 8]), (OTHER_SIGN, [OTHER])]
)
def test_characters_beyond_the_alphabet_are_other(text, classes):
    assert encode(text) == classes
