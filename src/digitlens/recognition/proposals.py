"""Quick looks at a page for what may be digits, doubtful things among it: to learn what is none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.model.page_model import PageModel
from digitlens.recognition.candidates import Candidates, Floats, merged, together

LEAST = 0.04  # score of a candidate


@dataclass(frozen=True)
class Proposals:
    """Finds candidates with a page reader, which each process opens for itself.

    Attributes:
        pages: Folder of the page reader.
    """

    pages: Path

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Boxes float32[N, 4] and scores float32[N] of a page uint8[H, W, 3].

        Raises:
            ModelError: The page reader cannot be loaded.
        """
        half = np.asarray(Image.fromarray(pixels).reduce(2))
        parts: list[Candidates] = []
        for shown, scale in ((pixels, 1.0), (half, 2.0)):
            look = _model(self.pages).look(shown)
            seen = look.boxes[:, 3] - look.boxes[:, 1]
            parts.append(Candidates(look.score, look.probabilities, look.boxes * scale, seen))
        found = merged(together(parts))
        found = found[found.score >= LEAST]
        return found.boxes, found.score


@lru_cache(maxsize=1)
def _model(pages: Path) -> PageModel:
    return PageModel(pages, threads=1)
