"""Runs somebody else's ONNX classifier of digits on tiles.

Where the tiles go in is read from the input that the graph declares; how pixels are scaled and what
comes out is stated by the user. Neither is ever guessed from values.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from digitlens.errors import ModelError
from digitlens.files import sha256
from digitlens.models.classifier import (
    BATCH,
    MNIST_FRAMING,
    Probabilities,
    Tiles,
    check_tiles,
)
from digitlens.models.session import first_line, open_session

Pixels = Literal["unit", "byte", "mnist"]
Outputs = Literal["probabilities", "logits"]
Scores = npt.NDArray[np.float64]

# Mean and standard deviation of the pixels of the MNIST training tiles, scaled to 0 to 1: the
# convention of PyTorch examples. Models of digitlens normalise inside their graph.
MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081

PIXELS: dict[Pixels, str] = {
    "unit": "0 to 1",
    "byte": "0 to 255",
    "mnist": f"0 to 1, less {MNIST_MEAN}, divided by {MNIST_DEVIATION}",
}
OUTPUTS: dict[Outputs, str] = {
    "probabilities": "as they come",
    "logits": "a softmax is applied",
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
TOLERANCE = 1e-2  # of a sum of ten probabilities in float16


@dataclass(frozen=True)
class Entry:
    """The input that a graph declares.

    Attributes:
        name: Its name.
        dtype: Type of a pixel.
        layout: One of ``LAYOUTS``.
        batch: Tiles it takes at a time; None for any number.
    """

    name: str
    dtype: np.dtype[Any]
    layout: str
    batch: int | None


class ForeignClassifier:
    """Tiles in, probabilities out, through a graph that was not exported by digitlens.

    Attributes:
        name: The file's name without ``.onnx``.
        sha256: Hash of the file; of the file followed by ``<file>.data`` where weights are there.
        given: What the graph is given and what its output is taken for, in words, by topic.
    """

    name: str
    sha256: str
    given: dict[str, str]

    def __init__(
        self,
        path: str | Path,
        pixels: Pixels | None = None,
        outputs: Outputs = "probabilities",
        *,
        threads: int = 0,
    ) -> None:
        """Loads a graph with one input and one output of ten scores.

        Args:
            path: The ``.onnx`` file.
            pixels: Scaling of the pixels: ``unit`` 0 to 1, ``byte`` 0 to 255, ``mnist`` 0 to 1 less
                the mean and divided by the standard deviation of MNIST. By default ``byte`` for a
                graph that takes uint8, which can take nothing else, and ``unit`` for others.
            outputs: ``probabilities`` for a graph that ends in a softmax; ``logits`` for one that
                does not, or that ends in a log-softmax.
            threads: Threads for one batch; 0 takes one per core.

        Raises:
            ModelError: The file cannot be loaded, or does not take tiles, or does not give ten
                scores, or ``pixels`` does not fit its input.
        """
        self._path, self._outputs = Path(path), outputs
        self.name = self._path.stem
        self.sha256 = _hash(self._path)
        self._session = open_session(self._path, name=str(path), threads=threads)
        self._entry = _read_entry(self._session, str(path))
        _check_exit(self._session, str(path))
        self._pixels = _fitting_pixels(self._entry, pixels, str(path))
        self.given = {
            "framing": MNIST_FRAMING,
            "layout": f"{self._entry.dtype.name}{self._entry.layout}",
            "pixels": f"{self._pixels} ({PIXELS[self._pixels]})",
            "outputs": f"{outputs} ({OUTPUTS[outputs]})",
        }

    def predict_proba(self, tiles: Tiles) -> Probabilities:
        """Probabilities of the ten digits for each tile.

        Args:
            tiles: uint8[N, 28, 28], ink bright on dark.

        Returns:
            float32[N, 10]; rows sum to 1.

        Raises:
            ModelError: The graph fails, or what comes out is not what ``outputs`` says; the message
                names the option to pass.
            TypeError: ``tiles`` is not uint8.
            ValueError: ``tiles`` is not of shape [N, 28, 28].
        """
        check_tiles(tiles)
        if not len(tiles):
            return np.zeros((0, 10), np.float32)
        step = self._entry.batch or BATCH
        parts = [self._run(tiles[start : start + step]) for start in range(0, len(tiles), step)]
        scores = np.concatenate(parts)
        if np.isnan(scores).any():
            raise ModelError(f"{self._path}: expected scores that are numbers, found NaN")
        convert = _softmax if self._outputs == "logits" else _normalise
        return convert(scores, str(self._path))

    def _run(self, tiles: Tiles) -> Scores:
        missing = (self._entry.batch or len(tiles)) - len(tiles)
        filled = np.concatenate([tiles, np.zeros((missing, 28, 28), np.uint8)])
        batch = self._scale(filled).reshape(len(filled), *LAYOUTS[self._entry.layout])
        try:
            scores = self._session.run(None, {self._entry.name: batch})[0]
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
            return tiles.astype(self._entry.dtype)
        unit = tiles.astype(np.float32) / 255
        if self._pixels == "mnist":
            unit = (unit - MNIST_MEAN) / MNIST_DEVIATION
        return unit.astype(self._entry.dtype)


def _read_entry(session: Any, name: str) -> Entry:
    entry = _only("input", session.get_inputs(), name)
    if entry.type not in TYPES:
        raise ModelError(
            f"{name}: expected an input of uint8, float16, float or double, found {entry.type}"
        )
    # A dimension without a number fits any, so more than one layout may fit.
    layouts = [layout for layout, shape in LAYOUTS.items() if _fits(entry.shape, shape)]
    if len(layouts) != 1:
        advice = ", which could be any of several: export it with fixed sizes" if layouts else ""
        raise ModelError(
            f"{name}: expected an input of shape {' or '.join(LAYOUTS)}, "
            f"found {entry.shape}{advice}"
        )
    return Entry(entry.name, TYPES[entry.type], layouts[0], _number(entry.shape[0]))


def _check_exit(session: Any, name: str) -> None:
    exit_ = _only("output", session.get_outputs(), name)
    if exit_.type not in SCORE_TYPES:
        raise ModelError(
            f"{name}: expected an output of float16, float or double, found {exit_.type}"
        )
    # No dimensions at all: the graph does not say, and the first run will tell.
    if exit_.shape and (len(exit_.shape) != 2 or _number(exit_.shape[1]) not in {None, 10}):
        raise ModelError(
            f"{name}: expected an output of shape [N, 10], one score a digit, found {exit_.shape}"
        )


def _only(kind: str, entries: list[Any], name: str) -> Any:
    if len(entries) != 1:
        found = ", ".join(f"{entry.name} {entry.shape}" for entry in entries) or "none"
        raise ModelError(
            f"{name}: expected one {kind}, found {len(entries)} ({found}): "
            f"export the model with a single {kind}"
        )
    return entries[0]


def _fitting_pixels(entry: Entry, pixels: Pixels | None, name: str) -> Pixels:
    if entry.dtype != np.uint8:
        return pixels or "unit"
    if pixels not in {None, "byte"}:
        raise ModelError(
            f"{name} takes uint8, which holds 0 to 255 and no fractions: "
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
            "if the graph gives logits or log-probabilities, pass --outputs logits"
        )
    # float16 rows miss a sum of 1 by up to 1e-2; what is handed on does not.
    positive = np.clip(scores, 0, None)
    return (positive / positive.sum(axis=1, keepdims=True)).astype(np.float32)


def _softmax(scores: Scores, name: str) -> Probabilities:
    if not np.isfinite(scores.max(axis=1)).all():  # -inf beside others is the log of 0
        raise ModelError(f"{name}: expected finite logits, found infinity")
    if _are_probabilities(scores):
        raise ModelError(
            f"{name}: expected logits, found rows that are probabilities already: "
            "pass --outputs probabilities"
        )
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def _are_probabilities(scores: Scores) -> bool:
    in_range = (scores >= -TOLERANCE) & (scores <= 1 + TOLERANCE)
    return bool(in_range.all() and (np.abs(scores.sum(axis=1) - 1) <= TOLERANCE).all())


def _hash(path: Path) -> str:
    weights = path.with_name(path.name + ".data")  # where PyTorch puts the weights of a graph
    try:
        return sha256(path.read_bytes() + (weights.read_bytes() if weights.is_file() else b""))
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{path} cannot be read ({reason}): expected an .onnx file") from error


def _number(size: Any) -> int | None:
    return size if isinstance(size, int) and size > 0 else None


def _fits(declared: list[Any], shape: tuple[int, ...]) -> bool:
    sizes = [_number(size) for size in declared[1:]]
    return len(declared) == len(shape) + 1 and all(
        size in {None, expected} for size, expected in zip(sizes, shape, strict=True)
    )
