"""From a digit detector to one ONNX graph: pixels in, the boxes and values of digits out."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from digitlens.errors import ModelError
from digitlens.models.bundle import Card, load_bundle
from digitlens.models.classifier import open_session
from digitlens.training.export import check_difference, exported, load_weights, write_model
from digitlens.training.nets.detector_network import STRIDE, DetectorNetwork
from digitlens.training.page_train import page_network
from digitlens.training.recipes import page_recipe_from

MOST = 1000  # digits that one look can find
AGREEMENT = 0.02  # largest difference between scores; float16 weights keep three digits
LARGEST = 5_000_000  # bytes of a graph; what ships with a package must stay small
FARTHEST = 9.0  # logarithm of cells: no box is larger, whatever the network says
_SMALL = 64  # numbers; tensors with no more stay float32

Page = npt.NDArray[np.uint8]


class PageGraph(nn.Module):
    """The network with what comes before and after it: what is exported."""

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, page: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Finds the digits of one page.

        Args:
            page: uint8[H, W, 3]; H and W multiples of 32, each at least 128.

        Returns:
            float32[1000], scores from high to low; float32[1000, 10], probabilities;
            float32[1000, 4], boxes in pixels; float32[H/4, W/4], the score of every cell.
        """
        cells = self.network(page.permute(2, 0, 1)[None])
        heat = torch.sigmoid(cells.centre)
        highest = functional.max_pool2d(heat[:, None], 3, stride=1, padding=1)[:, 0]
        peaks = torch.where(heat == highest, heat, torch.zeros_like(heat))
        scores, places = torch.topk(peaks.flatten(), MOST)
        _, height, width = heat.shape
        columns = (torch.arange(width) + 0.5).expand(height, width).flatten()
        rows = (torch.arange(height) + 0.5)[:, None].expand(height, width).flatten()
        middle = torch.stack([columns[places], rows[places]], dim=1)
        values = cells.values[0].flatten(1).index_select(1, places)
        found = cells.reach[0].flatten(1).index_select(1, places)
        reach = torch.exp(found.clamp(max=FARTHEST)).T
        boxes = torch.cat([middle - reach[:, :2], middle + reach[:, 2:]], dim=1) * STRIDE
        return scores, torch.softmax(values, dim=0).T, boxes, heat[0]


def export_pages(network: DetectorNetwork, card: Card, page: Page, folder: Path) -> Card:
    """Writes the model folder, if the graph sees what the network sees and is not too large.

    Args:
        network: On the CPU, float32.
        card: What is known of the model; hashes are filled in here.
        page: uint8[H, W, 3] to compare graph and network on, see ``check_page_graph``.
        folder: Where ``model.onnx``, ``model.json`` and ``weights.safetensors`` go.

    Returns:
        The card as written.

    Raises:
        ModelError: Scores differ by 0.02 or more, or the graph has more than 5 MB; nothing is
            written.
    """
    graph = page_graph(network)
    if len(graph) > LARGEST:
        raise ModelError(
            f"the exported graph has {len(graph):,} bytes, expected at most {LARGEST:,}: "
            "train with smaller widths; nothing was written"
        )
    check_page_graph(network, graph, page)
    return write_model(network, card, graph, folder)


def load_page_network(model: str | Path) -> DetectorNetwork:
    """The PyTorch network of a digit detector's folder, to train further or to look inside.

    Raises:
        ModelError: The folder has no weights, or not those that its card names.
        RecipeError: The folder is no digit detector.
    """
    bundle = load_bundle(model)
    network = page_network(page_recipe_from(bundle.card.recipe))
    load_weights(network, bundle)
    return network.eval()


def page_graph(network: DetectorNetwork) -> bytes:
    """The network as an ONNX graph for pages of any size, with float16 weights."""
    network = copy.deepcopy(network).eval().float()
    fuse(network)
    example = torch.zeros(160, 192, 3, dtype=torch.uint8)
    shapes = ({0: 32 * torch.export.Dim("h", min=4), 1: 32 * torch.export.Dim("w", min=4)},)
    model = exported(
        PageGraph(network), example, ["page"], ["score", "probabilities", "box", "heat"], shapes
    )
    return halved(model).SerializeToString()


def check_page_graph(network: DetectorNetwork, graph: bytes, page: Page) -> None:
    """Raises ModelError unless the graph sees on a page what the network sees.

    Args:
        network: On the CPU, float32.
        graph: See ``page_graph``.
        page: uint8[H, W, 3]; H and W multiples of 32, each at least 128.
    """
    with torch.inference_mode():
        expected = PageGraph(network.eval())(torch.from_numpy(page))
    found = open_session(graph, name="the exported graph").run(None, {"page": page})
    check_difference(expected[3].numpy(), found[3], AGREEMENT, "in the score of a cell")


def fuse(module: nn.Module) -> None:
    """Leads each batch normalisation into the convolution before it."""
    for name, child in module.named_children():
        match list(child) if isinstance(child, nn.Sequential) else []:
            case [nn.Conv2d() as conv, nn.BatchNorm2d() as norm, *rest]:
                fused = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
                setattr(module, name, nn.Sequential(fused, *rest))
            case _:
                fuse(child)


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keeps large float32 weights as float16, brought back by a Cast when the graph is loaded."""
    casts: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) > _SMALL:
            name = tensor.name
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    known = {cast.output[0] for cast in casts}
    infos = [info for info in model.graph.value_info if info.name not in known]
    del model.graph.value_info[:]
    model.graph.value_info.extend(infos)
    onnx.checker.check_model(model)
    return model
