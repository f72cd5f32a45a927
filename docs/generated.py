"""Fills the pages of the reference that are made from the code, whenever the site is built.

A page says where with a line such as ``<!-- generated: commands -->``; mkdocs calls this module as
a hook, and the tests call it as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import typer.main

from digitlens.cli.main import app
from digitlens.training.recipe import RECIPES, AutoencoderRecipe, DetectorRecipe, LineRecipe, Recipe
from digitlens.training.settings import BaseRecipe, field_docs, shown

MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Puts what is generated where a page asks for it; mkdocs calls this for each page.

    Args:
        markdown: The page as it was written.

    Raises:
        KeyError: A page asks for what there is not.
    """
    return MARKER.sub(lambda found: MADE[found[1]](), markdown)


def commands() -> str:
    """Every command as ``--help`` has it: what it does, its arguments and its options."""
    return "\n\n".join(_command(name, command) for name, command in _commands().items())


def fields(kind: type[BaseRecipe]) -> str:
    """The fields of a kind of recipe, with default, limits and explanation."""
    rows = ["| field | default | what it is |", "|---|---|---|"]
    values = kind().as_dict()
    for name, text in field_docs(kind).items():
        default = f"`{shown(values[name])}`" if values[name] != "" else "empty"
        rows.append(f"| `{name}` | {default} | {_cell(text)}{_allowed(kind, name)} |")
    return "\n".join(rows)


def recipes() -> str:
    """What each recipe changes of the defaults."""
    rows = ["| recipe | what it changes |", "|---|---|"]
    for name, recipe in RECIPES.items():
        plain = type(recipe)().as_dict()
        changed = {key: value for key, value in recipe.as_dict().items() if plain[key] != value}
        told = ", ".join(f"`{key}={shown(value)}`" for key, value in changed.items())
        rows.append(f"| `{name}` | {told or 'nothing'} |")
    return "\n".join(rows)


MADE: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "fields": partial(fields, Recipe),
    "page_fields": partial(fields, DetectorRecipe),
    "line_fields": partial(fields, LineRecipe),
    "autoencoder_fields": partial(fields, AutoencoderRecipe),
    "recipes": recipes,
}


def _commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def _command(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(["digitlens", name, *command.collect_usage_pieces(context)])
    rows = [f"| `{_code(syntax)}` | {_cell(text)} |" for syntax, text in _records(command, context)]
    table = ["| argument or option | what it does |", "|---|---|", *rows]
    told = (command.help or "").strip()
    return "\n".join([f"## {name}", "", f"    {usage}", "", told, "", *table])


def _records(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            yield record


def _allowed(recipe: type[BaseRecipe], name: str) -> str:
    if name in recipe.choices:
        return " One of " + ", ".join(f"`{choice}`" for choice in recipe.choices[name]) + "."
    if name in recipe.limits:
        low, high = recipe.limits[name]
        return f" From {low:g} to {high:g}."
    return ""


def _code(text: str) -> str:
    """Text for a cell, in backticks: there, a bar is escaped and nothing else."""
    return text.replace("|", "\\|")


def _cell(text: str) -> str:
    """Text for a cell, with what Markdown would take for its own escaped outside of backticks."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [re.sub(r"([*_<>|\[\]])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [_code(part) for part in parts[1::2]]
    return "`".join(parts)
