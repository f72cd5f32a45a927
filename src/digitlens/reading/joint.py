"""Decides the cells of a table jointly: by the rules of Sudoku, or by a column and its total.

Both find the most probable set of values that satisfies the rule, given probabilities for each
cell; neither knows pictures.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count

import numpy as np
import numpy.typing as npt

from digitlens.results import Alternative
from digitlens.tabular import Cell, Table

_LEAST = 1e-6  # minimum probability of any value of a cell
_BREAKS = 1e-3  # prior probability that a page breaks the rule it is said to obey
_SEVERAL = 1e-3  # prior probability that a puzzle has several solutions
_NODES = 3000  # maximum grids examined per puzzle
_STEPS = 20_000  # maximum solver steps per grid
_EFFORT = 250_000  # maximum solver steps to find the grid, and again for its confidence
_SUMS = 5000  # maximum partial sums kept per column

Values = npt.NDArray[np.int64]
Domains = tuple[int, ...]  # for each of 81 cells a bit mask of its possible values

_UNITS = [(cell // 9, 9 + cell % 9, 18 + cell // 27 * 3 + cell % 9 // 3) for cell in range(81)]
_ALL = (1 << 10) - 1


@dataclass(frozen=True)
class Sudoku:
    """The most probable consistent cells of a Sudoku.

    Attributes:
        cells: int64[9, 9]; 0 is an empty cell.
        confidence: float64[9, 9]; probability of each cell, given the rules and all candidates.
        solution: int64[9, 9]; the completed grid if there is exactly one, else None.
    """

    cells: Values
    confidence: npt.NDArray[np.float64]
    solution: Values | None


def solve_sudoku(probabilities: npt.NDArray[np.floating]) -> Sudoku | None:
    """Decides all cells jointly: no digit twice in a row, column or box, and solvable.

    Exact best-first branch and bound over the values of cells: the first grid that obeys the rules
    is the most probable one. A grid with several solutions is possible but unlikely, as puzzles
    are made to have one.

    Args:
        probabilities: float[9, 9, 10]; for each cell, index 0 is empty, 1 to 9 are the digits.

    Returns:
        None if no grid obeys the rules, or none was found within the effort limit.

    Raises:
        ValueError: The shape differs, or a number is negative or not finite.
    """
    seen = np.asarray(probabilities, np.float64)
    if seen.shape != (9, 9, 10) or not np.isfinite(seen).all() or (seen < 0).any():
        raise ValueError(f"expected probabilities float[9, 9, 10], found shape {seen.shape}")
    shares = np.clip(seen / np.maximum(seen.sum(axis=2, keepdims=True), _LEAST), _LEAST, None)
    shares = (shares / shares.sum(axis=2, keepdims=True)).reshape(81, 10)
    found = _best_grid(-np.log(shares / shares.max(axis=1, keepdims=True)), _Effort(_EFFORT))
    if found is None:
        return None
    cells, cost, solution = found
    held = 1 / (1 + _BREAKS * math.exp(min(cost, 100)))  # probability that the rules hold
    check = _Effort(_EFFORT)
    sure = np.array([_given_others(cells, cell, shares[cell], check) for cell in range(81)])
    return Sudoku(cells.reshape(9, 9), held * sure.reshape(9, 9), solution)


@dataclass
class _Effort:
    left: int  # remaining solver steps


def _best_grid(
    seen: npt.NDArray[np.float64], effort: _Effort
) -> tuple[Values, float, Values | None] | None:
    """The cheapest grid that obeys the rules, its cost, and its solution if it is unique."""
    costs: list[list[float]] = seen.tolist()
    ranked = [sorted(range(10), key=row.__getitem__) for row in costs]
    number = count()  # of equal costs, the grid found first is taken
    start: Domains = (_ALL,) * 81
    heap: list[tuple[float, int, Domains, Values | None]] = [(0.0, next(number), start, None)]
    for _ in range(_NODES):
        if not heap or not effort.left:
            return None
        cost, _, domains, known = heapq.heappop(heap)
        cells = [next(v for v in ranked[i] if d >> v & 1) for i, d in enumerate(domains)]
        if known is not None:
            return np.array(cells), cost, None
        conflict = _conflict(cells)
        solutions = [] if conflict else _solutions(cells, effort)
        if len(solutions) == 1:
            return np.array(cells), cost, np.array(solutions[0]).reshape(9, 9)
        if solutions:  # several: possible, but competes with grids that have one
            costly = cost - math.log(_SEVERAL)
            heapq.heappush(heap, (costly, next(number), domains, np.array(cells)))
        for cell, part in _others(domains, cells, conflict or range(81)):
            value = next(v for v in ranked[cell] if part[cell] >> v & 1)
            more = costs[cell][value] - costs[cell][cells[cell]]  # all other cells keep their value
            heapq.heappush(heap, (cost + more, next(number), part, None))
    return None


def _others(
    domains: Domains, cells: Sequence[int], among: Iterable[int]
) -> Iterable[tuple[int, Domains]]:
    """Disjoint domains in which one of some cells changes its value, and which cell."""
    fixed = list(domains)
    for cell in among:
        left = fixed[cell] & ~(1 << cells[cell])
        if left:
            yield cell, (*fixed[:cell], left, *fixed[cell + 1 :])
        fixed[cell] = 1 << cells[cell]


def _conflict(cells: Sequence[int]) -> tuple[int, int] | None:
    """Two cells of a unit that hold the same digit."""
    seen: dict[tuple[int, int], int] = {}
    for cell, value in enumerate(cells):
        for unit in _UNITS[cell] if value else ():
            if (unit, value) in seen:
                return seen[unit, value], cell
            seen[unit, value] = cell
    return None


def _solutions(cells: Sequence[int], effort: _Effort) -> list[list[int]]:
    """Up to two solutions of a grid without conflicts."""
    used = [1] * 27  # for each unit a bit mask of its digits; bit 0 is always set
    for cell, value in enumerate(cells):
        for unit in _UNITS[cell] if value else ():
            used[unit] |= 1 << value
    found: list[list[int]] = []
    one = _Effort(min(_STEPS, effort.left))
    effort.left -= one.left
    _fill(list(cells), used, {i for i, value in enumerate(cells) if not value}, found, one)
    effort.left += one.left
    return found


def _fill(
    cells: list[int], used: list[int], empty: set[int], found: list[list[int]], effort: _Effort
) -> None:
    """Fills the cell with the fewest choices first; adds up to two solutions to ``found``."""
    if not effort.left:
        return
    effort.left -= 1
    if not empty:
        found.append(list(cells))
        return
    open_, cell, units = _ALL, -1, (0, 0, 0)
    for each in empty:
        a, b, c = _UNITS[each]
        choices = _ALL & ~(used[a] | used[b] | used[c])
        if cell < 0 or choices.bit_count() < open_.bit_count():
            open_, cell, units = choices, each, (a, b, c)
            if choices.bit_count() < 2:
                break
    empty.remove(cell)
    for value in range(1, 10):
        if open_ >> value & 1 and len(found) < 2 and effort.left:
            cells[cell] = value
            for unit in units:
                used[unit] ^= 1 << value
            _fill(cells, used, empty, found, effort)
            for unit in units:
                used[unit] ^= 1 << value
    cells[cell] = 0
    empty.add(cell)


def _given_others(
    cells: Values, cell: int, shares: npt.NDArray[np.float64], effort: _Effort
) -> float:
    """Probability of a cell's value among those that obey the rules if all others are right."""
    kept = float(shares[cells[cell]])
    total = kept
    for value in np.flatnonzero(shares > _SEVERAL):
        if value != cells[cell]:
            other = cells.copy()
            other[cell] = value
            grid = other.tolist()
            solutions = 0 if _conflict(grid) else len(_solutions(grid, effort))
            solutions = solutions if effort.left else max(solutions, 1)  # undecided: assume one
            total += float(shares[value]) * (0, 1, _SEVERAL)[solutions]
    return kept / total


@dataclass(frozen=True)
class Total:
    """The numbers of a column that add up to its total.

    Attributes:
        values: The number of each cell, followed by their sum.
        confidence: Probability of all values, given that they add up.
        changed: Indices of cells that do not have their most probable value; the total is the last.
        satisfied: Whether the values add up; if not, each is the most probable one of its cell.
    """

    values: tuple[Decimal, ...]
    confidence: float
    changed: tuple[int, ...]
    satisfied: bool


Candidates = Sequence[tuple[Decimal, float]]  # possible values of a cell and their probabilities
# For each partial sum the probability of the best path to it, that of all paths, and the indices
# of the candidates on the best path.
Sums = dict[Decimal, tuple[float, float, tuple[int, ...]]]


def fit_total(cells: Sequence[Candidates], total: Candidates) -> Total:
    """Chooses the most probable values of cells and total with which the column adds up.

    Dynamic programming over partial sums: exact up to 5000 sums; beyond that only the most
    probable ones are kept. The candidates of a cell may be in any order.

    Raises:
        ValueError: A cell has no candidate, or a probability is not from 0 to 1.
    """
    columns = [*cells, total]
    if not all(columns) or any(not 0 <= p <= 1 for column in columns for _, p in column):
        raise ValueError("expected candidates with probabilities from 0 to 1 for each cell")
    sums: Sums = {Decimal(0): (1.0, 1.0, ())}
    for column in cells:
        sums = _added(sums, column)
    best, mass, chosen = -1.0, 0.0, tuple[int, ...]()
    for place, (value, chance) in enumerate(total):
        if value in sums:
            top, shared, path = sums[value]
            likely = max(chance, _LEAST)
            mass += shared * likely
            if top * likely > best:
                best, chosen = top * likely, (*path, place)
    alone = tuple(max(range(len(c)), key=lambda i, c=c: c[i][1]) for c in columns)
    taken = [column[i] for column, i in zip(columns, chosen or alone, strict=True)]
    values = tuple(value for value, _ in taken)
    if not chosen:
        return Total(values, math.prod(chance for _, chance in taken), (), False)
    changed = tuple(i for i, (a, b) in enumerate(zip(chosen, alone, strict=True)) if a != b)
    broken = _BREAKS * max(chance for _, chance in total)  # the best partial sum counts as 1
    return Total(values, best / (mass + broken), changed, True)


def _added(sums: Sums, column: Candidates) -> Sums:
    """Adds each of a cell's candidates to each partial sum."""
    added: Sums = {}
    for partial, (top, mass, path) in sums.items():
        for place, (value, chance) in enumerate(column):
            likely, key = max(chance, _LEAST), partial + value
            best, shared, way = added.get(key, (-1.0, 0.0, path))
            if top * likely > best:
                best, way = top * likely, (*path, place)
            added[key] = best, shared + mass * likely, way
    largest = max(best for best, _, _ in added.values())
    ranked = sorted(added.items(), key=lambda entry: -entry[1][0])[:_SUMS]
    return {key: (b / largest, m / largest, way) for key, (b, m, way) in ranked}


def apply_sudoku(table: Table, chances: npt.NDArray[np.float64], sure: float) -> Table:
    """Sets each cell to its digit in the most probable grid that obeys the rules.

    For ``chances`` see ``solve_sudoku``; cells with a confidence below ``sure`` are unsure.
    """
    solved = solve_sudoku(chances)
    if solved is None:
        return replace(table, rule="sudoku", kept=False)
    values, confidences = solved.cells.tolist(), solved.confidence.tolist()
    rows = tuple(
        tuple(_decided(*cell, sure) for cell in zip(*row, strict=True))
        for row in zip(table.rows, values, confidences, strict=True)
    )
    solution = () if solved.solution is None else tuple(map(tuple, solved.solution.tolist()))
    return replace(table, rows=rows, rule="sudoku", solution=solution)


def _decided(cell: Cell, digit: int, confidence: float, sure: float) -> Cell:
    text = str(digit) if digit else ""
    value = Decimal(digit) if digit else None
    if text == cell.text:  # a rule does not lower the confidence of an unchanged cell
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
    """Makes each column of numbers add up to its last row, if the candidates allow it.

    Changed cells with a confidence below ``sure`` are unsure.
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
        if not fit.satisfied:
            reason = f"the column adds up to {sum(fit.values[:-1]):f}"
            rows[-1][column] = replace(cells[-1], status="unsure", reason=reason)
            continue
        for k, (r, cell) in enumerate(zip(places, cells, strict=True)):
            new = fit.values[k] if k in fit.changed else None
            rows[r][column] = _summed(cell, new, fit.confidence, sure)
    return replace(table, rows=tuple(map(tuple, rows)), rule="total", kept=kept)


def _choices(cell: Cell) -> Candidates:
    """The candidates of a cell; empty if it is not a number."""
    if not isinstance(cell.value, Decimal):
        return []
    others = ((each.value, each.probability) for each in cell.alternatives)
    pairs = ((value, chance) for value, chance in others if isinstance(value, Decimal))
    return [(cell.value, cell.confidence), *pairs]


def _summed(cell: Cell, new: Decimal | None, confidence: float, sure: float) -> Cell:
    """A cell of a column that adds up, with its new value, if it has one."""
    status = "number" if confidence >= sure else "unsure"
    if new is None:
        decided = status == "number" and cell.status == "unsure"
        more = {"confidence": confidence, "status": status, "reason": "by the total"}
        return replace(cell, **more) if decided else cell
    text = next(each.text for each in cell.alternatives if each.value == new)
    others = (Alternative(cell.text, cell.value, 1 - confidence), *cell.alternatives)
    others = tuple(each for each in others if each.text != text)
    reason = f"by the total; without it {cell.text}"
    cell = replace(cell, text=text, value=new, confidence=confidence, status=status)
    return replace(cell, reason=reason, alternatives=others)
