"""What an autoencoder draws: digits and their reconstructions, ways between digits.

What was written is in ink, what is drawn from a code in blue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb

from digitlens.datasets import mnist
from digitlens.visualization.theme import canvas, headline, theme

if TYPE_CHECKING:
    from digitlens.models.reconstructor import Reconstruction, Reconstructor

_GAP, _ROOM = 2, 12  # pixels between tiles, and between groups of them
_CELL = 28 + _GAP
_INCH = 1 / 72  # of a pixel of a tile
_HEAD = 1.0  # inches of a headline and the room around

Tiles = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Paint = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Redrawn:
    """Tiles, and what an autoencoder makes of them."""

    tiles: Tiles  # uint8[N, 28, 28]; ink bright on dark
    again: Tiles  # uint8[N, 28, 28]; the reconstructions
    error: Floats  # float[N]; the error of each


def draw_reconstructions(
    digits: Sequence[Redrawn], best: Redrawn, worst: Redrawn, path: Path, *, note: str
) -> None:
    """Digits of each value over their reconstructions, and those that come out best and worst.

    Args:
        digits: Of each value as many tiles, in the order of the values.
        best: Those with the smallest error.
        worst: Those with the largest, as many.
        note: A line that says whose digits they are, and what draws them.
        path: The ``.png`` or ``.svg`` file to write.
    """
    half = (len(digits) + 1) // 2
    blocks = [_pair(one) for one in digits]
    every = _join([_join(blocks[:half], axis=0), _join(blocks[half:], axis=0)], axis=1)
    ends = _join([_pair(best), _pair(worst)], axis=1)
    width = max(every.shape[1], ends.shape[1]) * _INCH
    shares = [every.shape[0], ends.shape[0]]
    with canvas(path, width + 0.5, sum(shares) * _INCH + 2 * _HEAD) as figure:
        upper, lower = figure.subplots(2, 1, gridspec_kw={"height_ratios": shares})
        headline(upper, "Digits as they were written, and below each as it is drawn again", note)
        _show(upper, every)
        headline(lower, "Drawn best, and drawn worst", "below each its error")
        _show(lower, ends)
        _write_errors(lower, best.error, 0)
        _write_errors(lower, worst.error, _pair(best).shape[1] + _ROOM)


def draw_interpolations(
    ways: Sequence[Redrawn], field: Tiles, corners: Tiles, path: Path, *, note: str
) -> None:
    """Rows from one digit to another, and a field between four.

    Args:
        ways: Each of two tiles, the first and the last, with all that is drawn between them, ends
            included; as many steps each.
        field: uint8[R, R, 28, 28]; between four digits.
        corners: uint8[4, 28, 28]; these: above left and right, below left and right.
        note: A line that says how the steps are made.
        path: The ``.png`` or ``.svg`` file to write.
    """
    rows = _join([_way(one) for one in ways], axis=0, room=_GAP)
    square = _framed(field, corners)
    shares = [rows.shape[1], square.shape[1]]
    width, height = sum(shares) + 2 * _ROOM, rows.shape[0]
    with canvas(path, width * _INCH + 0.5, height * _INCH + _HEAD) as figure:
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": shares})
        headline(left, "From one digit to another", note)
        _show(left, rows)
        headline(right, "Between four digits", "nobody ever wrote what is blue")
        _show(right, square)


def _pair(one: Redrawn) -> Paint:
    """Tiles in ink over reconstructions in blue."""
    return _grid(np.stack([_inked(one.tiles), _blue(one.again)]))


def _way(one: Redrawn) -> Paint:
    """The first tile, all that is drawn, the last tile."""
    first, last = _inked(one.tiles)
    return _join([first, _grid(_blue(one.again)[None]), last], axis=1, room=_ROOM // 2)


def _framed(field: Tiles, corners: Tiles) -> Paint:
    """The field, with its four digits outside of its corners."""
    inside, ends = _grid(_blue(field)), _inked(corners)
    left, right = (
        _join([ends[k], ends[k + 2]], axis=0, room=inside.shape[0] - 2 * 28) for k in (0, 1)
    )
    return _join([left, inside, right], axis=1, room=_ROOM // 2)


def _inked(tiles: Tiles) -> Paint:
    """Tiles as they were written, float64[N, 28, 28, 3]."""
    return theme().tiles(tiles)[..., :3]


def _blue(tiles: Tiles) -> Paint:
    """Tiles that were drawn from a code, painted the same way."""
    ground = theme().tiles(0)
    return LinearSegmentedColormap.from_list("drawn", [ground, theme().blue])(tiles)[..., :3]


def _grid(painted: Paint) -> Paint:
    """Painted tiles, float64[R, C, 28, 28, 3], in rows and columns."""
    rows, columns = painted.shape[:2]
    cells = np.tile(_empty(_CELL, _CELL), (rows, columns, 1, 1, 1))
    cells[:, :, :28, :28] = painted
    whole = cells.transpose(0, 2, 1, 3, 4).reshape(rows * _CELL, columns * _CELL, 3)
    return whole[:-_GAP, :-_GAP]


def _join(pictures: Sequence[Paint], axis: int, room: int = _ROOM) -> Paint:
    """Pictures one below the other (axis 0) or side by side (axis 1), from the top left."""
    most = max(one.shape[1 - axis] for one in pictures)
    parts: list[Paint] = []
    for one in pictures:
        for length in (one.shape[axis], room):
            parts.append(_empty(*((length, most) if axis == 0 else (most, length))))
        parts[-2][: one.shape[0], : one.shape[1]] = one
    return np.concatenate(parts[:-1], axis=axis)


def _empty(height: int, width: int) -> Paint:
    return np.tile(np.array(to_rgb(theme().ground)), (height, width, 1))


def _write_errors(axes: Axes, errors: Floats, left: int) -> None:
    for place, error in enumerate(errors):
        x = left + place * _CELL + 14
        axes.text(
            *(x, 2 * _CELL), f"{error:.3f}", ha="center", va="top", fontsize=7, color=theme().soft
        )


def _show(axes: Axes, picture: Paint) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()


RECONSTRUCTIONS, INTERPOLATIONS = "reconstructions.png", "interpolations.png"
OF_EACH = 9  # digits shown of each value, and of those that are drawn best and worst
STEPS = 10  # from one digit to another, ends included
_CORNERS = (0, 3, 6, 7)  # values in the corners of the field

Indices = npt.NDArray[np.int64]


def draw_mnist_digits(
    reconstructor: Reconstructor, folder: Path, data_dir: Path | None
) -> tuple[list[str], dict[str, Any]]:
    """Draws both pictures in the theme in use.

    Args:
        reconstructor: The autoencoder.
        folder: Where the pictures go.
        data_dir: Folder with the MNIST files.

    Returns:
        The names of the files, and the mean error of all digits and of each, JSON-ready.
    """

    split = mnist.load_mnist(data_dir).test
    drawn = reconstructor.reconstruct(split.tiles)
    rows = [np.flatnonzero(split.labels == value) for value in range(10)]
    told = f"MNIST test digits, each drawn by {reconstructor.card.name} from "
    _draw_again(split.tiles, drawn, rows, folder, f"{told}{reconstructor.width} numbers")
    # The digit of each value that is drawn no better and no worse than others.
    usual = np.array([one[drawn.error[one].argsort()[len(one) // 2]] for one in rows])
    _draw_between(reconstructor, split.tiles[usual], folder)
    errors = {
        "digits": len(split),
        "error": float(drawn.error.mean()),
        "by_digit": [float(drawn.error[one].mean()) for one in rows],
    }
    return [RECONSTRUCTIONS, INTERPOLATIONS], errors


def _draw_again(
    tiles: Tiles, drawn: Reconstruction, rows: list[Indices], folder: Path, note: str
) -> None:

    def shown(which: Indices) -> Redrawn:
        return Redrawn(tiles[which], drawn.tiles[which], drawn.error[which])

    order = drawn.error.argsort(kind="stable")
    draw_reconstructions(
        [shown(one[:OF_EACH]) for one in rows],
        shown(order[:OF_EACH]),
        shown(order[::-1][:OF_EACH]),
        folder / RECONSTRUCTIONS,
        note=note,
    )


def _draw_between(reconstructor: Reconstructor, digits: Tiles, folder: Path) -> None:
    """Ways from each of ten digits to the next, and a field between four."""

    code = reconstructor.reconstruct(digits).code
    along = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None]
    ways: list[Redrawn] = []
    for first in range(10):
        ends = [first, (first + 1) % 10]
        between = reconstructor.decode((1 - along) * code[ends[0]] + along * code[ends[1]])
        ways.append(Redrawn(digits[ends], between, np.zeros(STEPS)))
    corners = list(_CORNERS)
    field = reconstructor.decode(field_codes(code[corners]).reshape(-1, code.shape[1]))
    draw_interpolations(
        ways,
        field.reshape(STEPS, STEPS, 28, 28),
        digits[corners],
        folder / INTERPOLATIONS,
        note="along a straight line between their codes",
    )


def field_codes(corners: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Codes float32[R, R, D] that go straight from corner to corner.

    Args:
        corners: float32[4, D]; above left and right, below left and right.
    """
    along = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None]
    above, below = ((1 - along) * corners[k] + along * corners[k + 1] for k in (0, 2))
    down = along[:, None]
    return (1 - down) * above + down * below
