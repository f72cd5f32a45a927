"""Recipes of digit detectors refuse networks and pages that cannot be."""

import dataclasses

import pytest

from digitlens.errors import RecipeError
from digitlens.training.page_recipe import DetectorRecipe


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("widths", (8, 8, 8), "widths: expected 5 numbers, found 8,8,8"),
        ("blocks", (1,), "blocks: expected 4 numbers, found 1"),
        ("paths", (8, 8, 8, 8), "paths: expected 3 numbers, found 8,8,8,8"),
        ("side", 100, "side: expected a multiple of 32, found 100"),
        ("side", 32, "side: expected 64 to 1024, found 32"),
        ("steps", 0, "steps: expected 1 to 1e+07, found 0"),
        ("learning_rate", "fast", "learning_rate: expected a number, found 'fast'"),
        ("architecture", "fast", "architecture: expected pages, found 'fast'"),
    ],
)
def test_impossible_values_are_named(field, value, expected):
    with pytest.raises(RecipeError) as caught:
        dataclasses.replace(DetectorRecipe(), **{field: value})
    assert expected in str(caught.value)


def test_all_problems_are_reported_at_once():
    with pytest.raises(RecipeError) as caught:
        DetectorRecipe(widths=(), blocks=(1, 2), side=33, views=0, validation="none")  # pyright: ignore[reportArgumentType]
    message = str(caught.value)
    names = ("widths", "blocks", "side", "views", "validation")
    assert all(f"- {name}: " in message for name in names)


def test_the_split_is_that_of_the_seed(small_split):
    recipe = DetectorRecipe(validation="random", validation_share=0.25)
    training, validation = recipe.split(small_split)
    assert (len(training), len(validation)) == (300, 100)
    other = dataclasses.replace(recipe, seed=1).split(small_split)[1]
    assert (other.tiles != validation.tiles).any()
