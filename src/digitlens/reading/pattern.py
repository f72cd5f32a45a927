"""What a number looks like, as a user writes it: how many digits, and which ones where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

ANY = tuple(range(10))
ALLOWED = (
    "expected a number of digits from 1 to 99, or a pattern: # is any digit, 7 is that digit, "
    "[0-3] or [159] is one of these, and other signs are printed but not read, "
    "as in ####-##, 20## or [0-2]#:[0-5]#"
)

_MOST = 99  # places
_PIECE = re.compile(r"\[([^\[\]]*)\]|([0-9])|(#)|([^\[\]])")
_SET = re.compile(r"(?:[0-9](?:-[0-9])?)+")


@dataclass(frozen=True)
class Pattern:
    """What a number looks like: the places of its digits.

    Attributes:
        places: For each place the digits that are allowed there, ascending.
        text: As a user wrote it.
    """

    places: tuple[tuple[int, ...], ...]
    text: str = field(default="a pattern", compare=False)

    marks = ""  # this and what follows: see ``constraints.Constraint``
    start = 0

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Reads a pattern as a user writes it.

        ``4`` is four digits, whichever they are. In anything but a whole number, ``#`` is any
        digit, a digit is that digit, ``[0-3]`` and ``[159]`` are one of a set, and other signs are
        printed but not read: ``####-##``, ``20##``, ``# ### ###``, ``[0-2]#:[0-5]#``.

        Raises:
            ValueError: It is no such pattern; the message says what is allowed.
        """
        text = text.strip()
        if re.fullmatch("[0-9]+", text):
            if text[0] == "0" or len(text) > 2:
                raise _refused(text, "it is no number of digits")
            return cls((ANY,) * int(text), text)
        places = tuple(filter(None, _pieces(text)))
        if not 1 <= len(places) <= _MOST:
            raise _refused(text, f"it has {len(places)} places for digits")
        return cls(places, text)

    @property
    def described(self) -> str:
        """How many digits it has, and what it looks like."""
        digits = "1 digit" if len(self.places) == 1 else f"{len(self.places)} digits"
        return digits if self.text.isdecimal() else f"{digits} as in {self.text}"

    def step(self, state: int, char: str) -> int | None:
        """The number of places filled after one more digit; None if it may not stand there."""
        fits = state < len(self.places) and int(char) in self.places[state]
        return state + 1 if fits else None

    def accepts(self, state: int) -> bool:
        """Whether all places are filled."""
        return state == len(self.places)


def _pieces(text: str) -> Iterable[tuple[int, ...]]:
    """Each place as what is allowed there, and each printed sign as an empty place."""
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None or not piece[0].isprintable():
            raise _refused(text, f"{text[position]!r} cannot stand at position {position + 1}")
        position = piece.end()
        if piece[1] is not None:
            yield _set(text, piece[1])
        elif piece[4] is not None:
            yield ()
        else:
            yield ANY if piece[3] else (int(piece[2]),)


def _set(text: str, inside: str) -> tuple[int, ...]:
    ranges = [(int(part[0]), int(part[-1])) for part in re.findall("[0-9](?:-[0-9])?", inside)]
    if not _SET.fullmatch(inside) or any(first > last for first, last in ranges):
        raise _refused(text, f"[{inside}] is no set of digits")
    return tuple(sorted({value for first, last in ranges for value in range(first, last + 1)}))


def _refused(text: str, reason: str) -> ValueError:
    return ValueError(f"{ALLOWED}; found {text!r}: {reason}")
