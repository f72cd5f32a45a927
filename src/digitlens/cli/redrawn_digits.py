"""MNIST's test digits as an autoencoder draws them, and what it draws between two of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from digitlens.models.reconstructor import Reconstruction, Reconstructor
    from digitlens.visualization.reconstructions import Redrawn

RECONSTRUCTIONS, INTERPOLATIONS = "reconstructions.png", "interpolations.png"
OF_EACH = 9  # digits shown of each value, and of those that are drawn best and worst
STEPS = 10  # from one digit to another, ends included
_CORNERS = (0, 3, 6, 7)  # values in the corners of the field

Tiles = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


def draw_digits(
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
    from digitlens.datasets.mnist import load_mnist

    split = load_mnist(data_dir).test
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
    from digitlens.visualization.reconstructions import Redrawn, draw_reconstructions

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
    from digitlens.visualization.reconstructions import Redrawn, draw_interpolations

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
