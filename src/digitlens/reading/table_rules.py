"""Applies what is known of a whole table to its cells: the rules of Sudoku, totals of columns."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from digitlens.reading.joint import Candidates, fit_total, solve_sudoku
from digitlens.results import Alternative
from digitlens.tabular import Cell, Table


def apply_sudoku(table: Table, chances: npt.NDArray[np.float64], sure: float) -> Table:
    """Gives each cell the digit that it has in the most probable grid that keeps the rules.

    Args:
        table: 9 by 9 cells, each read by itself.
        chances: float64[9, 9, 10]; of each cell that it is empty, then which digit it has.
        sure: Confidence from which a cell is not doubtful.
    """
    solved = solve_sudoku(chances)
    if not solved.satisfied:
        return replace(table, rule="sudoku", kept=False)
    rows = tuple(
        tuple(
            _decided(cell, int(solved.cells[r, c]), float(solved.confidence[r, c]), sure)
            for c, cell in enumerate(row)
        )
        for r, row in enumerate(table.rows)
    )
    solution = () if solved.solution is None else tuple(map(tuple, solved.solution.tolist()))
    return replace(table, rows=rows, rule="sudoku", solution=solution)


def _decided(cell: Cell, digit: int, confidence: float, sure: float) -> Cell:
    text = str(digit) if digit else ""
    value = Decimal(digit) if digit else None
    if text == cell.text:  # a rule makes no cell less sure than it is by itself
        confidence = max(confidence, cell.confidence)
    doubt = "" if confidence >= sure else f"{100 * confidence:.0f} % sure"
    alone, others = "", cell.alternatives
    if text != cell.text:
        alone = f"by the rules of Sudoku; without them {cell.text or 'empty'}"
        others = (Alternative(cell.text, cell.value, min(cell.confidence, 1 - confidence)), *others)
    return replace(
        cell,
        text=text,
        value=value,
        kind="integer" if digit else None,
        confidence=confidence,
        status="unsure" if doubt else "number" if digit else "empty",
        reason="; ".join(filter(None, (alone, doubt))),
        alternatives=others,
    )


def apply_total(table: Table, sure: float) -> Table:
    """Makes each column of numbers add up to its last row, where what was seen allows it.

    Args:
        table: Its cells, each read by itself.
        sure: Confidence from which a cell is not doubtful.
    """
    rows = [list(row) for row in table.rows]
    kept = True
    for column in range(table.shape[1]):
        places = [r for r in range(len(rows)) if rows[r][column].text]
        cells = [rows[r][column] for r in places]
        if cells and cells[0].status == "words":
            places, cells = places[1:], cells[1:]
        choices = [_choices(cell) for cell in cells]
        if len(cells) < 3 or places[-1] != len(rows) - 1 or not all(choices):
            continue
        fit = fit_total(choices[:-1], choices[-1])
        kept &= fit.satisfied
        numbers = [*fit.values, fit.total]
        for k, (r, cell) in enumerate(zip(places, cells, strict=True)):
            if fit.satisfied:
                rows[r][column] = _summed(cell, numbers[k], k in fit.changed, fit.confidence, sure)
        if not fit.satisfied:
            reason = f"the column adds up to {sum(fit.values):f}"
            rows[-1][column] = replace(cells[-1], status="unsure", reason=reason)
    return replace(table, rows=tuple(map(tuple, rows)), rule="total", kept=kept)


def _choices(cell: Cell) -> Candidates:
    """What a cell may be; nothing if it is not a number."""
    if not isinstance(cell.value, Decimal):
        return []
    others = [
        (each.value, each.probability)
        for each in cell.alternatives
        if isinstance(each.value, Decimal)
    ]
    return [(cell.value, cell.confidence), *others]


def _summed(cell: Cell, value: Decimal, changed: bool, confidence: float, sure: float) -> Cell:
    if changed:
        text = next(each.text for each in cell.alternatives if each.value == value)
        reason = f"by the total; without it {cell.text}"
        others = (Alternative(cell.text, cell.value, 1 - confidence), *cell.alternatives)
        status = "number" if confidence >= sure else "unsure"
        return replace(
            cell, text=text, value=value, confidence=confidence, status=status, reason=reason,
            alternatives=tuple(each for each in others if each.text != text),
        )  # fmt: skip
    if confidence >= sure and cell.status == "unsure":
        return replace(cell, confidence=confidence, status="number", reason="by the total")
    return cell
