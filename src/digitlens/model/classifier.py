"""Runs a model on tiles with onnxruntime; knows tiles and probabilities, not pages or training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from digitlens.errors import ModelError
from digitlens.model.bundle import DEFAULT, Card, load_bundle
from digitlens.outputs import Floats, Outputs

BATCH = 1024  # tiles a call: larger ones fall out of the cache and gain nothing

MNIST_FRAMING = "MNIST (28 x 28, ink bright on dark, digit in a 20 x 20 box, centred by mass)"

Tiles = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


class Classifier:
    """Tiles in, calibrated probabilities out; loaded once, safe to use from several threads.

    Attributes:
        card: The model's card: name, hash, thresholds, provenance.
    """

    card: Card

    def __init__(self, model: str | Path = DEFAULT, *, threads: int = 0) -> None:
        """Loads a model.

        Args:
            model: Name of a shipped model, a model folder, or a run folder.
            threads: Threads for one batch; 0 takes one per core.

        Raises:
            ModelError: The model is missing, damaged or of a newer format.
        """
        bundle = load_bundle(model)
        self.card = bundle.card
        self._session = open_session(bundle.graph, name=str(bundle.folder), threads=threads)
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
        """The outputs of these names, each float32[N, ...]."""
        check_tiles(tiles)
        starts = range(0, len(tiles), BATCH) or [0]  # an empty batch has its shapes too
        batches = [
            self._session.run(names, {"tiles": tiles[start : start + BATCH]}) for start in starts
        ]
        return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def open_session(graph: bytes | Path, *, name: str, threads: int = 0) -> Any:
    """Opens an ONNX graph for inference on the CPU.

    Args:
        graph: The graph, or its file; a file may keep its weights in another one beside it.
        name: What the error calls it.
        threads: Threads for one batch; 0 takes one per core.

    Raises:
        ModelError: onnxruntime cannot load the graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin after a run hold up what comes next: the other network, or the user.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(graph) if isinstance(graph, Path) else graph
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no public base class
        raise ModelError(
            f"{name} is not a graph that onnxruntime can load: {first_line(error)}"
        ) from error


def check_tiles(tiles: Tiles) -> None:
    """Raises TypeError or ValueError unless ``tiles`` is uint8[N, 28, 28]."""
    found = getattr(tiles, "dtype", type(tiles).__name__)  # a list has none
    if found != np.uint8:
        raise TypeError(f"expected tiles as a NumPy array of dtype uint8, found {found}")
    if tiles.ndim != 3 or tiles.shape[1:] != (28, 28):
        raise ValueError(f"expected tiles of shape [N, 28, 28], found {list(tiles.shape)}")


def first_line(error: Exception) -> str:
    """The first line of an error's message; onnxruntime adds pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


OUTPUTS = {"probabilities": 2, "energy": 1, "features": 2, "digit": 1}  # by name, the dimensions


def _check_contract(session: Any, name: str) -> None:
    entries = [(entry.name, entry.type, entry.shape[1:]) for entry in session.get_inputs()]
    exits = {entry.name: (entry.type, entry.shape) for entry in session.get_outputs()}
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
