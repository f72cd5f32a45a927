"""Counts the multiply-adds of an ONNX graph, for one example."""

from math import prod

import onnx
from onnx import shape_inference


def multiply_adds(graph: bytes) -> int:
    """Those of convolutions and dense layers; other layers do no arithmetic that counts.

    A free dimension, such as the number of tiles, counts as one.
    """
    model = shape_inference.infer_shapes(onnx.load_from_string(graph)).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in model.initializer}
    # Weights kept as float16 are no initialisers where they are used, but what a Cast gives.
    shapes |= {
        value.name: [size.dim_value or 1 for size in value.type.tensor_type.shape.dim]
        for value in (*model.value_info, *model.output)
    }
    return sum(
        _each(node, shapes[node.input[1]]) * prod(shapes[node.output[0]])
        for node in model.node
        if node.op_type in {"Conv", "Gemm", "MatMul"}
    )


def _each(node: onnx.NodeProto, weights: list[int]) -> int:
    """Multiply-adds for each number that comes out."""
    if node.op_type == "Conv":
        return prod(weights[1:])
    across = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return weights[1 if across else 0]
