"""Runs a model on tiles with onnxruntime; knows tiles and probabilities, not pages or training."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from digitlens.errors import ModelError
from digitlens.models.bundle import DEFAULT, Card, Model, load_bundle
from digitlens.models.session import Team, cores, open_session
from digitlens.outputs import Floats, Outputs

BATCH = 128  # tiles a call: 16 take a tenth longer each; more gain nothing and leave the cache
# Seconds of work for each thread that helps: to wake one takes 0.05 ms, on a busy machine 0.2 ms.
WORTH = 3e-4

MNIST_FRAMING = "MNIST (28 x 28, ink bright on dark, digit in a 20 x 20 box, centred by mass)"

Tiles = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


class Classifier:
    """Tiles in, calibrated probabilities out; loaded once, safe to use from several threads.

    Attributes:
        card: The model's card: name, hash, thresholds, provenance.
    """

    card: Card

    def __init__(self, model: Model = DEFAULT, *, threads: int = 0) -> None:
        """Loads a model.

        Args:
            model: Name of a shipped model, a model folder, a run folder, or its bundle.
            threads: Threads for one batch; 0 takes one per core.

        Raises:
            ModelError: The model is missing, damaged or of a newer format.
        """
        bundle = load_bundle(model)
        self.card = bundle.card
        # Two threads that share each layer of a batch wait for each other at its end; two that each
        # have tiles of their own do not, and then one tile pays for no threads at all.
        self._session = open_session(bundle.graph, name=str(bundle.folder), threads=1)
        self._team = Team(threads or cores())
        self._pace = WORTH  # seconds a tile, the fastest seen yet
        self._options = ort.RunOptions()  # onnxruntime would make them anew for each call, in 2 µs
        _check_contract(self._session, str(bundle.folder))

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
        """What the graph is given and what its output is taken for, in words, by topic."""
        return {
            "framing": MNIST_FRAMING,
            "layout": "uint8[N, 28, 28]",
            "pixels": "byte (0 to 255; normalised inside the graph)",
            "outputs": "probabilities (temperature inside the graph)",
        }

    def predict_proba(self, tiles: Tiles) -> Probabilities:
        """Probabilities of the ten digits for each tile.

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
        """Everything that the graph says of each tile, see ``Outputs``; arguments as above."""
        names = [entry.name for entry in self._session.get_outputs()]
        return Outputs(**dict(zip(names, self._run(tiles, names), strict=True)))

    def _run(self, tiles: Tiles, names: list[str]) -> list[Floats]:
        """The outputs of these names, each float32[N, ...]; the same however they are split."""
        check_tiles(tiles)
        bounds = self._split(len(tiles))
        if len(bounds) == 2:
            return self._call(tiles, names)
        parts: list[list[Floats]] = [[]] * (len(bounds) - 1)

        def fill(piece: tuple[int, tuple[int, int]]) -> None:
            number, (start, end) = piece
            parts[number] = self._call(tiles[start:end], names)

        self._team.share(fill, list(enumerate(pairwise(bounds))))
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _split(self, count: int) -> list[int]:
        """Bounds of pieces of at most ``BATCH`` tiles, as many for each thread that is worth it."""
        if count < 2:
            return [0, count]
        threads = min(self._team.size, max(1, int(count * self._pace / WORTH)))
        pieces = threads * math.ceil(count / (threads * BATCH))
        return [count * piece // pieces for piece in range(pieces + 1)]

    def _call(self, tiles: Tiles, names: list[str]) -> list[Floats]:
        start = time.perf_counter()
        found: list[Floats] = self._session.run(names, {"tiles": tiles}, self._options)
        if len(tiles):
            self._pace = min(self._pace, (time.perf_counter() - start) / len(tiles))
        return found


def check_tiles(tiles: Tiles) -> None:
    """Raises TypeError or ValueError unless ``tiles`` is uint8[N, 28, 28]."""
    found = getattr(tiles, "dtype", type(tiles).__name__)  # a list has none
    if found != np.uint8:
        raise TypeError(f"expected tiles as a NumPy array of dtype uint8, found {found}")
    if tiles.ndim != 3 or tiles.shape[1:] != (28, 28):
        raise ValueError(f"expected tiles of shape [N, 28, 28], found {list(tiles.shape)}")


OUTPUTS = {"probabilities": 2, "energy": 1, "features": 2, "digit": 1}  # by name, the dimensions


def _check_contract(session: Any, name: str) -> None:
    entries = [(entry.name, entry.type, entry.shape[1:]) for entry in session.get_inputs()]
    exits = {entry.name: (entry.type, entry.shape) for entry in session.get_outputs()}
    if "reconstruction" in exits:
        raise ModelError(
            f"{name} is an autoencoder, which draws digits again and names none: expected a "
            "classifier; `digitlens reconstruct` uses autoencoders"
        )
    fits = all(
        kind == "tensor(float)" and len(shape) == OUTPUTS.get(output)
        for output, (kind, shape) in exits.items()
    )
    if (
        entries != [("tiles", "tensor(uint8)", [28, 28])]
        or not fits
        or exits.get("probabilities", ("", []))[1][1:] != [10]
    ):
        raise ModelError(
            f"{name}: expected a graph from tiles uint8[N, 28, 28] to probabilities float[N, 10], "
            f"found inputs {entries} and outputs {exits}: export the model again"
        )
