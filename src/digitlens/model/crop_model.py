"""Runs the crop network with onnxruntime: windows in, the digit in the middle of each or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.data.windows import SIDE
from digitlens.errors import ModelError
from digitlens.model.bundle import Model, find_bundle, load_card, load_crops
from digitlens.model.page_model import PAGES
from digitlens.model.session import open_session

NONE = 10  # the class of what is no digit
CLASSES = 11
_BATCH = 128  # windows a call: larger ones fall out of the cache

Windows = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class CropModel:
    """Windows in, probabilities out; loaded once, safe to use from several threads."""

    def __init__(self, model: Model = PAGES, *, threads: int = 0) -> None:
        """Loads the crop network of a page reader.

        Args:
            model: Name of a shipped page reader, a model folder, a run folder, or its bundle.
            threads: Threads for one batch; 0 takes one per core.

        Raises:
            ModelError: The model is missing, damaged, of a newer format, or has no crop network.
        """
        folder = find_bundle(model)
        graph = load_crops(folder, load_card(model))
        self._session = open_session(graph, name=str(folder), threads=threads)
        _check_contract(self._session, str(folder))

    def predict_proba(self, windows: Windows) -> Floats:
        """Probabilities of the ten digits and of none.

        Args:
            windows: uint8[N, 56, 56, 3].

        Returns:
            float32[N, 11]; rows sum to 1.
        """
        batches = [
            self._session.run(None, {"windows": windows[start : start + _BATCH]})[0]
            for start in range(0, len(windows), _BATCH)
        ]
        return np.concatenate(batches) if batches else np.zeros((0, CLASSES), np.float32)


def _check_contract(session: Any, name: str) -> None:
    entries = [(entry.name, entry.type, entry.shape[1:]) for entry in session.get_inputs()]
    exits = [(exit_.type, exit_.shape[1:]) for exit_ in session.get_outputs()]
    if entries != [("windows", "tensor(uint8)", [SIDE, SIDE, 3])] or exits != [
        ("tensor(float)", [CLASSES])
    ]:
        raise ModelError(
            f"{name}: expected a graph from windows uint8[N, {SIDE}, {SIDE}, 3] to probabilities "
            f"float[N, {CLASSES}], found inputs {entries} and outputs {exits}: train it again"
        )
