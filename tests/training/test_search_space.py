import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.errors import RecipeError
from digitlens.training.recipe import Recipe
from digitlens.training.search_space import Choice, Range, parse_space, space_from


def test_ranges_and_choices_are_read():
    space = parse_space(
        "standard",
        ["kernels=3"],
        [
            "learning_rate=0.001..0.02:log",
            "epochs=5..15",
            "dropout=0..0.5:0.1",
            "widths=16,32,64|32,64, 128",
            "batch_norm=true|false",
        ],
    )
    assert space.dimensions == (
        Range("learning_rate", 0.001, 0.02, log=True),
        Range("epochs", 5, 15),
        Range("dropout", 0.0, 0.5, step=0.1),
        Choice("widths", ("16,32,64", "32,64,128")),
        Choice("batch_norm", ("true", "false")),
    )
    assert space.base.kernels == (3,)


def test_a_trial_changes_what_is_searched_and_nothing_else():
    space = parse_space("standard", [], ["learning_rate=0.001..0.02", "widths=8,16,32|32,64,128"])
    made = space.recipe({"learning_rate": 0.0123, "widths": "8,16,32"})
    assert (made.learning_rate, made.widths) == (0.0123, (8, 16, 32))
    names = set(space.base.as_dict()) - {"learning_rate", "widths"}
    assert all(getattr(made, name) == getattr(space.base, name) for name in names)


def test_the_recipe_itself_is_where_a_search_starts():
    searches = ["epochs=5..15", "batch_norm=true|false", "widths=8,8,8|32,64,128"]
    space = parse_space("standard", [], searches)
    assert space.start == {"epochs": 13, "batch_norm": "true", "widths": "32,64,128"}
    assert not parse_space("standard", [], ["epochs=20..30"]).start
    assert not parse_space("standard", [], ["epochs=5..15:3"]).start
    assert parse_space("standard", [], ["epochs=5..15:2"]).start == {"epochs": 13}


def test_all_problems_are_told_at_once():
    with pytest.raises(RecipeError) as told:
        parse_space(
            "standard",
            ["dropout=7", "epoch=3"],
            [
                "learning_rat=0.1..1",
                "widths=3..5",
                "seed=1..9",
                "epochs=9..5",
                "average=0..0.9:log",
                "scale=a..b",
                "shift",
                "rotate=3",
                "optimizer=adam|lion",
                "batch_size=1..99999",
                "pool=max|stride",
                "pool=max|stride",
            ],
        )
    text = str(told.value)
    for part in (
        "dropout: expected 0 to 0.95, found 7",
        "epoch: no such field; did you mean epochs?",
        "learning_rat: no such field; did you mean learning_rate?",
        "widths: expected values such as A|B",
        "seed: cannot be searched: ask for more seeds",
        "epochs: expected LOW below HIGH",
        "average: expected LOW below HIGH, LOW above 0 for :log",
        "scale: expected LOW..HIGH or LOW..HIGH:STEP of numbers, found 'a..b'",
        "'shift': expected FIELD=LOW..HIGH",
        "'rotate=3': expected FIELD=LOW..HIGH",
        "found 'lion'",
        "batch_size: expected 1 to 60000, found 99999",
        "pool: searched twice",
    ):
        assert text.count(part) == 1, part


def test_nothing_to_search_is_refused():
    with pytest.raises(RecipeError, match="nothing to search"):
        parse_space("standard", [], [])


def test_values_that_fit_only_together_are_fine_and_others_are_refused():
    both = parse_space("classic", ["widths=8,8,8"], ["kernels=3|5,3,3"])
    assert both.base.widths == (8, 8, 8)
    with pytest.raises(RecipeError, match="kernels: expected at most 2 sizes"):
        parse_space("classic", [], ["kernels=3|5,3,3", "widths=8,8|8,8,8"])


def test_digit_detectors_and_unknown_recipes_are_refused():
    with pytest.raises(RecipeError, match="a network for tiles"):
        parse_space("pages", [], ["learning_rate=0.001..0.01"])
    with pytest.raises(RecipeError, match="no recipe 'nothing'"):
        parse_space("nothing", [], ["epochs=1..2"])


@given(
    low=st.floats(1e-6, 1.0),
    factor=st.floats(1.5, 100),
    log=st.booleans(),
    epochs=st.integers(1, 50),
    more=st.integers(1, 50),
)
def test_a_space_survives_being_written_down(low, factor, log, epochs, more):
    rates = f"learning_rate={low}..{low * factor}{':log' if log else ''}"
    space = parse_space(
        "classic", [], [rates, f"epochs={epochs}..{epochs + more}", "pool=max|stride"]
    )
    assert space_from(space.as_dict()) == space
    assert isinstance(space.recipe({"learning_rate": low, "epochs": epochs}), Recipe)
