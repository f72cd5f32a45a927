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

_FLOOR = 1e-6  # minimum probability of any value of a cell
_PRIOR_BROKEN = 1e-3  # prior probability that a page breaks the rule it is said to obey
_PRIOR_SEVERAL = 1e-3  # prior probability that a puzzle has several solutions
_MAX_GRIDS = 3000  # maximum grids examined per puzzle
_GRID_EFFORT = 20_000  # maximum solver steps per grid
_EFFORT = 250_000  # maximum solver steps to find the grid, and again for its confidence
_MAX_SUMS = 5000  # maximum partial sums kept per column

Values = npt.NDArray[np.int64]
Domains = tuple[int, ...]  # for each of 81 cells a bit mask of its possible values

_UNITS = [(cell // 9, 9 + cell % 9, 18 + cell // 27 * 3 + cell % 9 // 3) for cell in range(81)]
_ALL_VALUES = (1 << 10) - 1


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
    raw = np.asarray(probabilities, np.float64)
    if raw.shape != (9, 9, 10) or not np.isfinite(raw).all() or (raw < 0).any():
        raise ValueError(f"expected probabilities float[9, 9, 10], found shape {raw.shape}")
    shares = np.clip(raw / np.maximum(raw.sum(axis=2, keepdims=True), _FLOOR), _FLOOR, None)
    shares = (shares / shares.sum(axis=2, keepdims=True)).reshape(81, 10)
    best = _best_grid(-np.log(shares / shares.max(axis=1, keepdims=True)), _Effort(_EFFORT))
    if best is None:
        return None
    cells, cost, solution = best
    obeyed = 1 / (1 + _PRIOR_BROKEN * math.exp(min(cost, 100)))  # probability that the rules hold
    effort = _Effort(_EFFORT)
    chances = np.array([_given_others(cells, cell, shares[cell], effort) for cell in range(81)])
    return Sudoku(cells.reshape(9, 9), obeyed * chances.reshape(9, 9), solution)


@dataclass
class _Effort:
    left: int  # remaining solver steps


def _best_grid(
    cell_costs: npt.NDArray[np.float64], effort: _Effort
) -> tuple[Values, float, Values | None] | None:
    """The cheapest grid that obeys the rules, its cost, and its solution if it is unique."""
    costs: list[list[float]] = cell_costs.tolist()
    ranked = [sorted(range(10), key=row.__getitem__) for row in costs]
    counter = count()  # of equal costs, the grid found first is taken
    start: Domains = (_ALL_VALUES,) * 81
    heap: list[tuple[float, int, Domains, Values | None]] = [(0.0, next(counter), start, None)]
    for _ in range(_MAX_GRIDS):
        if not heap or not effort.left:
            return None
        cost, _, domains, decided = heapq.heappop(heap)
        cells = [next(v for v in ranked[i] if d >> v & 1) for i, d in enumerate(domains)]
        if decided is not None:
            return np.array(cells), cost, None
        conflict = _conflict(cells)
        solutions = [] if conflict else _solutions(cells, effort)
        if len(solutions) == 1:
            return np.array(cells), cost, np.array(solutions[0]).reshape(9, 9)
        if solutions:  # several: possible, but competes with grids that have one
            costly = cost - math.log(_PRIOR_SEVERAL)
            heapq.heappush(heap, (costly, next(counter), domains, np.array(cells)))
        for cell, branch in _branches(domains, cells, conflict or range(81)):
            value = next(v for v in ranked[cell] if branch[cell] >> v & 1)
            more = costs[cell][value] - costs[cell][cells[cell]]  # all other cells keep their value
            heapq.heappush(heap, (cost + more, next(counter), branch, None))
    return None


def _branches(
    domains: Domains, cells: Sequence[int], candidates: Iterable[int]
) -> Iterable[tuple[int, Domains]]:
    """Disjoint domains in which one of some cells changes its value, and which cell."""
    fixed = list(domains)
    for cell in candidates:
        remaining = fixed[cell] & ~(1 << cells[cell])
        if remaining:
            yield cell, (*fixed[:cell], remaining, *fixed[cell + 1 :])
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
    solutions: list[list[int]] = []
    limit = _Effort(min(_GRID_EFFORT, effort.left))
    effort.left -= limit.left
    _fill(list(cells), used, {i for i, value in enumerate(cells) if not value}, solutions, limit)
    effort.left += limit.left
    return solutions


def _fill(
    cells: list[int], used: list[int], empty: set[int], solutions: list[list[int]], effort: _Effort
) -> None:
    """Fills the cell with the fewest choices first; adds up to two solutions to ``solutions``."""
    if not effort.left:
        return
    effort.left -= 1
    if not empty:
        solutions.append(list(cells))
        return
    fewest, cell, units = _ALL_VALUES, -1, (0, 0, 0)
    for candidate in empty:
        a, b, c = _UNITS[candidate]
        choices = _ALL_VALUES & ~(used[a] | used[b] | used[c])
        if cell < 0 or choices.bit_count() < fewest.bit_count():
            fewest, cell, units = choices, candidate, (a, b, c)
            if choices.bit_count() < 2:
                break
    empty.remove(cell)
    for value in range(1, 10):
        if fewest >> value & 1 and len(solutions) < 2 and effort.left:
            cells[cell] = value
            for unit in units:
                used[unit] ^= 1 << value
            _fill(cells, used, empty, solutions, effort)
            for unit in units:
                used[unit] ^= 1 << value
    cells[cell] = 0
    empty.add(cell)


def _given_others(
    cells: Values, cell: int, shares: npt.NDArray[np.float64], effort: _Effort
) -> float:
    """Probability of a cell's value among those that obey the rules if all others are right."""
    own = float(shares[cells[cell]])
    total = own
    for value in np.flatnonzero(shares > _PRIOR_SEVERAL):
        if value != cells[cell]:
            other = cells.copy()
            other[cell] = value
            grid = other.tolist()
            solutions = 0 if _conflict(grid) else len(_solutions(grid, effort))
            solutions = solutions if effort.left else max(solutions, 1)  # undecided: assume one
            total += float(shares[value]) * (0, 1, _PRIOR_SEVERAL)[solutions]
    return own / total


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
        sums = _add_column(sums, column)
    best, mass, chosen = -1.0, 0.0, tuple[int, ...]()
    for k, (value, chance) in enumerate(total):
        if value in sums:
            top, all_paths, path = sums[value]
            clipped = max(chance, _FLOOR)
            mass += all_paths * clipped
            if top * clipped > best:
                best, chosen = top * clipped, (*path, k)
    independent = tuple(max(range(len(c)), key=lambda i, c=c: c[i][1]) for c in columns)
    picked = [column[i] for column, i in zip(columns, chosen or independent, strict=True)]
    values = tuple(value for value, _ in picked)
    if not chosen:
        return Total(values, math.prod(chance for _, chance in picked), (), False)
    changed = tuple(i for i, (a, b) in enumerate(zip(chosen, independent, strict=True)) if a != b)
    broken = _PRIOR_BROKEN * max(chance for _, chance in total)  # the best partial sum counts as 1
    return Total(values, best / (mass + broken), changed, True)


def _add_column(sums: Sums, column: Candidates) -> Sums:
    """Adds each of a cell's candidates to each partial sum."""
    added: Sums = {}
    for partial, (top, mass, path) in sums.items():
        for k, (value, chance) in enumerate(column):
            clipped, key = max(chance, _FLOOR), partial + value
            best, total, best_path = added.get(key, (-1.0, 0.0, path))
            if top * clipped > best:
                best, best_path = top * clipped, (*path, k)
            added[key] = best, total + mass * clipped, best_path
    largest = max(best for best, _, _ in added.values())
    ranked = sorted(added.items(), key=lambda entry: -entry[1][0])[:_MAX_SUMS]
    return {key: (b / largest, m / largest, best_path) for key, (b, m, best_path) in ranked}


def apply_sudoku(table: Table, chances: npt.NDArray[np.float64], threshold: float) -> Table:
    """Sets each cell to its digit in the most probable grid that obeys the rules.

    For ``chances`` see ``solve_sudoku``; cells with a confidence below ``threshold`` are unsure.
    """
    solved = solve_sudoku(chances)
    if solved is None:
        return replace(table, rule="sudoku", kept=False)
    values, confidences = solved.cells.tolist(), solved.confidence.tolist()
    rows = tuple(
        tuple(_sudoku_cell(*cell, threshold) for cell in zip(*row, strict=True))
        for row in zip(table.rows, values, confidences, strict=True)
    )
    solution = () if solved.solution is None else tuple(map(tuple, solved.solution.tolist()))
    return replace(table, rows=rows, rule="sudoku", solution=solution)


def _sudoku_cell(cell: Cell, digit: int, confidence: float, threshold: float) -> Cell:
    text = str(digit) if digit else ""
    value = Decimal(digit) if digit else None
    if text == cell.text:  # a rule does not lower the confidence of an unchanged cell
        confidence = max(confidence, cell.confidence)
    doubt = "" if confidence >= threshold else f"{100 * confidence:.0f} % sure"
    change, others = "", cell.alternatives
    if text != cell.text:
        change = f"by the rules of Sudoku; without them {cell.text or 'empty'}"
        others = (Alternative(cell.text, cell.value, min(cell.confidence, 1 - confidence)), *others)
    return replace(
        cell,
        text=text,
        value=value,
        kind="integer" if digit else None,
        confidence=confidence,
        status="unsure" if doubt else "number" if digit else "empty",
        reason="; ".join(filter(None, (change, doubt))),
        alternatives=others,
    )


def apply_total(table: Table, threshold: float) -> Table:
    """Makes each column of numbers add up to its last row, if the candidates allow it.

    Changed cells with a confidence below ``threshold`` are unsure.
    """
    rows = [list(row) for row in table.rows]
    kept = True
    for column in range(table.shape[1]):
        filled = [r for r in range(len(rows)) if rows[r][column].text]
        cells = [rows[r][column] for r in filled]
        if cells and cells[0].status == "words":
            filled, cells = filled[1:], cells[1:]
        candidates = [_candidates_of(cell) for cell in cells]
        if len(cells) < 3 or filled[-1] != len(rows) - 1 or not all(candidates):
            continue
        fit = fit_total(candidates[:-1], candidates[-1])
        kept &= fit.satisfied
        if not fit.satisfied:
            reason = f"the column adds up to {sum(fit.values[:-1]):f}"
            rows[-1][column] = replace(cells[-1], status="unsure", reason=reason)
            continue
        for k, (r, cell) in enumerate(zip(filled, cells, strict=True)):
            new = fit.values[k] if k in fit.changed else None
            rows[r][column] = _total_cell(cell, new, fit.confidence, threshold)
    return replace(table, rows=tuple(map(tuple, rows)), rule="total", kept=kept)


def _candidates_of(cell: Cell) -> Candidates:
    """The candidates of a cell; empty if it is not a number."""
    if not isinstance(cell.value, Decimal):
        return []
    others = ((each.value, each.probability) for each in cell.alternatives)
    pairs = ((value, chance) for value, chance in others if isinstance(value, Decimal))
    return [(cell.value, cell.confidence), *pairs]


def _total_cell(cell: Cell, new: Decimal | None, confidence: float, threshold: float) -> Cell:
    """A cell of a column that adds up, with its new value, if it has one."""
    status = "number" if confidence >= threshold else "unsure"
    if new is None:
        is_confirmed = status == "number" and cell.status == "unsure"
        changes = {"confidence": confidence, "status": status, "reason": "by the total"}
        return replace(cell, **changes) if is_confirmed else cell
    text = next(each.text for each in cell.alternatives if each.value == new)
    others = (Alternative(cell.text, cell.value, 1 - confidence), *cell.alternatives)
    others = tuple(each for each in others if each.text != text)
    reason = f"by the total; without it {cell.text}"
    cell = replace(cell, text=text, value=new, confidence=confidence, status=status)
    return replace(cell, reason=reason, alternatives=others)
