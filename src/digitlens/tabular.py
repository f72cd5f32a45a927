"""A table that was read: its cells, and the forms that programs take them in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from digitlens.results import Alternative, told

if TYPE_CHECKING:
    from digitlens.results import Kind, Value

CellStatus = Literal["number", "words", "empty", "unsure"]
Point = tuple[float, float]


@dataclass(frozen=True)
class Cell:
    """What stands in one cell of a table.

    Attributes:
        text: As it is written, words among it; empty for an empty cell.
        value: What its number says, if it holds one number and no words; else None.
        kind: Of the number, see ``Number``; None where there is none.
        quad: Its corners in pixels of the picture, clockwise from its top left.
        confidence: Probability that text and value are right, 0 to 1; of an empty cell, that it is
            empty. That of words is a rough guess.
        status: ``number``, ``words`` or ``empty`` when sure, else ``unsure``.
        reason: Why it is unsure, or which rule decided; empty otherwise.
        alternatives: What else the number may be, most probable first.
    """

    text: str
    value: Value | None
    kind: Kind | None
    quad: tuple[Point, Point, Point, Point]
    confidence: float
    status: CellStatus
    reason: str = ""
    alternatives: tuple[Alternative, ...] = ()

    @property
    def content(self) -> Value | str | None:
        """The value if there is one, else the text; None for an empty cell."""
        return self.text or None if self.value is None else self.value

    def as_dict(self) -> dict[str, Any]:
        """The cell as JSON-ready values."""
        return {
            "text": self.text,
            "value": told(self.value),
            "kind": self.kind,
            "confidence": round(self.confidence, 6),
            "status": self.status,
            "reason": self.reason,
            "quad": [[round(side, 1) for side in point] for point in self.quad],
            "alternatives": [each.as_dict() for each in self.alternatives],
        }


@dataclass(frozen=True)
class Table:
    """The cells of a table, row by row; all rows have the same number.

    Attributes:
        rows: The cells.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        model: Name of the model that read.
        model_sha256: Hash of its graph.
        rule: The rule that the cells were to keep, as ``sudoku``; empty if there is none.
        kept: Whether they do; True without a rule.
        solution: The solved puzzle if there is exactly one solution; empty otherwise.
    """

    rows: tuple[tuple[Cell, ...], ...]
    width: int
    height: int
    model: str
    model_sha256: str
    rule: str = ""
    kept: bool = True
    solution: tuple[tuple[int, ...], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self.rows), len(self.rows[0]) if self.rows else 0

    @property
    def unsure(self) -> tuple[tuple[int, int], ...]:
        """Row and column of each doubtful cell, counted from 0."""
        cells = ((r, c, cell) for r, row in enumerate(self.rows) for c, cell in enumerate(row))
        return tuple((r, c) for r, c, cell in cells if cell.status == "unsure")

    @cached_property
    def has_header(self) -> bool:
        """Whether the first row has words alone, and there is another one below it."""
        first = self.rows[0] if len(self.rows) > 1 else ()
        words = [cell for cell in first if cell.text and cell.value is None]
        return bool(words) and len(words) == sum(bool(cell.text) for cell in first)

    @property
    def columns(self) -> tuple[str, ...]:
        """A different name for each column: from its header, else ``column 1`` and so on."""
        header = self.rows[0] if self.has_header else ()
        given = [cell.text for cell in header] or [""] * self.shape[1]
        names: list[str] = []
        for number, text in enumerate(given, 1):
            is_new = text and text not in names
            names.append(text if is_new else f"{text or 'column'} {number}")
        return tuple(names)

    @property
    def values(self) -> list[list[Value | str | None]]:
        """What each cell says, the header left out; see ``Cell.content``."""
        return [[cell.content for cell in row] for row in self.rows[self.has_header :]]

    def records(self) -> list[dict[str, Value | str | None]]:
        """For each row below the header its values by the names of the columns.

        ``pandas.DataFrame(table.records())`` takes them as they are.
        """
        return [dict(zip(self.columns, row, strict=True)) for row in self.values]

    def to_csv(self) -> str:
        """The texts of all cells as CSV."""
        return csv_of([cell.text for cell in row] for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """The table as JSON-ready values."""
        return {
            "shape": list(self.shape),
            "rows": [[cell.as_dict() for cell in row] for row in self.rows],
            "width": self.width,
            "height": self.height,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "rule": self.rule,
            "kept": self.kept,
            "solution": [list(row) for row in self.solution],
        }


def csv_of(rows: Iterable[Iterable[str]]) -> str:
    """Rows as CSV, with a line feed after each."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
