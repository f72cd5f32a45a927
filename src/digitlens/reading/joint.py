"""Decides the cells of a table together: by the rules of Sudoku, or by a column and its total.

Both take what was seen of each cell as probabilities and find the most probable whole that keeps
the rule; neither knows pictures.
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

_LEAST = 1e-6  # no cell is surer than this of what it is not
_BREAKS = 1e-3  # of what is seen, so much breaks the rule: a page is not what it was said to be
_SEVERAL = 1e-3  # of the puzzles, so many have several solutions
_NODES = 3000  # grids looked into, after which a puzzle is given up
_STEPS = 20_000  # of the solver for one grid ...
_EFFORT = 250_000  # ... and for all grids, once to find one and once for how sure it is
_SUMS = 5000  # partial sums of a column that are followed

Values = npt.NDArray[np.int64]
Domains = tuple[int, ...]  # for each of 81 cells a bit for each value that it may have

_UNITS = [(cell // 9, 9 + cell % 9, 18 + cell // 27 * 3 + cell % 9 // 3) for cell in range(81)]
_ALL = (1 << 10) - 1


@dataclass(frozen=True)
class Sudoku:
    """The cells of a Sudoku that can be true together.

    Attributes:
        cells: int64[9, 9]; 0 is an empty cell.
        confidence: float64[9, 9]; probability of each cell, given the rules and what was seen.
        solution: int64[9, 9]; the completed grid if there is exactly one, else None.
    """

    cells: Values
    confidence: npt.NDArray[np.float64]
    solution: Values | None


def solve_sudoku(probabilities: npt.NDArray[np.floating]) -> Sudoku | None:
    """Reads all cells at once: no digit twice in a row, column or box, and there is a solution.

    Best-first branch and bound over what the cells may be, exact: the first grid that keeps the
    rules is the most probable one. A grid with several solutions is possible but unlikely, as
    puzzles are made to have one.

    Args:
        probabilities: float[9, 9, 10]; of each cell, index 0 that it is empty, then of 1 to 9.

    Returns:
        None where no grid keeps the rules, or none was found with a limited effort.

    Raises:
        ValueError: The shape is another one, or a number is no probability.
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
    held = 1 / (1 + _BREAKS * math.exp(min(cost, 100)))  # the rules hold at all
    check = _Effort(_EFFORT)
    sure = np.array([_given_others(cells, cell, shares[cell], check) for cell in range(81)])
    return Sudoku(cells.reshape(9, 9), held * sure.reshape(9, 9), solution)


@dataclass
class _Effort:
    left: int  # steps of the solver


def _best_grid(
    seen: npt.NDArray[np.float64], effort: _Effort
) -> tuple[Values, float, Values | None] | None:
    """The cheapest grid that keeps the rules, its cost, and its solution if it has only one."""
    costs: list[list[float]] = seen.tolist()
    ranked = [sorted(range(10), key=row.__getitem__) for row in costs]
    number = count()  # of equal costs, the grid that was found first
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
        if solutions:  # possible, and so are others that have only one
            costly = cost - math.log(_SEVERAL)
            heapq.heappush(heap, (costly, next(number), domains, np.array(cells)))
        for cell, part in _others(domains, cells, conflict or range(81)):
            value = next(v for v in ranked[cell] if part[cell] >> v & 1)
            more = costs[cell][value] - costs[cell][cells[cell]]  # all others stay as they are
            heapq.heappush(heap, (cost + more, next(number), part, None))
    return None


def _others(
    domains: Domains, cells: Sequence[int], among: Iterable[int]
) -> Iterable[tuple[int, Domains]]:
    """Parts, without overlap, of the grids in which one of some cells changes, and which one."""
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
    """Up to two ways to fill the empty cells of a grid without conflicts."""
    used = [1] * 27  # for each unit a bit for each digit that it has; 0 is none
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
    """Tries the cell with the fewest choices first; adds to ``found`` until there are two."""
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
    """How probable a cell is if all others are right, among the values that keep the rules."""
    kept = float(shares[cells[cell]])
    total = kept
    for value in np.flatnonzero(shares > _SEVERAL):
        if value != cells[cell]:
            other = cells.copy()
            other[cell] = value
            grid = other.tolist()
            solutions = 0 if _conflict(grid) else len(_solutions(grid, effort))
            solutions = solutions if effort.left else max(solutions, 1)  # not known to have none
            total += float(shares[value]) * (0, 1, _SEVERAL)[solutions]
    return kept / total


@dataclass(frozen=True)
class Total:
    """Numbers of a column that add up to its total.

    Attributes:
        values: The number of each cell, and last their sum.
        confidence: Probability of the whole, given that it adds up and what was seen.
        changed: Cells that are not what is most probable by itself; the total is the last.
        satisfied: Whether they add up; if not, each has its most probable value.
    """

    values: tuple[Decimal, ...]
    confidence: float
    changed: tuple[int, ...]
    satisfied: bool


Candidates = Sequence[tuple[Decimal, float]]  # what a cell may be, and how probable that is
# For each partial sum the probability of the best way to it, of all ways, and the candidates of
# the best one.
Sums = dict[Decimal, tuple[float, float, tuple[int, ...]]]


def fit_total(cells: Sequence[Candidates], total: Candidates) -> Total:
    """Chooses among what each cell and the total may be so that the column adds up.

    Dynamic programming over partial sums, exact as long as there are at most some thousand; beyond,
    the most probable ones are followed. What a cell may be is in any order.

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
    """Adds one of a cell's candidates to each partial sum."""
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
    """Gives each cell the digit that it has in the most probable grid that keeps the rules.

    For the chances of cells see ``solve_sudoku``. From a confidence of ``sure`` on, one is not
    doubtful.
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

    From a confidence of ``sure`` on, a cell is not doubtful.
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
    """What a cell may be; nothing if it is not a number."""
    if not isinstance(cell.value, Decimal):
        return []
    others = ((each.value, each.probability) for each in cell.alternatives)
    pairs = ((value, chance) for value, chance in others if isinstance(value, Decimal))
    return [(cell.value, cell.confidence), *pairs]


def _summed(cell: Cell, new: Decimal | None, confidence: float, sure: float) -> Cell:
    """A cell of a column that adds up, if it has a new value then."""
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
