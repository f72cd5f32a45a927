import dataclasses

import pytest

from digitlens.training.nets.tile_network import count_parameters
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import RECIPES
from digitlens.training.tasks.tile import new_network
from digitlens.visualization.report.history import parameters, stages

CASES = {name: recipe for name, recipe in RECIPES.items() if isinstance(recipe, Recipe)} | {
    "swift, deep": dataclasses.replace(RECIPES["swift"], convs=2, widths=(4, 6, 8), margin=0),
    "residual, none": dataclasses.replace(RECIPES["default"], convs=2, margin=3, negatives=0.1),
    "classic, strided": dataclasses.replace(RECIPES["classic"], pool="stride", convs=2),
}


@pytest.mark.parametrize("name", CASES)
def test_as_many_numbers_as_the_network_has(name):
    assert parameters(CASES[name]) == count_parameters(new_network(CASES[name]))


def test_stages_in_words():
    found = stages(RECIPES["classic"])
    assert [stage.does for stage in found] == [
        "convolution 3 \u00d7 3, max pooling",
        "convolution 3 \u00d7 3, max pooling",
        "dense layer",
        "dense layer, softmax",
    ]
    assert [(stage.channels, stage.side) for stage in found] == [
        (32, 14),
        (64, 7),
        (128, 0),
        (10, 0),
    ]
