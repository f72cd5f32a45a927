"""Measurements as figures of a record, see ``speed_record.Figure``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]


def figure(
    name: str, value: Any, spread: float | None, n: int, unit: str, better: str = "lower"
) -> Row:
    """One figure of a record; spread is a standard deviation or an interquartile range."""
    return {
        "name": name,
        "value": value,
        "spread": spread,
        "n": n,
        "unit": unit,
        "better": better,
    }


def median_of(name: str, values: Sequence[float], unit: str, better: str = "lower") -> Row:
    """The median of some measurements and, if there are several, their interquartile range."""
    low, middle, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    spread = high - low if len(values) > 1 else None
    return figure(name, middle, spread, len(values), unit, better)


def once(name: str, value: float, unit: str, better: str = "lower") -> Row:
    """What has no spread: a peak, or what was measured once."""
    return figure(name, value, None, 1, unit, better)


def ratio(name: str, value: float) -> Row:
    """How many times as long a peer takes."""
    return once(f"{name}.ratio", value, "x", "higher")


def of_peer(row: Row) -> Row:
    """The same figure, marked as that of somebody else."""
    return row | {"peer": True}
