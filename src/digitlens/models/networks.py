"""Runs all networks except the classifier with onnxruntime.

On pictures: the digit detector and the line detector. On line crops: the recogniser and the digit
spotter. On tiles: the autoencoder.
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
from digitlens.models.session import Lazy, Port, cores, is_even, map_threads, open_graph, run_graph

STEP = 32  # pixels; sides of the detectors' inputs are multiples of it
MIN_SIDE = 128  # pixels; minimum side of the digit detector's input
MIN_SCORE = 0.03  # score below which no digit is reported
CELL = 2  # pixels of the page per side of a text map's cell
SPOTS = 2  # outputs of the digit spotter for each step: a digit, a space
AUTOENCODER = "autoencoder"  # name of the shipped autoencoder
QUANTILES = "error_quantiles"  # of validation digits, in the results of the card
_BATCH = 128  # tiles per call: more do not fit into the cache
# Inputs and outputs of the graphs.
_PAGE, _LINES = Port("page", "uint8"), Port("lines", "uint8")
_DETECTOR_OUTPUTS = [Port("score"), Port("probabilities"), Port("box"), Port("heat")]
_DECODED = [Port("reconstruction", "uint8", (28, 28)), Port("error"), Port("code")]

Pixels = npt.NDArray[np.uint8]
Lines = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DigitPredictions:
    """The digit detector's predictions for one picture."""

    score: Floats  # float32[N]; of a digit's centre being there, 0..1, in descending order
    probabilities: Floats  # float32[N, 10]; of the ten digits
    boxes: Floats  # float32[N, 4]; x0, y0, x1, y1 in pixels, may extend beyond the picture
    heat: Floats  # float32[h, w]; the score of each cell of 4 x 4 pixels
    size: tuple[int, int]  # height and width of the picture


class DigitDetector:
    """Detects digits on pictures; loaded once, safe to use from several threads."""

    card: Card

    def __init__(self, model: Model = PAGES, *, threads: int = 0, lazy: bool = False) -> None:
        """Loads a digit detector.

        Args:
            model: Name of a shipped digit detector, a model folder, a run folder, or its bundle.
            threads: Threads for one picture; 0 uses one per core.
            lazy: Whether to check only card and hash, and open the graph with the first picture.

        Raises:
            ModelError: The model is missing, damaged, of a newer format, or not a digit detector.
        """
        bundle = load_bundle(model)
        self.card = bundle.card
        name, what = str(bundle.folder), "a digit detector: train one with the recipe pages"
        if lazy and not finds_digits(self.card):
            raise ModelError(f"{name} is not {what}")
        opener = partial(open_graph, what=what, inputs=[_PAGE], outputs=_DETECTOR_OUTPUTS)
        self._session = Lazy(partial(opener, bundle.graph, name=name, threads=threads))
        if not lazy:
            self._session()

    def predict(self, picture: Pixels) -> DigitPredictions:
        """Detects the digits of a picture uint8[H, W, 3], without rescaling it.

        Raises ModelError if the graph is opened only now and cannot be loaded.
        """
        height, width = picture.shape[:2]
        feed = {"page": padded(picture, MIN_SIDE)}
        shapes = (None,), (None, 10), (None, 4), [side // 4 for side in feed["page"].shape[:2]]
        score, probabilities, boxes, heat = run_graph(self._session(), None, feed, *shapes)
        count = int(np.searchsorted(-score, -MIN_SCORE))
        cells = heat[: -(-height // 4), : -(-width // 4)]
        size = (height, width)
        return DigitPredictions(score[:count], probabilities[:count], boxes[:count], cells, size)


class _Network:
    """A graph opened on first use, in a session with all threads and one with a single thread."""

    def __init__(
        self, graph: Path | bytes, threads: int, what: str, entry: Port, output: Port
    ) -> None:
        name = str(graph) if isinstance(graph, Path) else f"the graph of {what}"
        opener = partial(open_graph, graph, name=name, what=what, inputs=[entry], outputs=[output])
        self._threads = threads or cores()
        self._session = Lazy(partial(opener, threads=self._threads))
        self._single_threaded = Lazy(partial(opener, threads=1))

    def _map(self, pieces: Sequence[Pixels], run: Callable[[Any, Pixels], Floats]) -> list[Floats]:
        """Runs ``run`` with an open graph on each piece, in parallel if their sizes allow it."""
        threads = min(self._threads, len(pieces))
        if threads > 1 and is_even([piece.size for piece in pieces], self._threads):
            return list(map_threads(partial(run, self._single_threaded()), pieces, threads))
        return [run(self._session(), piece) for piece in pieces]

    def _run_lines(self, batches: Sequence[Lines], classes: int) -> list[Floats]:
        """Returns the outputs float32[N, W / 8, classes] for lines uint8[N, 48, W, 3]."""

        def run(session: Any, lines: Lines) -> Floats:
            shape = len(lines), lines.shape[2] // 8, classes
            return run_graph(session, None, {"lines": lines}, shape)[0]

        return self._map(batches, run)


class LineDetector(_Network):
    """Computes text maps of pages; opened by the first page, safe to use from several threads."""

    def __init__(self, graph: Path | bytes = SHIPPED_LINES / DETECTOR, threads: int = 0) -> None:
        """Takes the graph or its file, to be opened later; 0 threads are one per core."""
        super().__init__(graph, threads, "a line detector", _PAGE, Port("text"))

    def text_maps(self, pages: Sequence[Pixels]) -> list[Floats]:
        """Returns the probability of a text line's core for each cell of 2 x 2 pixels.

        Pages are uint8[H, W, 3], RGB, and not rescaled; characters of 10 to 100 pixels are detected
        best. Maps are float32[h, w], 0..1, half of H and W, rounded up. Raises ModelError if the
        graph is opened only now and cannot be loaded.
        """
        return self._map(pages, _text_map)


def _text_map(session: Any, page: Pixels) -> Floats:
    height, width = page.shape[:2]
    feed = {"page": padded(page)}
    cells = [side // CELL for side in feed["page"].shape[:2]]
    (text,) = run_graph(session, None, feed, cells)
    return text[: -(-height // CELL), : -(-width // CELL)]


def padded(picture: Pixels, least: int = 1) -> Pixels:
    """Pads uint8[H, W, 3] at the right and bottom with edge pixels to multiples of 32."""
    height, width = picture.shape[:2]
    rows, columns = (max(least, -(-side // STEP) * STEP) for side in (height, width))
    if (rows, columns) == (height, width):
        return np.ascontiguousarray(picture)
    return np.pad(picture, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")


class LineRecognizer(_Network):
    """Computes posteriors of line crops; opened once, safe to use from several threads."""

    def __init__(self, graph: Path | bytes, *, threads: int = 0) -> None:
        """Takes the graph or its file, to be opened later; 0 threads are one per core."""
        output = Port("posteriors", sides=(CLASSES,))
        super().__init__(graph, threads, "a line recogniser", _LINES, output)

    @property
    def is_open(self) -> bool:
        """Whether the graph was opened."""
        return self._session.is_made

    def open(self) -> None:
        """Opens the graph if needed; raises ModelError if it is not a line recogniser."""
        self._session()

    def posteriors(self, batches: Sequence[Lines]) -> list[Floats]:
        """Returns posteriors float32[N, W / 8, C] of characters for RGB lines uint8[N, 48, W, 3].

        W is a multiple of 8. Rows sum to 1, class 0 is the CTC blank, see ``digitlens.alphabet``.
        Raises ModelError if the graph is opened only now and cannot be loaded.
        """
        return self._run_lines(batches, CLASSES)


class DigitSpotter(_Network):
    """Locates digits on line crops, at a fortieth of the cost of reading them."""

    def __init__(self, graph: Path | bytes, *, threads: int = 0) -> None:
        """Takes the graph to be opened later; see ``LineRecognizer``."""
        super().__init__(graph, threads, "a digit spotter", _LINES, Port("spots", sides=(SPOTS,)))

    def spots(self, batches: Sequence[Lines]) -> list[Floats]:
        """Locates digits and spaces along RGB lines uint8[N, 48, W, 3], W a multiple of 8.

        Returns float32[N, W / 8, 2]: the probabilities that a digit is at most one step away, and
        that the middle of a space is there. Raises ModelError as ``LineRecognizer.posteriors``.
        """
        return self._run_lines(batches, SPOTS)


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """N tiles as reconstructed by an autoencoder."""

    tiles: Tiles  # uint8[N, 28, 28]; ink bright on dark
    # float32[N]; squared error relative to the ink of the original tiles, see
    # ``training.tile_networks.reconstruction_error``.
    error: Floats
    code: Floats  # float32[N, D]; the codes that the tiles are decoded from


class Reconstructor:
    """Reconstructs tiles with an autoencoder; loaded once, safe to use from several threads.

    Attributes:
        card: The autoencoder's card.
        width: D, the size of a code.
    """

    card: Card
    width: int

    def __init__(self, model: str | Path = AUTOENCODER, *, threads: int = 0) -> None:
        """Loads an autoencoder; its decoder is opened by the first call of ``decode``.

        Args:
            model: Name of a shipped autoencoder, a model folder, or a run folder.
            threads: Threads for one batch; 0 uses one per core.

        Raises:
            ModelError: The model is missing, damaged, of a newer format, or not an autoencoder.
        """
        bundle = load_bundle(model)
        name = str(bundle.folder)
        self.card = bundle.card
        decoder = load_decoder(bundle.folder, bundle.card)
        load = partial(open_graph, threads=threads, what="an autoencoder: train it again")
        self._session = load(bundle.graph, name=name, inputs=[TILES], outputs=_DECODED)
        self.width = self._session.get_outputs()[2].shape[-1]
        code, name = Port("code", sides=(self.width,)), f"the decoder of {name}"
        self._decoder = Lazy(partial(load, decoder, name=name, inputs=[code], outputs=_DECODED[:1]))

    def reconstruct(self, tiles: Tiles) -> Reconstruction:
        """Encodes tiles and decodes them.

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
        """Decodes any codes to tiles.

        Args:
            code: float32[N, D].

        Returns:
            uint8[N, 28, 28], ink bright on dark.

        Raises:
            TypeError: ``code`` is not float32.
            ValueError: ``code`` is not of shape [N, D].
            ModelError: The decoder cannot be opened.
        """
        dtype = getattr(code, "dtype", type(code).__name__)  # a list has none
        if dtype != np.float32:
            raise TypeError(f"expected codes as a NumPy array of dtype float32, found {dtype}")
        if code.ndim != 2 or code.shape[1] != self.width:
            raise ValueError(f"expected codes of shape [N, {self.width}], found {list(code.shape)}")
        parts = [
            run_graph(self._decoder(), None, {"code": piece}, (count, 28, 28))[0]
            for count, piece in _pieces(code)
        ]
        return np.concatenate(parts)

    def error_of(self, tiles: Tiles) -> Floats:
        """Returns the reconstruction error of each tile, float32[N]; see ``reconstruct``."""
        return self.reconstruct(tiles).error

    def share_below(self, error: Floats) -> npt.NDArray[np.float64]:
        """Returns the fraction of held-out digits that have a smaller reconstruction error.

        Args:
            error: float32[N].

        Returns:
            float64[N] from 0 to 1.

        Raises:
            ModelError: The card has no quantiles of errors.
        """
        quantiles = self.card.results.get(QUANTILES)
        if not isinstance(quantiles, list) or len(quantiles) < 2:
            raise ModelError(
                f"{self.card.name} has no usual errors: expected {QUANTILES} in its card; "
                "export it again"
            )
        return np.interp(error, quantiles, np.linspace(0, 1, len(quantiles)))


def _pieces(rows: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yields pieces of at most ``_BATCH`` rows, with their number; an empty one for no rows."""
    for start in range(0, max(1, len(rows)), _BATCH):
        piece = rows[start : start + _BATCH]
        yield len(piece), piece
