"""Labelled pictures of single digits as a data set has them, before they become tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.errors import DataError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one digit each.

    Attributes:
        images: uint8[N, h, w], ink bright on dark, or uint8[N, h, w, 3], photographs in RGB whose
            digit may be the darker or the brighter part.
        labels: uint8[N], 0 to 9.
    """

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        """Refuses other types, shapes and labels with TypeError or ValueError."""
        if self.images.dtype != np.uint8 or self.labels.dtype != np.uint8:
            raise TypeError(f"expected uint8, found {self.images.dtype} and {self.labels.dtype}")
        photos = self.images.ndim == 4 and self.images.shape[3] == 3
        if self.images.ndim != 3 and not photos:
            raise ValueError(f"expected [N, h, w] or [N, h, w, 3], found {self.images.shape}")
        if self.labels.shape != (len(self.images),):
            raise ValueError(f"{len(self.images)} pictures and labels {self.labels.shape}")
        if len(self.labels) and self.labels.max() > 9:
            raise ValueError(f"expected labels from 0 to 9, found {self.labels.max()}")

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.images)


def images_from(values: Values, low: float, high: float, side: int, name: str) -> Images:
    """Square gray pictures from rows of numbers whose scale is known.

    Args:
        values: float64[N, side * side].
        low: What stands for paper, 0.
        high: What stands for full ink, 255.
        side: Of a picture, in pixels.
        name: What to call the file in errors.

    Raises:
        DataError: There are none, or some are outside of low to high.
    """
    if not values.size:
        raise DataError(f"{name}: expected pictures, found none")
    found_low, found_high = float(values.min()), float(values.max())
    if not low <= found_low <= found_high <= high:  # also what is not a number
        raise DataError(
            f"{name}: expected pixels from {low:g} to {high:g}, "
            f"found {found_low:g} to {found_high:g}"
        )
    scaled = np.rint((values - low) * (255 / (high - low)))
    return scaled.astype(np.uint8).reshape(-1, side, side)


def labels_from(values: Values, first: int, name: str) -> Labels:
    """Labels from the numbers that a data set gives the digits 0 to 9 in their order.

    Args:
        values: float64[N].
        first: The number of the digit 0; the digit 9 has ``first + 9``.
        name: What to call the file in errors.

    Raises:
        DataError: One is no whole number from ``first`` to ``first + 9``.
    """
    digits = values - first
    wrong = np.flatnonzero(~((digits >= 0) & (digits <= 9) & (digits == np.round(digits))))
    if len(wrong):
        raise DataError(
            f"{name}: expected labels from {first} to {first + 9}, "
            f"found {values[wrong[0]]:g} for picture {wrong[0] + 1}"
        )
    return digits.astype(np.uint8)


def labels_from_one_hot(values: Values, name: str) -> Labels:
    """Labels from ten columns, of which the one of the digit is 1 and the others 0.

    Args:
        values: float64[N, 10].
        name: What to call the file in errors.

    Raises:
        DataError: A row is something else.
    """
    right = ((values == 0) | (values == 1)).all(axis=1) & (values.sum(axis=1) == 1)
    if not right.all():
        row = int(np.flatnonzero(~right)[0])
        raise DataError(
            f"{name}: expected ten numbers of which one is 1 and the others are 0, "
            f"found {' '.join(f'{value:g}' for value in values[row])} in row {row + 1}"
        )
    return values.argmax(axis=1).astype(np.uint8)
