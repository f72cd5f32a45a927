import pytest

from digitlens.training.page_recipe import PageRecipe
from digitlens.training.schedule import learning_rate


def test_the_learning_rate_rises_then_falls_to_a_hundredth():
    schedule = PageRecipe(learning_rate=0.5, warmup_steps=10, steps=100).page_schedule()
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.005, rel=0.1)


def test_both_networks_learn_alike_but_for_the_number_of_steps():
    recipe = PageRecipe(steps=100, crop_steps=40)
    pages, crops = recipe.page_schedule(), recipe.crop_schedule()
    assert (pages.steps, crops.steps) == (100, 40)
    assert pages.learning_rate == crops.learning_rate == recipe.learning_rate
