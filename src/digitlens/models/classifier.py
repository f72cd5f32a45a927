"""Runs tile classifiers with onnxruntime: digitlens models, or ONNX files from elsewhere.

Handles tiles and probabilities, not pages or training. For ONNX files from elsewhere, the layout of
the tiles follows from the declared input; the scale of pixels and the kind of output are stated by
the user and never guessed from values.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from digitlens.errors import ModelError
from digitlens.files import sha256
from digitlens.models.bundle import DEFAULT, Card, Model, load_bundle
from digitlens.models.session import (
    Port,
    check_ports,
    cores,
    first_line,
    map_threads,
    open_session,
    run_graph,
)
from digitlens.results import Floats, Outputs

BATCH = 128  # tiles per call: 16 take a tenth longer per tile; more do not fit into the cache
# Minimum seconds of work per thread: waking one takes 0.05 ms, on a busy machine 0.2 ms.
MIN_WORK = 3e-4

MNIST_FRAMING = "MNIST (28 x 28, ink bright on dark, digit in a 20 x 20 box, centred by mass)"

Tiles = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]

TILES = Port("tiles", "uint8", (28, 28))
_OUTPUTS = {
    name: Port(name, sides=sides)
    for name, sides in (("probabilities", (10,)), ("energy", ()), ("features", ()), ("digit", ()))
}  # only the first is required
_OUTPUT_SIDES = {name: port.sides for name, port in _OUTPUTS.items()} | {"features": (None,)}
_SUM_SLACK = 1e-3  # tolerance of the mean over tiles of the sum of probabilities
_EXPECTED = "a classifier of tiles: export the model again"


class Classifier:
    """Maps tiles to calibrated probabilities; loaded once, safe to use from several threads."""

    card: Card  # name, hash, thresholds, provenance

    def __init__(self, model: Model = DEFAULT, *, threads: int = 0) -> None:
        """Loads a model.

        Args:
            model: Name of a shipped model, a model folder, a run folder, or its bundle.
            threads: Threads for one batch; 0 uses one per core.

        Raises:
            ModelError: The model is missing, damaged, of a newer format or not a classifier.
        """
        bundle = load_bundle(model)
        self.card = bundle.card
        name = str(bundle.folder)
        if self.card.decoder_sha256:
            raise ModelError(
                f"{name} is an autoencoder: expected a classifier; autoencoders are used by "
                "`digitlens reconstruct`"
            )
        # Threads that share the layers of a batch wait for each other after each layer; threads
        # with separate tiles do not, and a single tile has no threading overhead.
        self._session = open_session(bundle.graph, name=name, threads=1)
        self._threads = threads or cores()
        self._pace = MIN_WORK  # seconds per tile, the fastest so far
        self._options = ort.RunOptions()  # reused: creating them takes 2 µs per call
        self._names = [entry.name for entry in self._session.get_outputs()]
        names = dict.fromkeys([*self._names, "probabilities"])
        outputs = [_OUTPUTS[each] for each in names if each in _OUTPUTS]
        check_ports(self._session, name=name, what=_EXPECTED, inputs=[TILES], outputs=outputs)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.card.name

    @property
    def sha256(self) -> str:
        """Hash of the model's graph."""
        return self.card.sha256

    @property
    def given(self) -> dict[str, str]:
        """Descriptions of the graph's input and output, by topic."""
        return {
            "framing": MNIST_FRAMING,
            "layout": "uint8[N, 28, 28]",
            "pixels": "byte (0 to 255; normalised inside the graph)",
            "outputs": "probabilities (temperature inside the graph)",
        }

    def predict_proba(self, tiles: Tiles) -> Probabilities:
        """Returns the probabilities of the ten digits for each tile.

        Args:
            tiles: uint8[N, 28, 28], ink bright on dark.

        Returns:
            float32[N, 10]; rows sum to 1.

        Raises:
            TypeError: ``tiles`` is not uint8.
            ValueError: ``tiles`` is not of shape [N, 28, 28].
        """
        return self._run(tiles, ["probabilities"])[0]

    def outputs(self, tiles: Tiles) -> Outputs:
        """Returns all outputs of the graph, see ``Outputs``; arguments as in ``predict_proba``."""
        return Outputs(**dict(zip(self._names, self._run(tiles, self._names), strict=True)))

    def _run(self, tiles: Tiles, names: list[str]) -> list[Floats]:
        """Returns the named outputs, each float32[N, ...]; splitting does not change them."""
        check_tiles(tiles)
        bounds = self._split(len(tiles))
        if len(bounds) == 2:
            return self._run_piece(tiles, names)
        pieces = [tiles[start:end] for start, end in pairwise(bounds)]
        parts = map_threads(partial(self._run_piece, names=names), pieces, self._threads)
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _split(self, count: int) -> list[int]:
        """Returns bounds of pieces of at most ``BATCH`` tiles, equally many for each thread."""
        if count < 2:
            return [0, count]
        threads = min(self._threads, max(1, int(count * self._pace / MIN_WORK)))
        pieces = threads * math.ceil(count / (threads * BATCH))
        return [count * piece // pieces for piece in range(pieces + 1)]

    def _run_piece(self, tiles: Tiles, names: list[str]) -> list[Floats]:
        start = time.perf_counter()
        feed, options, count = {"tiles": tiles}, self._options, len(tiles)
        shapes = [(count, *_OUTPUT_SIDES.get(name, ())) for name in names]
        outputs: list[Floats] = run_graph(self._session, names, feed, *shapes, run_options=options)
        if "probabilities" in names:
            total = float(outputs[names.index("probabilities")].sum())
            if not abs(total - count) <= _SUM_SLACK * count:  # also true for NaN
                raise ModelError(f"{self.card.name} returns no probabilities: export it again")
        if len(tiles):
            self._pace = min(self._pace, (time.perf_counter() - start) / len(tiles))
        return outputs


def check_tiles(tiles: Tiles) -> None:
    """Raises TypeError or ValueError unless ``tiles`` is uint8[N, 28, 28]."""
    dtype = getattr(tiles, "dtype", type(tiles).__name__)  # a list has none
    if dtype != np.uint8:
        raise TypeError(f"expected tiles as a NumPy array of dtype uint8, found {dtype}")
    if tiles.ndim != 3 or tiles.shape[1:] != (28, 28):
        raise ValueError(f"expected tiles of shape [N, 28, 28], found {list(tiles.shape)}")


Pixels = Literal["unit", "byte", "mnist"]
Answers = Literal["probabilities", "logits"]
Scores = npt.NDArray[np.float64]

# Mean and standard deviation of the pixels of the MNIST training tiles, scaled to 0..1: the
# convention of PyTorch examples. digitlens models normalise inside the graph.
MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081

PIXELS: dict[Pixels, str] = {
    "unit": "0 to 1",
    "byte": "0 to 255",
    "mnist": f"0 to 1, minus {MNIST_MEAN}, divided by {MNIST_DEVIATION}",
}
OUTPUTS: dict[Answers, str] = {
    "probabilities": "used as they are",
    "logits": "softmax is applied",
}
LAYOUTS = {
    "[N, 28, 28]": (28, 28),
    "[N, 1, 28, 28]": (1, 28, 28),
    "[N, 28, 28, 1]": (28, 28, 1),
    "[N, 784]": (784,),
}
TYPES: dict[str, Any] = {
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}
SCORE_TYPES = set(TYPES) - {"tensor(uint8)"}
TOLERANCE = 1e-2  # for the sum of ten probabilities in float16


@dataclass(frozen=True)
class GraphInput:
    """The declared input of a graph."""

    name: str
    dtype: np.dtype[Any]  # of a pixel
    layout: str  # one of ``LAYOUTS``
    batch: int | None  # fixed batch size; None for any number of tiles


class ForeignClassifier:
    """Maps tiles to probabilities with a graph that was not exported by digitlens.

    Attributes:
        name: The file's name without ``.onnx``.
        sha256: Hash of the file; of the file followed by ``<file>.data`` if the weights are there.
        given: Descriptions of the graph's input and output, by topic.
    """

    name: str
    sha256: str
    given: dict[str, str]

    def __init__(
        self,
        path: str | Path,
        pixels: Pixels | None = None,
        outputs: Answers = "probabilities",
        *,
        threads: int = 0,
    ) -> None:
        """Loads a graph with one input and one output of ten scores.

        Args:
            path: The ``.onnx`` file.
            pixels: Scaling of the pixels: ``unit`` 0 to 1, ``byte`` 0 to 255, ``mnist`` 0 to 1
                minus the mean and divided by the standard deviation of MNIST. By default ``byte``
                for an input of uint8, which allows nothing else, and otherwise ``unit``.
            outputs: ``probabilities`` for a graph that ends in a softmax; ``logits`` for one that
                does not, or that ends in a log-softmax.
            threads: Threads for one batch; 0 uses one per core.

        Raises:
            ModelError: The file cannot be loaded, its input is not tiles, its output is not ten
                scores, or ``pixels`` does not fit its input.
        """
        self._path, self._outputs = Path(path), outputs
        self.name = self._path.stem
        self.sha256 = _hash_graph(self._path)
        self._session = open_session(self._path, name=str(path), threads=threads)
        self._input = _read_input(self._session, str(path))
        _check_output(self._session, str(path))
        self._pixels = _resolve_pixels(self._input, pixels, str(path))
        self.given = {
            "framing": MNIST_FRAMING,
            "layout": f"{self._input.dtype.name}{self._input.layout}",
            "pixels": f"{self._pixels} ({PIXELS[self._pixels]})",
            "outputs": f"{outputs} ({OUTPUTS[outputs]})",
        }

    def predict_proba(self, tiles: Tiles) -> Probabilities:
        """Returns probabilities of the ten digits for each tile, see ``Classifier.predict_proba``.

        Raises:
            ModelError: The graph fails, or its output is not as stated by ``outputs``; the message
                names the option to pass.
        """
        check_tiles(tiles)
        if not len(tiles):
            return np.zeros((0, 10), np.float32)
        step = self._input.batch or BATCH
        parts = [self._run(tiles[start : start + step]) for start in range(0, len(tiles), step)]
        scores = np.concatenate(parts)
        if np.isnan(scores).any():
            raise ModelError(f"{self._path}: expected scores that are numbers, found NaN")
        convert = _softmax if self._outputs == "logits" else _normalise
        return convert(scores, str(self._path))

    def _run(self, tiles: Tiles) -> Scores:
        missing = (self._input.batch or len(tiles)) - len(tiles)
        padded = np.concatenate([tiles, np.zeros((missing, 28, 28), np.uint8)])
        batch = self._scale(padded).reshape(len(padded), *LAYOUTS[self._input.layout])
        try:
            scores = self._session.run(None, {self._input.name: batch})[0]
        except Exception as error:  # onnxruntime's own errors share no public base class
            message = f"{self._path} fails on {len(batch)} tiles: {first_line(error)}"
            raise ModelError(message) from error
        if scores.shape != (len(batch), 10):
            raise ModelError(
                f"{self._path}: expected scores of shape [{len(batch)}, 10] for {len(batch)} "
                f"tiles, found {list(scores.shape)}"
            )
        return scores[: len(tiles)].astype(np.float64)

    def _scale(self, tiles: Tiles) -> npt.NDArray[Any]:
        if self._pixels == "byte":
            return tiles.astype(self._input.dtype)
        scaled = tiles.astype(np.float32) / 255
        if self._pixels == "mnist":
            scaled = (scaled - MNIST_MEAN) / MNIST_DEVIATION
        return scaled.astype(self._input.dtype)


def _read_input(session: Any, name: str) -> GraphInput:
    port = _single_port("input", session.get_inputs(), name)
    if port.type not in TYPES:
        raise ModelError(
            f"{name}: expected an input of uint8, float16, float or double, found {port.type}"
        )
    # A dynamic dimension fits any size, so more than one layout may fit.
    sizes = [_fixed_size(size) for size in port.shape]
    layouts = [
        layout
        for layout, shape in LAYOUTS.items()
        if len(sizes) == 1 + len(shape)
        and all(size in {None, expected} for size, expected in zip(sizes[1:], shape, strict=True))
    ]
    if len(layouts) != 1:
        advice = ", which fits several of these: export it with fixed sizes" if layouts else ""
        raise ModelError(
            f"{name}: expected an input of shape {' or '.join(LAYOUTS)}, found {port.shape}{advice}"
        )
    return GraphInput(port.name, TYPES[port.type], layouts[0], sizes[0])


def _check_output(session: Any, name: str) -> None:
    port = _single_port("output", session.get_outputs(), name)
    if port.type not in SCORE_TYPES:
        raise ModelError(
            f"{name}: expected an output of float16, float or double, found {port.type}"
        )
    # An empty shape is undeclared: the first run checks it.
    if port.shape and (len(port.shape) != 2 or _fixed_size(port.shape[1]) not in {None, 10}):
        raise ModelError(
            f"{name}: expected an output of shape [N, 10], one score per digit, found {port.shape}"
        )


def _single_port(kind: str, ports: list[Any], name: str) -> Any:
    if len(ports) != 1:
        found = ", ".join(f"{port.name} {port.shape}" for port in ports) or "none"
        raise ModelError(
            f"{name}: expected one {kind}, found {len(ports)} ({found}): "
            f"export the model with a single {kind}"
        )
    return ports[0]


def _resolve_pixels(graph_input: GraphInput, pixels: Pixels | None, name: str) -> Pixels:
    if graph_input.dtype != np.uint8:
        return pixels or "unit"
    if pixels not in {None, "byte"}:
        raise ModelError(
            f"{name} has an input of uint8, which is 0 to 255: "
            f"expected --pixels byte, found --pixels {pixels}"
        )
    return "byte"


def _normalise(scores: Scores, name: str) -> Probabilities:
    if not _are_probabilities(scores):
        sums = scores.sum(axis=1)
        worst = sums[np.abs(sums - 1).argmax()]
        raise ModelError(
            f"{name}: expected probabilities, found scores from {scores.min():.4g} to "
            f"{scores.max():.4g} and a row that sums to {worst:.4g}: "
            "if the graph returns logits or log-probabilities, pass --outputs logits"
        )
    # float16 rows miss a sum of 1 by up to 1e-2; the result does not.
    positive = np.clip(scores, 0, None)
    return (positive / positive.sum(axis=1, keepdims=True)).astype(np.float32)


def _softmax(scores: Scores, name: str) -> Probabilities:
    if not np.isfinite(scores.max(axis=1)).all():  # -inf next to other scores is the log of 0
        raise ModelError(f"{name}: expected finite logits, found infinity")
    if _are_probabilities(scores):
        raise ModelError(
            f"{name}: expected logits, found rows that are already probabilities: "
            "pass --outputs probabilities"
        )
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def _are_probabilities(scores: Scores) -> bool:
    in_range = (scores >= -TOLERANCE) & (scores <= 1 + TOLERANCE)
    return bool(in_range.all() and (np.abs(scores.sum(axis=1) - 1) <= TOLERANCE).all())


def _hash_graph(path: Path) -> str:
    weights = path.with_name(path.name + ".data")  # where PyTorch stores external weights
    try:
        return sha256(path.read_bytes() + (weights.read_bytes() if weights.is_file() else b""))
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{path} cannot be read ({reason}): expected an .onnx file") from error


def _fixed_size(size: Any) -> int | None:
    return size if isinstance(size, int) and size > 0 else None
