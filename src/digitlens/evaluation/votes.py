"""What several networks say of each thing that may be a digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

VOTERS = ("pages", "crop", "tile")  # networks that name a digit, in the order of ``Votes.names``

Floats = npt.NDArray[np.float32]
Chosen = npt.NDArray[np.bool_] | npt.NDArray[np.intp]


@dataclass(frozen=True)
class Votes:
    """The votes on N candidates.

    Attributes:
        existence: float32[N]; that a digit is there, by the page network.
        digit: float32[N]; likewise, by the crop network.
        names: float32[N, 3, 10]; which digit, by the page network, the crop network and the
            classifier of tiles.
        boxes: float32[N, 4]; x0, y0, x1, y1 in page pixels.
    """

    existence: Floats
    digit: Floats
    names: Floats
    boxes: Floats

    @property
    def height(self) -> Floats:
        """float32[N]; in page pixels."""
        return self.boxes[:, 3] - self.boxes[:, 1]

    def __len__(self) -> int:
        return len(self.existence)

    def __getitem__(self, chosen: Chosen) -> Votes:
        return Votes(
            self.existence[chosen], self.digit[chosen], self.names[chosen], self.boxes[chosen]
        )


def all_votes(parts: Sequence[Votes]) -> Votes:
    """The votes on the candidates of several pages, one after the other; at least one page."""
    return Votes(
        np.concatenate([part.existence for part in parts]),
        np.concatenate([part.digit for part in parts]),
        np.concatenate([part.names for part in parts]),
        np.concatenate([part.boxes for part in parts]),
    )
