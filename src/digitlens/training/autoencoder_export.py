"""From an autoencoder to two ONNX graphs: tiles to reconstructions and codes, codes to tiles."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx.utils import Extractor
from torch import Tensor, nn

from digitlens import files
from digitlens.models.bundle import DECODER, Card, load_bundle
from digitlens.models.session import open_session
from digitlens.training.autoencoder_train import new_autoencoder
from digitlens.training.export import (
    CHECKED_TILES,
    check_difference,
    exported,
    load_weights,
    write_model,
)
from digitlens.training.nets.autoencoder_network import (
    Autoencoder,
    as_pixels,
    as_tiles,
    reconstruction_error,
)
from digitlens.training.page_export import halved
from digitlens.training.recipes import autoencoder_recipe_from

OUTPUTS = ("reconstruction", "error", "code")
AGREEMENT = 0.02  # of full ink, or of the largest number; float16 weights keep three digits

Tiles = npt.NDArray[np.uint8]


class ReconstructionGraph(nn.Module):
    """The network with what comes before and after it: what is exported."""

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructions uint8[N, 28, 28], errors float32[N] and codes float32[N, D] of tiles."""
        pixels = as_pixels(tiles)
        code = self.network.encode(pixels)
        drawn = torch.sigmoid(self.network.decode(code))
        return as_tiles(drawn), reconstruction_error(pixels, drawn), code


def export_autoencoder(network: Autoencoder, card: Card, tiles: Tiles, folder: Path) -> Card:
    """Writes the model folder, if the graphs draw what the network draws.

    Args:
        network: On the CPU, float32.
        card: What is known of the model; hashes are filled in here.
        tiles: uint8[N, 28, 28] to compare graphs and network on, N >= 1.
        folder: Where ``model.onnx``, ``decoder.onnx``, ``model.json`` and ``weights.safetensors``
            go.

    Returns:
        The card as written.

    Raises:
        ModelError: They differ by 0.02 or more; nothing is written.
    """
    graph, decoder = autoencoder_graphs(network)
    check_graphs(network, graph, decoder, tiles)
    files.write_bytes(folder / DECODER, decoder)
    return write_model(network, replace(card, decoder_sha256=files.sha256(decoder)), graph, folder)


def error_quantiles(network: Autoencoder, tiles: Tiles) -> list[float]:
    """The 101 quantiles, from the least to the largest, of the errors on tiles uint8[N, 28, 28]."""
    parts = torch.from_numpy(tiles).split(CHECKED_TILES)
    with torch.inference_mode():
        errors = torch.cat([ReconstructionGraph(network)(part)[1] for part in parts])
    return [round(value, 6) for value in np.quantile(errors.numpy(), np.linspace(0, 1, 101))]


def load_autoencoder(model: str | Path) -> Autoencoder:
    """The PyTorch network of an autoencoder's folder, to train further or to look inside.

    Raises:
        ModelError: The folder has no weights, or not those that its card names.
        RecipeError: The folder is no autoencoder.
    """
    bundle = load_bundle(model)
    network = new_autoencoder(autoencoder_recipe_from(bundle.card.recipe))
    load_weights(network, bundle)
    return network.eval()


def autoencoder_graphs(network: Autoencoder) -> tuple[bytes, bytes]:
    """Both graphs with a free batch size and float16 weights: from tiles, and from codes."""
    network = copy.deepcopy(network).eval().float()
    tiles = torch.zeros(2, 28, 28, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("N")},)
    whole = exported(ReconstructionGraph(network), tiles, ["tiles"], list(OUTPUTS), shapes)
    decoder = _after_code(whole)
    return halved(whole).SerializeToString(), halved(decoder).SerializeToString()


def _after_code(whole: onnx.ModelProto) -> onnx.ModelProto:
    """The part of the graph from codes to reconstructions; to export it again takes seconds."""
    code = next(output for output in whole.graph.output if output.name == "code")
    whole.graph.value_info.append(code)  # where the extractor looks for what becomes an input
    part = Extractor(whole).extract_model(["code"], ["reconstruction"])
    whole.graph.value_info.pop()
    onnx.checker.check_model(part)
    return part


def check_graphs(network: Autoencoder, graph: bytes, decoder: bytes, tiles: Tiles) -> None:
    """Raises ModelError unless both graphs say what the network says, for its size where large.

    Args:
        network: On the CPU, float32.
        graph: From tiles, see ``autoencoder_graphs``.
        decoder: From codes.
        tiles: uint8[N, 28, 28], N >= 1.
    """
    with torch.inference_mode():
        expected = ReconstructionGraph(network.eval())(torch.from_numpy(tiles))
    session = open_session(graph, name="the exported graph")
    found = session.run(list(OUTPUTS), {"tiles": tiles})
    for name, ours, theirs in zip(OUTPUTS, expected, found, strict=True):
        _check(ours.numpy(), theirs, name)
    code = {"code": expected[2].numpy()}
    again = open_session(decoder, name="the exported decoder").run(None, code)[0]
    _check(expected[0].numpy(), again, "what is decoded")


def _check(ours: npt.NDArray[np.generic], theirs: npt.NDArray[np.generic], name: str) -> None:
    expected, found = ours.astype(np.float32), theirs.astype(np.float32)
    scale = max(1.0, float(np.abs(expected).max()))
    check_difference(expected / scale, found / scale, AGREEMENT, f"in {name}")
