"""Tables as records, CSV and JSON, and as files of every format."""

import csv
import gc
import io
import json
from datetime import date, time
from decimal import Decimal

import pytest
from openpyxl import load_workbook
from pyarrow import parquet

from digitlens import tabular
from digitlens.errors import DataError
from digitlens.results import Alternative
from digitlens.tabular import DOUBTFUL, Cell, Table, write_table

SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def cell(text, value=None, kind=None, status=None, reason="", others=()):
    status = status or ("empty" if not text else "words" if value is None else "number")
    return Cell(text, value, kind, SQUARE, 0.9, status, reason, others)


ROWS = (
    (cell("Day"), cell("at"), cell("paid"), cell("share"), cell("")),
    (
        cell("27/04/2021", date(2021, 4, 27), "date"),
        cell("9:05", time(9, 5), "time"),
        cell("€12.50", Decimal("12.50"), "currency"),
        cell("7.5%", Decimal("7.5"), "percent"),
        cell("=1+2", None, None),
    ),
    (
        cell("28/04/2021", date(2021, 4, 28), "date"),
        cell(""),
        cell(
            "31",
            Decimal(31),
            "integer",
            "unsure",
            "digit 2: 60 % sure",
            (Alternative("37", Decimal(37), 0.39),),
        ),
        cell("x", None, None, "unsure", "words in a column of numbers"),
        cell("12345678901234567", Decimal("12345678901234567"), "code"),
    ),
)
TABLE = Table(ROWS, 100, 80, "drawn", "0" * 64)


def test_header_names_the_columns():
    assert TABLE.shape == (3, 5)
    assert TABLE.has_header
    assert TABLE.columns == ("Day", "at", "paid", "share", "column 5")
    assert TABLE.unsure == ((2, 2), (2, 3))
    assert TABLE.records()[0] == {
        "Day": date(2021, 4, 27),
        "at": time(9, 5),
        "paid": Decimal("12.50"),
        "share": Decimal("7.5"),
        "column 5": "=1+2",
    }
    assert TABLE.values[1][1] is None


def test_table_without_words_in_the_first_row_has_no_header():
    table = Table(ROWS[1:], 100, 80, "drawn", "")
    assert not table.has_header
    assert table.columns[:2] == ("column 1", "column 2")
    assert len(table.records()) == 2
    twice = Table(((cell("a"), cell("a")), ROWS[1][:2]), 1, 1, "", "")
    assert twice.columns == ("a", "a 2")
    assert not Table((), 1, 1, "", "").has_header


def test_csv_contains_the_cell_texts():
    rows = list(csv.reader(io.StringIO(TABLE.to_csv())))
    assert rows == [[each.text for each in row] for row in ROWS]


def test_json_contains_the_whole_table(tmp_path):
    write_table(tmp_path / "table.json", TABLE)
    told = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert told == TABLE.as_dict()
    assert told["rows"][1][0]["value"] == "2021-04-27"
    assert told["rows"][2][2]["alternatives"][0]["text"] == "37"


def test_excel_has_typed_values_and_marks_unsure_cells(tmp_path):
    write_table(tmp_path / "table.xlsx", TABLE)
    sheet = load_workbook(tmp_path / "table.xlsx").active
    values = [[each.value for each in row] for row in sheet.iter_rows()]
    assert values[1][0].date() == date(2021, 4, 27)
    assert values[1][1:] == [time(9, 5), 12.5, 7.5, "=1+2"]
    assert values[2][1:] == [None, 31, "x", "12345678901234567"]
    formats = [each.number_format for each in sheet[2]]
    assert formats[:4] == ["yyyy-mm-dd", "hh:mm", "#,##0.00", '0.0"%"']
    assert sheet["E2"].data_type == "s"
    assert sheet["A1"].font.bold
    doubtful = sheet["C3"]
    assert doubtful.fill.fgColor.rgb == DOUBTFUL
    assert doubtful.comment.text == "digit 2: 60 % sure\nor: 37 (39 %)"
    assert sheet["C2"].comment is None


def test_parquet_columns_are_typed(tmp_path):
    write_table(tmp_path / "table.parquet", TABLE)
    table = parquet.read_table(tmp_path / "table.parquet")
    assert table.column_names == list(TABLE.columns)
    assert table["Day"].to_pylist() == [date(2021, 4, 27), date(2021, 4, 28)]
    assert table["paid"].to_pylist() == [Decimal("12.50"), Decimal(31)]
    assert table["share"].to_pylist() == ["7.5", "x"]


FAR = Table(
    (
        (
            cell("1e300", Decimal("1e300"), "decimal"),
            cell("0", Decimal(0), "integer"),
            cell("1-1-1850", date(1850, 1, 1), "date"),
        ),
        (cell("1e-300", Decimal("1e-300"), "decimal"), cell("9:05", time(9, 5), "time"), cell("")),
    ),
    *(100, 80, "drawn", "0" * 64),
)


def test_values_a_format_cannot_hold_are_written_as_text(tmp_path):
    write_table(tmp_path / "table.xlsx", FAR)
    sheet = load_workbook(tmp_path / "table.xlsx").active
    values = [[each.value for each in row] for row in sheet.iter_rows()]
    assert values == [["1e300", 0, "1-1-1850"], ["1e-300", time(9, 5), None]]
    write_table(tmp_path / "table.parquet", FAR)
    columns = parquet.read_table(tmp_path / "table.parquet").to_pydict()
    assert list(map(len, columns["column 1"])) == [301, 302]
    assert columns["column 2"] == ["0", "09:05:00"]
    assert columns["column 3"] == [date(1850, 1, 1), None]


def test_unknown_file_format_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a file that ends in .csv, .json, .parquet or"):
        write_table(tmp_path / "table.ods", TABLE)


def test_failure_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.xlsx"
    path.write_bytes(b"before")

    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(tabular, "_excel_value", fail)
    with pytest.raises(OSError, match="no space left"):
        write_table(path, TABLE)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_reported_once(tmp_path, small_disk, monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    small_disk(500)
    with pytest.raises(OSError, match="File too large"):
        write_table(tmp_path / "t.xlsx", TABLE)
    gc.collect()
    assert told == []
    assert list(tmp_path.iterdir()) == []
