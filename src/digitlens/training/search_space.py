"""The search space and the results of a study, as frozen values and tables; independent of Optuna.

A study searches fields of a recipe, each in a range or among choices, in the syntax of the command
line: ``learning_rate=0.001..0.02:log``, ``epochs=5..15``, ``dropout=0..0.5:0.1``,
``widths=16,32,64|32,64,128``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice, product
from typing import Any, Literal

from digitlens.errors import RecipeError
from digitlens.tabular import csv_of
from digitlens.training.recipe import Recipe, load_recipe, recipe_from
from digitlens.training.settings import defaults, format_value, problem_list

# A trial must win because of its recipe, not because of a lucky seed or easier tiles.
_SAME_TILES_REASON = "all trials are measured on the same tiles"
_NO_EFFECT_REASON = "it has no effect on the training of a single network"
FIXED = {
    "seed": "train each trial with more seeds instead, with --seeds",
    **dict.fromkeys(("validation", "validation_share"), _SAME_TILES_REASON),
    **dict.fromkeys(("models", "tta_views", "temperature"), _NO_EFFECT_REASON),
}
MOST = 2000  # combinations of choices that are validated before the first trial

State = Literal["complete", "pruned", "failed", "running"]
INTERRUPTED = "interrupted"
DECIMALS = 6  # in JSON and tables

Value = str | int | float
Chosen = Mapping[str, Value]


@dataclass(frozen=True)
class Numeric:
    """A number from ``low`` to ``high``, both inclusive."""

    name: str  # the recipe's field
    low: float  # an int if the field is
    high: float
    log: bool = False  # whether to search on a logarithmic scale
    step: float = 0  # spacing of the numbers tried; 0 for any number

    def __str__(self) -> str:
        """Formats the range as on the command line."""
        suffix = ":log" if self.log else f":{self.step}" if self.step else ""
        return f"{self.name}={self.low}..{self.high}{suffix}"

    def candidates(self) -> list[str]:
        """Returns both ends, as text."""
        return [str(self.low), str(self.high)]

    def find(self, value: Any) -> Value | None:
        """Returns the value as a trial would choose it; None if it is not in the range."""
        if not self.low <= value <= self.high:
            return None
        steps = (value - self.low) / self.step if self.step else 0.0
        return value if abs(steps - round(steps)) < 1e-9 else None


@dataclass(frozen=True)
class Categorical:
    """One of several values, each as text."""

    name: str  # the recipe's field
    values: tuple[str, ...]  # as on the command line

    def __str__(self) -> str:
        """Formats the choices as on the command line."""
        return f"{self.name}={'|'.join(self.values)}"

    def candidates(self) -> list[str]:
        """Returns all values."""
        return list(self.values)

    def find(self, value: Any) -> Value | None:
        """Returns the value as a trial would choose it; None if it is not among the choices."""
        text = format_value(value).lower()
        return next((choice for choice in self.values if choice.lower() == text), None)


Dimension = Numeric | Categorical


@dataclass(frozen=True)
class SearchSpace:
    """A recipe and the fields to search."""

    base: Recipe  # the recipe whose other fields, seed and split all trials share
    dimensions: tuple[Dimension, ...]  # the fields to search
    # The recipe's original values, if all of them lie in the space; otherwise empty.
    start: Chosen = field(default_factory=dict[str, Value])

    def recipe(self, chosen: Chosen) -> Recipe:
        """Returns the recipe of a trial; raises RecipeError if its values are incompatible."""
        values = self.base.as_dict() | dict(chosen)
        recipe = load_recipe("classic", [f"{name}={format_value(v)}" for name, v in values.items()])
        assert isinstance(recipe, Recipe)  # other architectures cannot be among the choices
        return recipe

    def as_dict(self) -> dict[str, Any]:
        """Returns the space as JSON-ready values, for ``space_from``."""
        return {
            "recipe": self.base.as_dict(),
            "search": [str(dimension) for dimension in self.dimensions],
            "start": dict(self.start),
        }


def space_from(values: Mapping[str, Any]) -> SearchSpace:
    """Returns the space that ``as_dict`` wrote."""
    dimensions = _dimensions(values["search"], [])
    return SearchSpace(recipe_from(values["recipe"]), dimensions, values["start"])


def parse_space(recipe: str, changes: Sequence[str], searches: Sequence[str]) -> SearchSpace:
    """Parses a recipe with changes, see ``load_recipe``, and the fields to search, as above.

    Raises RecipeError, with a list of all problems, if anything is invalid.
    """
    problems: list[str] = []
    dimensions = _dimensions(searches, problems)
    if not searches:
        problems.append("nothing to search: expected --search FIELD=LOW..HIGH or FIELD=A|B")
    names = [one.name for one in dimensions]
    problems += [f"{name}: searched twice" for name in sorted(set(names)) if names.count(name) > 1]
    for combination in _combinations(dimensions):
        problems += _problems(recipe, [*changes, *combination])
    if problems:
        raise RecipeError(problem_list(list(dict.fromkeys(problems))))
    first = [f"{one.name}={one.candidates()[0]}" for one in dimensions]
    base = load_recipe(recipe, [*changes, *first])
    assert isinstance(base, Recipe)
    return SearchSpace(base, dimensions, _start_values(recipe, changes, dimensions))


def _dimensions(texts: Sequence[str], problems: list[str]) -> tuple[Dimension, ...]:
    return tuple(one for text in texts if (one := _dimension(text, problems)))


def _dimension(text: str, problems: list[str]) -> Dimension | None:
    """Parses one dimension; if it is invalid, returns None and adds to ``problems``."""
    name, sign, values = (part.strip() for part in text.partition("="))
    name, fields = Recipe.renamed.get(name, name), defaults(Recipe)
    if not sign or not ("|" in values or ".." in values):
        problems.append(
            f"{text!r}: expected FIELD=LOW..HIGH, FIELD=LOW..HIGH:log, FIELD=LOW..HIGH:STEP "
            "or FIELD=A|B (in quotes)"
        )
        return None
    if name in FIXED and name in fields:
        problems.append(f"{name}: cannot be searched: {FIXED[name]}")
        return None
    if "|" in values:
        return Categorical(name, tuple(part.replace(" ", "") for part in values.split("|")))
    if name in fields and type(fields[name]) not in {int, float}:
        problems.append(f"{name}: expected values such as A|B to search, found {values!r}")
        return None
    return _range(name, values, type(fields.get(name, 0.0)), problems)


def _range(name: str, text: str, kind: type[Any], problems: list[str]) -> Numeric | None:
    ends, _, suffix = text.partition(":")
    low_text, _, high_text = ends.partition("..")
    try:
        low, high = kind(low_text), kind(high_text)
        step = kind(suffix) if suffix not in {"", "log"} else kind(0)
    except ValueError:
        whole = "whole numbers" if kind is int else "numbers"
        problems.append(f"{name}: expected LOW..HIGH or LOW..HIGH:STEP of {whole}, found {text!r}")
        return None
    if not low < high or (suffix == "log" and low <= 0) or not 0 <= step <= high - low:
        problems.append(
            f"{name}: expected LOW below HIGH, LOW above 0 for :log, and a STEP that fits "
            f"between them, found {text!r}"
        )
        return None
    return Numeric(name, low, high, suffix == "log", step)


def _combinations(dimensions: Sequence[Dimension]) -> Iterator[list[str]]:
    """Yields changes to validate: all combinations of choices, then the high end of each range."""
    ends = [[f"{one.name}={text}" for text in one.candidates()] for one in dimensions]
    ranged = [isinstance(one, Numeric) for one in dimensions]
    choices = [texts[:1] if numeric else texts for texts, numeric in zip(ends, ranged, strict=True)]
    yield from map(list, islice(product(*choices), MOST))
    for texts, numeric in zip(ends, ranged, strict=True):
        if numeric:
            yield [*(first for first, *_ in ends), texts[1]]


def _problems(recipe: str, changes: list[str]) -> list[str]:
    try:
        loaded = load_recipe(recipe, changes)
    except RecipeError as error:
        problems = str(error).split("\n  - ")[1:]
        if not problems:  # about the recipe as a whole
            raise
        return problems
    if not isinstance(loaded, Recipe):
        raise RecipeError(f"expected a classifier's recipe to search, found {recipe!r}")
    return []


def _start_values(recipe: str, changes: Sequence[str], dimensions: Sequence[Dimension]) -> Chosen:
    try:
        loaded = load_recipe(recipe, list(changes))
    except RecipeError:  # it is valid only together with values of the search
        return {}
    values = {one.name: one.find(getattr(loaded, one.name)) for one in dimensions}
    known_values = {name: value for name, value in values.items() if value is not None}
    return known_values if len(known_values) == len(values) else {}


@dataclass(frozen=True)
class Trial:
    """A trained recipe of a study."""

    number: int  # from 1, in the order of their starts
    state: State
    chosen: Mapping[str, Value]  # value of each searched field
    # Mean validation accuracy over its seeds, 0 to 1; None unless complete.
    accuracy: float | None = None
    accuracies: tuple[float, ...] = ()  # of each seed trained
    # Validation loss of each seed, in nats; includes label smoothing, so recipes with different
    # smoothing cannot be compared by it.
    losses: tuple[float, ...] = ()
    seconds: float = 0.0  # time spent training
    reason: str = ""  # why it was pruned or failed, or the trial whose result was reused
    # Accuracy after the last reported epoch, 0 to 1; None before the first.
    latest: float | None = None

    @property
    def counts(self) -> bool:
        """Whether it counts towards the requested number of trials; interrupted ones do not."""
        return not (self.state == "failed" and self.reason in {"", INTERRUPTED})


@dataclass(frozen=True)
class StudyResult:
    """All trials of a study."""

    name: str  # the study's name
    space: SearchSpace
    seeds: int  # trainings per trial
    tiles: int  # validation tiles, the same for all trials
    trials: tuple[Trial, ...]  # in the order of their starts
    # Relative importance of each searched field for good trials, largest first; empty if too few
    # trials are complete.
    importance: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def ranked(self) -> list[Trial]:
        """The complete trials, best first; of equal ones, the earlier first."""
        done = [trial for trial in self.trials if trial.accuracy is not None]
        return sorted(done, key=lambda trial: (-(trial.accuracy or 0.0), trial.number))

    @property
    def best(self) -> Trial | None:
        """The complete trial with the highest accuracy; None before the first."""
        return next(iter(self.ranked), None)

    @property
    def best_recipe(self) -> Recipe | None:
        """The recipe of the best trial, with the seed of the study."""
        return self.space.recipe(self.best.chosen) if self.best else None

    def count(self, *states: State) -> int:
        """Returns the number of trials in the given states."""
        return sum(trial.state in states for trial in self.trials)

    def as_dict(self) -> dict[str, Any]:
        """Returns the study as JSON-ready values."""
        best = self.best
        return {
            "study": self.name,
            "objective": "validation accuracy, mean over seeds",
            **self.space.as_dict(),
            "seeds": self.seeds,
            "validation_tiles": self.tiles,
            "best": _row(best) if best else None,
            "importance": {name: round(share, 4) for name, share in self.importance.items()},
            "trials": [_row(trial) for trial in self.trials],
        }

    def as_csv(self) -> str:
        """Returns the trials as CSV, one per line."""
        names = [one.name for one in self.space.dimensions]
        rows = [["number", "state", "accuracy", "loss", "seconds", *names, "reason"]]
        for trial in self.trials:
            accuracy = "" if trial.accuracy is None else round(trial.accuracy, DECIMALS)
            loss = round(sum(trial.losses) / len(trial.losses), DECIMALS) if trial.losses else ""
            values = [trial.chosen.get(name, "") for name in names]
            seconds = round(trial.seconds, 2)
            row = trial.number, trial.state, accuracy, loss, seconds, *values, trial.reason
            rows.append(list(map(str, row)))
        return csv_of(rows)

    def best_toml(self) -> str:
        """Returns the best recipe as TOML with a comment on its origin; empty if there is none."""
        best, recipe = self.best, self.best_recipe
        if best is None or recipe is None:
            return ""
        seeds = f"{self.seeds} seeds" if self.seeds > 1 else "1 seed"
        return (
            f"# Study {self.name}, trial {best.number} of {len(self.trials)}: mean validation "
            f"accuracy {best.accuracy:.4%} over {seeds}, "
            f"{self.tiles:,} tiles.\n\n{recipe.as_toml()}"
        )


def _row(trial: Trial) -> dict[str, Any]:
    values = asdict(trial) | {"chosen": dict(trial.chosen)}
    return {
        name: round(value, DECIMALS) if isinstance(value, float) else value
        for name, value in values.items()
    }
