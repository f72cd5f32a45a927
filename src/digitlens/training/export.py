"""Exports networks as bundles: traces them, compresses weights, compares outputs, writes files.

For each kind of network, a module adds its pre- and postprocessing to the exported graph, and a
constant bounds the difference between graph and network. Weights are stored as float16 or int16 and
converted when the graph is loaded, so that it computes in float32.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
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
from digitlens.training.page_networks import (
    CELL,
    HEIGHT,
    STRIDE,
    DetectorNetwork,
    LineNetwork,
    SpotterNetwork,
)
from digitlens.training.recipe import recipe_from
from digitlens.training.tasks.tile import TileNetwork, new_network
from digitlens.training.tile_networks import (
    CLASSES,
    Autoencoder,
    DigitNetwork,
    Ensemble,
    as_pixels,
    as_tiles,
    predict_logits,
    reconstruction_error,
)

OPSET = 20  # the first with Gelu; read by onnxruntime 1.17 (2024) and later
CHECKED_TILES = 1000
# Maximum differences between graph and network, larger if weights are float16 (three digits).
AGREEMENT = 1e-4  # classifier
DETECTOR_AGREEMENT = 0.02  # detector, of cell scores
AUTOENCODER_AGREEMENT = 0.02  # autoencoder, relative to full ink or to the largest number
LINE_AGREEMENT = 3e-4  # recogniser: maximum over classes of the posteriors, mean over all steps
SPOTTER_AGREEMENT = 2e-3  # spotter: as for the recogniser
LARGEST_DETECTOR = 5_000_000  # bytes of the graph, which ships with the package
MOST = 1000  # digits that a digit detector can return for one page
FARTHEST = 9.0  # limits boxes: logarithm of the distance from centre to side, in cells
DRAWN = ("reconstruction", "error", "code")

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
_MAX_FLOAT32 = 64  # elements; tensors with no more stay float32
_BALANCE_ROUNDS = 3  # of balancing rows and columns; more do not improve the result
_TINY = 1e-9  # replaces zeros, which have no scale
_MIN_INT16 = 4096  # elements; smaller weights are not stored as int16
_MAX_CODE = np.iinfo(np.int16).max


def store_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores large float32 weights of a graph as float16; changes and returns the graph."""
    casts: list[NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) > _MAX_FLOAT32:
            name = tensor.name
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    return _prepend_nodes(model, casts)


def store_int16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores large weights of a graph as int16 with scales; changes and returns the graph."""
    nodes = model.graph.node
    weights = {node.input[1] for node in nodes if node.op_type in {"Conv", "MatMul"}}
    new: list[NodeProto] = []
    scales: list[onnx.TensorProto] = []
    for tensor in model.graph.initializer:
        if tensor.name in weights and np.prod(tensor.dims) >= _MIN_INT16:
            name = tensor.name
            codes, *factors = quantise(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(codes, f"{name}.int16"))
            names = [f"{name}.scale{index}" for index in range(len(factors))]
            scales += map(numpy_helper.from_array, factors, names)
            # Not DequantizeLinear: onnxruntime does not fold it but computes it in every run.
            steps = [f"{name}.cast", f"{name}.scaled", name]
            new.append(helper.make_node("Cast", [f"{name}.int16"], steps[:1], to=TensorProto.FLOAT))
            new += [
                helper.make_node("Mul", [source, scale], [target])
                for source, scale, target in zip(steps, names, steps[1:], strict=False)
            ]
    model.graph.initializer.extend(scales)
    return _prepend_nodes(model, new)


def _prepend_nodes(model: onnx.ModelProto, added: list[NodeProto]) -> onnx.ModelProto:
    """Prepends nodes that decompress weights to a graph; changes and returns the graph."""
    nodes = [*added, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    produced = {node.output[0] for node in added}
    infos = [info for info in model.graph.value_info if info.name not in produced]
    del model.graph.value_info[:]
    model.graph.value_info.extend(infos)
    onnx.checker.check_model(model)
    return model


def quantise(weight: Floats) -> tuple[npt.NDArray[np.int16], Floats, Floats]:
    """Quantises a weight float32[A, B, ...] to int16[A, B, ...] with scales for A and for B.

    Scales for outputs alone would lose precision: with normalisations folded in, the weights of
    some inputs are a hundred times larger than those of others. A few rounds roughly equalise the
    largest magnitudes of rows and columns. On 300 hard lines, int16 changes no text, while float16
    weights change 1 % of the lines and int8 weights 10 %.
    """
    rows, columns = np.ones((len(weight), 1)), np.ones((1, weight.shape[1]))
    largest = np.abs(weight.reshape(*weight.shape[:2], -1)).max(axis=2).clip(_TINY)
    for _ in range(_BALANCE_ROUNDS):
        balanced = largest / rows / columns
        columns *= np.sqrt(balanced.max(axis=0, keepdims=True))
        balanced = largest / rows / columns
        rows *= balanced.max(axis=1, keepdims=True)
    columns *= (largest / rows / columns).max() / _MAX_CODE
    shape = (1,) * (weight.ndim - 2)
    first = rows.reshape(*rows.shape, *shape).astype(np.float32)
    second = columns.reshape(*columns.shape, *shape).astype(np.float32)
    codes = np.rint(weight / first / second).clip(-_MAX_CODE, _MAX_CODE).astype(np.int16)
    return codes, first, second


class _GraphModule(nn.Module):
    """A network with the pre- and postprocessing of its exported graph."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class TileGraph(_GraphModule):
    """A classifier with temperature and softmax."""

    network: TileNetwork

    def __init__(self, network: TileNetwork, temperature: float) -> None:
        super().__init__(network)
        self.temperature = temperature
        # Names of the outputs, in order, see ``results.Outputs``.
        self.outputs = ["probabilities", "energy"]
        if isinstance(network, DigitNetwork):
            self.outputs.append("features")
        if network.knows_none:
            self.outputs.append("digit")

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """Returns all outputs for tiles uint8[N, 28, 28]."""
        if isinstance(self.network, Ensemble):
            logits, *others = self.network.examine(tiles)
        else:
            features = self.network.features(tiles)
            logits = self.network.logits(features)
            others = [-torch.logsumexp(logits[:, :CLASSES], dim=1), features]
        if self.network.knows_none:
            others.append(1 - torch.softmax(logits, dim=1)[:, CLASSES])
        return torch.softmax(logits[:, :CLASSES] / self.temperature, dim=1), *others


class DetectorGraph(_GraphModule):
    """A digit detector with peak detection and box decoding."""

    network: DetectorNetwork

    def forward(self, page: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detects the digits of one page uint8[H, W, 3]; H and W multiples of 32, at least 128.

        Returns scores float32[1000] in descending order, probabilities float32[1000, 10], boxes
        float32[1000, 4] in pixels, and the scores of all cells float32[H/4, W/4].
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
        log_reach = cells.reach[0].flatten(1).index_select(1, places)
        reach = torch.exp(log_reach.clamp(max=FARTHEST)).T
        boxes = torch.cat([middle - reach[:, :2], middle + reach[:, 2:]], dim=1) * CELL
        return scores, torch.softmax(values, dim=0).T, boxes, heat[0]


class LineGraph(_GraphModule):
    """A line recogniser with softmax."""

    network: LineNetwork

    def forward(self, lines: Tensor) -> Tensor:
        """Returns posteriors float32[N, W / 8, classes] of lines uint8[N, 48, W, 3]."""
        return torch.softmax(self.network(lines), dim=2)


class AutoencoderGraph(_GraphModule):
    """An autoencoder from tiles to reconstructed tiles."""

    network: Autoencoder

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns reconstructions uint8[N, 28, 28], errors float32[N] and codes float32[N, D]."""
        pixels = as_pixels(tiles)
        code = self.network.encode(pixels)
        reconstruction = torch.sigmoid(self.network.decode(code))
        return as_tiles(reconstruction), reconstruction_error(pixels, reconstruction), code


def export_classifier(network: TileNetwork, card: Card, validation: Split, folder: Path) -> Card:
    """Writes a classifier's model folder after comparing graph and network.

    The network is on the CPU, in float32. Returns the card with hashes and temperature filled in.
    Validation tiles fit the temperature, unless the recipe has one; on the first 1,000, graph and
    network are compared. Raises ModelError and writes nothing if outputs differ by 1e-4 or more.
    """
    temperature = card.recipe.get("temperature") or fit_temperature(network, validation)
    model = TileGraph(network, temperature).eval()
    graph = tile_graph(model)
    check_graph(model, graph, validation.tiles[:CHECKED_TILES], model.outputs, AGREEMENT)
    return write_model(network, replace(card, temperature=temperature), graph, folder)


def export_detector(network: DetectorNetwork, card: Card, page: Pixels, folder: Path) -> Card:
    """Writes a digit detector's model folder, see ``export_classifier``.

    Compares graph and network on a page uint8[H, W, 3]; H and W multiples of 32, at least 128.
    Raises ModelError if scores differ by 0.02 or more, or the graph is larger than 5 MB.
    """
    graph = detector_graph(network)
    if len(graph) > LARGEST_DETECTOR:
        raise ModelError(
            f"the exported graph has {len(graph):,} bytes, expected at most "
            f"{LARGEST_DETECTOR:,}: train with smaller widths; nothing was written"
        )
    model = DetectorGraph(network.eval())
    # Compares all cells, since the order of equal scores is arbitrary.
    check_graph(model, graph, page, ["", "", "", "heat"], DETECTOR_AGREEMENT)
    return write_model(network, card, graph, folder)


def export_lines(network: LineNetwork, lines: Sequence[Pixels]) -> bytes:
    """Returns the graph of a line recogniser, compared with it on lines uint8[48, W, 3].

    Raises ModelError if posteriors differ by ``LINE_AGREEMENT`` or more.
    """
    model = LineGraph(copy.deepcopy(network).eval().float())
    graph = store_int16(line_graph(model)).SerializeToString()
    check_lines(model, graph, lines)
    return graph


def export_spotter(network: SpotterNetwork, lines: Sequence[Pixels]) -> bytes:
    """Returns the float16 graph of a digit spotter, compared with it on lines uint8[48, W, 3].

    Raises ModelError if probabilities differ by ``SPOTTER_AGREEMENT`` or more.
    """
    model = nn.Sequential(copy.deepcopy(network).eval().float(), nn.Sigmoid())
    graph = store_float16(line_graph(model, "spots")).SerializeToString()
    check_lines(model, graph, lines, SPOTTER_AGREEMENT)
    return graph


def export_autoencoder(network: Autoencoder, card: Card, tiles: Pixels, folder: Path) -> Card:
    """Writes an autoencoder's model folder with ``decoder.onnx``, see ``export_classifier``.

    Compares graphs and network on tiles uint8[N, 28, 28], N >= 1; raises ModelError if they differ
    by 0.02 or more.
    """
    graph, decoder = autoencoder_graphs(network)
    check_autoencoder(network, graph, decoder, tiles)
    files.write_bytes(folder / DECODER, decoder)
    return write_model(network, replace(card, decoder_sha256=files.sha256(decoder)), graph, folder)


def tile_graph(model: TileGraph) -> bytes:
    """Returns the graph of a classifier, with dynamic batch size and all its outputs."""
    model, example = copy.deepcopy(model), torch.zeros(2, 28, 28, dtype=torch.uint8)
    for part in model.modules():
        if isinstance(part, DigitNetwork):
            part.fold()
    graph = trace(model, example, "tiles", model.outputs, {0: torch.export.Dim("N")})
    return graph.SerializeToString()


def detector_graph(network: DetectorNetwork) -> bytes:
    """Returns the graph of a digit detector for pages of any size, with float16 weights."""
    network = copy.deepcopy(network).eval().float()
    fuse(network)
    example = torch.zeros(160, 192, 3, dtype=torch.uint8)
    sides = {0: 32 * torch.export.Dim("h", min=4), 1: 32 * torch.export.Dim("w", min=4)}
    outputs = ["score", "probabilities", "box", "heat"]
    model = trace(DetectorGraph(network), example, "page", outputs, sides)
    return store_float16(model).SerializeToString()


def line_graph(model: nn.Module, output: str = "posteriors") -> onnx.ModelProto:
    """Returns the float32 graph of a model for any number and width of lines."""
    example = torch.zeros(2, HEIGHT, 12 * STRIDE, 3, dtype=torch.uint8)
    sides = {0: torch.export.Dim("n"), 2: STRIDE * torch.export.Dim("t", min=2)}
    graph = trace(model.eval(), example, "lines", [output], sides)
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "t"
    return graph


def autoencoder_graphs(network: Autoencoder) -> tuple[bytes, bytes]:
    """Returns float16 graphs with dynamic batch size: the autoencoder, and its decoder alone."""
    network = copy.deepcopy(network).eval().float()
    tiles = torch.zeros(2, 28, 28, dtype=torch.uint8)
    model = AutoencoderGraph(network)
    complete = trace(model, tiles, "tiles", list(DRAWN), {0: torch.export.Dim("N")})
    # Extracts the part from codes to reconstructions; exporting it separately takes seconds.
    code = next(output for output in complete.graph.output if output.name == "code")
    complete.graph.value_info.append(code)  # where the extractor looks up the new input
    decoder = Extractor(complete).extract_model(["code"], ["reconstruction"])
    complete.graph.value_info.pop()
    onnx.checker.check_model(decoder)
    return store_float16(complete).SerializeToString(), store_float16(decoder).SerializeToString()


def trace(
    model: nn.Module, example: Tensor, name: str, outputs: list[str], sides: dict[int, Any]
) -> onnx.ModelProto:
    """Exports a model with one input tensor as a graph without the exporter's metadata.

    ``name`` names the input; ``sides`` are its dynamic dimensions, by axis.
    """
    # The exporter warns about optional packages and its own deprecated calls: not actionable.
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
    traced = program.model_proto
    graph = traced.graph
    ports = *graph.input, *graph.output
    for holder in (traced, graph, *graph.node, *ports, *graph.initializer, *graph.value_info):
        del holder.metadata_props[:]  # contains source paths of this machine
        holder.doc_string = ""
    onnx.checker.check_model(traced)
    return traced


def check_graph(
    model: nn.Module, graph: bytes, inputs: Pixels, outputs: Sequence[str], limit: float
) -> None:
    """Raises ModelError unless a graph and its network, in evaluation mode, agree.

    Differences must be below the limit, relative to the largest output if that exceeds 1.
    ``outputs`` are names in order; outputs with an empty name are not compared.
    """
    with torch.inference_mode():
        expected = model(torch.from_numpy(inputs))
    session = open_session(graph, name="the exported graph")
    found = session.run(None, {session.get_inputs()[0].name: inputs})
    for name, expected_output, found_output in zip(outputs, expected, found, strict=True):
        if name:
            _check_close(expected_output.numpy(), found_output, limit, f"in {name}")


def check_lines(
    model: nn.Module, graph: bytes, lines: Sequence[Pixels], limit: float = LINE_AGREEMENT
) -> None:
    """Raises ModelError unless a graph and its network agree on lines uint8[48, W, 3]."""
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
    """Raises ModelError unless both graphs agree with the network on tiles uint8[N, 28, 28]."""
    model = AutoencoderGraph(network.eval())
    check_graph(model, graph, tiles, DRAWN, AUTOENCODER_AGREEMENT)
    with torch.inference_mode():
        reconstruction, _, code = model(torch.from_numpy(tiles))
    decoded = open_session(decoder, name="the exported decoder").run(None, {"code": code.numpy()})
    _check_close(reconstruction.numpy(), decoded[0], AUTOENCODER_AGREEMENT, "in what is decoded")


def _check_close(
    ours: npt.NDArray[np.generic], theirs: npt.NDArray[np.generic], limit: float, where: str
) -> None:
    """Raises ModelError unless two arrays agree, relative to the largest value if above 1."""
    expected, found = ours.astype(np.float32), theirs.astype(np.float32)
    scale = max(1.0, float(np.abs(expected).max()))
    _check_difference(float(np.abs(expected - found).max()) / scale, limit, where)


def _check_difference(difference: float, limit: float, where: str) -> None:
    if not difference < limit:
        raise ModelError(
            f"the exported graph differs from the network by {difference:.2g} {where}, "
            f"expected less than {limit:g}; nothing was written"
        )


def write_model(network: nn.Module, card: Card, graph: bytes, folder: Path) -> Card:
    """Writes weights, graph and card; returns the card with the hashes of both filled in."""
    weights = save_tensors(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    )
    card = replace(card, sha256=files.sha256(graph), weights_sha256=files.sha256(weights))
    files.write_bytes(folder / WEIGHTS, weights)
    write_bundle(folder, card, graph)
    return card


def fit_temperature(network: nn.Module, validation: Split) -> float:
    """Returns the softmax temperature with the lowest validation loss, from 0.2 to 5.

    Guo et al., "On calibration of modern neural networks", 2017.
    """
    logits = predict_logits(network, torch.from_numpy(validation.tiles))[:, :CLASSES]
    (factor,) = fit_pool(logits.cpu().numpy()[..., None], validation.labels)
    return float(1 / np.clip(factor, 0.2, 5))


def error_quantiles(network: Autoencoder, tiles: Pixels) -> list[float]:
    """Returns the 101 percentiles, minimum to maximum, of errors on tiles uint8[N, 28, 28]."""
    parts = torch.from_numpy(tiles).split(CHECKED_TILES)
    with torch.inference_mode():
        errors = torch.cat([AutoencoderGraph(network)(part)[1] for part in parts])
    return [round(value, 6) for value in np.quantile(errors.numpy(), np.linspace(0, 1, 101))]


def load_network(model: str | Path) -> TileNetwork:
    """Loads the PyTorch network of a model folder, for further training or inspection.

    Raises ModelError like ``load_weights``, RecipeError for another kind of model.
    """
    bundle = load_bundle(model)
    network = new_network(recipe_from(bundle.card.recipe))
    load_weights(network, bundle)
    return network.eval()


def load_weights(network: nn.Module, bundle: Bundle) -> None:
    """Loads the weights of a model folder into a network.

    Raises ModelError if there are no weights, their hash is not that of the card, or they do not
    fit the network.
    """
    path = bundle.folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}): the model has only a graph") from error
    if files.sha256(content) != bundle.card.weights_sha256:
        raise ModelError(f"{path} was changed: its hash is not that in the model's card")
    try:
        network.load_state_dict(load_tensors(content))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path} does not fit the recipe in the model's card: {error}") from error


def fuse(module: nn.Module) -> None:
    """Folds each batch normalisation into the convolution before it."""
    for name, child in module.named_children():
        match list(child) if isinstance(child, nn.Sequential) else []:
            case [nn.Conv2d() as conv, nn.BatchNorm2d() as norm, *rest]:
                fused = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
                setattr(module, name, nn.Sequential(fused, *rest))
            case _:
                fuse(child)
