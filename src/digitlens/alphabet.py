"""The characters that the line recogniser tells apart; everything else is one class, ``OTHER``."""

from __future__ import annotations

DIGITS = "0123456789"
MARKS = ".,'-+/:%°()#*=×÷$€£¥§"  # noqa: RUF001  (the multiplication sign is meant)
SPACE = " "
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALPHABET = DIGITS + MARKS + SPACE + LATIN  # class k + 1 is ALPHABET[k]

BLANK = 0  # class of the CTC blank
OTHER = len(ALPHABET) + 1  # class of every other character
CLASSES = len(ALPHABET) + 2
OTHER_SIGN = "\N{REPLACEMENT CHARACTER}"  # stands for ``OTHER`` in texts

CHARACTERS = "\0" + ALPHABET + OTHER_SIGN  # by class; the blank is never part of a text
CLASS_OF = {char: index for index, char in enumerate(CHARACTERS) if index}


def encode(text: str) -> list[int]:
    """The classes of a text's characters; any that is not in the alphabet is ``OTHER``."""
    return [CLASS_OF.get(char, OTHER) for char in text]


def digits_of(text: str) -> str:
    """The digits of a text, without anything else."""
    return "".join(char for char in text if char in DIGITS)
