from dataclasses import replace

import pytest
import torch

from digitlens.training.recipe import Recipe
from digitlens.training.tile_networks import (
    ARCHITECTURES,
    MEAN,
    SD,
    Residual,
    count_parameters,
    one_network,
    predict_logits,
)

SMALL = Recipe(widths=(4, 8), dense=16)


def _tiles(count: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("widths", [(3,), (3, 4), (3, 4, 5), (3, 4, 5, 6)])
@pytest.mark.parametrize("pool", ["max", "stride"])
@pytest.mark.parametrize(("convs", "batch_norm", "dense"), [(1, False, 8), (2, True, 0)])
def test_any_depth_returns_ten_logits(architecture, widths, pool, convs, batch_norm, dense):
    fields = {"convs": convs, "batch_norm": batch_norm, "dense": dense, "pool": pool}
    kernels = (5, 3)[: len(widths)]
    network = one_network(
        replace(SMALL, architecture=architecture, widths=widths, kernels=kernels, **fields)
    )
    logits = network(_tiles())
    assert logits.shape == (6, 10)
    assert logits.dtype == torch.float32
    found = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    in_block = {"residual": 1 + 2 * convs, "separable": 2 * convs}.get(architecture, convs)
    expected = in_block * len(widths)
    if architecture in ("pooled", "separable"):  # their first block is one convolution
        expected -= in_block - 1
    # The separable network ends with a convolution over the last maps.
    assert len(found) == expected + (architecture == "separable")


def test_classic_is_the_textbook_network():
    kinds = [type(layer).__name__ for layer in one_network(SMALL).body]
    block = ["Conv2d", "ReLU", "MaxPool2d"]
    head = ["Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert kinds == [*block, *block, *head]


def test_swift_pads_two_convolutions_and_does_not_train_the_first():
    four = {"widths": (4, 6, 8, 9), "kernels": (5, 3)}
    network = one_network(replace(SMALL, architecture="swift", margin=2, **four))
    sides: list[int] = []
    for layer in network.body:
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda *call: sides.append(call[2].shape[-1]))
    network(_tiles()).sum().backward()
    assert sides == [12, 6, 4, 2]
    without = {name for name, weight in network.named_parameters() if weight.grad is None}
    assert without == {"body.0.weight"}
    assert network.fixed is network.body[0]
    everything = sum(weight.numel() for weight in network.parameters())
    assert count_parameters(network) == everything - 4 * 5 * 5


def test_separable_has_depthwise_and_pointwise_convolutions():
    fields = {"architecture": "separable", "widths": (8, 11, 15), "kernels": (5, 3), "dense": 0}
    network = one_network(replace(SMALL, margin=2, **fields))
    found = [layer for layer in network.body if isinstance(layer, torch.nn.Conv2d)]
    assert [(each.groups, each.kernel_size[0]) for each in found] == [
        *((1, 5), (8, 3), (1, 1), (11, 3), (1, 1)),
        (15, 3),  # over the whole last map
    ]
    assert network.features(_tiles()).shape == (6, 15)
    assert count_parameters(network) == 987


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_margin_is_ignored(architecture):
    network = one_network(replace(SMALL, architecture=architecture, margin=3)).eval()
    tiles = _tiles()
    framed = torch.zeros_like(tiles)
    framed[:, 3:25, 3:25] = tiles[:, 3:25, 3:25]
    assert torch.equal(network(tiles), network(framed))
    framed[:, 3, 3] += 100
    assert not torch.equal(network(tiles), network(framed))


def test_residual_pair_starts_as_identity_and_is_dropped_at_random():
    torch.manual_seed(0)
    pair = Residual(3, 3, drop=0.5).train()
    maps = torch.rand(4, 3, 7, 7)
    assert torch.equal(pair(maps), maps)
    torch.nn.init.ones_(pair.pair[-1].weight)
    left_out = sum(torch.equal(pair(maps), maps) for _ in range(200))
    assert 60 < left_out < 140
    assert not torch.equal(pair.eval()(maps), maps)


@pytest.mark.parametrize(("negatives", "classes"), [(0.0, 10), (0.1, 11)])
def test_negatives_add_an_eleventh_class(negatives, classes):
    recipe = replace(SMALL, architecture="fast", negatives=negatives)
    network = one_network(recipe)
    assert network.knows_none is (classes == 11)
    assert network(_tiles()).shape == (6, classes) == (6, recipe.classes)


def test_features_feed_the_last_layer_and_pixels_are_normalised():
    network = one_network(replace(SMALL, architecture="residual")).eval()
    features = network.features(_tiles())
    assert features.shape == (6, 16)
    assert torch.equal(network.logits(features), network(_tiles()))
    network = one_network(SMALL).eval()
    pixels = _tiles().unsqueeze(1).float() / 255
    assert torch.equal(network(_tiles()), network.body((pixels - MEAN) / SD))


@pytest.mark.mnist
def test_mean_and_standard_deviation_match_mnist(mnist):
    pixels = mnist.train.tiles / 255
    assert pixels.mean() == pytest.approx(MEAN, abs=5e-5)
    assert pixels.std() == pytest.approx(SD, abs=5e-5)


def test_prediction_does_not_depend_on_batches_and_keeps_the_mode():
    network = one_network(SMALL).train()
    one, many = predict_logits(network, _tiles(), 6), predict_logits(network, _tiles(), 2)
    assert torch.allclose(one, many, atol=1e-6)
    assert network.training
    small = one_network(Recipe(widths=(2,), dense=0))
    assert count_parameters(small) == (9 * 2 + 2) + (2 * 14 * 14 * 10 + 10)
