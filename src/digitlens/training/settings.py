"""What every kind of recipe can do: check all its fields at once, explain them, become TOML."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, Literal

from digitlens.errors import RecipeError

Validation = Literal["writer", "random"]
PRECISIONS = ("auto", "bfloat16", "float32")
VALIDATIONS = ("writer", "random")


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
