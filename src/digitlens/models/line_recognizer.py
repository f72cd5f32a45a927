"""Runs the line recogniser with onnxruntime: line crops in, posteriors of characters out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import CLASSES
from digitlens.errors import ModelError
from digitlens.imaging.framing import HEIGHT, STEP
from digitlens.models.session import Lazy, open_session

Lines = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class LineRecognizer:
    """Line crops in, posteriors out; opened once, safe to use from several threads."""

    def __init__(self, graph: Path | bytes, *, threads: int = 0) -> None:
        """Remembers which graph to open.

        Args:
            graph: The graph, or its file.
            threads: Threads for one batch; 0 takes one per core.
        """
        self._session = Lazy(partial(_open, graph, threads))

    @property
    def is_open(self) -> bool:
        """Whether the graph was opened."""
        return self._session.is_made

    def open(self) -> None:
        """Opens the graph, if no batch did before.

        Raises:
            ModelError: It cannot be loaded, or is no line recogniser.
        """
        self._session()

    def posteriors(self, lines: Lines) -> Floats:
        """Posteriors of the characters along each line.

        Args:
            lines: uint8[N, 48, W, 3], RGB; W a multiple of 8.

        Returns:
            float32[N, W / 8, C]; rows sum to 1, class 0 is the CTC blank, see
            ``digitlens.alphabet``.

        Raises:
            ModelError: The graph was not opened yet, and it is none that can be.
        """
        return self._session().run(None, {"lines": lines})[0]


def _open(graph: Path | bytes, threads: int) -> Any:
    name = str(graph) if isinstance(graph, Path) else "the line recogniser"
    session = open_session(graph, name=name, threads=threads)
    entries = [(entry.name, entry.type) for entry in session.get_inputs()]
    exits = [(exit_.name, exit_.type, exit_.shape[-1]) for exit_ in session.get_outputs()]
    if entries != [("lines", "tensor(uint8)")] or exits != [
        ("posteriors", "tensor(float)", CLASSES)
    ]:
        raise ModelError(
            f"{name}: expected a graph from lines uint8[N, {HEIGHT}, W, 3] to posteriors "
            f"float[N, W / {STEP}, {CLASSES}], found inputs {entries} and outputs {exits}"
        )
    return session
