"""Base class of recipes: checks all fields together, documents them, converts to TOML."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import json
import math
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

from digitlens.errors import RecipeError

FLOOR = 0.01  # final learning rate of step-based training, as a fraction of the peak
S = TypeVar("S", bound="BaseRecipe")


@dataclass(frozen=True)
class Schedule:
    """The steps of a training and the learning rate of each."""

    steps: int  # in total
    check_every: int  # steps between two validations
    peak: float  # highest learning rate
    warmup: float  # steps in which the learning rate rises from zero
    shape: str = "cosine"  # of its decay after the warm-up: ``constant``, ``cosine`` or ``linear``
    floor: float = FLOOR  # final learning rate, as a fraction of the peak
    clip: float = 0.0  # maximum gradient norm; 0 disables clipping
    ema_decay: float = 0.0  # decay of the moving average of the weights; 0 for none
    epochs: int = 0  # passes over the data; 0 if the data is generated without end

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate at a step, from 0: up during the warm-up, then down."""
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        shapes = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
        return self.peak * (self.floor + (1 - self.floor) * shapes[self.shape])


@dataclass(frozen=True)
class BaseRecipe:
    """A frozen dataclass whose fields are numbers, strings, booleans or tuples of integers.

    A subclass adds fields, each with a default and a docstring below it. The annotation holds the
    allowed values, as in ``Annotated[int, (1, 9)]``: minimum and maximum, or the allowed names;
    for a tuple also its length. A field redeclared without these keeps those of its base class.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {}  # minimum and maximum, by field
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}  # allowed names, by field
    counts: ClassVar[dict[str, int]] = {}  # length of a tuple, by field
    renamed: ClassVar[dict[str, str]] = {}  # current name, by the field's name in version 0.1

    def __init_subclass__(cls) -> None:
        """Collects the allowed values and former names of fields from the class and its bases."""
        cls.limits, cls.choices, cls.counts, cls.renamed = {}, {}, {}, {**cls.renamed}
        for base in reversed(cls.__mro__):
            cls.renamed |= vars(base).get("renamed", {})
            for name, hint in inspect.get_annotations(base, eval_str=True).items():
                for rule in getattr(hint, "__metadata__", ()):
                    if isinstance(rule, int):
                        cls.counts[name] = rule
                    elif isinstance(rule[0], str):
                        cls.choices[name] = rule
                    else:
                        cls.limits[name] = rule

    def __post_init__(self) -> None:
        """Raises RecipeError with a list of all invalid values."""
        mistyped = _type_problems(self)
        problems = [*mistyped.values(), *_range_problems(self, set(mistyped))]
        problems += self.structure_problems(set(mistyped))
        if problems:
            raise RecipeError(problem_list(problems))

    def structure_problems(self, mistyped: set[str]) -> list[str]:
        """Returns problems beyond a field's type, limits and choices, such as between fields.

        Fields in ``mistyped`` are already reported.
        """
        del mistyped
        return []

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON-ready values."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}

    def as_toml(self) -> str:
        """Returns the recipe as TOML, each field below its docstring, for ``load_recipe``."""
        docs = field_docs(type(self))
        # Recipe values have the same syntax in JSON and TOML.
        values = self.as_dict().items()
        return "".join(f"# {docs[name]}\n{name} = {json.dumps(value)}\n" for name, value in values)


@cache
def field_docs(recipe: type[BaseRecipe]) -> dict[str, str]:
    """Returns the docstring below each field of a recipe class, read from its source."""
    docs: dict[str, str] = {}
    for base in (base for base in reversed(recipe.__mro__) if issubclass(base, BaseRecipe)):
        tree = ast.parse(inspect.getsource(base))
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                    docs[name] = " ".join(words.split())
                case _:
                    continue
    return {name: docs[name] for name in defaults(recipe) if name in docs}


@cache
def defaults(recipe: type[BaseRecipe]) -> dict[str, Any]:
    """Returns the default of each field of a recipe class, by name."""
    return {field.name: field.default for field in dataclasses.fields(recipe)}


def type_words(default: Any) -> str:
    """Describes in words the values of the same type as ``default``."""
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}
    return names.get(type(default), "whole numbers separated by commas")


def format_value(value: Any) -> str:
    """Formats a value as on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def problem_list(problems: list[str]) -> str:
    """Returns one message that lists all problems."""
    return "the recipe cannot be used:\n  - " + "\n  - ".join(problems)


def _type_problems(recipe: BaseRecipe) -> dict[str, str]:
    problems: dict[str, str] = {}
    for name, default in defaults(type(recipe)).items():
        value = getattr(recipe, name)
        is_right = type(value) is type(default)
        if isinstance(default, tuple):
            is_right = is_right and len(value) > 0 and all(type(item) is int for item in value)
        if isinstance(value, float):
            is_right = is_right and math.isfinite(value)
        if not is_right:
            problems[name] = f"{name}: expected {type_words(default)}, found {value!r}"
    return problems


def _range_problems(recipe: BaseRecipe, mistyped: set[str]) -> list[str]:
    problems: list[str] = []
    for name in defaults(type(recipe)).keys() - mistyped:
        value = getattr(recipe, name)
        items = value if isinstance(value, tuple) else (value,)
        limits, choices = recipe.limits.get(name), recipe.choices.get(name)
        if limits and not all(limits[0] <= item <= limits[1] for item in items):
            low, high = limits
            problems.append(f"{name}: expected {low:g} to {high:g}, found {format_value(value)}")
        if len(items) != (count := recipe.counts.get(name, len(items))):
            problems.append(f"{name}: expected {count} numbers, found {format_value(value)}")
        if choices and value not in choices:
            problems.append(f"{name}: expected {' or '.join(choices)}, found {value!r}")
    return sorted(problems)


def same_recipe(text: str, recipe: BaseRecipe) -> bool:
    """Returns whether TOML describes a recipe; missing fields have their defaults."""
    known = {name: _plain(value) for name, value in defaults(type(recipe)).items()}
    return {**known, **_current(type(recipe), tomllib.loads(text))} == recipe.as_dict()


def change(recipe: type[S], values: dict[str, Any], changes: list[str]) -> S:
    """Returns a recipe of plain values and changes such as ``"epochs=3"``; see ``build``."""
    problems: list[str] = []
    values, known = _current(recipe, values), defaults(recipe)
    for change in changes:
        name, sign, text = (part.strip() for part in change.partition("="))
        name = recipe.renamed.get(name, name)
        if not sign:
            problems.append(f"{change!r}: expected FIELD=VALUE, for example seed=3")
        elif name not in known:
            problems.append(_unknown(recipe, name))
        else:
            try:
                values[name] = _parse(text, known[name])
            except ValueError:
                problems.append(f"{name}: expected {type_words(known[name])}, found {text!r}")
    return build(recipe, values, problems)


def build(recipe: type[S], values: dict[str, Any], problems: list[str]) -> S:
    """Returns a recipe from plain values by field name; missing fields get their defaults.

    Lists become tuples, and integers floats where needed. Raises RecipeError if fields are unknown
    or invalid, or if ``problems`` is not empty; the message lists all problems.
    """
    values = _current(recipe, values)
    known = {name: value for name, value in values.items() if name in defaults(recipe)}
    problems += [_unknown(recipe, name) for name in values if name not in known]
    for name, value in known.items():
        if isinstance(value, list):
            known[name] = tuple(value)
        elif type(value) is int and isinstance(defaults(recipe)[name], float):
            with suppress(OverflowError):  # the range check rejects it
                known[name] = float(value)
    try:
        made = recipe(**known)
    except RecipeError as error:
        problems += str(error).split("\n  - ")[1:]
        raise RecipeError(problem_list(problems)) from None
    if problems:
        raise RecipeError(problem_list(problems))
    return made


def _current(recipe: type[BaseRecipe], values: dict[str, Any]) -> dict[str, Any]:
    """Returns the values under the current names of their fields."""
    return {recipe.renamed.get(name, name): value for name, value in values.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _parse(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        return words.get(text.lower(), text)
    if isinstance(default, tuple):
        return tuple(int(part) for part in text.split(","))
    return type(default)(text)


def _unknown(recipe: type[BaseRecipe], name: str) -> str:
    names = defaults(recipe)
    close_names = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close_names[0]}?" if close_names else f"known fields: {', '.join(names)}"
    return f"{name}: no such field; {hint}"
