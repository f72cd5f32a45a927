"""Tables read from pictures: cells, conversion to CSV, records and JSON, and table files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from digitlens.errors import DataError, needs_extra
from digitlens.files import atomic_path, write_bytes
from digitlens.results import Alternative, plain_fields, value_text

if TYPE_CHECKING:
    from digitlens.results import Kind, Value

CellStatus = Literal["number", "words", "empty", "unsure"]
Point = tuple[float, float]


@dataclass(frozen=True)
class Cell:
    """The content of one cell of a table.

    Attributes:
        text: As written, including words; empty for an empty cell.
        value: The value of its number, if it holds one number and no words; else None.
        kind: Kind of the number, see ``Number``; None if there is none.
        quad: Its corners in pixels of the picture, clockwise from the top left.
        confidence: Probability that text and value are right, 0 to 1; for an empty cell, that it is
            empty. For words it is a rough estimate.
        status: ``number``, ``words`` or ``empty`` if sure, else ``unsure``.
        reason: Why it is unsure, or which rule decided; empty otherwise.
        alternatives: Other possible readings of the number, most probable first.
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
            **plain_fields(self, "text", "value", "kind", "confidence", "status", "reason"),
            "quad": [[round(side, 1) for side in point] for point in self.quad],
            **plain_fields(self, "alternatives"),
        }


@dataclass(frozen=True)
class Table:
    """The cells of a table, row by row; all rows have the same length.

    Attributes:
        rows: The cells.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        model: Name of the classifier.
        model_sha256: Hash of its graph.
        rule: The requested rule, such as ``sudoku``; empty if there is none.
        kept: Whether the cells satisfy the rule; True without a rule.
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
        """Number of rows and number of columns."""
        return len(self.rows), len(self.rows[0]) if self.rows else 0

    @property
    def unsure(self) -> tuple[tuple[int, int], ...]:
        """Row and column index of each doubtful cell, from 0."""
        cells = ((r, c, cell) for r, row in enumerate(self.rows) for c, cell in enumerate(row))
        return tuple((r, c) for r, c, cell in cells if cell.status == "unsure")

    @cached_property
    def has_header(self) -> bool:
        """Whether the first row holds only words and there is a second row."""
        first = self.rows[0] if len(self.rows) > 1 else ()
        words = [cell for cell in first if cell.text and cell.value is None]
        return bool(words) and len(words) == sum(bool(cell.text) for cell in first)

    @property
    def columns(self) -> tuple[str, ...]:
        """Unique column names: from the header, else ``column 1`` and so on."""
        header = self.rows[0] if self.has_header else ()
        texts = [cell.text for cell in header] or [""] * self.shape[1]
        names: list[str] = []
        for number, text in enumerate(texts, 1):
            is_new = text and text not in names
            names.append(text if is_new else f"{text or 'column'} {number}")
        return tuple(names)

    @property
    def values(self) -> list[list[Value | str | None]]:
        """The content of each cell without the header, see ``Cell.content``."""
        return [[cell.content for cell in row] for row in self.rows[self.has_header :]]

    def records(self) -> list[dict[str, Value | str | None]]:
        """One dictionary per row below the header: column name to cell content.

        ``pandas.DataFrame(table.records())`` accepts the list directly.
        """
        return [dict(zip(self.columns, row, strict=True)) for row in self.values]

    def to_csv(self) -> str:
        """The texts of all cells as CSV."""
        return csv_of([cell.text for cell in row] for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """The table as JSON-ready values."""
        names = "shape", "rows", "width", "height", "model", "model_sha256", "rule", "kept"
        return plain_fields(self, *names, "solution")


def csv_of(rows: Iterable[Iterable[str]]) -> str:
    """Rows as CSV, with a line feed after each."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


DOUBTFUL = "FFFFE08A"  # fill colour of doubtful cells, as Excel's ARGB
_EXCEL_DIGITS = 15  # Excel's precision; longer numbers stay text
_PLACES = 30  # maximum number of digits before and after the decimal point
_FORMATS = {"percent": '0.{}"%"', "currency": "#,##0.{}"}


def write_table(path: Path, table: Table) -> None:
    """Writes a table in the format given by the suffix of the file name.

    - ``.csv``: the texts of all cells.
    - ``.json``: everything known about each cell, see ``Table.as_dict``.
    - ``.parquet``: columns of numbers, dates, times or texts, without the header.
    - ``.xlsx``: numbers as numbers and dates as dates; doubtful cells are yellow, with a comment
      that gives the reason and the alternatives.

    Raises:
        DataError: The suffix is none of these.
        MissingExtraError: The package for the format is missing, see the extra ``table``.
        OSError: The file cannot be written.
    """
    check_form(path)
    _WRITERS[path.suffix.lower()](path, table)


def check_form(path: Path) -> None:
    """Raises ``DataError`` if the suffix is not supported; called before anything is read."""
    if path.suffix.lower() not in _WRITERS:
        *rest, last = _WRITERS
        found = path.suffix or path.name
        raise DataError(f"expected a file that ends in {', '.join(rest)} or {last}, found {found}")


def _write_parquet(path: Path, table: Table) -> None:
    with needs_extra("table"):
        import pyarrow as arrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

    columns = zip(*table.values, strict=True) if table.values else [()] * table.shape[1]
    arrays = [arrow.array(_to_one_type(list(column))) for column in columns]
    with atomic_path(path) as temporary:
        parquet.write_table(arrow.table(arrays, names=list(table.columns)), temporary)


def _to_one_type(column: list[Value | str | None]) -> list[Any]:
    """The values of a column if all share a type that Parquet can store, else their texts."""
    kinds = {type(value) for value in column if value is not None}
    if len(kinds) <= 1 and not any(isinstance(v, Decimal) and _is_extreme(v) for v in column):
        return column
    return [value if isinstance(value, str) else value_text(value) for value in column]


def _is_extreme(value: Decimal) -> bool:
    """Whether a number is too large or too fine for the file formats, such as 1e300."""
    exponent = value.as_tuple().exponent
    return not isinstance(exponent, int) or not -_PLACES <= exponent <= value.adjusted() <= _PLACES


def _write_xlsx(path: Path, table: Table) -> None:
    with needs_extra("table"):
        from openpyxl import Workbook  # noqa: PLC0415
        from openpyxl.comments import Comment  # noqa: PLC0415
        from openpyxl.styles import Font, PatternFill  # noqa: PLC0415

    book = Workbook()
    sheet: Any = book.active
    sheet.title = "table"
    for r, row in enumerate(table.rows, 1):
        for c, cell in enumerate(row, 1):
            target = sheet.cell(r, c)
            target.value, excel_format = _excel_value(cell)
            if isinstance(target.value, str):
                target.data_type = "s"  # text that begins with = is not a formula
            if excel_format:
                target.number_format = excel_format
            if r == 1 and table.has_header:
                target.font = Font(bold=True)
            if cell.status == "unsure":
                target.fill = PatternFill("solid", fgColor=DOUBTFUL)
            if cell.reason:
                target.comment = Comment(_comment_text(cell), "digitlens")
    content = io.BytesIO()  # on a full disk, a zip file cut short raises a second error later
    book.save(content)
    write_bytes(path, content.getvalue())


def _excel_value(cell: Cell) -> tuple[float | int | date | time | str | None, str]:
    """The cell's value for Excel, and its number format; empty for Excel's default."""
    value = cell.value
    if isinstance(value, Decimal):
        digits, exponent = value.as_tuple()[1:]
        if len(digits) > _EXCEL_DIGITS or _is_extreme(value):
            return cell.text, ""
        places = "0" * max(0, -int(exponent))
        number_format = _FORMATS.get(cell.kind or "", "0.{}" if places else "0").format(places)
        number = int(value) if value == value.to_integral_value() else float(value)
        return number, number_format.replace('."', '"').rstrip(".")
    if isinstance(value, date):  # Excel has no dates before 1900
        return (value, "yyyy-mm-dd") if value.year >= 1900 else (cell.text, "")
    return (value, "hh:mm") if isinstance(value, time) else (cell.text or None, "")


def _comment_text(cell: Cell) -> str:
    others = ", ".join(
        f"{each.text or 'empty'} ({100 * each.probability:.0f} %)" for each in cell.alternatives[:3]
    )
    return f"{cell.reason}\nor: {others}" if others else cell.reason


_WRITERS: dict[str, Callable[[Path, Table], None]] = {
    ".csv": lambda path, table: write_bytes(path, table.to_csv().encode()),
    ".json": lambda path, table: write_bytes(
        path, f"{json.dumps(table.as_dict(), ensure_ascii=False)}\n".encode()
    ),
    ".parquet": _write_parquet,
    ".xlsx": _write_xlsx,
}
