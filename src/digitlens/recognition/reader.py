"""Reads digits from pictures: finds and classifies them, and says what it is not sure of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Source, load_image
from digitlens.data.tiles import to_tiles
from digitlens.model.bundle import DEFAULT
from digitlens.model.classifier import Classifier
from digitlens.recognition.finder import Found, find_digits
from digitlens.results import Box, Digit, Reading

_WIDEST = 1.8  # times its height: no digit that is written upright is so wide


class DigitReader:
    """Pictures in, readings out; loads its model once, safe to use from several threads."""

    def __init__(self, model: str | Path = DEFAULT, *, threads: int = 0) -> None:
        """Loads a model.

        Args:
            model: Name of a shipped model, a model folder, or a run folder.
            threads: Threads for one batch of tiles; 0 takes one per core.

        Raises:
            ModelError: The model is missing, damaged or of a newer format.
        """
        self.classifier = Classifier(model, threads=threads)

    def read(self, image: Source) -> Reading:
        """Reads one picture.

        Args:
            image: A path, bytes, a binary file object, a Pillow image or an array, see
                ``load_image``.

        Raises:
            ImageError: The picture cannot be decoded.
        """
        return self.read_many([image])[0]

    def read_many(self, images: Iterable[Source]) -> list[Reading]:
        """Reads several pictures, with all their digits in one batch.

        Raises:
            ImageError: One of the pictures cannot be decoded.
        """
        pages = [_look(image) for image in images]
        tiles = to_tiles([found.ink for _, lines in pages for line in lines for found in line])
        scores = iter(self.classifier.predict_proba(tiles))
        return [self._reading(size, lines, scores) for size, lines in pages]

    def _reading(
        self,
        size: tuple[int, int],
        lines: list[list[Found]],
        scores: Iterator[npt.NDArray[np.float32]],
    ) -> Reading:
        thresholds = self.classifier.card.thresholds
        digits = tuple(
            tuple(judge(next(scores), found.box, thresholds) for found in line) for line in lines
        )
        return Reading(digits, *size, self.classifier.name, self.classifier.sha256)


def read(image: Source, *, model: str | Path = DEFAULT) -> Reading:
    """Reads the digits of one picture; loads the model at the first call and keeps it.

    Args:
        image: A path, bytes, a binary file object, a Pillow image or an array, see ``load_image``.
        model: Name of a shipped model, a model folder, or a run folder.

    Raises:
        ImageError: The picture cannot be decoded.
        ModelError: The model is missing, damaged or of a newer format.
    """
    return _reader(str(model)).read(image)


def judge(scores: npt.NDArray[np.float32], box: Box, thresholds: dict[str, float]) -> Digit:
    """Makes an answer of the scores of one tile.

    Args:
        scores: float32[10]; probabilities.
        box: Where the digit stands.
        thresholds: ``digit``: least confidence to be sure; ``reject``: below it, not a digit.
    """
    second, first = (int(index) for index in np.argsort(scores)[-2:])
    value, confidence, other = first, float(scores[first]), float(scores[second])
    probabilities = tuple(float(score) for score in scores)
    if box.width > _WIDEST * box.height:
        reason = "wider than any digit: several that touch, or none"
        return Digit(value, confidence, probabilities, box, "rejected", reason)
    if confidence >= thresholds["digit"]:
        return Digit(value, confidence, probabilities, box)
    if confidence >= thresholds["reject"]:
        reason = f"{100 * confidence:.0f} % sure, could be {second} ({100 * other:.0f} %)"
        return Digit(value, confidence, probabilities, box, "unsure", reason)
    reason = f"unlike any digit, closest to {value} ({100 * confidence:.0f} %)"
    return Digit(value, confidence, probabilities, box, "rejected", reason)


def _look(image: Source) -> tuple[tuple[int, int], list[list[Found]]]:
    page = load_image(image)
    return (page.shape[1], page.shape[0]), find_digits(page)


@lru_cache(maxsize=2)
def _reader(model: str) -> DigitReader:
    return DigitReader(model)
