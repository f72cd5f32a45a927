"""Runs the networks that find and read with onnxruntime.

On pictures: digits with boxes, and a map of where text is. On line crops: the recogniser and the
digit spotter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import CLASSES
from digitlens.errors import ModelError
from digitlens.imaging import framing
from digitlens.models.bundle import (
    DETECTOR,
    PAGES,
    SHIPPED_LINES,
    Bundle,
    Card,
    Model,
    finds_digits,
    load_bundle,
)
from digitlens.models.session import Lazy, open_session

STEP = 32  # pixels; sides of what the graphs take are multiples of it
LEAST = 128  # pixels a side, for the digit detector
FAINTEST = 0.03  # score below which no digit is reported
CELL = 2  # pixels of the page a side of each cell of a text map

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DigitPredictions:
    """What the digit detector says of one picture."""

    score: Floats  # float32[N]; that the centre of a digit is there, 0..1, from high to low
    probabilities: Floats  # float32[N, 10]; which digit it is
    boxes: Floats  # float32[N, 4]; x0, y0, x1, y1 in pixels of the picture, may reach over its edge
    heat: Floats  # float32[h, w]; the score of each cell of 4 x 4 pixels
    size: tuple[int, int]  # height and width of the picture


class DigitDetector:
    """Pictures in, digits out; loaded once, safe to use from several threads."""

    card: Card  # the digit detector's card

    def __init__(self, model: Model = PAGES, *, threads: int = 0, lazy: bool = False) -> None:
        """Loads a digit detector.

        Args:
            model: Name of a shipped digit detector, a model folder, a run folder, or its bundle.
            threads: Threads for one picture; 0 takes one per core.
            lazy: Card and hash are checked now, and that it is a digit detector by its card; the
                graph is opened by the first picture.

        Raises:
            ModelError: The model is missing, damaged, of a newer format, or no digit detector.
        """
        bundle = load_bundle(model)
        self.card = bundle.card
        if lazy and not finds_digits(self.card):
            raise _no_digit_detector(str(bundle.folder))
        self._session = Lazy(partial(_open_digits, bundle, threads))
        if not lazy:
            self._session()

    def predict(self, picture: Pixels) -> DigitPredictions:
        """Finds the digits of a picture uint8[H, W, 3], at the size that it has.

        A graph that is opened only now may be none: ModelError.
        """
        height, width = picture.shape[:2]
        feed = {"page": padded(picture, LEAST)}
        score, probabilities, boxes, heat = self._session().run(None, feed)
        count = int(np.searchsorted(-score, -FAINTEST))
        cells = heat[: -(-height // 4), : -(-width // 4)]
        size = (height, width)
        return DigitPredictions(score[:count], probabilities[:count], boxes[:count], cells, size)


class LineDetector:
    """Pages in, text maps out; opened by the first page, safe to use from several threads."""

    def __init__(self, graph: Path | bytes = SHIPPED_LINES / DETECTOR, threads: int = 0) -> None:
        """Remembers which graph, or file of one, to open; 0 threads are one per core."""
        self._session = Lazy(partial(_open_lines, graph, threads))

    def text_map(self, page: Pixels) -> Floats:
        """The probability that the core of a text line is there, for each cell of 2 x 2 pixels.

        The page uint8[H, W, 3], RGB, is taken at the size that it has; characters of 10 to 100
        pixels are found best. Gives float32[h, w], 0..1, half of H and W, rounded up. A graph that
        is opened only now may be none: ModelError.
        """
        height, width = page.shape[:2]
        (text,) = self._session().run(None, {"page": padded(page)})
        return text[: -(-height // CELL), : -(-width // CELL)]


def padded(picture: Pixels, least: int = 1) -> Pixels:
    """Grows a picture at the right and bottom, as it ends there, to sides that the graphs take.

    Args:
        picture: uint8[H, W, 3].
        least: Pixels that each side has at least.
    """
    height, width = picture.shape[:2]
    rows, columns = (max(least, -(-side // STEP) * STEP) for side in (height, width))
    if (rows, columns) == (height, width):
        return np.ascontiguousarray(picture)
    return np.pad(picture, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")


def _open_digits(bundle: Bundle, threads: int) -> Any:
    name = str(bundle.folder)
    session = open_session(bundle.graph, name=name, threads=threads)
    if _contract(session) != (
        [("page", "tensor(uint8)")],
        ["score", "probabilities", "box", "heat"],
    ):
        raise _no_digit_detector(name)
    return session


def _no_digit_detector(name: str) -> ModelError:
    return ModelError(f"{name}: is not a digit detector: train one with the recipe pages")


def _open_lines(graph: Path | bytes, threads: int) -> Any:
    name = str(graph) if isinstance(graph, Path) else "the line detector"
    session = open_session(graph, name=name, threads=threads)
    inputs, outputs = _contract(session)
    if inputs != [("page", "tensor(uint8)")] or outputs != ["text"]:
        raise ModelError(
            f"{name} is not a line detector: expected a graph from page (uint8) to text, found "
            f"{inputs} to {outputs}"
        )
    return session


def _contract(session: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Names and types of a graph's inputs, names of its outputs."""
    inputs = [(entry.name, entry.type) for entry in session.get_inputs()]
    return inputs, [output.name for output in session.get_outputs()]


SPOTS = 2  # what the digit spotter says of each step: a digit, a space

Lines = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class LineRecognizer:
    """Line crops in, posteriors out; opened once, safe to use from several threads."""

    def __init__(self, graph: Path | bytes, *, threads: int = 0) -> None:
        """Remembers which graph, or file of one, to open; 0 threads are one per core."""
        wanted = "the line recogniser", "posteriors", CLASSES
        self._session = Lazy(partial(_open, graph, threads, wanted))

    @property
    def is_open(self) -> bool:
        """Whether the graph was opened."""
        return self._session.is_made

    def open(self) -> None:
        """Opens the graph, if no batch did before; ModelError where it is no line recogniser."""
        self._session()

    def posteriors(self, lines: Lines) -> Floats:
        """Posteriors float32[N, W / 8, C] of the characters along lines uint8[N, 48, W, 3], RGB.

        W is a multiple of 8. Rows sum to 1, class 0 is the CTC blank, see ``digitlens.alphabet``. A
        graph that is opened only now may be none: ModelError.
        """
        return self._session().run(None, {"lines": lines})[0]


class DigitSpotter:
    """Line crops in, out where digits stand: for a fortieth of what it costs to read them."""

    def __init__(self, graph: Path | bytes, *, threads: int = 0) -> None:
        """Remembers which graph to open; see ``LineRecognizer``."""
        self._session = Lazy(partial(_open, graph, threads, ("the digit spotter", "spots", SPOTS)))

    def spots(self, lines: Lines) -> Floats:
        """Where digits and spaces are along lines uint8[N, 48, W, 3], RGB, W a multiple of 8.

        Gives float32[N, W / 8, 2]: the probabilities that a digit is at most a step away, and that
        the middle of a space is there. A graph that is opened only now may be none: ModelError.
        """
        return self._session().run(None, {"lines": lines})[0]


def _open(graph: Path | bytes, threads: int, wanted: tuple[str, str, int]) -> Any:
    """Opens a graph from lines to what is wanted: what it is called, its output, its width."""
    title, output, width = wanted
    name = str(graph) if isinstance(graph, Path) else title
    session = open_session(graph, name=name, threads=threads)
    entries = [(entry.name, entry.type) for entry in session.get_inputs()]
    exits = [(exit_.name, exit_.type, exit_.shape[-1]) for exit_ in session.get_outputs()]
    if entries != [("lines", "tensor(uint8)")] or exits != [(output, "tensor(float)", width)]:
        raise ModelError(
            f"{name}: expected a graph from lines uint8[N, {framing.HEIGHT}, W, 3] to {output} "
            f"float[N, W / {framing.STEP}, {width}], found inputs {entries} and outputs {exits}"
        )
    return session
