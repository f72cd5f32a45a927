"""Check digits as automata: numbers that contain characters computed from the others.

Luhn (ISO/IEC 7812-1), EAN and GTIN, ISBN (ISO 2108), IBAN (ISO 13616), and the pure systems of
ISO/IEC 7064. Each is a ``constraints.Constraint``.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache

from digitlens.alphabet import DIGITS

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_LENGTH = 24  # maximum characters of a number of unknown length

# Structures of the national part of an IBAN: digits (n), letters (a) or both (c).
_IBANS: dict[str, str] = dict(
    re.findall(
        r"(\w\w):(\w+)",
        """
    AD:8n12c AE:19n AL:8n16c AT:16n AZ:4a20c BA:16n BE:12n BG:4a6n8c BH:4a14c BR:23n1a1c CH:5n12c
    CR:18n CY:8n16c CZ:20n DE:18n DK:14n DO:4c20n EE:16n ES:20n FI:14n FO:14n FR:10n11c2n GB:4a14n
    GE:2a16n GI:4a15c GL:14n GR:7n16c GT:4c20c HR:17n HU:24n IE:4a14n IL:19n IS:22n IT:1a10n12c
    JO:4a4n18c KW:4a22c KZ:3n13c LB:4n20c LI:5n12c LT:16n LU:3n13c LV:4a13c MC:10n11c2n MD:2c18c
    ME:18n MK:3n10c2n MR:23n MT:4a5n18c MU:4a19n3a NL:4a10n NO:11n PK:4a16c PL:24n PS:4a21c PT:21n
    QA:4a21c RO:4a16c RS:18n SA:2n18c SE:20n SI:15n SK:20n SM:1a10n12c TN:20n TR:6n16c UA:6n19c
    XK:16n""",
    )
)

State = Hashable


@dataclass(frozen=True)
class _Weighted:
    """A number whose last digit is a check digit: Luhn (ISO/IEC 7812) or EAN, GTIN and ISBN-13."""

    text: str
    # The weighted value of each digit at every second position, starting with the last but one.
    weighted_values: tuple[int, ...]
    lengths: tuple[int, ...] = ()  # allowed numbers of digits; empty for two or more
    prefixes: tuple[str, ...] = ()  # allowed beginnings; empty for any

    marks = ""
    start = (0, 0, 0, "")  # digits, sum, sum if one more digit follows, prefix

    def step(self, state: tuple[int, int, int, str], char: str) -> State | None:
        count, total, inner_total, prefix = state
        count, max_length = count + 1, max(self.lengths, default=MAX_LENGTH)
        if self.prefixes and count <= len(self.prefixes[0]):
            prefix += char
            if not any(each.startswith(prefix) for each in self.prefixes):
                return None
        sums = (inner_total + int(char)) % 10, (total + self.weighted_values[int(char)]) % 10
        return (count, *sums, prefix) if count <= max_length else None

    def accepts(self, state: tuple[int, int, int, str]) -> bool:
        count, total, *_ = state
        return total == 0 and (count in self.lengths if self.lengths else count > 1)


@dataclass(frozen=True)
class _Modular:
    """A number with a check digit of a pure system of ISO/IEC 7064: mod 11-2, 37-2 or 97-10."""

    text: str
    modulus: int  # the first number of the system's name
    radix: int  # the second number of its name
    signs: str  # the characters, ordered by value
    extra: str = ""  # the last of them, allowed as the check character only

    start = (0, 0, False)  # characters, remainder, whether the extra one was read

    @property
    def marks(self) -> str:
        return self.signs[10:]

    def step(self, state: tuple[int, int, bool], char: str) -> State | None:
        count, remainder, ended = state
        if ended or count == MAX_LENGTH:
            return None
        remainder = (remainder * self.radix + self.signs.index(char)) % self.modulus
        return count + 1, remainder, char == self.extra

    def accepts(self, state: tuple[int, int, bool]) -> bool:
        return state[0] > len(str(self.modulus)) - 1 and state[1] == 1


@dataclass(frozen=True)
class _Isbn10:
    """An ISBN of ten characters; the last may be an X."""

    text: str = "isbn-10"

    marks = "X"
    start = (0, 0)

    def step(self, state: tuple[int, int], char: str) -> State | None:
        count, total = state
        if count == 10 or (char == "X" and count < 9):
            return None
        return count + 1, (total + (10 - count) * (10 if char == "X" else int(char))) % 11

    def accepts(self, state: tuple[int, int]) -> bool:
        return state == (10, 0)


@dataclass(frozen=True)
class _Iban:
    """An international bank account number, ISO 13616, in the structure of its country."""

    text: str = "iban"

    marks = LETTERS
    start = ("", 0, 0)  # country and check digits, characters after them, their remainder

    def step(self, state: tuple[str, int, int], char: str) -> State | None:
        head, count, remainder = state
        if len(head) < 4:
            head += char
            is_known = head[:2] in _IBANS or any(each.startswith(head) for each in _IBANS)
            return (head, 0, 0) if is_known and (len(head) < 3) == (char not in DIGITS) else None
        kinds = _national_kinds(head[:2])
        if count == len(kinds) or kinds[count] == ("n" if char not in DIGITS else "a"):
            return None
        remainder = int(f"{remainder}{int(char, 36)}") % 97
        done = count + 1 == len(kinds)
        return (head, count + 1, remainder) if not done or _is_valid(remainder, head) else None

    def accepts(self, state: tuple[str, int, int]) -> bool:
        return len(state[0]) == 4 and state[1] == len(_national_kinds(state[0][:2]))


@cache
def _national_kinds(country: str) -> str:
    """The kind of each character after the check digits: ``n``, ``a`` or ``c``."""
    parts = re.findall(r"(\d+)([nac])", _IBANS[country])
    return "".join(kind * int(count) for count, kind in parts)


def _is_valid(remainder: int, head: str) -> bool:
    return int(str(remainder) + "".join(str(int(char, 36)) for char in head)) % 97 == 1


_DOUBLED = tuple(sum(divmod(2 * digit, 10)) for digit in range(10))  # the sum of its digits
_TRIPLED = tuple(3 * digit for digit in range(10))
SCHEMES: dict[str, _Weighted | _Modular | _Isbn10 | _Iban] = {
    "luhn": _Weighted("luhn", _DOUBLED),
    "ean": _Weighted("ean", _TRIPLED, (8, 12, 13, 14)),
    "ean-8": _Weighted("ean-8", _TRIPLED, (8,)),
    "ean-13": _Weighted("ean-13", _TRIPLED, (13,)),
    "isbn-10": _Isbn10(),
    "isbn-13": _Weighted("isbn-13", _TRIPLED, (13,), ("978", "979")),
    "iban": _Iban(),
    "mod 11-2": _Modular("mod 11-2", 11, 2, DIGITS + "X", "X"),
    "mod 37-2": _Modular("mod 37-2", 37, 2, DIGITS + LETTERS + "*", "*"),
    "mod 97-10": _Modular("mod 97-10", 97, 10, DIGITS),
}
