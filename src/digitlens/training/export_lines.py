"""From a line recogniser to one ONNX graph: pixels in, posteriors of classes out.

Large weights are kept as int16, with one scale for each output and each input channel. They are
brought back when the graph is loaded, so that it computes in float32; what is saved is size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from digitlens.errors import ModelError
from digitlens.models.session import open_session
from digitlens.training.export import exported
from digitlens.training.nets.line_network import HEIGHT, STRIDE, LineNetwork

INPUT, OUTPUT = "lines", "posteriors"
AGREEMENT = 3e-4
"""Largest mean, over the steps of all lines, of how far the posterior of any class may be off."""

_ROUNDS = 3  # of balancing rows and columns; more make it no better
_TINY = 1e-9  # instead of zeros, which have no scale
_LEAST = 4096  # numbers in a weight that is kept smaller
_MOST = np.iinfo(np.int16).max

Lines = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class LineGraph(nn.Module):
    """The network followed by its softmax: what is exported."""

    def __init__(self, network: LineNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, lines: Tensor) -> Tensor:
        """Posteriors float32[N, W / 8, classes] of lines uint8[N, 48, W, 3]."""
        return torch.softmax(self.network(lines), dim=2)


def export_lines(network: LineNetwork, lines: Sequence[Lines]) -> bytes:
    """The network as a graph, if the graph reads lines as the network does.

    Args:
        network: On the CPU, float32.
        lines: uint8[48, W, 3] each, to compare graph and network on.

    Raises:
        ModelError: Posteriors differ by more than ``AGREEMENT``.
    """
    model = LineGraph(copy.deepcopy(network).eval().float())
    graph = smaller(line_graph(model)).SerializeToString()
    check_line_graph(model, graph, lines)
    return graph


def line_graph(model: nn.Module) -> onnx.ModelProto:
    """A graph for any number of lines of any width, with float32 weights.

    Args:
        model: Gives posteriors for lines.
    """
    example = torch.zeros(2, HEIGHT, 12 * STRIDE, 3, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("n"), 2: STRIDE * torch.export.Dim("t", min=2)},)
    graph = exported(model.eval(), example, [INPUT], [OUTPUT], shapes)
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "t"
    return graph


def check_line_graph(model: nn.Module, graph: bytes, lines: Sequence[Lines]) -> None:
    """Raises ModelError unless a graph reads lines as its network does.

    Args:
        model: Gives posteriors for lines.
        graph: See ``line_graph``.
        lines: uint8[48, W, 3] each.
    """
    session = open_session(graph, name="the exported graph")
    differences: list[Floats] = []
    for line in lines:
        with torch.inference_mode():
            expected: Floats = model(torch.from_numpy(line[None])).numpy()
        found: Floats = session.run([OUTPUT], {INPUT: line[None]})[0]
        differences.append(np.abs(expected - found).max(axis=2).ravel())
    difference = float(np.concatenate(differences).mean())
    if not difference < AGREEMENT:
        raise ModelError(
            f"the exported graph differs from the network by {difference:.2g} on average, "
            f"expected less than {AGREEMENT:g}: nothing was written"
        )


def smaller(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph, changed in place, with int16 and scales instead of large weights."""
    weights = {
        node.input[1]: node.op_type
        for node in model.graph.node
        if node.op_type in {"Conv", "MatMul"}
    }
    new: list[onnx.NodeProto] = []
    scales: list[onnx.TensorProto] = []
    for tensor in model.graph.initializer:
        if tensor.name in weights and np.prod(tensor.dims) >= _LEAST:
            name = tensor.name
            codes, *factors = quantised(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(codes, f"{name}.int16"))
            names = [f"{name}.scale{index}" for index in range(len(factors))]
            scales += map(numpy_helper.from_array, factors, names)
            # Not DequantizeLinear: onnxruntime keeps that in the graph and computes it each time.
            steps = [f"{name}.cast", f"{name}.scaled", name]
            new.append(helper.make_node("Cast", [f"{name}.int16"], steps[:1], to=TensorProto.FLOAT))
            new += [
                helper.make_node("Mul", [before, scale], [after])
                for before, scale, after in zip(steps, names, steps[1:], strict=False)
            ]
    model.graph.initializer.extend(scales)
    nodes = [*new, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    known = {node.output[0] for node in new}
    infos = [info for info in model.graph.value_info if info.name not in known]
    del model.graph.value_info[:]
    model.graph.value_info.extend(infos)
    onnx.checker.check_model(model)
    return model


def quantised(weight: Floats) -> tuple[npt.NDArray[np.int16], Floats, Floats]:
    """A weight as whole numbers, and the two scales that multiply them.

    With one scale for each output alone much would be lost: normalisations are folded into the
    weights, so that those for some inputs are a hundred times larger than those for others. A few
    rounds make the largest number of every row and column about equal. On 300 hard lines that
    changes no text, where float16 weights change 1 % of them and int8 10 %.

    Args:
        weight: float32[A, B, ...].

    Returns:
        int16[A, B, ...], float32[A, 1, ...], float32[1, B, ...].
    """
    rows, columns = np.ones((len(weight), 1)), np.ones((1, weight.shape[1]))
    largest = np.abs(weight.reshape(*weight.shape[:2], -1)).max(axis=2).clip(_TINY)
    for _ in range(_ROUNDS):
        balanced = largest / rows / columns
        columns *= np.sqrt(balanced.max(axis=0, keepdims=True))
        balanced = largest / rows / columns
        rows *= balanced.max(axis=1, keepdims=True)
    columns *= (largest / rows / columns).max() / _MOST
    shape = (1,) * (weight.ndim - 2)
    first = rows.reshape(*rows.shape, *shape).astype(np.float32)
    second = columns.reshape(*columns.shape, *shape).astype(np.float32)
    codes = np.rint(weight / first / second).clip(-_MOST, _MOST).astype(np.int16)
    return codes, first, second
