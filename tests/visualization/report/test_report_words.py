import dataclasses

import pytest

from digitlens.explain.trained_model import parameters, stages
from digitlens.training.recipe import RECIPES, Recipe
from digitlens.training.tasks.tile import new_network
from digitlens.training.tile_networks import count_parameters
from digitlens.visualization import report_page as words


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (words.percent(0.98742), "98.74 %"),
        (words.percent(0.999999), "99.99 %"),  # below 1 is not shown as 100 %
        (words.percent(1.0), "100.00 %"),
        (words.rough(0.97), "97 %"),
        (words.rough(0.9984), "99.8 %"),
        (words.rough(0.004), "0.4 %"),
        (words.rough(1.0), "100 %"),
        (words.rough(1 - 1e-7), "99.999 %"),
        (words.tick(0.0025), "0.25 %"),
        (words.duration(0.000312), "0.312 ms"),
        (words.duration(24.94), "24.9 s"),
        (words.duration(1614), "27 min"),
        (words.duration(8000), "2 h 13 min"),
        (words.plural(1, "error"), "1 error"),
        (words.plural(1226, "error"), "1,226 errors"),
        (words.value((16, 32)), "16, 32"),
        (words.value(True), "yes"),
        (words.value(""), "\u2013"),
    ],
)
def test_values_are_formatted(call, expected):
    assert call.replace(words.THIN, " ") == expected


CASES = {name: recipe for name, recipe in RECIPES.items() if isinstance(recipe, Recipe)} | {
    "swift, deep": dataclasses.replace(RECIPES["swift"], convs=2, widths=(4, 6, 8), margin=0),
    "residual, none": dataclasses.replace(RECIPES["default"], convs=2, margin=3, negatives=0.1),
    "separable, deep": dataclasses.replace(RECIPES["small-1k"], convs=3, margin=1, dense=7),
    "pooled, strided": dataclasses.replace(RECIPES["small-5k"], pool="stride", batch_norm=False),
    "classic, strided": dataclasses.replace(RECIPES["classic"], pool="stride", convs=2),
}


@pytest.mark.parametrize("name", CASES)
def test_parameter_count_matches_the_network(name):
    assert parameters(CASES[name]) == count_parameters(new_network(CASES[name]))


def test_every_architecture_is_described_and_a_custom_one_has_no_stages(monkeypatch):
    assert words.NETWORKS.keys() == set(Recipe.choices["architecture"])
    monkeypatch.setitem(Recipe.choices, "architecture", ("own",))
    assert stages(Recipe(architecture="own")) == []
    assert parameters(Recipe(architecture="own")) is None


def test_stages_are_described():
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
