"""Printed tables are read cell by cell, ruled or aligned, upright or turned."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.errors import ImageError
from digitlens.imaging.ruling import find_grid, straighten, without_rules
from digitlens.reading.joint import apply_sudoku, apply_total
from digitlens.reading.table import TableOptions, lines_in_cells
from digitlens.results import Alternative
from digitlens.tabular import Cell, Table

CELLS = [["Date", "Paid"], ["27/04/2021", "12.50"], ["28/04/2021", ""], ["29/04/2021", "-7.25"]]
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def drawn(cells, *, ruled=True, wide=260, high=64, size=34):
    """uint8[H, W]; a table in Pillow's own font."""
    rows, columns = len(cells), len(cells[0])
    page = Image.new("L", (columns * wide + 60, rows * high + 60), 250)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for r, row in enumerate(cells):
        for c, text in enumerate(row):
            pen.text((30 + (c + 0.5) * wide, 30 + (r + 0.5) * high), text, 20, font, anchor="mm")
            if ruled:
                box = (30 + c * wide, 30 + r * high, 30 + (c + 1) * wide, 30 + (r + 1) * high)
                pen.rectangle(box, outline=60, width=2)
    return np.asarray(page)


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_ruled_table_is_read_in_any_orientation(reader, turn):
    page = np.rot90(drawn(CELLS), turn)
    table = reader.read_table(page)
    assert texts(table) == CELLS
    assert table.columns == ("Date", "Paid")
    assert [row[1] for row in table.values] == [Decimal("12.50"), None, Decimal("-7.25")]
    assert [row[0] for row in table.values] == [date(2021, 4, day) for day in (27, 28, 29)]
    assert table.rows[2][1].status == "empty"
    first = np.rot90(np.arange(page.size).reshape(page.shape), -turn)[30, 30]
    y, x = np.unravel_index(first, page.shape)
    assert table.rows[0][0].quad[0] == pytest.approx((x, y), abs=3)


def test_a_table_without_rules_is_read_by_its_alignment(reader):
    table = reader.read_table(drawn(CELLS, ruled=False))
    assert texts(table) == CELLS
    assert texts(reader.read_table(drawn(CELLS, ruled=False), columns=2)) == CELLS


@pytest.mark.parametrize(
    ("paper", "ink"),
    [((20, 22, 30), (235, 235, 225)), ((136, 132, 52), (0, 120, 200))],
    ids=["light on dark", "as bright as its paper"],
)
@pytest.mark.parametrize("ruled", [True, False])
def test_ink_may_be_of_any_colour(reader, ruled, paper, ink):
    share = drawn(CELLS, ruled=ruled)[:, :, None] / 250
    page = np.clip(share * paper + (1 - share) * ink, 0, 255).astype(np.uint8)
    assert texts(reader.read_table(page)) == CELLS


@pytest.mark.parametrize("ruled", [True, False])
def test_small_print_in_tall_cells_is_read(reader, ruled):
    cells = [["12.50", "3.75"], ["8.25", "40.10"], ["6.05", "7"]]
    page = drawn(cells, ruled=ruled, high=150)
    assert texts(reader.read_table(page)) == cells


RULED = [["11.10", "42.11"], ["18.23", "49.24"], ["46.75", "77.76"]]
PLAIN = [["33.54", "79.20"], ["73.05", "92.66"], ["60.31", "41.87"]]


@pytest.mark.parametrize(
    ("cells", "wide", "high", "size", "turns"),
    [
        (RULED, 260, 150, 34, [1, 2]),
        (RULED, 182, 98, 22, [2, 3]),
        (RULED, 90, 44, 16, [1, 3]),
        (PLAIN, 188, 139, 24, [1, 3]),
    ],
)
def test_small_print_is_read_in_any_orientation(reader, cells, wide, high, size, turns):
    page = drawn(cells, ruled=cells is RULED, wide=wide, high=high, size=size)
    for turn in turns:
        assert texts(reader.read_table(np.rot90(page, turn))) == cells, turn


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_lone_digits_do_not_turn_a_table(reader, turn):
    page = np.rot90(drawn([["1", "6"], ["8", "9"]], wide=80, high=80), turn)
    table = reader.read_table(page)
    x, y = table.rows[0][0].quad[0]
    assert (x, y) == pytest.approx((30, 30), abs=3)


def test_broken_character_is_one_line():
    page = drawn([["2", "5"], ["7", ""], ["3", "9"]], wide=80, high=80, size=50).copy()
    page[68:71, 45:175] = 250  # a gap across the digits of the first row
    grid = find_grid(page)
    picture, upright = straighten(page, grid)
    lines, places = lines_in_cells(without_rules(picture, upright), upright)
    assert places == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]
    assert all(30 < line.height < 70 for line in lines)


def test_letters_in_a_column_of_numbers_become_similar_digits(reader):
    table = reader.read_table(drawn([["Code"], ["17"], ["I"], ["204"], ["9"], ["none"]]))
    (header,), _, (letter,), *_, (words,) = table.rows
    assert (header.text, header.status) == ("Code", "words")
    assert (letter.text, letter.value, letter.status) == ("1", 1, "unsure")
    assert letter.reason == "read as I, in a column of numbers"
    assert (words.text, words.value, words.status) == ("none", None, "unsure")


def test_notation_is_inferred_from_the_whole_table(reader):
    cells = [["1.234", "17,50"], ["9.875", "0,25"]]
    values = reader.read_table(drawn(cells)).values
    assert values == [[1234, Decimal("17.50")], [9875, Decimal("0.25")]]
    values = reader.read_table(drawn([["1.234", "5"], ["9.875", "6"]]), decimal=".").values
    assert values[0][0] == Decimal("1.234")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grid": (0, 9)}, "expected from 1 to 250 rows and columns, found 0 by 9"),
        ({"columns": 251}, "found 251"),
        ({"grid": (2, 3), "columns": 4}, "a grid of 3 columns cannot have 4"),
        ({"grid": (4, 4), "expect": "sudoku"}, "a Sudoku has 9 rows"),
        ({"expect": "chess"}, "found 'chess'"),
    ],
)
def test_invalid_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        TableOptions(**options)


def test_picture_without_the_expected_table_is_refused(reader):
    with pytest.raises(ImageError, match="expected a table, found none"):
        reader.read_table(np.full((80, 120), 255, np.uint8))
    with pytest.raises(ImageError, match="of 9 rows and 9 columns, found one of 4 rows and 2"):
        reader.read_table(drawn(CELLS), expect="sudoku")
    with pytest.raises(ImageError, match="of 5 columns, found one of 4 rows and 2"):
        reader.read_table(drawn(CELLS), columns=5)


SOLVED = [[(3 * (r % 3) + r // 3 + c) % 9 + 1 for c in range(9)] for r in range(9)]


def cell(value, confidence=0.999, *others):
    return Cell(
        "" if value is None else str(value),
        None if value is None else Decimal(value),
        None if value is None else "integer",
        SQUARE,
        confidence,
        "empty" if value is None else "number" if confidence > 0.9 else "unsure",
        "" if confidence > 0.9 else "doubtful",
        tuple(Alternative(str(v), Decimal(v), p) for v, p in others),
    )


def table_of(rows):
    return Table(tuple(map(tuple, rows)), 9, 9, "drawn", "0" * 64)


def chances_of(grid):
    chances = np.full((9, 9, 10), 1e-5)
    for r, row in enumerate(grid):
        chances[r, range(9), row] = 1
    return chances


def test_rules_of_sudoku_decide_a_cell_with_a_reason():
    chances = chances_of(SOLVED)
    right, wrong = SOLVED[4][4], SOLVED[4][5]
    chances[4, 4, [right, wrong]] = 0.4, 0.6
    rows = [[cell(value) for value in row] for row in SOLVED]
    rows[4][4] = cell(wrong, 0.6)
    table = apply_sudoku(table_of(rows), chances, 0.9)
    decided = table.rows[4][4]
    assert (decided.text, decided.value, decided.status) == (str(right), right, "number")
    assert decided.reason == f"by the rules of Sudoku; without them {wrong}"
    assert decided.alternatives[0].text == str(wrong)
    assert table.kept
    assert [list(row) for row in table.solution] == SOLVED


def test_table_that_is_no_sudoku_is_kept_as_read(monkeypatch):
    monkeypatch.setattr("digitlens.reading.joint.solve_sudoku", lambda _: None)
    before = table_of([[cell(1)] * 9] * 9)
    after = apply_sudoku(before, np.zeros((9, 9, 10)), 0.9)
    assert after.rows == before.rows
    assert not after.kept


def test_total_decides_a_cell_with_a_reason():
    rows = [[cell(20)], [cell(31, 0.6, (37, 0.39))], [cell(None)], [cell(57)]]
    table = apply_total(table_of(rows), 0.9)
    assert [row[0].value for row in table.rows] == [20, 37, None, 57]
    assert table.rows[1][0].reason == "by the total; without it 31"
    assert table.rows[1][0].alternatives[0].text == "31"
    assert table.kept


def test_total_that_does_not_match_is_unsure():
    table = apply_total(table_of([[cell(20)], [cell(31)], [cell(57)]]), 0.9)
    assert not table.kept
    assert table.rows[2][0].status == "unsure"
    assert table.rows[2][0].reason == "the column adds up to 51"
    assert apply_total(table_of([[cell(1)], [cell(2)]]), 0.9).kept
