"""Runs the digit detector with onnxruntime: pixels in, digits with boxes and scores out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import ModelError
from digitlens.models.bundle import Bundle, Card, Model, load_bundle
from digitlens.models.lazily import Lazily
from digitlens.models.session import open_session

PAGES = "pages"  # name of the shipped digit detector
_ARCHITECTURE = "pages"  # what the recipe in the card of a digit detector calls its network
STEP = 32  # pixels; sides of what the graph takes are multiples of it
LEAST = 128  # pixels a side
FAINTEST = 0.03  # score below which nothing is reported

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What one look at one picture found.

    Attributes:
        score: float32[N]; that the centre of a digit is there, 0..1, from high to low.
        probabilities: float32[N, 10]; which digit it is.
        boxes: float32[N, 4]; x0, y0, x1, y1 in pixels of the picture, may reach over its edge.
        heat: float32[h, w]; the score of each cell of 4 x 4 pixels.
        size: Height and width of the picture.
    """

    score: Floats
    probabilities: Floats
    boxes: Floats
    heat: Floats
    size: tuple[int, int]


class PageModel:
    """Pictures in, looks out; loaded once, safe to use from several threads.

    Attributes:
        card: The digit detector's card.
    """

    card: Card

    def __init__(self, model: Model = PAGES, *, threads: int = 0, lazily: bool = False) -> None:
        """Loads a digit detector.

        Args:
            model: Name of a shipped digit detector, a model folder, a run folder, or its bundle.
            threads: Threads for one look; 0 takes one per core.
            lazily: Card and hash are checked now, and that it is a digit detector by its card; the
                graph is opened by the first look.

        Raises:
            ModelError: The model is missing, damaged, of a newer format, or no digit detector.
        """
        bundle = load_bundle(model)
        self.card = bundle.card
        if lazily and not finds_digits(self.card):
            raise _no_digit_detector(str(bundle.folder))
        self._session = Lazily(partial(_open, bundle, threads))
        if not lazily:
            self._session()

    def look(self, picture: Pixels) -> Look:
        """Looks at a picture once, at the size that it has.

        Args:
            picture: uint8[H, W, 3].

        Raises:
            ModelError: The graph was not opened yet, and it is none that can be.
        """
        height, width = picture.shape[:2]
        score, probabilities, boxes, heat = self._session().run(None, {"page": _framed(picture)})
        count = int(np.searchsorted(-score, -FAINTEST))
        cells = heat[: -(-height // 4), : -(-width // 4)]
        return Look(score[:count], probabilities[:count], boxes[:count], cells, (height, width))


def finds_digits(card: Card) -> bool:
    """Whether a card is that of a digit detector, by the recipe in it."""
    return card.recipe.get("architecture") == _ARCHITECTURE


def _framed(picture: Pixels) -> Pixels:
    """Grows a picture at the right and bottom to sides that the graph takes."""
    height, width = picture.shape[:2]
    down = max(LEAST, -(-height // STEP) * STEP) - height
    right = max(LEAST, -(-width // STEP) * STEP) - width
    return np.pad(picture, ((0, down), (0, right), (0, 0)), mode="edge")


def _open(bundle: Bundle, threads: int) -> Any:
    name = str(bundle.folder)
    session = open_session(bundle.graph, name=name, threads=threads)
    entries = [(entry.name, entry.type) for entry in session.get_inputs()]
    exits = [exit_.name for exit_ in session.get_outputs()]
    if entries != [("page", "tensor(uint8)")] or exits != ["score", "probabilities", "box", "heat"]:
        raise _no_digit_detector(name)
    return session


def _no_digit_detector(name: str) -> ModelError:
    return ModelError(f"{name}: is not a digit detector: train one with the recipe pages")
