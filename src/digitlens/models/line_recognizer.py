"""Runs the networks that see line crops with onnxruntime: the recogniser and the digit spotter."""

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

SPOTS = 2  # what the digit spotter says of each step: a digit, a space

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
        wanted = "the line recogniser", "posteriors", CLASSES
        self._session = Lazy(partial(_open, graph, threads, wanted))

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


class DigitSpotter:
    """Line crops in, out where digits stand: for a fortieth of what it costs to read them."""

    def __init__(self, graph: Path | bytes, *, threads: int = 0) -> None:
        """Remembers which graph to open; see ``LineRecognizer``."""
        self._session = Lazy(partial(_open, graph, threads, ("the digit spotter", "spots", SPOTS)))

    def spots(self, lines: Lines) -> Floats:
        """Where digits and spaces are along each line.

        Args:
            lines: uint8[N, 48, W, 3], RGB; W a multiple of 8.

        Returns:
            float32[N, W / 8, 2]: the probabilities that a digit is at most a step away, and that
            the middle of a space is there.

        Raises:
            ModelError: The graph was not opened yet, and it is none that can be.
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
            f"{name}: expected a graph from lines uint8[N, {HEIGHT}, W, 3] to {output} "
            f"float[N, W / {STEP}, {width}], found inputs {entries} and outputs {exits}"
        )
    return session
