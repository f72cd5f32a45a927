"""The smallest changes of a tile that change a classifier's answer; knows no model.

Counterfactuals explain an answer without opening the network: S. Wachter, B. Mittelstadt,
C. Russell, "Counterfactual explanations without opening the black box", Harvard Journal of Law &
Technology 31, 2018. Patches are found by beam search (B. Lowerre, "The Harpy speech recognition
system", 1976) from large ones to small ones, so that what is found is small, but there may be a
smaller one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions import thickness, to_planes, to_tiles, turned
from digitlens.evaluation.metrics import Floats

Kind: TypeAlias = Literal["erase", "add", "turn", "move", "thicken", "thin"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_LARGEST = 9  # pixels: side of the patches that the search starts with ...
_STRIDE = 3  # ... so far apart, so that one of them holds any patch of 7
_BEAM = 12  # patches of each side whose quarters are looked at next
_MOST_ERASED = 0.5  # of the ink: what is left of less is another picture
_TURNS = 45  # degrees at most: further, a 6 is on its way to a 9 by rights
_MOVES = 5  # pixels at most, in rows and in columns
_KEPT = 0.98  # of the ink has to stay in the tile
_WIDTHS = np.arange(0.25, 3.01, 0.25)  # pixels that strokes become thicker or thinner

Tile = npt.NDArray[np.uint8]
Predict = Callable[[npt.NDArray[np.uint8]], Floats]
_Corner: TypeAlias = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The least change of one kind that was found to give another answer.

    Attributes:
        kind: ``erase`` or ``add`` a square patch of ink, ``turn``, ``move``, ``thicken`` or
            ``thin`` all of it.
        amount: Side of the patch in pixels; degrees anticlockwise; pixels of the way; pixels of
            stroke width.
        place: Row and column of the patch's first pixel; pixels down and to the right of a move.
        ink: Share of the tile's ink that is erased, or as much of it as is added.
        value: The new answer.
        probability: That the classifier gives it.
        tile: uint8[28, 28]; changed.
    """

    kind: Kind
    amount: float
    place: tuple[int, int] | None
    ink: float
    value: int
    probability: float
    tile: Tile

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the tile."""
        return {
            "kind": self.kind,
            "amount": self.amount,
            "place": None if self.place is None else list(self.place),
            "ink": round(self.ink, 4),
            "value": self.value,
            "probability": round(self.probability, 6),
        }


def find_counterfactuals(predict_proba: Predict, tile: Tile) -> list[Counterfactual]:
    """The least change of each kind that makes a classifier answer otherwise than it does.

    About 800 tiles are asked for, in 22 batches.

    Args:
        predict_proba: uint8[N, 28, 28] to float[N, 10]; rows sum to 1.
        tile: uint8[28, 28], ink bright on dark; else ValueError.

    Returns:
        At most one of each kind, in the order of ``KINDS``; none for a tile without ink.
    """
    if tile.shape != (28, 28) or tile.dtype != np.uint8:
        raise ValueError(f"expected uint8[28, 28], found {tile.dtype}{list(tile.shape)}")
    if not tile.any():
        return []
    value = int(predict_proba(tile[None])[0].argmax())
    found = [
        _least_patch(predict_proba, tile, value, "erase"),
        _least_patch(predict_proba, tile, value, "add"),
        _first(predict_proba, tile, value, _turns(tile)),
        _first(predict_proba, tile, value, _moves(tile)),
        _first(predict_proba, tile, value, _widths(tile, "thicken", 1)),
        _first(predict_proba, tile, value, _widths(tile, "thin", -1)),
    ]
    return [change for change in found if change]


@dataclass(frozen=True, eq=False)
class _Try:
    kind: Kind
    amount: float
    place: tuple[int, int] | None
    tile: Tile


def _first(
    predict: Predict, tile: Tile, value: int, tries: Sequence[_Try]
) -> Counterfactual | None:
    """The first of several tries that gives another answer."""
    if not tries:
        return None
    chances = predict(np.stack([one.tile for one in tries]))
    other = np.flatnonzero(chances.argmax(axis=1) != value)
    return _counterfactual(tries[other[0]], tile, chances[other[0]]) if len(other) else None


def _counterfactual(one: _Try, tile: Tile, chances: Floats) -> Counterfactual:
    new = int(chances.argmax())
    ink = float(np.abs(one.tile.astype(np.int64) - tile).sum() / tile.sum(dtype=np.int64))
    share = ink if one.kind in ("erase", "add") else 0.0
    return Counterfactual(
        one.kind, one.amount, one.place, share, new, float(chances[new]), one.tile
    )


def _turns(tile: Tile) -> list[_Try]:
    """Ever further, to both sides."""
    degrees = [side * step for step in range(1, _TURNS + 1) for side in (1, -1)]
    planes = np.repeat(to_planes(tile[None]), len(degrees), axis=0)
    tiles = to_tiles(turned(planes, np.radians(degrees).astype(np.float32)))
    return [_Try("turn", angle, None, one) for angle, one in zip(degrees, tiles, strict=True)]


def _moves(tile: Tile) -> list[_Try]:
    """Ever further, in all directions, as long as the ink stays in the tile."""
    ways = [(y, x) for y in range(-_MOVES, _MOVES + 1) for x in range(-_MOVES, _MOVES + 1)]
    ways.sort(key=lambda way: way[0] ** 2 + way[1] ** 2)
    tries = [_Try("move", round(float(np.hypot(*way)), 2), way, _moved(tile, *way)) for way in ways]
    least = _KEPT * tile.sum(dtype=np.int64)
    return [one for one in tries[1:] if one.tile.sum(dtype=np.int64) >= least]


def _moved(tile: Tile, down: int, right: int) -> Tile:
    framed = np.pad(tile, _MOVES)
    top, left = _MOVES - down, _MOVES - right
    return framed[top : top + 28, left : left + 28]


def _widths(tile: Tile, kind: Kind, sign: int) -> list[_Try]:
    """Ever thicker or thinner, as long as half of the ink is left."""
    plane, rng = to_planes(tile[None]), np.random.default_rng(0)  # which is not asked
    tries = [
        _Try(kind, float(pixels), None, to_tiles(thickness(plane, sign * pixels, rng))[0])
        for pixels in _WIDTHS
    ]
    least = _MOST_ERASED * tile.sum(dtype=np.int64)
    return [one for one in tries if one.tile.sum(dtype=np.int64) >= least]


def _least_patch(predict: Predict, tile: Tile, value: int, kind: Kind) -> Counterfactual | None:
    """The smallest square found that gives another answer when it is blanked or inked.

    From each side to the next smaller one, those squares are followed that speak most against the
    answer, each by the four that lie in its corners.
    """
    last = 28 - _LARGEST
    starts = [*range(0, last, _STRIDE), last]
    corners = [(row, column) for row in starts for column in starts]
    best: Counterfactual | None = None
    for side in range(_LARGEST, 0, -1):
        tries = _patched(tile, corners, side, kind)
        if not tries:
            break
        chances = predict(np.stack([one.tile for one in tries]))
        best = _least_ink(tries, chances, tile, value) or best
        likely = np.argsort(-_against(chances, value), kind="stable")[:_BEAM].tolist()
        corners = _quarters([place for k in likely if (place := tries[k].place)])
    return best


def _quarters(corners: Sequence[_Corner]) -> list[_Corner]:
    """Where squares lie that are smaller by a pixel and lie in those at these corners."""
    steps = [(down, right) for down in (0, 1) for right in (0, 1)]
    return list(dict.fromkeys((y + down, x + right) for y, x in corners for down, right in steps))


def _least_ink(
    tries: Sequence[_Try], chances: Floats, tile: Tile, value: int
) -> Counterfactual | None:
    """Of the tries that give another answer, the one that changes least."""
    other = np.flatnonzero(chances.argmax(axis=1) != value)
    found = [_counterfactual(tries[k], tile, chances[k]) for k in other.tolist()]
    allowed = [one for one in found if one.kind == "add" or one.ink <= _MOST_ERASED]
    return min(allowed, key=lambda one: one.ink, default=None)


def _patched(tile: Tile, corners: Sequence[_Corner], side: int, kind: Kind) -> list[_Try]:
    """The tile with a square blanked or inked at each corner, where that changes anything."""
    ink, tries = (0 if kind == "erase" else 255), list[_Try]()
    for row, column in corners:
        changed = tile.copy()
        changed[row : row + side, column : column + side] = ink
        if (changed != tile).any():
            tries.append(_Try(kind, side, (row, column), changed))
    return tries


def _against(chances: Floats, value: int) -> Floats:
    """float[N]: logarithm of how many times more probable the best other answer is."""
    logs = np.log(np.maximum(chances, 1e-30))
    mine = logs[:, value].copy()
    logs[:, value] = -np.inf
    return logs.max(axis=1) - mine
