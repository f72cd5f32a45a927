"""Converts PP-OCRv6's text detector to ours: pixels in, half-size map out, int8 weights.

``python tools/text_detector.py detector.onnx`` downloads the published graph and writes ours, which
ships with the package.

The network is PP-OCRv6_det_small of PaddleOCR (Apache-2.0), 2.45 million parameters, trained by its
authors; nothing is trained here. The graph is simplified and computes the same, except for the
rounding of weights and a map with one cell per 2 x 2 pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from digitlens import files
from digitlens.errors import ModelError
from digitlens.models.session import open_session
from digitlens.training.pretrained import DETECTOR, fetch_pp_ocr

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

OPSET = 20  # has Gelu; read by onnxruntime 1.17 (2024) and later
LARGEST = 3_000_000  # bytes of a graph, since it ships with the package
AGREEMENT = 0.01  # limit on the mean difference of the maps; int8 weights cause a third of it
_FLOAT_SIZE = 64  # elements; tensors up to this size stay float32


class Graph:
    """The nodes and constants of an ONNX graph during rewriting.

    Attributes:
        nodes: In execution order.
        constants: By name.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.constants: dict[str, npt.NDArray[Any]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        self.nodes: list[onnx.NodeProto] = []
        for node in model.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                self.nodes.append(node)

    def of_type(self, *types: str) -> list[onnx.NodeProto]:
        """The nodes of the given types, in order."""
        return [node for node in self.nodes if node.op_type in types]

    def users(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that consume a tensor."""
        return [node for node in self.nodes if name in node.input]

    def maker(self, name: str) -> onnx.NodeProto | None:
        """The node that produces a tensor; None for constants and inputs."""
        return next((node for node in self.nodes if name in node.output), None)

    def replace(self, old: list[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
        """Replaces nodes by new ones, inserted at the position of the last old one."""
        position = self.nodes.index(old[-1])
        self.nodes[position:position] = new
        for node in old:
            self.nodes.remove(node)

    def bypass(self, node: onnx.NodeProto, name: str) -> None:
        """Removes a node and reconnects its consumers to another tensor."""
        for consumer in self.users(node.output[0]):
            for index, source in enumerate(consumer.input):
                if source == node.output[0]:
                    consumer.input[index] = name
        self.nodes.remove(node)


def export_text_detector(source: Path, target: Path) -> int:
    """Writes our graph of the detector if its map agrees with the published one's.

    Args:
        source: ``PP-OCRv6_det_small.onnx`` as published.
        target: Path of our graph.

    Returns:
        Size of our graph in bytes.

    Raises:
        ModelError: The source is another network, the maps differ, or the graph exceeds 3 MB;
            nothing is written.
    """
    published = source.read_bytes()
    try:
        model = onnx.load_from_string(published)
        graph = detector_graph(model, files.sha256(published)).SerializeToString()
    except (DecodeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise ModelError(f"{source} is not PP-OCRv6_det_small: {error}") from error
    if len(graph) > LARGEST:
        raise ModelError(
            f"the graph has {len(graph):,} bytes, expected at most {LARGEST:,}: nothing was written"
        )
    check_detector(published, graph, _drawn_page())
    files.write_bytes(target, graph)
    return len(graph)


def detector_graph(model: onnx.ModelProto, digest: str = "") -> onnx.ModelProto:
    """Rewrites the published graph.

    Args:
        model: As published: normalised float32[N, 3, H, W], BGR, to float32[N, 1, H, W].
        digest: SHA-256 of its file, recorded in our graph's metadata.

    Returns:
        ``page``: uint8[H, W, 3], RGB, H and W multiples of 32, to ``text``: float32[H/2, W/2].
    """
    graph = Graph(model)
    passes: list[Callable[[Graph], None]] = [
        drop_identities, fold_biases, pool_means, scale_once, name_gelu, halve_map, take_pixels,
        add_parts, end_in_phases, keep_blocks,
    ]  # fmt: skip
    for rewrite in passes:
        rewrite(graph)
    return _assemble(graph, digest)


def check_detector(published: bytes, graph: bytes, page: Pixels) -> None:
    """Raises ModelError unless both graphs give the same map for a page.

    Args:
        published: The published graph.
        graph: Ours, see ``detector_graph``.
        page: uint8[H, W, 3]; H and W multiples of 32.
    """
    normalised = (page[..., ::-1] / np.float32(127.5) - 1).transpose(2, 0, 1)[None]
    session = open_session(published, name="the published graph")
    (full,) = session.run(None, {session.get_inputs()[0].name: normalised})
    (found,) = open_session(graph, name="the exported graph").run(None, {"page": page})
    difference = float(np.abs(halved(full[0, 0]) - found).mean())
    if not difference < AGREEMENT:
        raise ModelError(
            f"the exported graph differs from the published one by {difference:.2g} on average, "
            f"expected less than {AGREEMENT:g}: nothing was written"
        )


def halved(text_map: Floats) -> Floats:
    """Converts the published map to our resolution: the mean of four logits per cell.

    Args:
        text_map: float32[H, W], 0..1.
    """
    height, width = text_map.shape
    clipped = np.clip(text_map.astype(np.float64), 1e-7, 1 - 1e-7)
    logits = np.log(clipped) - np.log1p(-clipped)
    cells = logits.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return (1 / (1 + np.exp(-cells))).astype(np.float32)


def drop_identities(graph: Graph) -> None:
    """Removes the identities that the converter left in place of casts."""
    for node in graph.of_type("Identity"):
        graph.bypass(node, node.input[0])


def fold_biases(graph: Graph) -> None:
    """Folds a constant added after a convolution into its bias."""
    for conv in graph.of_type("Conv", "ConvTranspose"):
        users = graph.users(conv.output[0])
        if len(users) != 1 or users[0].op_type != "Add" or users[0].input[1] not in graph.constants:
            continue
        bias = users[0].input[1]
        graph.constants[bias] = graph.constants[bias].reshape(-1)
        conv.input.append(bias)
        graph.bypass(users[0], conv.output[0])


def pool_means(graph: Graph) -> None:
    """Replaces means over the page by average pooling, which needs no layout change."""
    for node in graph.of_type("ReduceMean"):
        pool = helper.make_node("GlobalAveragePool", [node.input[0]], [node.output[0]])
        graph.replace([node], [pool])


def scale_once(graph: Graph) -> None:
    """Rewrites x + x s, with large x and small s, as x (1 + s)."""
    graph.constants["one"] = np.ones((1, 1, 1, 1), np.float32)
    for add in graph.of_type("Add"):
        product = graph.maker(add.input[1])
        if product is None or product.op_type != "Mul" or product.input[0] != add.input[0]:
            continue
        scale = product.input[1]
        factor = helper.make_node("Add", [scale, "one"], [f"{scale}.more"])
        product.input[1] = factor.output[0]
        graph.nodes.insert(graph.nodes.index(product), factor)
        graph.bypass(add, product.output[0])


def name_gelu(graph: Graph) -> None:
    """Fuses x / sqrt(2), Erf, + 1, * x, / 2 into a Gelu node."""
    for divide in graph.of_type("Div"):
        chain = [divide]
        for kind in ("Erf", "Add", "Mul", "Mul"):
            (following,) = graph.users(chain[-1].output[0])
            if following.op_type != kind:
                raise ValueError(f"expected {kind} after {chain[-1].op_type}")
            chain.append(following)
        gelu = helper.make_node("Gelu", [divide.input[0]], [chain[-1].output[0]])
        graph.replace(chain, [gelu])


def halve_map(graph: Graph) -> None:
    """Replaces the two final transposed convolutions by plain ones, for a half-size map.

    A transposed convolution whose stride equals its kernel size is a 1 x 1 convolution to four
    times the channels. The mean logit of the four pixels that the second one produces for each cell
    of the first is therefore again a 1 x 1 convolution.
    """
    first, second = graph.of_type("ConvTranspose")
    (relu,) = graph.users(first.output[0])
    (sigmoid,) = graph.users(second.output[0])
    weight, bias, last, last_bias = (
        graph.constants[name] for name in (*first.input[1:], *second.input[1:])
    )
    inputs, channels = weight.shape[:2]
    graph.constants["cells.weight"] = weight.transpose(2, 3, 1, 0).reshape(-1, inputs, 1, 1)
    graph.constants["cells.bias"] = np.tile(bias, 4)
    mean = np.kron(np.eye(4, dtype=np.float32), last.mean(axis=(2, 3)).reshape(1, channels))
    graph.constants["map.weight"] = mean.reshape(4, 4 * channels, 1, 1)
    graph.constants["map.bias"] = np.repeat(last_bias, 4)
    graph.constants["map.axes"] = np.array([0, 1])
    cells = [first.input[0], "cells.weight", "cells.bias"]
    end = [
        helper.make_node("Conv", cells, ["cells"]),
        helper.make_node("Relu", ["cells"], ["cells.relu"]),
        helper.make_node("Conv", ["cells.relu", "map.weight", "map.bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["quarters"]),
        helper.make_node("DepthToSpace", ["quarters"], ["map"], blocksize=2),
        helper.make_node("Squeeze", ["map", "map.axes"], ["text"]),
    ]
    graph.replace([first, relu, second, sigmoid], end)


def take_pixels(graph: Graph) -> None:
    """Moves the normalisation into the graph, the scale into the first convolution.

    Its zero padding means mid-grey, so the subtraction remains a separate node.
    """
    first = graph.nodes[0]
    weight = graph.constants[first.input[1]]
    graph.constants[first.input[1]] = weight[:, ::-1] / np.float32(127.5)  # BGR to RGB
    graph.constants["gray"] = np.array(127.5, np.float32)
    graph.constants["batch.axes"] = np.array([0])
    first.input[0] = "centred"
    graph.nodes[:0] = [
        helper.make_node("Transpose", ["page"], ["channels"], perm=[2, 0, 1]),
        helper.make_node("Unsqueeze", ["channels", "batch.axes"], ["batch"]),
        helper.make_node("Cast", ["batch"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "gray"], ["centred"]),
    ]


def add_parts(graph: Graph) -> None:
    """Replaces a convolution of concatenated maps by a sum of convolutions, avoiding the copy.

    Enlarged maps are left to ``end_in_phases``.
    """
    for concat in graph.of_type("Concat"):
        (conv,) = graph.users(concat.output[0])
        if any(_is_enlarged(graph, name) for name in concat.input):
            continue
        weights = np.split(graph.constants[conv.input[1]], len(concat.input), axis=1)
        new: list[onnx.NodeProto] = []
        for index, (part, weight) in enumerate(zip(concat.input, weights, strict=True)):
            kernel, made = f"{conv.input[1]}.{index}", f"{conv.output[0]}.{index}"
            graph.constants[kernel] = weight
            bias = [] if index else conv.input[2:]
            new.append(helper.make_node("Conv", [part, kernel, *bias], [made]))
            new[-1].attribute.extend(conv.attribute)
            if index:
                new.append(helper.make_node("Add", [new[-2].output[0], made], [f"{made}.sum"]))
        new[-1].output[0] = conv.output[0]
        graph.replace([concat, conv], new)


def _is_enlarged(graph: Graph, name: str) -> bool:
    maker = graph.maker(name)
    return maker is not None and maker.op_type == "Resize"


def end_in_phases(graph: Graph) -> None:
    """Computes everything after the concatenation with enlarged maps in four half-size phases.

    Each cell of an enlarged map covers 2 x 2 or more cells of the fine one, so those of the nine
    weights of a 3 x 3 kernel that fall on the same cell are summed beforehand. That leaves 2 x 2
    weights for each of four phases: even and odd rows and columns. Up to the map, where the phases
    are interleaved, only 1 x 1 kernels follow.
    """
    for concat in graph.of_type("Concat"):
        *enlarged, fine = concat.input
        if not all(_is_enlarged(graph, name) for name in enlarged):
            continue
        resizes = [node for name in enlarged if (node := graph.maker(name))]
        halves = [_halve_resize(graph, node) for node in resizes]
        joined = helper.make_node("Concat", [node.output[0] for node in halves], ["coarse"], axis=1)
        (conv,) = graph.users(concat.output[0])
        weight = graph.constants[conv.input[1]]
        channels = weight.shape[1] // len(concat.input)
        graph.constants["fine.weight"] = weight[:, -channels:]
        chain = _chain_to(graph, conv, "DepthToSpace")
        new, ends = [*halves, joined], list[str]()
        for phase in np.ndindex(2, 2):
            name = f"phase.{phase[0]}{phase[1]}"
            kernel = weight[:, :-channels]
            for axis, odd in enumerate(phase, 2):
                kernel = np.add.reduceat(kernel, [0, 1 + odd], axis=axis)
            graph.constants[f"{name}.weight"] = kernel
            pads = [1 - phase[0], 1 - phase[1], *phase]
            inputs = ["coarse", f"{name}.weight", conv.input[2]]
            new += [
                helper.make_node("Conv", inputs, [f"{name}.coarse"], pads=pads),
                helper.make_node(
                    "Conv", [fine, "fine.weight"], [f"{name}.fine"], pads=pads, strides=[2, 2]
                ),
                helper.make_node("Add", [f"{name}.coarse", f"{name}.fine"], [name]),
            ]
            for node in chain:
                new.append(onnx.NodeProto())
                new[-1].CopyFrom(node)
                new[-1].ClearField("name")  # names are optional but must be unique
                new[-1].input[0], new[-1].output[0] = name, f"{name}.{node.output[0]}"
                name = new[-1].output[0]
            ends.append(name)
        (last,) = graph.users(chain[-1].output[0])
        new += [
            helper.make_node("Concat", ends, ["phases"], axis=1),
            helper.make_node("DepthToSpace", ["phases"], ["phases.joined"], blocksize=2),
        ]
        last.input[0] = "phases.joined"
        graph.replace([*resizes, concat, conv, *chain], new)


def _halve_resize(graph: Graph, resize: onnx.NodeProto) -> onnx.NodeProto:
    """The same enlargement by half the factor; a factor of 1 costs nothing."""
    scales = f"{resize.output[0]}.scales"
    graph.constants[scales] = graph.constants[resize.input[2]] * np.array([1, 1, 0.5, 0.5], "f")
    half = helper.make_node("Resize", [resize.input[0], "", scales], [f"{resize.output[0]}.half"])
    half.attribute.extend(resize.attribute)
    return half


def _chain_to(graph: Graph, node: onnx.NodeProto, kind: str) -> list[onnx.NodeProto]:
    """The chain of nodes after one, each with a single consumer, up to the first of a kind."""
    chain: list[onnx.NodeProto] = []
    while (following := graph.users(node.output[0]))[0].op_type != kind:
        (node,) = following
        chain.append(node)
    return chain


def keep_blocks(graph: Graph) -> None:
    """Inserts a 1 x 1 max pool after products that are added to a convolution.

    onnxruntime stores maps in channel blocks for convolutions, but not for products with one
    factor per channel; adding the two takes an extra pass and two layout changes. The pool copies
    the product into blocks, and the convolution can then accumulate into it.
    """
    for add in graph.of_type("Add"):
        product, conv = (graph.maker(name) for name in add.input)
        if product is None or product.op_type != "Mul" or conv is None or conv.op_type != "Conv":
            continue
        name, position = product.output[0], graph.nodes.index(product) + 1
        product.output[0] = f"{name}.plain"
        pool = helper.make_node("MaxPool", [f"{name}.plain"], [name], kernel_shape=[1, 1])
        graph.nodes.insert(position, pool)


def _assemble(graph: Graph, digest: str) -> onnx.ModelProto:
    """The model, with compressed weights that onnxruntime expands when it opens the graph.

    Of 2.45 million weights, 2.37 million belong to 1 x 1 convolutions, which tolerate int8.
    Rounding the others to int8 too would more than double the difference of the map.
    """
    used = {name for node in graph.nodes for name in node.input}
    tensors: list[onnx.TensorProto] = []
    opening: list[onnx.NodeProto] = []
    for name, values in graph.constants.items():
        if name not in used:
            continue
        if values.ndim != 4 or values.size <= _FLOAT_SIZE:
            tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        elif values.shape[2:] == (1, 1):
            opening += _dequantise(name)
            tensors += _quantise(name, values)
        else:
            opening.append(_cast(f"{name}.half", name))
            tensors.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
    page = helper.make_tensor_value_info("page", TensorProto.UINT8, ["H", "W", 3])
    text = helper.make_tensor_value_info("text", TensorProto.FLOAT, ["h", "w"])
    body = helper.make_graph([*opening, *graph.nodes], "line_detector", [page], [text], tensors)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(body, opset_imports=opset, ir_version=9)
    notes = {"source": "PP-OCRv6_det_small, PaddleOCR", "license": "Apache-2.0", "sha256": digest}
    helper.set_model_props(model, {key: value for key, value in notes.items() if value})
    onnx.checker.check_model(model)
    return model


def _quantise(name: str, values: Floats) -> list[onnx.TensorProto]:
    """int8 weights and the scale of each output channel."""
    scale = np.abs(values).max(axis=(1, 2, 3), keepdims=True) / np.float32(127)
    scale = np.maximum(scale, np.float32(1e-12))
    rounded = np.rint(values / scale).astype(np.int8)
    return [
        numpy_helper.from_array(rounded, f"{name}.int8"),
        numpy_helper.from_array(scale, f"{name}.scale"),
    ]


def _dequantise(name: str) -> list[onnx.NodeProto]:
    return [
        _cast(f"{name}.int8", f"{name}.whole"),
        helper.make_node("Mul", [f"{name}.whole", f"{name}.scale"], [name]),
    ]


def _cast(stored: str, name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT)


def _drawn_page() -> Pixels:
    """A page with bars as dense as text, for comparing the graphs: uint8[256, 320, 3]."""
    rng = np.random.default_rng(0)
    page = rng.integers(200, 256, (256, 320, 3), dtype=np.uint8)
    for top in range(24, 220, 40):
        for left in range(20, 280, 12):
            height, width = rng.integers(6, 20), rng.integers(2, 9)
            page[top : top + height, left : left + width] = rng.integers(0, 90, 3)
    return page


if __name__ == "__main__":
    export_text_detector(fetch_pp_ocr(DETECTOR), Path(sys.argv[1]))
