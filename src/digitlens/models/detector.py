"""Runs the text line detector with onnxruntime: pixels in, a map of where text is out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import ModelError
from digitlens.models.lazily import Lazily
from digitlens.models.session import open_session

DETECTOR = Path(__file__).parent / "pretrained" / "lines" / "detector.onnx"  # the shipped one
STEP = 32  # pixels; sides of what the graph takes are multiples of it
CELL = 2  # pixels of the page a side of each cell of the map

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class LineDetector:
    """Pages in, text maps out; opened by the first page, safe to use from several threads."""

    def __init__(self, path: Path = DETECTOR, threads: int = 0) -> None:
        """Remembers which graph to open.

        Args:
            path: The ONNX graph, see ``digitlens.training.export_detector``.
            threads: Threads for one page; 0 takes one per core.
        """
        self._session = Lazily(partial(_open, path, threads))

    def text_map(self, page: Pixels) -> Floats:
        """The probability that the core of a text line is there, for each cell of 2 x 2 pixels.

        The page is taken at the size that it has. Characters between 10 and 100 pixels high are
        found best.

        Args:
            page: uint8[H, W, 3], RGB; H and W at least 1.

        Returns:
            float32[h, w], 0..1; h and w are half of H and W, rounded up.

        Raises:
            ModelError: The graph was not opened yet, and it is none that can be.
        """
        height, width = page.shape[:2]
        (text,) = self._session().run(None, {"page": _padded(page)})
        return text[: -(-height // CELL), : -(-width // CELL)]


def _padded(page: Pixels) -> Pixels:
    """Grows a page at the right and bottom to sides that the graph takes."""
    height, width = page.shape[:2]
    down, right = -height % STEP, -width % STEP
    if not down and not right:
        return np.ascontiguousarray(page)
    return np.pad(page, ((0, down), (0, right), (0, 0)), mode="edge")


def _open(path: Path, threads: int) -> Any:
    session = open_session(path, name=str(path), threads=threads)
    inputs = [(entry.name, entry.type) for entry in session.get_inputs()]
    outputs = [entry.name for entry in session.get_outputs()]
    if inputs != [("page", "tensor(uint8)")] or outputs != ["text"]:
        raise ModelError(
            f"{path} is not a line detector: expected a graph from page (uint8) to text, found "
            f"{inputs} to {outputs}"
        )
    return session
