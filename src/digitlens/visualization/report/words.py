"""Numbers as the page writes them: shares, counts, times, hashes."""

from __future__ import annotations

from math import floor, log10
from typing import Any

THIN = "\u202f"  # a narrow space that does not break, before a unit
TIMES = "\u00d7"  # between the sides of a picture
NOTHING = "\u2013"


def percent(share: float, decimals: int = 2) -> str:
    """A share as text, for example ``98.74 %``; less than all is never written as 100 %."""
    text = f"{100 * share:.{decimals}f}"
    if share < 1 and float(text) == 100:
        text = f"{100 - 10**-decimals:.{decimals}f}"
    return f"{text}{THIN}%"


def rough(share: float) -> str:
    """A share with as many digits as tell it from 0 and from 1: ``97 %``, ``0.4 %``, ``99.8 %``."""
    least = min(share, 1 - share)
    if least <= 0:
        return f"{100 * share:.0f}{THIN}%"
    return percent(share, min(max(0, -2 - floor(log10(least))), 3))


def tick(share: float) -> str:
    """A round share, with all its digits and no more: ``0.25 %``, ``75 %``."""
    return f"{100 * share:.4g}{THIN}%"


def count(number: float) -> str:
    """A whole number with commas between thousands."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """A number with four digits that count, as ``0.04821`` or ``12.5``."""
    return f"{number:,.4g}"


def duration(seconds: float) -> str:
    """A time span: ``0.31 ms``, ``24.9 s``, ``27 min``, ``1 h 52 min``."""
    if seconds < 1:
        return f"{1000 * seconds:.3g}{THIN}ms"
    if seconds < 120:
        return f"{seconds:.3g}{THIN}s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes}{THIN}min"
    return f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"


def plural(number: int, one: str, many: str = "") -> str:
    """A count and its noun: ``1 error``, ``126 errors``."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def value(found: Any) -> str:
    """A recipe's value: several with commas, a switch as yes or no, nothing as a dash."""
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, list | tuple):
        return ", ".join(map(str, found))
    return str(found) if found != "" else NOTHING
