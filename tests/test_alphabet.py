"""The alphabet of the line recogniser."""

import pytest

from digitlens import alphabet


def test_each_character_has_its_own_class_after_the_blank():
    assert len(set(alphabet.ALPHABET)) == len(alphabet.ALPHABET)
    assert sorted(alphabet.CLASS_OF.values()) == list(range(1, alphabet.CLASSES))
    assert len(alphabet.CHARACTERS) == alphabet.CLASSES
    assert alphabet.BLANK == 0


OTHER = [alphabet.OTHER]
CASES = {"": [], "09": [1, 10], "ß7": [*OTHER, 8], alphabet.OTHER_SIGN: OTHER}


@pytest.mark.parametrize(("text", "classes"), CASES.items())
def test_characters_outside_the_alphabet_are_encoded_as_other(text, classes):
    assert alphabet.encode(text) == classes
