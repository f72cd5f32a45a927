"""A recipe of a line recogniser says all that is wrong with it at once."""

import pytest

from digitlens.errors import RecipeError
from digitlens.training.line_recipe import LineRecipe


def test_every_field_is_explained():
    for line in LineRecipe().as_toml().splitlines()[::2]:
        assert line.startswith("# ")
        assert line.endswith(".")


def test_all_problems_are_told_at_once():
    with pytest.raises(RecipeError) as caught:
        LineRecipe(precision="nothing", steps=0, invert=2.0)
    for name in ("precision", "steps", "invert"):
        assert f"{name}: expected" in str(caught.value)


def test_the_schedule_has_the_numbers_of_the_recipe():
    schedule = LineRecipe(steps=70, learning_rate=0.5).schedule()
    assert (schedule.steps, schedule.learning_rate) == (70, 0.5)
