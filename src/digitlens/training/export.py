"""From a network to the bundle that other programs use: traced, made smaller, compared, written.

Each kind of network has a module that is exported, with what comes before and after the network,
and its own bound for how far graph and network may differ.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx.utils import Extractor
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.nn import functional

from digitlens import files
from digitlens.datasets.mnist import Split
from digitlens.errors import ModelError
from digitlens.evaluation.calibration import fit_pool
from digitlens.models.bundle import DECODER, WEIGHTS, Bundle, Card, load_bundle, write_bundle
from digitlens.models.session import open_session
from digitlens.training.graphs import fold_normalisation, store_float16, store_int16, without_notes
from digitlens.training.nets.autoencoder_network import (
    Autoencoder,
    as_pixels,
    as_tiles,
    reconstruction_error,
)
from digitlens.training.nets.detector_network import STRIDE as CELL
from digitlens.training.nets.detector_network import DetectorNetwork
from digitlens.training.nets.line_network import HEIGHT, STRIDE, LineNetwork, SpotterNetwork
from digitlens.training.nets.tile_network import CLASSES, DigitNetwork, Ensemble, predict_logits
from digitlens.training.recipe import AutoencoderRecipe, DetectorRecipe, Recipe, TrainingRecipe
from digitlens.training.recipes import recipe_from
from digitlens.training.tasks.autoencoder import new_autoencoder
from digitlens.training.tasks.detector import detector_network
from digitlens.training.tasks.tile import TileNetwork, new_network

OPSET = 18  # read by onnxruntime 1.14 (2023) and later
CHECKED_TILES = 1000
AGREEMENT = 1e-4  # of a classifier; below, float16 weights keep three digits
DETECTOR_AGREEMENT = 0.02  # largest difference between scores of cells
AUTOENCODER_AGREEMENT = 0.02  # of full ink, or of the largest number
LINE_AGREEMENT = 3e-4
"""Largest mean, over the steps of all lines, of how far the posterior of any class may be off."""
SPOTTER_AGREEMENT = 2e-3  # the same of the digit spotter
LARGEST_DETECTOR = 5_000_000  # bytes of a graph; what ships with a package must stay small
MOST = 1000  # digits that a digit detector can find on one page
FARTHEST = 9.0  # logarithm of cells: no box is larger, whatever the network says
DRAWN = ("reconstruction", "error", "code")

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
N = TypeVar("N", bound=nn.Module)
T = TypeVar("T", bound=TrainingRecipe)


class TileGraph(nn.Module):
    """A network followed by its temperature and softmax: what is exported.

    Attributes:
        outputs: Names of what it gives, in order, see ``digitlens.outputs``.
    """

    def __init__(self, network: TileNetwork, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.outputs = ["probabilities", "energy"]
        if isinstance(network, DigitNetwork):
            self.outputs.append("features")
        if network.knows_none:
            self.outputs.append("digit")

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """All outputs for tiles uint8[N, 28, 28]."""
        if isinstance(self.network, Ensemble):
            logits, *signs = self.network.examine(tiles)
        else:
            features = self.network.features(tiles)
            logits = self.network.logits(features)
            signs = [-torch.logsumexp(logits[:, :CLASSES], dim=1), features]
        if self.network.knows_none:
            signs.append(1 - torch.softmax(logits, dim=1)[:, CLASSES])
        return torch.softmax(logits[:, :CLASSES] / self.temperature, dim=1), *signs


class DetectorGraph(nn.Module):
    """The network with what comes before and after it: what is exported."""

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, page: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Finds the digits of one page uint8[H, W, 3]; H and W multiples of 32, each at least 128.

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
        boxes = torch.cat([middle - reach[:, :2], middle + reach[:, 2:]], dim=1) * CELL
        return scores, torch.softmax(values, dim=0).T, boxes, heat[0]


class LineGraph(nn.Module):
    """The network followed by its softmax: what is exported."""

    def __init__(self, network: LineNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, lines: Tensor) -> Tensor:
        """Posteriors float32[N, W / 8, classes] of lines uint8[N, 48, W, 3]."""
        return torch.softmax(self.network(lines), dim=2)


class AutoencoderGraph(nn.Module):
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


def export_classifier(network: TileNetwork, card: Card, validation: Split, folder: Path) -> Card:
    """Writes the model folder of a classifier, if the graph answers as the network does.

    Args:
        network: On the CPU, float32.
        card: What is known of the model; hashes and temperature are filled in here.
        validation: Fits the temperature, unless the recipe has one, and the first 1,000 tiles
            compare graph and network.
        folder: Where ``model.onnx``, ``model.json`` and ``weights.safetensors`` go.

    Returns:
        The card as written.

    Raises:
        ModelError: Outputs differ by 1e-4 or more; nothing is written.
    """
    temperature = card.recipe.get("temperature") or fit_temperature(network, validation)
    model = TileGraph(network, temperature).eval()
    graph = tile_graph(model)
    check_graph(model, graph, validation.tiles[:CHECKED_TILES], model.outputs, AGREEMENT)
    return write_model(network, replace(card, temperature=temperature), graph, folder)


def export_detector(network: DetectorNetwork, card: Card, page: Pixels, folder: Path) -> Card:
    """Writes the folder of a digit detector, see ``export_classifier``.

    Graph and network are compared on a page uint8[H, W, 3]; H and W multiples of 32, at least 128.

    Raises:
        ModelError: Scores differ by 0.02 or more, or the graph has more than 5 MB; nothing is
            written.
    """
    graph = detector_graph(network)
    if len(graph) > LARGEST_DETECTOR:
        raise ModelError(
            f"the exported graph has {len(graph):,} bytes, expected at most "
            f"{LARGEST_DETECTOR:,}: train with smaller widths; nothing was written"
        )
    model = DetectorGraph(network.eval())
    # The order of equal scores is chance: what every cell says is compared.
    check_graph(model, graph, page, ["", "", "", "heat"], DETECTOR_AGREEMENT)
    return write_model(network, card, graph, folder)


def export_lines(network: LineNetwork, lines: Sequence[Pixels]) -> bytes:
    """A line recogniser as a graph, compared with the network on lines uint8[48, W, 3].

    Raises:
        ModelError: Posteriors differ by more than ``LINE_AGREEMENT``.
    """
    model = LineGraph(copy.deepcopy(network).eval().float())
    graph = store_int16(line_graph(model)).SerializeToString()
    check_lines(model, graph, lines)
    return graph


def export_spotter(network: SpotterNetwork, lines: Sequence[Pixels]) -> bytes:
    """A digit spotter as a graph with float16 weights, compared on lines uint8[48, W, 3].

    Raises:
        ModelError: Probabilities differ by more than ``SPOTTER_AGREEMENT``.
    """
    model = nn.Sequential(copy.deepcopy(network).eval().float(), nn.Sigmoid())
    graph = store_float16(line_graph(model, "spots")).SerializeToString()
    check_lines(model, graph, lines, SPOTTER_AGREEMENT)
    return graph


def export_autoencoder(network: Autoencoder, card: Card, tiles: Pixels, folder: Path) -> Card:
    """Writes the folder of an autoencoder, see ``export_classifier``, and its ``decoder.onnx``.

    Graphs and network are compared on tiles uint8[N, 28, 28], N >= 1.

    Raises:
        ModelError: They differ by 0.02 or more; nothing is written.
    """
    graph, decoder = autoencoder_graphs(network)
    check_autoencoder(network, graph, decoder, tiles)
    files.write_bytes(folder / DECODER, decoder)
    return write_model(network, replace(card, decoder_sha256=files.sha256(decoder)), graph, folder)


def tile_graph(model: TileGraph) -> bytes:
    """A classifier as a graph with a free batch size: tiles in, all its outputs out."""
    example = torch.zeros(2, 28, 28, dtype=torch.uint8)
    graph = trace(model, example, "tiles", model.outputs, {0: torch.export.Dim("N")})
    fold_normalisation(graph)
    return graph.SerializeToString()


def detector_graph(network: DetectorNetwork) -> bytes:
    """A digit detector as a graph for pages of any size, with float16 weights."""
    network = copy.deepcopy(network).eval().float()
    fuse(network)
    example = torch.zeros(160, 192, 3, dtype=torch.uint8)
    sides = {0: 32 * torch.export.Dim("h", min=4), 1: 32 * torch.export.Dim("w", min=4)}
    outputs = ["score", "probabilities", "box", "heat"]
    model = trace(DetectorGraph(network), example, "page", outputs, sides)
    return store_float16(model).SerializeToString()


def line_graph(model: nn.Module, output: str = "posteriors") -> onnx.ModelProto:
    """A graph, with float32 weights, of what a model says of lines of any number and width."""
    example = torch.zeros(2, HEIGHT, 12 * STRIDE, 3, dtype=torch.uint8)
    sides = {0: torch.export.Dim("n"), 2: STRIDE * torch.export.Dim("t", min=2)}
    graph = trace(model.eval(), example, "lines", [output], sides)
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "t"
    return graph


def autoencoder_graphs(network: Autoencoder) -> tuple[bytes, bytes]:
    """Both graphs with a free batch size and float16 weights: from tiles, and from codes."""
    network = copy.deepcopy(network).eval().float()
    tiles = torch.zeros(2, 28, 28, dtype=torch.uint8)
    model = AutoencoderGraph(network)
    whole = trace(model, tiles, "tiles", list(DRAWN), {0: torch.export.Dim("N")})
    decoder = _after_code(whole)
    return store_float16(whole).SerializeToString(), store_float16(decoder).SerializeToString()


def trace(
    model: nn.Module, example: Tensor, name: str, outputs: list[str], sides: dict[int, Any]
) -> onnx.ModelProto:
    """The graph of a model of one tensor, without the exporter's notes.

    Args:
        model: The model.
        example: What it takes.
        name: Of the graph's input.
        outputs: Names of its outputs.
        sides: The free dimensions of the input, by their number.
    """
    # The exporter warns of packages it could use and of its own deprecated calls; neither is for
    # the user to act on.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (example,),
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=(sides,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ModelError("the exporter returned no graph: update torch")
    return without_notes(program.model_proto)


def check_graph(
    model: nn.Module, graph: bytes, shown: Pixels, outputs: Sequence[str], limit: float
) -> None:
    """Raises ModelError unless a graph says what its network says, for its size where large.

    Args:
        model: What was exported, in evaluation mode.
        graph: What came of it.
        shown: What both are given.
        outputs: Names of the outputs in order; those without a name are not compared.
        limit: Differences are below it.
    """
    with torch.inference_mode():
        expected = model(torch.from_numpy(shown))
    session = open_session(graph, name="the exported graph")
    found = session.run(None, {session.get_inputs()[0].name: shown})
    for name, ours, theirs in zip(outputs, expected, found, strict=True):
        if name:
            _check_close(ours.numpy(), theirs, limit, f"in {name}")


def check_lines(
    model: nn.Module, graph: bytes, lines: Sequence[Pixels], limit: float = LINE_AGREEMENT
) -> None:
    """Raises ModelError unless a graph says of lines uint8[48, W, 3] what its network says."""
    session = open_session(graph, name="the exported graph")
    differences: list[Floats] = []
    for line in lines:
        with torch.inference_mode():
            expected: Floats = model(torch.from_numpy(line[None])).numpy()
        found: Floats = session.run(None, {"lines": line[None]})[0]
        differences.append(np.abs(expected - found).max(axis=2).ravel())
    difference = float(np.concatenate(differences).mean())
    _check_difference(difference, limit, "on average")


def check_autoencoder(network: Autoencoder, graph: bytes, decoder: bytes, tiles: Pixels) -> None:
    """Raises ModelError unless both graphs say what the network says of tiles uint8[N, 28, 28]."""
    model = AutoencoderGraph(network.eval())
    check_graph(model, graph, tiles, DRAWN, AUTOENCODER_AGREEMENT)
    with torch.inference_mode():
        drawn, _, code = model(torch.from_numpy(tiles))
    again = open_session(decoder, name="the exported decoder").run(None, {"code": code.numpy()})
    _check_close(drawn.numpy(), again[0], AUTOENCODER_AGREEMENT, "in what is decoded")


def _check_close(
    ours: npt.NDArray[np.generic], theirs: npt.NDArray[np.generic], limit: float, where: str
) -> None:
    """Raises ModelError unless two arrays are near each other, for their size where it is large."""
    expected, found = ours.astype(np.float32), theirs.astype(np.float32)
    scale = max(1.0, float(np.abs(expected).max()))
    _check_difference(float(np.abs(expected - found).max()) / scale, limit, where)


def _check_difference(difference: float, limit: float, where: str) -> None:
    if not difference < limit:
        raise ModelError(
            f"the exported graph differs from the network by {difference:.2g} {where}, "
            f"expected less than {limit:g}: nothing was written"
        )


def write_model(network: nn.Module, card: Card, graph: bytes, folder: Path) -> Card:
    """Writes weights, graph and card, and returns the card with the hashes of both filled in."""
    weights = save_tensors(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    )
    hashes = {"sha256": files.sha256(graph), "weights_sha256": files.sha256(weights)}
    card = replace(card, **hashes)
    files.write_bytes(folder / WEIGHTS, weights)
    write_bundle(folder, card, graph)
    return card


def fit_temperature(network: nn.Module, validation: Split) -> float:
    """The softmax temperature with the lowest loss on the validation tiles, from 0.2 to 5.

    Guo et al., "On calibration of modern neural networks", 2017.
    """
    logits = predict_logits(network, torch.from_numpy(validation.tiles))[:, :CLASSES]
    (factor,) = fit_pool(logits.cpu().numpy()[..., None], validation.labels)
    return float(1 / np.clip(factor, 0.2, 5))


def error_quantiles(network: Autoencoder, tiles: Pixels) -> list[float]:
    """The 101 quantiles, from the least to the largest, of the errors on tiles uint8[N, 28, 28]."""
    parts = torch.from_numpy(tiles).split(CHECKED_TILES)
    with torch.inference_mode():
        errors = torch.cat([AutoencoderGraph(network)(part)[1] for part in parts])
    return [round(value, 6) for value in np.quantile(errors.numpy(), np.linspace(0, 1, 101))]


def load_network(model: str | Path) -> TileNetwork:
    """The PyTorch network of a model folder, to train further or to look inside.

    Raises:
        ModelError: The folder has no weights, or not those that its card names.
        RecipeError: The folder is that of another kind of model.
    """
    return _load(model, Recipe, new_network)


def load_detector(model: str | Path) -> DetectorNetwork:
    """``load_network`` of a digit detector."""
    return _load(model, DetectorRecipe, detector_network)


def load_autoencoder(model: str | Path) -> Autoencoder:
    """``load_network`` of an autoencoder."""
    return _load(model, AutoencoderRecipe, new_autoencoder)


def _load(model: str | Path, kind: type[T], build: Callable[[T], N]) -> N:
    bundle = load_bundle(model)
    network = build(recipe_from(bundle.card.recipe, kind))
    load_weights(network, bundle)
    return network.eval()


def load_weights(network: nn.Module, bundle: Bundle) -> None:
    """Gives a network the weights of a model folder.

    Raises ModelError where there are none, or not those that its card names, or they do not fit.
    """
    path = bundle.folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}): the model has only a graph") from error
    if files.sha256(content) != bundle.card.weights_sha256:
        raise ModelError(f"{path} was changed: it does not have the hash in the model's card")
    try:
        network.load_state_dict(load_tensors(content))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path} does not fit the recipe in the model's card: {error}") from error


def _after_code(whole: onnx.ModelProto) -> onnx.ModelProto:
    """The part of the graph from codes to reconstructions; to export it again takes seconds."""
    code = next(output for output in whole.graph.output if output.name == "code")
    whole.graph.value_info.append(code)  # where the extractor looks for what becomes an input
    part = Extractor(whole).extract_model(["code"], ["reconstruction"])
    whole.graph.value_info.pop()
    onnx.checker.check_model(part)
    return part


def fuse(module: nn.Module) -> None:
    """Leads each batch normalisation into the convolution before it."""
    for name, child in module.named_children():
        match list(child) if isinstance(child, nn.Sequential) else []:
            case [nn.Conv2d() as conv, nn.BatchNorm2d() as norm, *rest]:
                fused = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
                setattr(module, name, nn.Sequential(fused, *rest))
            case _:
                fuse(child)
