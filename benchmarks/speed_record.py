"""A record of speed as values: figures, each with its spread, and on which machine they were found.

A benchmark that takes part writes NAME.json with a list under ``figures``; what else is in there is
its own affair.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

RECORD = "speed.json"


class RecordError(Exception):
    """A file is no record, or has figures that cannot be understood; the message says which."""


@dataclass(frozen=True)
class Figure:
    """One number of a record.

    Attributes:
        name: Words from the general to the special, such as ``training.keras.ratio``.
        value: A mean or a median.
        spread: Standard deviation beside a mean, interquartile range beside a median; None if it
            was measured once.
        n: How many measurements the value is of.
        unit: ``x`` marks a ratio to a peer.
        better: ``lower`` or ``higher``.
        peer: Whether it is that of a peer, whose changes are none of ours.
    """

    name: str
    value: float
    spread: float | None
    n: int
    unit: str
    better: str
    peer: bool = False

    _needed: ClassVar = {"name", "value", "spread", "n", "unit", "better"}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Figure":
        """A figure from plain values.

        Raises:
            RecordError: One is missing or impossible; others, such as notes, are passed over.
        """
        if missing := cls._needed - row.keys():
            raise RecordError(f"figure {row.get('name')!r} lacks {', '.join(sorted(missing))}")
        known = {key: row[key] for key in (*cls._needed, "peer") if key in row}
        figure = cls(**known)
        if problem := figure._problem():
            raise RecordError(f"figure {figure.name!r}: {problem}")
        return figure

    def _problem(self) -> str:
        if not _is_number(self.value):
            return f"expected a number as value, found {self.value!r}"
        if self.spread is not None and not (_is_number(self.spread) and self.spread >= 0):
            return f"expected a spread of 0 or more, or none, found {self.spread!r}"
        if self.better not in {"lower", "higher"}:
            return f"expected lower or higher as better, found {self.better!r}"
        return "" if self.n >= 1 else f"expected n of 1 or more, found {self.n!r}"

    @property
    def standard_error(self) -> float | None:
        """How far the value may be off by chance; None if it was measured once."""
        if self.spread is None or self.n < 2:
            return None
        return self.spread / math.sqrt(self.n)

    @property
    def is_ratio(self) -> bool:
        """Whether it says how many times as long a peer takes."""
        return self.unit == "x"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def gather(folder: Path, benchmark: str) -> list[Figure]:
    """The figures that a benchmark wrote, in its order.

    Raises:
        RecordError: It wrote no file or no figures, or one that cannot be understood.
    """
    found = _read(folder / f"{benchmark}.json").get("figures")
    if not found:
        raise RecordError(f"{benchmark}.json has no figures")
    return [Figure.of(row) for row in found]


def as_mapping(figures: Sequence[Figure]) -> dict[str, Any]:
    """Figures by name, JSON-ready.

    Raises:
        RecordError: Two have the same name.
    """
    named = {figure.name: asdict(figure) for figure in figures}
    if len(named) < len(figures):
        names = [figure.name for figure in figures]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise RecordError(f"two figures have the same name: {', '.join(twice)}")
    for row in named.values():
        del row["name"]
    return named


@dataclass(frozen=True)
class Record:
    """What was measured, and where: ``about`` is all of the file but its figures."""

    about: dict[str, Any]
    figures: dict[str, Figure]


def load_record(path: Path) -> Record:
    """A record from its folder or file.

    Raises:
        RecordError: It is none.
    """
    found = _read(path / RECORD if path.is_dir() else path)
    if not isinstance(found.get("figures"), dict):
        raise RecordError(f"{path} is no record of speed: expected figures by name")
    figures = {name: Figure.of({"name": name, **row}) for name, row in found.pop("figures").items()}
    return Record(found, figures)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise RecordError(f"{path.name}: expected a mapping")
    return found
