"""Writes a table that was read as CSV, JSON, Parquet or an Excel workbook, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitlens.errors import DataError, needs_extra
from digitlens.files import atomic_path, write_bytes
from digitlens.results import told

if TYPE_CHECKING:
    from digitlens.results import Value
    from digitlens.tabular import Cell, Table

DOUBTFUL = "FFFFE08A"  # fill of a doubtful cell, as Excel has colours: opaque, red, green, blue
_DIGITS = 15  # that Excel keeps of a number; longer ones stay text
_PLACES = 30  # before and behind the decimal point, that a number has at most
_FORMATS = {"percent": '0.{}"%"', "currency": "#,##0.{}"}


def write_table(path: Path, table: Table) -> None:
    """Writes a table in the form that the ending of its file names.

    - ``.csv``: the texts of all cells.
    - ``.json``: all that is known of each, see ``Table.as_dict``.
    - ``.parquet``: columns of numbers, dates, times or texts, without the header.
    - ``.xlsx``: numbers as numbers and dates as dates; doubtful cells are yellow, and a comment
      says why and what else they may be.

    Raises:
        DataError: The ending is another one.
        MissingExtraError: The package for the form is missing, see the extra ``table``.
        OSError: The file cannot be written.
    """
    check_form(path)
    _WRITERS[path.suffix.lower()](path, table)


def check_form(path: Path) -> None:
    """Raises ``DataError`` for a file of no known form, before anything is read."""
    if path.suffix.lower() not in _WRITERS:
        *some, last = _WRITERS
        found = path.suffix or path.name
        raise DataError(f"expected a file that ends in {', '.join(some)} or {last}, found {found}")


def _write_csv(path: Path, table: Table) -> None:
    write_bytes(path, table.to_csv().encode())


def _write_json(path: Path, table: Table) -> None:
    write_bytes(path, f"{json.dumps(table.as_dict(), ensure_ascii=False)}\n".encode())


def _write_parquet(path: Path, table: Table) -> None:
    with needs_extra("table"):
        import pyarrow as arrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

    columns = zip(*table.values, strict=True) if table.values else [()] * table.shape[1]
    arrays = [arrow.array(_of_one_type(list(column))) for column in columns]
    with atomic_path(path) as temporary:
        parquet.write_table(arrow.table(arrays, names=list(table.columns)), temporary)


def _of_one_type(column: list[Value | str | None]) -> list[Any]:
    """The values of a column if all are of one type that Parquet holds, else their texts."""
    kinds = {type(value) for value in column if value is not None}
    if len(kinds) <= 1 and not any(isinstance(v, Decimal) and _is_far(v) for v in column):
        return column
    return [value if isinstance(value, str) else told(value) for value in column]


def _is_far(value: Decimal) -> bool:
    """Whether a number is so large or fine that formats of numbers do not hold it, as 1e300."""
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
            target.value, form = _in_excel(cell)
            if isinstance(target.value, str):
                target.data_type = "s"  # a text that begins with = is no formula
            if form:
                target.number_format = form
            if r == 1 and table.has_header:
                target.font = Font(bold=True)
            if cell.status == "unsure":
                target.fill = PatternFill("solid", fgColor=DOUBTFUL)
            if cell.reason:
                target.comment = Comment(_remark(cell), "digitlens")
    with atomic_path(path) as temporary:
        book.save(temporary)


def _in_excel(cell: Cell) -> tuple[float | int | date | time | str | None, str]:
    """The value and its number format; empty for that of Excel."""
    value = cell.value
    if isinstance(value, Decimal):
        digits, exponent = value.as_tuple()[1:]
        if len(digits) > _DIGITS or _is_far(value):
            return cell.text, ""
        places = "0" * max(0, -int(exponent))
        form = _FORMATS.get(cell.kind or "", "0.{}" if places else "0").format(places)
        number = int(value) if value == value.to_integral_value() else float(value)
        return number, form.replace('."', '"').rstrip(".")
    if isinstance(value, date):  # Excel knows none before 1900
        return (value, "yyyy-mm-dd") if value.year >= 1900 else (cell.text, "")
    return (value, "hh:mm") if isinstance(value, time) else (cell.text or None, "")


def _remark(cell: Cell) -> str:
    others = ", ".join(
        f"{each.text or 'empty'} ({100 * each.probability:.0f} %)" for each in cell.alternatives[:3]
    )
    return f"{cell.reason}\nor: {others}" if others else cell.reason


_WRITERS: dict[str, Callable[[Path, Table], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".xlsx": _write_xlsx,
}
