from decimal import Decimal

import numpy as np
import pytest

from digitlens.reading import joint
from digitlens.reading.joint import fit_total, solve_sudoku

PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SOLVED = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def grid(signs):
    return np.array([int(sign) for sign in signs.replace(".", "0")]).reshape(9, 9)


def seen(cells, doubts=()):
    """Probabilities of cells, certain but for doubts: row, column, other value, its probability."""
    probabilities = np.full((9, 9, 10), 1e-4)
    np.put_along_axis(probabilities, cells[:, :, None], 1.0, axis=2)
    for row, column, value, share in doubts:
        probabilities[row, column, cells[row, column]] = 1 - share
        probabilities[row, column, value] = share
    return probabilities


@pytest.mark.parametrize(
    "doubts",
    [
        [],
        [(0, 0, 3, 0.9)],  # twice in its row
        [(2, 2, 0, 0.9)],  # a digit read as empty: several solutions
        [(0, 2, 9, 0.9)],  # a speck read as a digit: no solution
        [(0, 0, 6, 0.8), (4, 0, 9, 0.7), (8, 8, 7, 0.9)],
    ],
)
def test_rules_of_sudoku_correct_misread_cells(doubts):
    cells = grid(PUZZLE)
    found = solve_sudoku(seen(cells, doubts))
    assert np.array_equal(found.cells, cells)
    assert np.array_equal(found.solution, grid(SOLVED))
    assert (found.confidence > 0.9).all()


def test_sudoku_without_a_unique_solution_is_read_but_not_solved():
    cells = np.zeros((9, 9), int)
    cells[0, :3] = 1, 2, 3
    found = solve_sudoku(seen(cells, [(0, 2, 2, 0.6)]))
    assert np.array_equal(found.cells, cells)
    assert found.solution is None
    filled = solve_sudoku(seen(grid(SOLVED), [(3, 3, 1, 0.7)]))
    assert np.array_equal(filled.cells, grid(SOLVED))


def test_cell_about_as_likely_empty_as_a_digit_stays_doubtful():
    assert 0.4 < solve_sudoku(seen(np.zeros((9, 9), int), [(4, 4, 5, 0.4)])).confidence[4, 4] < 0.8


def test_grid_that_certainly_breaks_the_rules_has_no_result():
    assert solve_sudoku(np.eye(10)[np.tile(np.arange(1, 10), (9, 1))]) is None
    for wrong in (np.ones((9, 9)), np.full((9, 9, 10), np.nan), -np.ones((9, 9, 10))):
        with pytest.raises(ValueError, match="expected probabilities"):
            solve_sudoku(wrong)


def noise(kind):
    random = np.random.default_rng(0)
    if kind == "alike":
        return np.ones((9, 9, 10))
    if kind == "anything":
        return random.dirichlet(np.full(10, 0.3), (9, 9))
    digits = random.integers(1, 10, (9, 9)) * (random.random((9, 9)) < 0.3)
    return np.where(np.arange(10) == digits[:, :, None], 1.0, 1e-3)


def test_search_gives_up_on_grids_that_are_no_sudoku(monkeypatch):
    monkeypatch.setattr(joint, "_EFFORT", 5000)  # instead of 250,000, which take seconds
    for kind in ("alike", "few digits"):  # a solution may be found, perhaps not the best
        solve_sudoku(noise(kind))
    assert solve_sudoku(noise("anything")) is None
    assert solve_sudoku(seen(grid(PUZZLE), [(0, 0, 3, 0.9)])) is not None


def candidates(*texts):
    """``7.50:0.6 1.50:0.4`` is one cell."""
    return [[(Decimal(v), float(p)) for v, p in (e.split(":") for e in t.split())] for t in texts]


@pytest.mark.parametrize(
    ("cells", "total", "values", "changed"),
    [
        (["2:0.9 3:0.1", "5:1"], "7:1", "2 5 7", ()),
        (["2:0.9 3:0.1", "5:1"], "8:1", "3 5 8", (0,)),
        (["1.50:0.6 7.50:0.4", "0.25:1"], "1.75:0.5 7.75:0.5", "1.50 0.25 1.75", ()),
        (["1:0.9 7:0.1", "2:1"], "9:0.6 3:0.4", "1 2 3", (2,)),
        (["4:1"] * 30 + ["1:0.8 7:0.2"], "127:1", " ".join(["4"] * 30 + ["7", "127"]), (30,)),
    ],
)
def test_values_are_chosen_to_add_up_to_the_total(cells, total, values, changed):
    found = fit_total(candidates(*cells), candidates(total)[0])
    assert [*found.values] == [Decimal(value) for value in values.split()]
    assert found.satisfied
    assert found.changed == changed
    assert 0 < found.confidence <= 1


def test_a_column_that_cannot_add_up_keeps_its_most_probable_values():
    found = fit_total(candidates("2:0.9 3:0.1", "5:1"), candidates("11:1")[0])
    assert not found.satisfied
    assert found.values == (Decimal(2), Decimal(5), Decimal(11))
    for bad in ([[]], [[(Decimal(1), 1.5)]]):
        with pytest.raises(ValueError, match="expected candidates"):
            fit_total(bad, [(Decimal(1), 1.0)])
