"""Runs an autoencoder with onnxruntime: tiles in, the same tiles as it draws them, and how far off.

Knows tiles and codes, not pages or training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import ModelError
from digitlens.models.bundle import Card, load_bundle, load_decoder
from digitlens.models.classifier import Tiles, check_tiles
from digitlens.models.session import Lazy, open_session

AUTOENCODER = "autoencoder"  # name of the shipped one
QUANTILES = "error_quantiles"  # of validation digits, in the results of the card
_BATCH = 128  # tiles a call: larger ones fall out of the cache
_OUTPUTS = {  # by name the type and the number of dimensions
    "reconstruction": ("tensor(uint8)", 3),
    "error": ("tensor(float)", 1),
    "code": ("tensor(float)", 2),
}

Floats = npt.NDArray[np.float32]


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
        self._session = open_session(bundle.graph, name=name, threads=threads)
        self.width = _code_width(self._session, name)
        self._decoder = Lazy(partial(_open_decoder, decoder, name, threads, self.width))

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
            self._session.run(list(_OUTPUTS), {"tiles": tiles[start : start + _BATCH]})
            for start in range(0, max(1, len(tiles)), _BATCH)
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
        _check_code(code, self.width)
        parts = [
            self._decoder().run(None, {"code": code[start : start + _BATCH]})[0]
            for start in range(0, max(1, len(code)), _BATCH)
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


def _code_width(session: Any, name: str) -> int:
    """The numbers of a code; raises ModelError unless the graph is that of an autoencoder."""
    entries = [(entry.name, entry.type, entry.shape[1:]) for entry in session.get_inputs()]
    exits = {exit_.name: (exit_.type, len(exit_.shape)) for exit_ in session.get_outputs()}
    widths = [exit_.shape[-1] for exit_ in session.get_outputs() if exit_.name == "code"]
    if (
        entries != [("tiles", "tensor(uint8)", [28, 28])]
        or exits != _OUTPUTS
        or not isinstance(widths[0], int)
    ):
        raise ModelError(
            f"{name}: expected a graph from tiles uint8[N, 28, 28] to {', '.join(_OUTPUTS)}, "
            f"found inputs {entries} and outputs {exits}: train it again"
        )
    return widths[0]


def _open_decoder(graph: bytes, name: str, threads: int, width: int) -> Any:
    session = open_session(graph, name=f"the decoder of {name}", threads=threads)
    entries = [(entry.name, entry.type, entry.shape[1:]) for entry in session.get_inputs()]
    if entries != [("code", "tensor(float)", [width])]:
        raise ModelError(
            f"{name}: expected a decoder from code float[N, {width}], found inputs {entries}: "
            "train it again"
        )
    return session


def _check_code(code: Floats, width: int) -> None:
    found = getattr(code, "dtype", type(code).__name__)  # a list has none
    if found != np.float32:
        raise TypeError(f"expected codes as a NumPy array of dtype float32, found {found}")
    if code.ndim != 2 or code.shape[1] != width:
        raise ValueError(f"expected codes of shape [N, {width}], found {list(code.shape)}")
