import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from digitlens.errors import ModelError
from digitlens.models.session import open_session
from text_detector import detector_graph, export_text_detector, fold_biases, halved


def small_detector():
    """A small network with the graph structure of the published detector."""
    rng = np.random.default_rng(0)
    shapes = {
        "stem": (8, 3, 3, 3), "squeeze": (8, 8, 1, 1), "wide": (16, 8, 1, 1), "back": (8, 16, 1, 1),
        "narrow": (4, 16, 1, 1), "half": (4, 4, 3, 3), "quarter": (4, 4, 3, 3),
        "join": (4, 12, 3, 3), "up": (4, 4, 2, 2), "last": (4, 1, 2, 2),
    }  # fmt: skip
    weights = {name: rng.normal(0, 0.4, shape) for name, shape in shapes.items()}
    for name in ("back", "half", "quarter", "join"):
        weights[name] /= 4  # else logits exceed what float32 probabilities can resolve
    weights["stem.b"] = rng.normal(0, 0.4, (1, 8, 1, 1))
    weights["join.b"] = rng.normal(0, 0.4, (1, 4, 1, 1))
    weights["up.b"] = rng.normal(0, 0.4, (1, 4, 1, 1))
    weights["last.b"] = rng.normal(0, 0.4, (1, 1, 1, 1))
    weights |= {"root": 2**0.5, "one.gelu": 1.0, "two": 0.5, "none": np.zeros(0)}
    weights |= {"twice": [1, 1, 2, 2], "four times": [1, 1, 4, 4]}
    node = helper.make_node
    enlarge = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    down = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
    up = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        node("Conv", ["x", "stem"], ["a"], kernel_shape=[3, 3], strides=[4, 4], pads=[1] * 4),
        node("Add", ["a", "stem.b"], ["b"]),
        node("Identity", ["b"], ["c"]),
        node("ReduceMean", ["c"], ["d"], axes=[2, 3]),
        node("Conv", ["d", "squeeze"], ["e"]),
        node("HardSigmoid", ["e"], ["f"]),
        node("Mul", ["c", "f"], ["g"]),
        node("Add", ["c", "g"], ["h"]),
        node("Conv", ["h", "wide"], ["i"]),
        node("Div", ["i", "root"], ["j"]),
        node("Erf", ["j"], ["k"]),
        node("Add", ["k", "one.gelu"], ["l"]),
        node("Mul", ["i", "l"], ["m"]),
        node("Mul", ["m", "two"], ["n"]),
        node("Conv", ["n", "back"], ["n.back"]),
        node("Add", ["h", "n.back"], ["n.sum"]),
        node("Concat", ["n.sum", "c"], ["n.both"], axis=1),
        node("Conv", ["n.both", "narrow"], ["o"]),
        node("Conv", ["o", "half"], ["o.half"], **down),
        node("Conv", ["o.half", "quarter"], ["o.quarter"], **down),
        node("Resize", ["o.quarter", "none", "four times"], ["o.fourth"], **enlarge),
        node("Resize", ["o.half", "none", "twice"], ["o.second"], **enlarge),
        node("Concat", ["o.fourth", "o.second", "o"], ["o.all"], axis=1),
        node("Conv", ["o.all", "join"], ["o.sum"], kernel_shape=[3, 3], pads=[1] * 4),
        node("Add", ["o.sum", "join.b"], ["o.biased"]),
        node("Relu", ["o.biased"], ["o.end"]),
        node("ConvTranspose", ["o.end", "up"], ["p"], **up),
        node("Add", ["p", "up.b"], ["q"]),
        node("Relu", ["q"], ["r"]),
        node("ConvTranspose", ["r", "last"], ["s"], **up),
        node("Add", ["s", "last.b"], ["t"]),
        node("Sigmoid", ["t"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "published",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1, "H", "W"])],
        [numpy_helper.from_array(np.float32(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)


def test_exported_map_is_the_published_one_at_half_resolution(tmp_path):
    source, target = tmp_path / "published.onnx", tmp_path / "ours.onnx"
    source.write_bytes(small_detector().SerializeToString())
    size = export_text_detector(source, target)
    page = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    (found,) = open_session(target, name="ours").run(None, {"page": page})
    normalised = (page[..., ::-1] / np.float32(127.5) - 1).transpose(2, 0, 1)[None]
    (full,) = open_session(source, name="published").run(None, {"x": normalised})
    assert size == target.stat().st_size
    assert found.shape == (32, 48)
    assert np.std(found) > 0.02
    np.testing.assert_allclose(found, halved(full[0, 0]), atol=0.02)


def test_graph_is_simplified_and_records_its_origin():
    model = detector_graph(small_detector(), "0123")
    kinds = {node.op_type for node in model.graph.node}
    assert "Gelu" in kinds
    assert not kinds & {"Identity", "ReduceMean", "Erf", "ConvTranspose"}
    assert [node.name for node in model.graph.node if node.name] == []
    # Maps are joined at half the finest resolution and at the end; a pool blocks the product.
    joined = [len(node.input) for node in model.graph.node if node.op_type == "Concat"]
    assert joined == [2, 4]
    assert [node.input[0] for node in model.graph.node if node.op_type == "MaxPool"] == ["g.plain"]
    notes = {prop.key: prop.value for prop in model.metadata_props}
    assert notes["license"] == "Apache-2.0"
    assert notes["sha256"] == "0123"


def test_graph_that_disagrees_with_the_published_one_is_not_written(tmp_path, monkeypatch):
    source, target = tmp_path / "published.onnx", tmp_path / "ours.onnx"
    source.write_bytes(small_detector().SerializeToString())
    monkeypatch.setattr("text_detector.fold_biases", drop_biases)
    with pytest.raises(ModelError, match="differs from the published one"):
        export_text_detector(source, target)
    assert not target.exists()


def drop_biases(graph):
    fold_biases(graph)
    for conv in graph.of_type("Conv", "ConvTranspose"):
        for name in conv.input[2:]:
            graph.constants[name] = graph.constants[name] * 0


@pytest.mark.parametrize("kind", ["another network", "no graph"])
def test_other_networks_and_files_that_are_not_onnx_are_refused(tmp_path, kind):
    model = small_detector()
    del model.graph.node[-3:]
    model.graph.output[0].name = "r"
    source = tmp_path / "other.onnx"
    source.write_bytes(b"no graph" if kind == "no graph" else model.SerializeToString())
    with pytest.raises(ModelError, match="is not PP-OCRv6_det_small"):
        export_text_detector(source, tmp_path / "ours.onnx")


def test_halved_map_averages_the_logits():
    text_map = np.array([[0.5, 0.5], [0.9, 0.1]], np.float32)
    np.testing.assert_allclose(halved(text_map), [[0.5]], atol=1e-6)
