"""``digitlens table``: CSV in a pipe, JSON, files and one-line errors."""

import json

import numpy as np
import pytest
from PIL import Image

from digitlens.errors import DataError, DigitlensError, ImageError
from digitlens.tabular import Cell, Table

SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
SURE = Cell("12", None, "integer", SQUARE, 0.99, "number")
EMPTY = Cell("", None, None, SQUARE, 1, "empty")
UNSURE = Cell("3", None, "integer", SQUARE, 0.5, "unsure", "digit 1: 50 % sure")
DECIMAL = Cell("4,5", None, "decimal", SQUARE, 0.99, "number")
READ = Table(((SURE, EMPTY), (UNSURE, DECIMAL)), 40, 30, "drawn", "0" * 64)
COMMAND = "table page.png"


class Reader:
    """Always returns the same table and records its arguments."""

    arguments, answer = None, READ

    def __init__(self, *_, **__):
        pass

    def read_table(self, image, **options):
        Reader.arguments = (image.shape[:2], options)
        if isinstance(Reader.answer, Exception):
            raise Reader.answer
        return Reader.answer


@pytest.fixture(autouse=True)
def reader(monkeypatch, tmp_path):
    monkeypatch.setattr("digitlens.reading.reader.DigitReader", Reader)
    monkeypatch.setattr(Reader, "answer", READ)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((30, 40), 255, np.uint8)).save("page.png")


def test_pipe_gets_csv_and_doubts_go_to_stderr(run):
    done = run()
    assert done.stdout == '12,\n3,"4,5"\n'
    assert done.stderr == "1 doubtful cell, the first in row 2, column 1: digit 1: 50 % sure\n"
    assert json.loads(run("--json").stdout) == READ.as_dict()


@pytest.mark.parametrize("name", ["table.csv", "table.xlsx", "table.parquet", "deep/table.json"])
def test_table_is_written_to_a_file_instead_of_stdout(run, name, tmp_path):
    done = run("--out", name)
    assert done.stdout == ""
    assert "2 rows and 2 columns written" in done.stderr
    assert (tmp_path / name).stat().st_size > 10


def test_options_are_passed_to_the_reader(run):
    run("--grid", "9x9", "--rules", "sudoku", "--decimal", ",")
    size, options = Reader.arguments
    assert size == (30, 40)
    assert (options["grid"], options["expect"], options["decimal"]) == ((9, 9), "sudoku", ",")
    run("--columns", "3", "--rules", "total")
    assert Reader.arguments[1]["columns"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--grid", "0x9"], "--grid: expected from 1 to 250 rows and columns, found 0 by 9"),
        (["--grid", "nine"], "--grid: expected ROWSxCOLUMNS, such as 9x9, found 'nine'"),
        (["--grid", "2x2", "--columns", "3"], "--grid, --columns: a grid of 2 columns"),
        (["--grid", "4x4", "--rules", "sudoku"], "--grid, --rules: a Sudoku has 9 rows"),
        (["--columns", "4", "--rules", "sudoku"], "--columns, --rules: a Sudoku has 9 rows"),
        (["--decimal", "x"], "--decimal: decimal: expected"),
        (["--grouping", "x"], "--grouping: grouping: expected"),
        (["--locale", "xx"], "--locale: locale: expected"),
        (["--columns", "0"], "greater than or equal to 1"),
    ],
)
def test_invalid_options_are_refused(run, arguments, words):
    run.misused(words, *arguments)


def test_errors_name_the_picture_or_the_unwritable_file(run, tmp_path, monkeypatch):
    (tmp_path / "taken").touch()
    run.fails(OSError, "'taken/table.csv'", "--out", "taken/table.csv")
    run.fails(DataError, "", "--out", "table.ods")
    run.fails(DigitlensError, "has one page, found --page 2", "--page", "2")
    monkeypatch.setattr(Reader, "answer", ImageError("expected a table, found none"))
    run.fails(DigitlensError, "page.png: expected a table, found none")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("sudoku", "the cells form no valid Sudoku"),
        ("total", "a column does not add up to its last row"),
    ],
)
def test_violated_rules_are_reported_and_cells_printed_as_read(run, monkeypatch, rule, words):
    broken = Table(READ.rows[:1], 40, 30, "drawn", "", rule, False)
    monkeypatch.setattr(Reader, "answer", broken)
    done = run("--rules", rule, code=1)
    assert words in done.stderr
    assert done.stdout == "12,\n"
    run("--rules", rule, "--out", "table.csv", code=1)
