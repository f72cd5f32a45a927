import csv
import io
import tomllib

import pytest

from digitlens.training.recipes import recipe_from
from digitlens.training.search_space import parse_space
from digitlens.training.trials import StudyResult, Trial

SPACE = parse_space("fast", ["kernels=3", "seed=4"], ["epochs=1..9", "widths=4,8|8,16"])
TRIALS = (
    Trial(1, "complete", {"epochs": 2, "widths": "4,8"}, 0.9, (0.9,), (0.4,), 1.5),
    Trial(2, "failed", {"epochs": 3, "widths": "8,16"}, reason="RuntimeError: no memory, at all"),
    Trial(3, "complete", {"epochs": 7, "widths": "8,16"}, 0.95, (0.94, 0.96), (0.2, 0.4), 2.0),
    Trial(4, "complete", {"epochs": 8, "widths": "8,16"}, 0.95, (0.95, 0.95), (0.1, 0.1), 2.0),
    Trial(5, "pruned", {"epochs": 1, "widths": "4,8"}, reason="behind", latest=0.5),
)
RESULT = StudyResult("mine", SPACE, 2, 600, TRIALS)


def test_the_best_is_the_most_accurate_and_the_earlier_of_equals():
    assert [trial.number for trial in RESULT.ranked] == [3, 4, 1]
    assert RESULT.best == TRIALS[2]
    assert (RESULT.count("complete"), RESULT.count("failed", "pruned")) == (3, 2)


def test_the_best_recipe_is_a_recipe_file_that_says_where_it_comes_from():
    text = RESULT.best_toml()
    assert "# Study mine, trial 3 of 5: mean validation accuracy 95.0000% over 2 seeds" in text
    recipe = recipe_from(tomllib.loads(text))
    assert (recipe.epochs, recipe.widths, recipe.seed) == (7, (8, 16), 4)
    assert recipe == RESULT.best_recipe


def test_the_table_has_a_line_a_trial():
    rows = list(csv.DictReader(io.StringIO(RESULT.as_csv())))
    assert [row["number"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[2]["accuracy"] == "0.95"
    assert float(rows[2]["loss"]) == pytest.approx(0.3)
    assert rows[1]["reason"] == "RuntimeError: no memory, at all"
    assert rows[1]["accuracy"] == ""
    assert rows[0]["widths"] == "4,8"


def test_without_a_complete_trial_there_is_no_best():
    none = StudyResult("mine", SPACE, 1, 600, TRIALS[1:2])
    assert none.best is None
    assert none.best_recipe is None
    assert none.best_toml() == ""
    assert none.as_dict()["best"] is None


def test_what_was_interrupted_does_not_count():
    assert not Trial(1, "failed", {}, reason="interrupted").counts
    assert not Trial(1, "failed", {}).counts
    assert Trial(1, "failed", {}, reason="RuntimeError: x").counts
    assert all(trial.counts for trial in TRIALS)
