"""Recipes refuse what cannot be trained, and say everything that is wrong at once."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.errors import RecipeError
from digitlens.training.nets.tile_network import ARCHITECTURES
from digitlens.training.page_recipe import DetectorRecipe
from digitlens.training.recipe import Recipe
from digitlens.training.settings import Settings, field_docs

KINDS = [Recipe, DetectorRecipe]
FREE = {"teacher"}  # the name or folder of any model


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_an_explanation_under_it(kind: type[Settings]):
    assert list(field_docs(kind)) == [field.name for field in dataclasses.fields(kind)]
    assert all(text.endswith(".") for text in field_docs(kind).values())


@pytest.mark.parametrize("kind", KINDS)
def test_limits_and_choices_are_of_fields(kind: type[Settings]):
    ruled = {*kind.limits, *kind.choices}
    numbers = {f.name for f in dataclasses.fields(kind) if not isinstance(f.default, bool)}
    assert ruled == numbers - FREE


def test_a_recipe_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().epochs = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("epochs", 0, "epochs: expected 1 to 10000, found 0"),
        ("epochs", "3", "epochs: expected a whole number, found '3'"),
        ("epochs", True, "epochs: expected a whole number, found True"),
        ("dropout", 1.0, "dropout: expected 0 to 0.95, found 1.0"),
        ("learning_rate", float("nan"), "learning_rate: expected a number, found nan"),
        (
            "optimizer",
            "adagrad",
            "optimizer: expected adam or adamw or sgd or muon, found 'adagrad'",
        ),
        ("widths", (), "widths: expected whole numbers separated by commas, found ()"),
        ("widths", (8, 8, 8, 8, 8), "widths: expected at most 4 blocks"),
        ("kernels", (3, 3, 3), "kernels: expected at most 2 sizes"),
        ("margin", 5, "margin: expected 0 to 4, found 5"),
        ("kernels", (4,), "kernels: expected odd sizes, found 4"),
    ],
)
def test_impossible_values_are_named(field, value, expected):
    with pytest.raises(RecipeError) as caught:
        dataclasses.replace(Recipe(widths=(8, 8)), **{field: value})
    assert expected in str(caught.value)


@given(st.integers(-5, 0), st.floats(1, 5), st.sampled_from(["relu", "", "Adam"]))
def test_all_problems_are_reported_at_once(epochs, dropout, optimizer):
    with pytest.raises(RecipeError) as caught:
        Recipe(epochs=epochs, dropout=dropout, optimizer=optimizer)
    message = str(caught.value)
    assert all(f"- {field}: " in message for field in ("epochs", "dropout", "optimizer"))
    assert message.count("\n") == 3


def test_every_architecture_can_be_asked_for():
    for name in ARCHITECTURES:
        assert Recipe(architecture=name).architecture == name
    with pytest.raises(RecipeError, match=f"expected {' or '.join(ARCHITECTURES)}, found"):
        Recipe(architecture="other")


def test_one_kernel_size_serves_all_blocks():
    assert Recipe(widths=(8, 8, 8), kernels=(5,)).block_kernels() == (5, 5, 5)
    assert Recipe(widths=(8, 8), kernels=(5, 3)).block_kernels() == (5, 3)
    assert Recipe(widths=(8, 8, 8), kernels=(5, 3)).block_kernels() == (5, 3, 3)
