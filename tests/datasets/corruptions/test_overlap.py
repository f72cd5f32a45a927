from dataclasses import asdict, fields

from digitlens.datasets.corruptions.corruptions import CORRUPTIONS
from digitlens.datasets.corruptions.overlap import OVERLAPS, overlapping
from digitlens.training.recipe import Recipe


def test_every_corruption_named_exists():
    assert {name for names in OVERLAPS.values() for name in names} <= set(CORRUPTIONS)


def test_every_field_named_is_one_of_a_recipe():
    assert set(OVERLAPS) <= {field.name for field in fields(Recipe)}


def test_a_plain_recipe_overlaps_with_nothing():
    assert overlapping(asdict(Recipe())) == ()
    assert overlapping({}) == ()


def test_what_was_moved_in_training_is_no_surprise():
    recipe = asdict(Recipe(shift=2.0, rotate=10.0, thickness=0.3, elastic=0.5))
    assert overlapping(recipe) == ("rotate", "translate")


def test_a_field_that_is_no_number_says_nothing():
    assert overlapping({"noise": "much", "blur": None, "shear": 0.1}) == ("shear",)
