"""Runs all networks but the classifier with onnxruntime.

On pictures: digits with boxes, and a map of where text is. On line crops: the recogniser and the
digit spotter. On tiles: the autoencoder, which draws them again and says how far off it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import CLASSES
from digitlens.errors import ModelError
from digitlens.models.bundle import (
    DETECTOR,
    PAGES,
    SHIPPED_LINES,
    Card,
    Model,
    finds_digits,
    load_bundle,
    load_decoder,
)
from digitlens.models.classifier import TILES, Tiles, check_tiles
from digitlens.models.session import Lazy, Port, cores, is_even, open_graph, run_graph, share

STEP = 32  # pixels; sides of what the graphs take are multiples of it
LEAST = 128  # pixels a side, for the digit detector
FAINTEST = 0.03  # score below which no digit is reported
CELL = 2  # pixels of the page a side of each cell of a text map
SPOTS = 2  # what the digit spotter says of each step: a digit, a space
AUTOENCODER = "autoencoder"  # name of the shipped autoencoder
QUANTILES = "error_quantiles"  # of validation digits, in the results of the card
_TILES = 128  # tiles a call: larger ones fall out of the cache
# What the graphs take and give.
_PAGE, _LINES = Port("page", "uint8"), Port("lines", "uint8")
_DIGITS = [Port("score"), Port("probabilities"), Port("box"), Port("heat")]
_DRAWN = [Port("reconstruction", "uint8", (28, 28)), Port("error"), Port("code")]

Pixels = npt.NDArray[np.uint8]
Lines = npt.NDArray[np.uint8]
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
        name, what = str(bundle.folder), "a digit detector: train one with the recipe pages"
        if lazy and not finds_digits(self.card):
            raise ModelError(f"{name} is not {what}")
        checked = partial(open_graph, what=what, inputs=[_PAGE], outputs=_DIGITS)
        self._session = Lazy(partial(checked, bundle.graph, name=name, threads=threads))
        if not lazy:
            self._session()

    def predict(self, picture: Pixels) -> DigitPredictions:
        """Finds the digits of a picture uint8[H, W, 3], at the size that it has.

        A graph that is opened only now may be none: ModelError.
        """
        height, width = picture.shape[:2]
        feed = {"page": padded(picture, LEAST)}
        shapes = (None,), (None, 10), (None, 4), [side // 4 for side in feed["page"].shape[:2]]
        score, probabilities, boxes, heat = run_graph(self._session(), None, feed, *shapes)
        count = int(np.searchsorted(-score, -FAINTEST))
        cells = heat[: -(-height // 4), : -(-width // 4)]
        size = (height, width)
        return DigitPredictions(score[:count], probabilities[:count], boxes[:count], cells, size)


class _Network:
    """A graph that is opened by the first use of it: for all threads, and for each of several."""

    def __init__(
        self, graph: Path | bytes, threads: int, what: str, entry: Port, output: Port
    ) -> None:
        name = str(graph) if isinstance(graph, Path) else f"the graph of {what}"
        opened = partial(open_graph, graph, name=name, what=what, inputs=[entry], outputs=[output])
        self._threads = threads or cores()
        self._session = Lazy(partial(opened, threads=self._threads))
        self._alone = Lazy(partial(opened, threads=1))

    def _each(self, pieces: Sequence[Pixels], say: Callable[[Any, Pixels], Floats]) -> list[Floats]:
        """What an open graph says of each of some pixels."""
        threads = min(self._threads, len(pieces))
        if threads > 1 and is_even([piece.size for piece in pieces], self._threads):
            return list(share(partial(say, self._alone()), pieces, threads))
        return [say(self._session(), piece) for piece in pieces]

    def _along(self, batches: Sequence[Lines], classes: int) -> list[Floats]:
        """What is said of each step of lines uint8[N, 48, W, 3]: float32[N, W / 8, classes]."""

        def say(session: Any, lines: Lines) -> Floats:
            shape = len(lines), lines.shape[2] // 8, classes
            return run_graph(session, None, {"lines": lines}, shape)[0]

        return self._each(batches, say)


class LineDetector(_Network):
    """Pages in, text maps out; opened by the first page, safe to use from several threads."""

    def __init__(self, graph: Path | bytes = SHIPPED_LINES / DETECTOR, threads: int = 0) -> None:
        """Remembers which graph, or file of one, to open; 0 threads are one per core."""
        super().__init__(graph, threads, "a line detector", _PAGE, Port("text"))

    def text_maps(self, pages: Sequence[Pixels]) -> list[Floats]:
        """The probability that the core of a text line is there, for each cell of 2 x 2 pixels.

        Each page uint8[H, W, 3], RGB, is taken at the size that it has; characters of 10 to 100
        pixels are found best. Gives float32[h, w], 0..1, half of H and W, rounded up. A graph that
        is opened only now may be none: ModelError.
        """
        return self._each(pages, _text_map)


def _text_map(session: Any, page: Pixels) -> Floats:
    height, width = page.shape[:2]
    feed = {"page": padded(page)}
    cells = [side // CELL for side in feed["page"].shape[:2]]
    (text,) = run_graph(session, None, feed, cells)
    return text[: -(-height // CELL), : -(-width // CELL)]


def padded(picture: Pixels, least: int = 1) -> Pixels:
    """Grows uint8[H, W, 3] at the right and bottom, as it ends there, to sides that graphs take."""
    height, width = picture.shape[:2]
    rows, columns = (max(least, -(-side // STEP) * STEP) for side in (height, width))
    if (rows, columns) == (height, width):
        return np.ascontiguousarray(picture)
    return np.pad(picture, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")


class LineRecognizer(_Network):
    """Line crops in, posteriors out; opened once, safe to use from several threads."""

    def __init__(self, graph: Path | bytes, *, threads: int = 0) -> None:
        """Remembers which graph, or file of one, to open; 0 threads are one per core."""
        output = Port("posteriors", sides=(CLASSES,))
        super().__init__(graph, threads, "a line recogniser", _LINES, output)

    @property
    def is_open(self) -> bool:
        """Whether the graph was opened."""
        return self._session.is_made

    def open(self) -> None:
        """Opens the graph, if no batch did before; ModelError where it is no line recogniser."""
        self._session()

    def posteriors(self, batches: Sequence[Lines]) -> list[Floats]:
        """Posteriors float32[N, W / 8, C] of the characters along lines uint8[N, 48, W, 3], RGB.

        W is a multiple of 8. Rows sum to 1, class 0 is the CTC blank, see ``digitlens.alphabet``. A
        graph that is opened only now may be none: ModelError.
        """
        return self._along(batches, CLASSES)


class DigitSpotter(_Network):
    """Line crops in, out where digits stand: for a fortieth of what it costs to read them."""

    def __init__(self, graph: Path | bytes, *, threads: int = 0) -> None:
        """Remembers which graph to open; see ``LineRecognizer``."""
        super().__init__(graph, threads, "a digit spotter", _LINES, Port("spots", sides=(SPOTS,)))

    def spots(self, batches: Sequence[Lines]) -> list[Floats]:
        """Where digits and spaces are along lines uint8[N, 48, W, 3], RGB, W a multiple of 8.

        Gives float32[N, W / 8, 2]: the probabilities that a digit is at most a step away, and that
        the middle of a space is there. A graph that is opened only now may be none: ModelError.
        """
        return self._along(batches, SPOTS)


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """N tiles as an autoencoder draws them."""

    tiles: Tiles  # uint8[N, 28, 28]; ink bright on dark
    # float32[N]; how far they are from the tiles given, for their ink, see
    # ``training.tile_networks.reconstruction_error``.
    error: Floats
    code: Floats  # float32[N, D]; all that it knows of each tile when it draws


class Reconstructor:
    """Tiles in, tiles out; loaded once, safe to use from several threads.

    Attributes:
        card: The autoencoder's card.
        width: D, how many numbers a code has.
    """

    card: Card
    width: int

    def __init__(self, model: str | Path = AUTOENCODER, *, threads: int = 0) -> None:
        """Loads an autoencoder; its decoder is opened when it is first asked to decode.

        Args:
            model: Name of a shipped autoencoder, a model folder, or a run folder.
            threads: Threads for one batch; 0 takes one per core.

        Raises:
            ModelError: The model is missing, damaged, of a newer format, or no autoencoder.
        """
        bundle = load_bundle(model)
        name = str(bundle.folder)
        self.card = bundle.card
        decoder = load_decoder(bundle.folder, bundle.card)
        opened = partial(open_graph, threads=threads, what="an autoencoder: train it again")
        self._session = opened(bundle.graph, name=name, inputs=[TILES], outputs=_DRAWN)
        self.width = self._session.get_outputs()[2].shape[-1]
        code, name = Port("code", sides=(self.width,)), f"the decoder of {name}"
        self._decoder = Lazy(partial(opened, decoder, name=name, inputs=[code], outputs=_DRAWN[:1]))

    def reconstruct(self, tiles: Tiles) -> Reconstruction:
        """Encodes tiles and draws them again.

        Args:
            tiles: uint8[N, 28, 28], ink bright on dark.

        Raises:
            TypeError: ``tiles`` is not uint8.
            ValueError: ``tiles`` is not of shape [N, 28, 28].
        """
        check_tiles(tiles)
        parts = [
            run_graph(self._session, None, {"tiles": piece}, piece.shape, (count,), (count, None))
            for count, piece in _pieces(tiles)
        ]
        return Reconstruction(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def decode(self, code: Floats) -> Tiles:
        """Draws codes, those of tiles or others.

        Args:
            code: float32[N, D].

        Returns:
            uint8[N, 28, 28], ink bright on dark.

        Raises:
            TypeError: ``code`` is not float32.
            ValueError: ``code`` is not of shape [N, D].
            ModelError: The decoder is none that can be opened.
        """
        found = getattr(code, "dtype", type(code).__name__)  # a list has none
        if found != np.float32:
            raise TypeError(f"expected codes as a NumPy array of dtype float32, found {found}")
        if code.ndim != 2 or code.shape[1] != self.width:
            raise ValueError(f"expected codes of shape [N, {self.width}], found {list(code.shape)}")
        parts = [
            run_graph(self._decoder(), None, {"code": piece}, (count, 28, 28))[0]
            for count, piece in _pieces(code)
        ]
        return np.concatenate(parts)

    def error_of(self, tiles: Tiles) -> Floats:
        """How far each reconstruction is from its tile, float32[N]; see ``reconstruct``."""
        return self.reconstruct(tiles).error

    def share_below(self, error: Floats) -> npt.NDArray[np.float64]:
        """Share of digits, kept back from training, that are drawn with a smaller error.

        Args:
            error: float32[N].

        Returns:
            float64[N] from 0 to 1.

        Raises:
            ModelError: The card does not say what errors are usual.
        """
        known = self.card.results.get(QUANTILES)
        if not isinstance(known, list) or len(known) < 2:
            raise ModelError(
                f"{self.card.name} does not say what errors are usual: expected {QUANTILES} in "
                "its card; export it again"
            )
        return np.interp(error, known, np.linspace(0, 1, len(known)))


def _pieces(rows: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """As many rows as fit into one call, with their number; once none, where there are none."""
    for at in range(0, max(1, len(rows)), _TILES):
        piece = rows[at : at + _TILES]
        yield len(piece), piece
