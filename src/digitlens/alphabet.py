"""The line recogniser's classes: the characters it distinguishes, ``OTHER`` and the CTC blank."""

from __future__ import annotations

DIGITS = "0123456789"
MARKS = ".,'-+/:%°()#*=×÷$€£¥§"  # noqa: RUF001  (the multiplication sign is intended)
SPACE = " "
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALPHABET = DIGITS + MARKS + SPACE + LATIN  # class k + 1 is ALPHABET[k]

BLANK = 0  # class of the CTC blank
OTHER = len(ALPHABET) + 1  # class of all other characters
CLASSES = len(ALPHABET) + 2
OTHER_SIGN = "\N{REPLACEMENT CHARACTER}"  # represents ``OTHER`` in texts

CHARACTERS = "\0" + ALPHABET + OTHER_SIGN  # indexed by class; the blank never occurs in a text
CLASS_OF = {char: index for index, char in enumerate(CHARACTERS) if index}


def encode(text: str) -> list[int]:
    """The classes of a text's characters; characters outside the alphabet are ``OTHER``."""
    return [CLASS_OF.get(char, OTHER) for char in text]


def digits_of(text: str) -> str:
    """The digits of a text, with everything else removed."""
    return "".join(char for char in text if char in DIGITS)
