"""Parsing of search spaces; results as a table and a recipe."""

import csv
import io
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.errors import RecipeError
from digitlens.training.recipe import Recipe, recipe_from
from digitlens.training.search_space import (
    Categorical,
    Numeric,
    StudyResult,
    Trial,
    parse_space,
    space_from,
)


def test_ranges_and_choices_are_parsed():
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
        Numeric("learning_rate", 0.001, 0.02, log=True),
        Numeric("epochs", 5, 15),
        Numeric("dropout", 0.0, 0.5, step=0.1),
        Categorical("widths", ("16,32,64", "32,64,128")),
        Categorical("batch_norm", ("true", "false")),
    )
    assert space.base.kernels == (3,)


def test_trial_changes_only_the_searched_fields():
    space = parse_space("standard", [], ["learning_rate=0.001..0.02", "widths=8,16,32|32,64,128"])
    made = space.recipe({"learning_rate": 0.0123, "widths": "8,16,32"})
    assert (made.learning_rate, made.widths) == (0.0123, (8, 16, 32))
    names = set(space.base.as_dict()) - {"learning_rate", "widths"}
    assert all(getattr(made, name) == getattr(space.base, name) for name in names)


def test_search_starts_at_the_recipe_if_it_is_in_the_space():
    searches = ["epochs=5..15", "batch_norm=true|false", "widths=8,8,8|32,64,128"]
    space = parse_space("standard", [], searches)
    assert space.start == {"epochs": 13, "batch_norm": "true", "widths": "32,64,128"}
    assert not parse_space("standard", [], ["epochs=20..30"]).start
    assert not parse_space("standard", [], ["epochs=5..15:3"]).start
    assert parse_space("standard", [], ["epochs=5..15:2"]).start == {"epochs": 13}


def test_all_problems_are_reported_at_once():
    with pytest.raises(RecipeError) as told:
        parse_space(
            "standard",
            ["dropout=7", "epoch=3"],
            [
                "learning_rat=0.1..1",
                "widths=3..5",
                "seed=1..9",
                "epochs=9..5",
                "ema_decay=0..0.9:log",
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
        "seed: cannot be searched: train each trial with more seeds",
        "epochs: expected LOW below HIGH",
        "ema_decay: expected LOW below HIGH, LOW above 0 for :log",
        "scale: expected LOW..HIGH or LOW..HIGH:STEP of numbers, found 'a..b'",
        "'shift': expected FIELD=LOW..HIGH",
        "'rotate=3': expected FIELD=LOW..HIGH",
        "found 'lion'",
        "batch_size: expected 1 to 60000, found 99999",
        "pool: searched twice",
    ):
        assert text.count(part) == 1, part


@pytest.mark.parametrize(
    ("recipe", "searches", "message"),
    [
        ("standard", [], "nothing to search"),
        ("pages", ["learning_rate=0.001..0.01"], "a classifier.s recipe"),
        ("nothing", ["epochs=1..2"], "no recipe 'nothing'"),
        ("classic", ["kernels=3|5,3,3", "widths=8,8|8,8,8"], "kernels: expected at most 2 sizes"),
    ],
)
def test_invalid_searches_are_refused(recipe, searches, message):
    with pytest.raises(RecipeError, match=message):
        parse_space(recipe, [], searches)


@given(
    low=st.floats(1e-6, 1.0),
    factor=st.floats(1.5, 100),
    log=st.booleans(),
    epochs=st.integers(1, 50),
    more=st.integers(1, 50),
)
def test_space_survives_serialisation(low, factor, log, epochs, more):
    rates = f"learning_rate={low}..{low * factor}{':log' if log else ''}"
    space = parse_space(
        "classic", [], [rates, f"epochs={epochs}..{epochs + more}", "pool=max|stride"]
    )
    assert space_from(space.as_dict()) == space
    assert isinstance(space.recipe({"learning_rate": low, "epochs": epochs}), Recipe)


SPACE = parse_space("fast", ["kernels=3", "seed=4"], ["epochs=1..9", "widths=4,8|8,16"])
TRIALS = (
    Trial(1, "complete", {"epochs": 2, "widths": "4,8"}, 0.9, (0.9,), (0.4,), 1.5),
    Trial(2, "failed", {"epochs": 3, "widths": "8,16"}, reason="RuntimeError: no memory, at all"),
    Trial(3, "complete", {"epochs": 7, "widths": "8,16"}, 0.95, (0.94, 0.96), (0.2, 0.4), 2.0),
    Trial(4, "complete", {"epochs": 8, "widths": "8,16"}, 0.95, (0.95, 0.95), (0.1, 0.1), 2.0),
    Trial(5, "pruned", {"epochs": 1, "widths": "4,8"}, reason="behind", latest=0.5),
)
RESULT = StudyResult("mine", SPACE, 2, 600, TRIALS)


def test_best_trial_is_the_earliest_of_the_most_accurate():
    assert [trial.number for trial in RESULT.ranked] == [3, 4, 1]
    assert RESULT.best == TRIALS[2]
    assert (RESULT.count("complete"), RESULT.count("failed", "pruned")) == (3, 2)
    none = StudyResult("mine", SPACE, 1, 600, TRIALS[1:2])
    assert (none.best, none.best_recipe, none.best_toml()) == (None, None, "")
    assert none.as_dict()["best"] is None


def test_best_trial_is_a_recipe_file_and_the_table_has_all_trials():
    text = RESULT.best_toml()
    assert "# Study mine, trial 3 of 5: mean validation accuracy 95.0000% over 2 seeds" in text
    recipe = recipe_from(tomllib.loads(text))
    assert (recipe.epochs, recipe.widths, recipe.seed) == (7, (8, 16), 4)
    assert recipe == RESULT.best_recipe
    rows = list(csv.DictReader(io.StringIO(RESULT.as_csv())))
    assert [row["number"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert (rows[2]["accuracy"], rows[1]["accuracy"], rows[0]["widths"]) == ("0.95", "", "4,8")
    assert float(rows[2]["loss"]) == pytest.approx(0.3)
    assert rows[1]["reason"] == "RuntimeError: no memory, at all"


def test_interrupted_trials_do_not_count():
    assert not Trial(1, "failed", {}, reason="interrupted").counts
    assert not Trial(1, "failed", {}).counts
    assert Trial(1, "failed", {}, reason="RuntimeError: x").counts
    assert all(trial.counts for trial in TRIALS)
