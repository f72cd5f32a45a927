import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.errors import RecipeError
from digitlens.training.recipe import (
    RECIPES,
    AutoencoderRecipe,
    DetectorRecipe,
    LineRecipe,
    Recipe,
    load_recipe,
    recipe_from,
)
from digitlens.training.settings import Schedule, field_docs, same_recipe

KINDS = [Recipe, DetectorRecipe, LineRecipe, AutoencoderRecipe]
FREE = {"teacher", "start"}  # name or folder of any model


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_documented_and_has_limits_or_choices(kind):
    fields = dataclasses.fields(kind)
    assert list(field_docs(kind)) == [field.name for field in fields]
    assert all(text.endswith(".") for text in field_docs(kind).values())
    ruled = {field.name for field in fields if not isinstance(field.default, bool)}
    assert {*kind.limits, *kind.choices} == ruled - FREE


@pytest.mark.parametrize(
    ("recipe", "field", "value", "expected"),
    [
        (Recipe(), "epochs", 0, "expected 1 to 10000, found 0"),
        (Recipe(), "epochs", "3", "expected a whole number, found '3'"),
        (Recipe(), "epochs", True, "expected a whole number, found True"),
        (Recipe(), "dropout", 1.0, "expected 0 to 0.95, found 1.0"),
        (Recipe(), "learning_rate", float("nan"), "expected a number, found nan"),
        (Recipe(), "optimizer", "lion", "expected adam or adamw or sgd or muon, found 'lion'"),
        (Recipe(), "widths", (), "expected whole numbers separated by commas, found ()"),
        (Recipe(), "widths", (8, 8, 8, 8, 8), "expected at most 4 blocks"),
        (Recipe(), "kernels", (3, 3, 3), "expected at most 2 sizes"),
        (Recipe(), "margin", 5, "expected 0 to 4, found 5"),
        (Recipe(), "kernels", (4,), "expected odd sizes, found 4"),
        (DetectorRecipe(), "widths", (8, 8, 8), "expected 5 numbers, found 8,8,8"),
        (DetectorRecipe(), "blocks", (1,), "expected 4 numbers, found 1"),
        (DetectorRecipe(), "paths", (8, 8, 8, 8), "expected 3 numbers, found 8,8,8,8"),
        (DetectorRecipe(), "side", 100, "expected a multiple of 32, found 100"),
        (DetectorRecipe(), "side", 32, "expected 64 to 1024, found 32"),
        (DetectorRecipe(), "steps", 0, "expected 1 to 1e+07, found 0"),
        (DetectorRecipe(), "architecture", "fast", "expected pages, found 'fast'"),
        (LineRecipe(), "precision", "half", "expected auto or bfloat16 or float32, found 'half'"),
        (LineRecipe(), "invert", 2.0, "expected 0 to 1, found 2.0"),
        (AutoencoderRecipe(), "widths", (8,), "expected 2 numbers, found 8"),
        (AutoencoderRecipe(), "loss", "best", "expected binary or squared, found 'best'"),
    ],
)
def test_invalid_values_are_named(recipe, field, value, expected):
    with pytest.raises(RecipeError) as caught:
        dataclasses.replace(recipe, **{field: value})
    assert f"{field}: {expected}" in str(caught.value)


@given(st.integers(-5, 0), st.floats(1, 5), st.sampled_from(["relu", "", "Adam"]))
def test_all_problems_are_reported_at_once(epochs, dropout, optimizer):
    with pytest.raises(RecipeError) as caught:
        Recipe(epochs=epochs, dropout=dropout, optimizer=optimizer)
    message = str(caught.value)
    assert all(f"- {field}: " in message for field in ("epochs", "dropout", "optimizer"))
    assert message.count("\n") == 3


@pytest.mark.parametrize("kind", [Recipe, DetectorRecipe, AutoencoderRecipe])
def test_split_is_determined_by_the_seed(kind, small_split):
    recipe = kind(validation="random", validation_share=0.25)
    training, validation = recipe.split(small_split)
    assert (len(training), len(validation)) == (300, 100)
    other = dataclasses.replace(recipe, seed=1).split(small_split)[1]
    assert (other.tiles != validation.tiles).any()


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_learning_rate_warms_up_then_follows_its_schedule(shape, floor):
    schedule = Schedule(100, 10, 0.1, 25, shape, floor)
    rates = [schedule.learning_rate(step) for step in range(100)]
    assert rates[0] < 0.005
    assert rates[:25] == sorted(rates[:25])
    assert max(rates) == pytest.approx(0.1)
    assert rates[25:] == sorted(rates[25:], reverse=True)
    last = 0.1 if shape == "constant" else 0.1 * floor
    assert rates[-1] == pytest.approx(last, abs=0.002)


def test_each_kind_of_recipe_plans_its_steps():
    tiles = Recipe(epochs=3, batch_size=64, warmup=0.5).plan(100)
    assert (tiles.steps, tiles.check_every, tiles.warmup) == (6, 2, 3)
    drawn = AutoencoderRecipe(epochs=3, batch_size=64).plan(100)
    assert (drawn.steps, drawn.check_every) == (6, 2)
    lines = LineRecipe(steps=70, learning_rate=0.5).plan()
    assert (lines.steps, lines.peak) == (70, 0.5)


def test_comments_and_missing_fields_do_not_change_a_recipe():
    recipe = LineRecipe(steps=70)
    lines = [line for line in recipe.as_toml().splitlines() if not line.startswith(("#", "seed"))]
    assert same_recipe("\n".join(lines), recipe)
    assert not same_recipe("\n".join(lines), LineRecipe(steps=71))
    assert not same_recipe("\n".join(lines), LineRecipe(steps=70, seed=1))


def test_changes_are_converted_to_the_type_of_their_field():
    values = {"epochs": 3, "widths": (16, 32, 64), "dropout": 0.25, "batch_norm": False}
    texts = ["epochs=3", "widths=16,32,64", "dropout=0.25", "batch_norm=false"]
    assert load_recipe("fast", texts) == dataclasses.replace(load_recipe("fast"), **values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((recipe.as_toml(), recipe) for recipe in RECIPES.values()),
        ('optimizer = "sgd"\nlearning_rate = 1\n', Recipe(optimizer="sgd", learning_rate=1.0)),
    ],
    ids=[*RECIPES, "some fields only"],
)
def test_recipe_survives_toml(text, expected, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    assert load_recipe(str(path)) == expected


def test_unknown_and_invalid_changes_are_listed_together():
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


def test_unknown_and_invalid_fields_in_toml_are_listed_together(tmp_path):
    path = tmp_path / "mine.toml"
    fields = f'qwerty = "red"\nepochs = -1\ndropout = "much"\nlearning_rate = {10**400}\n'
    path.write_text(fields, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert "qwerty: no such field; known fields: architecture" in str(caught.value)
    assert "dropout: expected a number, found 'much'" in str(caught.value)
    assert "epochs: expected 1 to 10000, found -1" in str(caught.value)
    assert "learning_rate: expected" in str(caught.value)


@pytest.mark.parametrize("content", ["epochs = ", "\x00", "a = " + "[" * 5000, None])
def test_invalid_toml_and_unknown_names_are_refused(content, tmp_path):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"mine\.toml cannot be read as a recipe"):
        load_recipe(str(path))
    with pytest.raises(RecipeError, match=r"no recipe 'slow': expected one of standard, .*fast"):
        load_recipe("slow")


def test_architecture_determines_the_kind_of_recipe(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('architecture = "pages"\nsteps = 50\nclip = 2\n', encoding="utf-8")
    assert load_recipe(str(path), ["side=96"]) == DetectorRecipe(steps=50, clip=2.0, side=96)
    kinds = {"pages": DetectorRecipe, "lines": LineRecipe, "autoencoder": AutoencoderRecipe}
    for name, kind in (kinds | {"fast": Recipe}).items():
        assert type(load_recipe(name)) is kind


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda: load_recipe("pages", ["epochs=3"]), "epochs: no such field; known fields: archit"),
        (lambda: load_recipe("fast", ["side=96"]), "side: no such field"),
        (lambda: recipe_from({"architecture": "pages"}), "expected classic or fast or pooled or"),
        (
            lambda: recipe_from({"architecture": "fast"}, DetectorRecipe),
            "architecture: expected pages, found 'fast'",
        ),
    ],
)
def test_each_kind_of_recipe_accepts_only_its_own_fields(load, message):
    with pytest.raises(RecipeError, match=message):
        load()


def test_fields_of_the_former_second_detector_network_are_ignored():
    values = {"architecture": "pages", "steps": 50, "crop_widths": [16, 32], "crop_steps": 9}
    assert recipe_from(values, DetectorRecipe) == DetectorRecipe(steps=50)


def test_names_of_version_0_1_are_accepted(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text("members = 2\nviews = 5\nnone = 0.1\nsoften = 2.0\n", encoding="utf-8")
    expected = Recipe(models=2, tta_views=5, negatives=0.1, distillation_temperature=2.0)
    assert load_recipe(str(path)) == expected
    changes = ["average=0.5", "depth_drop=0.1"]
    assert load_recipe("classic", changes) == Recipe(ema_decay=0.5, stochastic_depth=0.1)
    assert recipe_from({"average": 0.9}, DetectorRecipe) == DetectorRecipe(ema_decay=0.9)
    assert load_recipe("committee") == load_recipe("ensemble")
