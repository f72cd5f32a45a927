"""Recipes by name, from TOML and with changes from the command line."""

import pytest

from digitlens.errors import RecipeError
from digitlens.training.recipe import AutoencoderRecipe, DetectorRecipe, LineRecipe, Recipe
from digitlens.training.recipes import RECIPES, load_recipe, recipe_from


def test_changes_take_the_type_of_their_field():
    recipe = load_recipe(
        "fast", ["epochs=3", "widths=16,32,64", "dropout=0.25", "batch_norm=false", "optimizer=sgd"]
    )
    assert recipe.epochs == 3
    assert recipe.widths == (16, 32, 64)
    assert recipe.dropout == 0.25
    assert recipe.batch_norm is False
    assert recipe.optimizer == "sgd"
    assert recipe.architecture == "swift"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((recipe.as_toml(), recipe) for recipe in RECIPES.values()),
        ('optimizer = "sgd"\nlearning_rate = 1\n', Recipe(optimizer="sgd", learning_rate=1.0)),
    ],
    ids=[*RECIPES, "some fields only"],
)
def test_a_recipe_survives_toml(text, expected, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    assert load_recipe(str(path)) == expected


def test_unknown_and_impossible_changes_are_listed_together():
    with pytest.raises(RecipeError) as caught:
        load_recipe(
            "fast", ["epoch=3", "dropout=2", "widths=a,b", "batch_size", "batch_norm=maybe"]
        )
    message = str(caught.value)
    assert "epoch: no such field; did you mean epochs?" in message
    assert "dropout: expected 0 to 0.95, found 2.0" in message
    assert "widths: expected whole numbers separated by commas, found 'a,b'" in message
    assert "'batch_size': expected FIELD=VALUE" in message
    assert "batch_norm: expected true or false, found 'maybe'" in message


def test_unknown_fields_in_toml_are_listed_with_the_impossible_ones(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('qwerty = "red"\nepochs = -1\ndropout = "much"\n', encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert "qwerty: no such field; known fields: architecture" in str(caught.value)
    assert "dropout: expected a number, found 'much'" in str(caught.value)
    assert "epochs: expected 1 to 10000, found -1" in str(caught.value)


@pytest.mark.parametrize("content", ["epochs = ", "\x00", None])
def test_a_file_that_is_not_toml_is_refused_and_an_unknown_name(content, tmp_path):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"mine\.toml cannot be read as a recipe"):
        load_recipe(str(path))
    with pytest.raises(RecipeError, match=r"no recipe 'slow': expected one of standard, .*fast"):
        load_recipe("slow")


def test_lists_and_whole_numbers_are_read_as_the_field_wants_them():
    recipe = recipe_from({"widths": [8, 16], "shift": 2})
    assert recipe.widths == (8, 16)
    assert type(recipe.shift) is float


def test_the_architecture_tells_a_page_recipe_from_one_for_tiles(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('architecture = "pages"\nsteps = 50\nclip = 2\n', encoding="utf-8")
    assert load_recipe(str(path), ["side=96"]) == DetectorRecipe(steps=50, clip=2.0, side=96)
    kinds = {"pages": DetectorRecipe, "lines": LineRecipe, "autoencoder": AutoencoderRecipe}
    for name, kind in (kinds | {"fast": Recipe}).items():
        assert type(load_recipe(name)) is kind


def test_each_kind_of_recipe_knows_its_own_fields_only():
    with pytest.raises(RecipeError, match="epochs: no such field; known fields: architecture, bat"):
        load_recipe("pages", ["epochs=3"])
    with pytest.raises(RecipeError, match="side: no such field"):
        load_recipe("fast", ["side=96"])
    with pytest.raises(RecipeError, match="expected classic or fast or residual or swift, found"):
        recipe_from({"architecture": "pages"})
    with pytest.raises(RecipeError, match="architecture: expected pages, found 'fast'"):
        recipe_from({"architecture": "fast"}, DetectorRecipe)


def test_cards_of_digit_detectors_that_had_a_second_network_are_understood():
    values = {"architecture": "pages", "steps": 50, "crop_widths": [16, 32], "crop_steps": 9}
    assert recipe_from(values, DetectorRecipe) == DetectorRecipe(steps=50)


def test_names_of_version_0_1_are_understood(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text("members = 2\nviews = 5\nnone = 0.1\nsoften = 2.0\n", encoding="utf-8")
    expected = Recipe(models=2, tta_views=5, negatives=0.1, distillation_temperature=2.0)
    assert load_recipe(str(path)) == expected
    changes = ["average=0.5", "depth_drop=0.1"]
    assert load_recipe("classic", changes) == Recipe(ema_decay=0.5, stochastic_depth=0.1)
    assert recipe_from({"average": 0.9}, DetectorRecipe) == DetectorRecipe(ema_decay=0.9)
    assert load_recipe("committee") == load_recipe("ensemble")
