import pytest

from digitlens.training.page_recipe import DetectorRecipe
from digitlens.training.schedule import learning_rate


def test_the_learning_rate_rises_then_falls_to_a_hundredth():
    schedule = DetectorRecipe(learning_rate=0.5, warmup_steps=10, steps=100).schedule()
    rates = [learning_rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.005, rel=0.1)
