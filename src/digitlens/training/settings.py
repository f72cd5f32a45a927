"""What every kind of recipe can do: check all its fields at once, explain them, become TOML."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

from digitlens.errors import RecipeError

FLOOR = 0.01  # share of the highest learning rate at which trainings by steps end
S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Schedule:
    """The steps of a training.

    Attributes:
        steps: All of them.
        check_every: Steps between two validations.
        peak: Highest learning rate.
        warmup: Steps in which the learning rate rises from zero.
        shape: How it falls afterwards: ``constant``, ``cosine`` or ``linear``.
        floor: Share of the peak at which it ends.
        clip: Largest norm of the gradient; 0 for any.
        average: Decay of the moving average of the weights; 0 for none.
        epochs: Passes over what is learned from; 0 where that has no end.
    """

    steps: int
    check_every: int
    peak: float
    warmup: float
    shape: str = "cosine"
    floor: float = FLOOR
    clip: float = 0.0
    average: float = 0.0
    epochs: int = 0

    def learning_rate(self, step: int) -> float:
        """The learning rate at a step, from 0: up during the warm-up, then down."""
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        shapes = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
        return self.peak * (self.floor + (1 - self.floor) * shapes[self.shape])


@dataclass(frozen=True)
class Settings:
    """A frozen dataclass whose fields are numbers, names, switches or whole numbers in a tuple.

    A kind of recipe adds fields, each with a default and with its explanation as a string under it.

    Attributes:
        limits: By field, the least and the highest number allowed.
        choices: By field, the names allowed.
    """

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        """Refuses impossible values with RecipeError, which lists all of them."""
        mistyped = _type_problems(self)
        problems = [*mistyped.values(), *_range_problems(self, set(mistyped))]
        problems += self.structure_problems(set(mistyped))
        if problems:
            raise RecipeError(listed(problems))

    def structure_problems(self, mistyped: set[str]) -> list[str]:
        """What is wrong between fields, or with one beyond its type, limits and choices.

        Args:
            mistyped: Fields that do not have their type, and are reported already.
        """
        del mistyped
        return []

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    def as_toml(self) -> str:
        """The recipe as TOML, each field under its explanation; ``load_recipe`` reads it back."""
        docs = field_docs(type(self))
        # Every value of a recipe is written the same in JSON and TOML.
        lines = [
            f"# {docs[name]}\n{name} = {json.dumps(value)}"
            for name, value in self.as_dict().items()
        ]
        return "\n".join(lines) + "\n"


@cache
def field_docs(recipe: type[Settings]) -> dict[str, str]:
    """The explanation under each field of a kind of recipe, read from its source."""
    tree = ast.parse(inspect.getsource(recipe))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


@cache
def defaults(recipe: type[Settings]) -> dict[str, Any]:
    """The default of each field of a kind of recipe, by name."""
    return {field.name: field.default for field in dataclasses.fields(recipe)}


def kind(default: Any) -> str:
    """What a value of the same type as ``default`` looks like, in words."""
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}
    return names.get(type(default), "whole numbers separated by commas")


def shown(value: Any) -> str:
    """A value as it is written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def listed(problems: list[str]) -> str:
    """One message for all problems."""
    return "the recipe cannot be used:\n  - " + "\n  - ".join(problems)


def _type_problems(recipe: Settings) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, default in defaults(type(recipe)).items():
        value = getattr(recipe, name)
        right = type(value) is type(default)
        if isinstance(default, tuple):
            right = right and len(value) > 0 and all(type(item) is int for item in value)
        if isinstance(value, float):
            right = right and math.isfinite(value)
        if not right:
            found[name] = f"{name}: expected {kind(default)}, found {value!r}"
    return found


def _range_problems(recipe: Settings, mistyped: set[str]) -> list[str]:
    found: list[str] = []
    for name in recipe.limits.keys() - mistyped:
        low, high = recipe.limits[name]
        value = getattr(recipe, name)
        if not all(
            low <= item <= high for item in (value if isinstance(value, tuple) else [value])
        ):
            found.append(f"{name}: expected {low:g} to {high:g}, found {shown(value)}")
    for name in recipe.choices.keys() - mistyped:
        value = getattr(recipe, name)
        if value not in recipe.choices[name]:
            found.append(f"{name}: expected {' or '.join(recipe.choices[name])}, found {value!r}")
    return sorted(found)


def same_recipe(text: str, recipe: Settings) -> bool:
    """Whether TOML describes a recipe; fields that it lacks have their defaults."""
    known = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in defaults(type(recipe)).items()
    }
    return {**known, **tomllib.loads(text)} == recipe.as_dict()


def changed(recipe: type[S], values: dict[str, Any], changes: list[str]) -> S:
    """A recipe from plain values, with changes such as ``"epochs=3"``; see ``built``."""
    problems: list[str] = []
    for change in changes:
        name, sign, text = change.partition("=")
        if not sign:
            problems.append(f"{change!r}: expected FIELD=VALUE, for example seed=3")
        elif name.strip() not in defaults(recipe):
            problems.append(_unknown(recipe, name.strip()))
        else:
            _set(values, name.strip(), text.strip(), defaults(recipe)[name.strip()], problems)
    return built(recipe, values, problems)


def built(recipe: type[S], values: dict[str, Any], problems: list[str]) -> S:
    """A recipe from plain values, missing ones taking their defaults.

    Args:
        recipe: Its kind.
        values: By field name; lists stand for tuples, whole numbers for numbers.
        problems: Those already known.

    Raises:
        RecipeError: Fields are unknown or impossible; lists all of them.
    """
    known = {name: value for name, value in values.items() if name in defaults(recipe)}
    problems += [_unknown(recipe, name) for name in values if name not in known]
    for name, value in known.items():
        if isinstance(value, list):
            known[name] = tuple(value)
        elif isinstance(value, int) and isinstance(defaults(recipe)[name], float):
            known[name] = value if isinstance(value, bool) else float(value)
    try:
        built = recipe(**known)
    except RecipeError as error:
        problems += str(error).split("\n  - ")[1:]
        raise RecipeError(listed(problems)) from None
    if problems:
        raise RecipeError(listed(problems))
    return built


def _set(values: dict[str, Any], name: str, text: str, default: Any, problems: list[str]) -> None:
    try:
        values[name] = _parse(text, default)
    except ValueError:
        problems.append(f"{name}: expected {kind(default)}, found {text!r}")


def _parse(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.lower(), text
        )
    if isinstance(default, tuple):
        return tuple(int(part) for part in text.split(","))
    return type(default)(text)


def _unknown(recipe: type[Settings], name: str) -> str:
    names = defaults(recipe)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known fields: {', '.join(names)}"
    return f"{name}: no such field; {hint}"
