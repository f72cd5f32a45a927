"""From a crop network to the second graph of a page reader: windows in, probabilities out."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from digitlens import files
from digitlens.data.windows import SIDE
from digitlens.model.bundle import CROPS, Card, load_bundle, write_bundle
from digitlens.model.classifier import open_session
from digitlens.model.crop_network import CropNetwork
from digitlens.training.export import check_difference, exported
from digitlens.training.page_export import AGREEMENT, fuse, halved


class CropGraph(nn.Module):
    """The network and its softmax: what is exported."""

    def __init__(self, network: CropNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Tensor) -> Tensor:
        """Probabilities float32[N, 11] of windows uint8[N, 56, 56, 3]."""
        return torch.softmax(self.network(windows.permute(0, 3, 1, 2)), dim=1)


def export_crops(
    network: CropNetwork, results: dict[str, Any], windows: npt.NDArray[np.uint8], folder: Path
) -> Card:
    """Adds the graph to a page reader's folder, if it says what the network says.

    Args:
        network: On the CPU, float32.
        results: What was measured; goes into the card, as ``crops``.
        windows: uint8[N, 56, 56, 3] to compare graph and network on.
        folder: A page reader's.

    Returns:
        The card as written.

    Raises:
        ModelError: Probabilities differ by 0.02 or more; nothing is written.
    """
    graph = crop_graph(network)
    check_crop_graph(network, graph, windows)
    bundle = load_bundle(folder)
    known = {**bundle.card.results, "crops": results}
    card = replace(bundle.card, crops_sha256=files.sha256(graph), results=known)
    files.write_bytes(folder / CROPS, graph)
    write_bundle(folder, card, bundle.graph)
    return card


def crop_graph(network: CropNetwork) -> bytes:
    """The network as an ONNX graph with a free batch size and float16 weights."""
    network = copy.deepcopy(network).eval().float()
    fuse(network)
    example = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("N")},)
    model = exported(CropGraph(network), example, ["windows"], ["probabilities"], shapes)
    return halved(model).SerializeToString()


def check_crop_graph(network: CropNetwork, graph: bytes, windows: npt.NDArray[np.uint8]) -> None:
    """Raises ModelError unless the graph says of windows what the network says."""
    with torch.inference_mode():
        expected = CropGraph(network.eval())(torch.from_numpy(windows)).numpy()
    found = open_session(graph, name="the exported graph").run(None, {"windows": windows})[0]
    check_difference(expected, found, AGREEMENT, "in a probability")
