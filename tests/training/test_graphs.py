"""Graphs are rewritten without a change of what they answer."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from digitlens.models.session import open_session
from digitlens.training.export import TileGraph, trace
from digitlens.training.graphs import fold_normalisation, quantised
from digitlens.training.nets.tile_network import Shape, build_network

SHAPE = Shape(widths=(4, 6), kernels=(5, 3), convs=1, batch_norm=True, dense=0, dropout=0.0)


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    model = TileGraph(build_network("fast", SHAPE), 1.0).eval()
    example = torch.zeros(2, 28, 28, dtype=torch.uint8)
    return trace(model, example, "tiles", model.outputs, {0: torch.export.Dim("N")})


def copied(graph):
    return onnx.load_from_string(graph.SerializeToString())


def answers(graph):
    tiles = np.random.default_rng(0).integers(0, 256, (9, 28, 28), np.uint8)
    tiles[0], tiles[1] = 0, 255  # at the border, zeros must still stand for the mean
    return open_session(graph.SerializeToString(), name="folded").run(None, {"tiles": tiles})


def test_the_answers_stay_and_two_passes_over_all_pixels_go(graph):
    folded = copied(graph)
    fold_normalisation(folded)
    onnx.checker.check_model(folded, full_check=True)
    for before, after in zip(answers(graph), answers(folded), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)
    assert len(folded.graph.node) == len(graph.graph.node) - 2
    to_convolution = [node.op_type for node in folded.graph.node][:4]
    assert to_convolution == ["Unsqueeze", "Cast", "Sub", "Conv"]


def test_a_kernel_that_several_views_share_is_scaled_once(graph):
    views = copied(graph)
    first = next(node for node in views.graph.node if node.op_type == "Conv")
    again = helper.make_node("Conv", first.input, ["again"])
    again.attribute.extend(first.attribute)
    views.graph.node.append(again)
    views.graph.output.append(helper.make_tensor_value_info("again", 1, None))
    folded = copied(views)
    fold_normalisation(folded)
    np.testing.assert_allclose(answers(folded)[-1], answers(views)[-1], atol=1e-5)
    assert [node.op_type for node in folded.graph.node].count("Sub") == 1


def test_a_kernel_that_is_given_something_else_too_stays_as_it_is(graph):
    mixed = copied(graph)
    first = next(node for node in mixed.graph.node if node.op_type == "Conv")
    mixed.graph.initializer.append(
        numpy_helper.from_array(np.ones((1, 1, 28, 28), np.float32), "ones")
    )
    other = helper.make_node("Conv", ["ones", *list(first.input)[1:]], ["other"])
    other.attribute.extend(first.attribute)
    mixed.graph.node.append(other)
    mixed.graph.output.append(helper.make_tensor_value_info("other", 1, None))
    before = mixed.SerializeToString()
    fold_normalisation(mixed)
    assert len(mixed.graph.node) == len(onnx.load_from_string(before).graph.node)
    np.testing.assert_array_equal(answers(mixed)[0], answers(onnx.load_from_string(before))[0])


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3, 3), (1, 4), (3, 2, 1, 1)])
def test_two_scales_keep_rows_and_columns_of_different_size(shape):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=shape).astype(np.float32)
    weight[:, 0] *= 1000
    weight[-1] *= 0.01
    codes, first, second = quantised(weight)
    assert codes.dtype == np.int16
    assert first.shape == (shape[0], *[1] * (len(shape) - 1))
    assert second.shape == (1, shape[1], *[1] * (len(shape) - 2))
    error = np.abs(codes * first * second - weight)
    assert (error <= 0.51 * first * second).all()
    codes, first, second = quantised(0 * weight)
    assert not (codes * first * second).any()
