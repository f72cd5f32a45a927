import pytest

from digitlens.errors import RecipeError
from digitlens.training.autoencoder_recipe import AutoencoderRecipe
from digitlens.training.recipes import autoencoder_recipe_from, load_recipe


def test_it_is_known_by_name_by_file_and_with_changes(tmp_path):
    recipe = load_recipe("autoencoder", ["epochs=2", "widths=8,4", "noise=0.1"])
    assert recipe == AutoencoderRecipe(epochs=2, widths=(8, 4), noise=0.1)
    (tmp_path / "mine.toml").write_text(recipe.as_toml(), encoding="utf-8")
    assert load_recipe(str(tmp_path / "mine.toml")) == recipe
    assert autoencoder_recipe_from(recipe.as_dict()) == recipe


def test_all_problems_are_told_at_once():
    with pytest.raises(RecipeError) as error:
        load_recipe("autoencoder", ["widths=8", "loss=best", "code=0", "dropout=0.5"])
    for words in ("widths: expected 2 numbers", "loss: expected", "code: expected", "dropout: no"):
        assert words in str(error.value)


def test_each_epoch_ends_with_a_validation():
    schedule = AutoencoderRecipe(epochs=3, batch_size=64).schedule(100)
    assert (schedule.steps, schedule.check_every) == (6, 2)
    assert schedule.warmup_steps >= 1
