"""What a study searches: fields of a recipe, each in a range or among choices; knows no Optuna.

Written as on the command line: ``learning_rate=0.001..0.02:log``, ``epochs=5..15``,
``dropout=0..0.5:0.1``, ``widths=16,32,64|32,64,128``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

from digitlens.errors import RecipeError
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import load_recipe, recipe_from
from digitlens.training.settings import defaults, listed, shown

# A trial must be good because of what it trains: not for a lucky seed, nor for easier tiles.
_SAME_TILES = "all trials are measured on the same tiles"
_AFTERWARDS = "it is for what comes after the training that is searched"
FIXED = {
    "seed": "ask for more seeds a trial with --seeds",
    **dict.fromkeys(("validation", "validation_share"), _SAME_TILES),
    **dict.fromkeys(("members", "views", "temperature"), _AFTERWARDS),
}
MOST = 2000  # combinations of choices that are tried out before the first trial

Value = str | int | float
Chosen = Mapping[str, Value]


@dataclass(frozen=True)
class Range:
    """A number from ``low`` to ``high``, both included.

    Attributes:
        name: The recipe's field.
        low: The least; whole if the field is.
        high: The highest.
        log: Whether to search on a logarithmic axis.
        step: Distance of the numbers tried from each other; 0 for any number.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float = 0

    def __str__(self) -> str:
        """As on the command line."""
        suffix = ":log" if self.log else f":{self.step}" if self.step else ""
        return f"{self.name}={self.low}..{self.high}{suffix}"

    def candidates(self) -> list[str]:
        """Both ends, as text."""
        return [str(self.low), str(self.high)]

    def find(self, value: Any) -> Value | None:
        """The value as a trial would choose it, None where it is not in the range."""
        if not self.low <= value <= self.high:
            return None
        steps = (value - self.low) / self.step if self.step else 0.0
        return value if abs(steps - round(steps)) < 1e-9 else None


@dataclass(frozen=True)
class Choice:
    """One of some values, each as text.

    Attributes:
        name: The recipe's field.
        values: As on the command line.
    """

    name: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        """As on the command line."""
        return f"{self.name}={'|'.join(self.values)}"

    def candidates(self) -> list[str]:
        """All of them."""
        return list(self.values)

    def find(self, value: Any) -> Value | None:
        """The value as a trial would choose it, None where it is none of the choices."""
        text = shown(value).lower()
        return next((one for one in self.values if one.lower() == text), None)


Dimension = Range | Choice


@dataclass(frozen=True)
class SearchSpace:
    """A recipe and the fields of it that are searched.

    Attributes:
        base: The recipe whose other fields, seed and split all trials share.
        dimensions: What is searched.
        start: The recipe's own values, where all of them lie in the space; else empty.
    """

    base: Recipe
    dimensions: tuple[Dimension, ...]
    start: Chosen = field(default_factory=dict[str, Value])

    def recipe(self, chosen: Chosen) -> Recipe:
        """The recipe with the values that a trial chose.

        Raises:
            RecipeError: They do not fit each other.
        """
        changes = {name: shown(value) for name, value in self.base.as_dict().items()} | {
            name: str(value) for name, value in chosen.items()
        }
        made = load_recipe("classic", [f"{name}={text}" for name, text in changes.items()])
        assert isinstance(made, Recipe)  # the architecture of pages is none of its choices
        return made

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready values, from which ``space_from`` makes it again."""
        return {
            "recipe": self.base.as_dict(),
            "search": [str(dimension) for dimension in self.dimensions],
            "start": dict(self.start),
        }


def space_from(values: Mapping[str, Any]) -> SearchSpace:
    """The space that ``as_dict`` wrote."""
    problems: list[str] = []
    found = [_dimension(text, problems) for text in values["search"]]
    dimensions = tuple(one for one in found if one)
    return SearchSpace(recipe_from(values["recipe"]), dimensions, values["start"])


def parse_space(recipe: str, changes: Sequence[str], searches: Sequence[str]) -> SearchSpace:
    """A recipe by name or file, changed, and what to search of it.

    Args:
        recipe: As for ``load_recipe``.
        changes: Texts such as ``"epochs=3"``.
        searches: Texts such as ``"learning_rate=0.001..0.02:log"``.

    Raises:
        RecipeError: The recipe, a change, a range or a choice is impossible; lists all problems.
    """
    problems: list[str] = []
    found = [_dimension(text, problems) for text in searches]
    dimensions = tuple(one for one in found if one)
    if not searches:
        problems.append("nothing to search: expected --search FIELD=LOW..HIGH or FIELD=A|B")
    names = [one.name for one in dimensions]
    problems += [f"{name}: searched twice" for name in sorted(set(names)) if names.count(name) > 1]
    for combination in _combinations(dimensions):
        problems += _problems(recipe, [*changes, *combination])
    if problems:
        raise RecipeError(listed(list(dict.fromkeys(problems))))
    first = [f"{one.name}={one.candidates()[0]}" for one in dimensions]
    base = load_recipe(recipe, [*changes, *first])
    assert isinstance(base, Recipe)
    return SearchSpace(base, dimensions, _start(recipe, changes, dimensions))


def _dimension(text: str, problems: list[str]) -> Dimension | None:
    """One dimension; None, with the problem added to those known, if it is none."""
    name, sign, values = (part.strip() for part in text.partition("="))
    known = defaults(Recipe)
    if not sign or not ("|" in values or ".." in values):
        problems.append(
            f"{text!r}: expected FIELD=LOW..HIGH, FIELD=LOW..HIGH:log, FIELD=LOW..HIGH:STEP "
            "or FIELD=A|B (in quotes)"
        )
        return None
    if name in FIXED and name in known:
        problems.append(f"{name}: cannot be searched: {FIXED[name]}")
        return None
    if "|" in values:
        return Choice(name, tuple(part.replace(" ", "") for part in values.split("|")))
    if name in known and type(known[name]) not in {int, float}:
        problems.append(f"{name}: expected values such as A|B to search, found {values!r}")
        return None
    return _range(name, values, type(known.get(name, 0.0)), problems)


def _range(name: str, text: str, kind: type[Any], problems: list[str]) -> Range | None:
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
    return Range(name, low, high, suffix == "log", step)


def _combinations(dimensions: Sequence[Dimension]) -> Iterator[list[str]]:
    """Changes to try out: all choices with each other, then the high end of each range."""
    ends = [
        one.candidates() if isinstance(one, Choice) else one.candidates()[:1] for one in dimensions
    ]
    names = [one.name for one in dimensions]
    for texts in islice(product(*ends), MOST):
        yield [f"{name}={text}" for name, text in zip(names, texts, strict=True)]
    firsts = [f"{name}={texts[0]}" for name, texts in zip(names, ends, strict=True)]
    for one in dimensions:
        if isinstance(one, Range):
            yield [*firsts, f"{one.name}={one.candidates()[1]}"]


def _problems(recipe: str, changes: list[str]) -> list[str]:
    try:
        made = load_recipe(recipe, changes)
    except RecipeError as error:
        found = str(error).split("\n  - ")[1:]
        if not found:  # about the recipe as a whole
            raise
        return found
    if not isinstance(made, Recipe):
        raise RecipeError(f"expected a recipe of a network for tiles to search, found {recipe!r}")
    return []


def _start(recipe: str, changes: Sequence[str], dimensions: Sequence[Dimension]) -> Chosen:
    try:
        own = load_recipe(recipe, list(changes))
    except RecipeError:  # its values only fit together with what is searched
        return {}
    found = {one.name: one.find(getattr(own, one.name)) for one in dimensions}
    kept = {name: value for name, value in found.items() if value is not None}
    return kept if len(kept) == len(found) else {}
