"""Generates the reference pages' tables from the code whenever the site is built.

A line such as ``<!-- generated: commands -->`` in a page is replaced by the generated text. mkdocs
calls this module as a hook, and the tests call it directly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import typer.main

from digitlens.cli.main import app
from digitlens.training.recipe import RECIPES, AutoencoderRecipe, DetectorRecipe, LineRecipe, Recipe
from digitlens.training.settings import BaseRecipe, field_docs, format_value

MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replaces the markers of a page by generated text; mkdocs calls this for each page.

    Args:
        markdown: The source of the page.

    Raises:
        KeyError: A marker has an unknown name.
    """
    return MARKER.sub(lambda found: MADE[found[1]](), markdown)


def commands() -> str:
    """Every command as in ``--help``: description, arguments and options."""
    return "\n\n".join(_command(name, command) for name, command in _commands().items())


def fields(kind: type[BaseRecipe]) -> str:
    """Table of the fields of a kind of recipe, with default, limits and explanation."""
    rows = ["| field | default | meaning |", "|---|---|---|"]
    values = kind().as_dict()
    for name, text in field_docs(kind).items():
        default = f"`{format_value(values[name])}`" if values[name] != "" else "empty"
        rows.append(f"| `{name}` | {default} | {_cell(text)}{_allowed(kind, name)} |")
    return "\n".join(rows)


def recipes() -> str:
    """Table of the fields in which each recipe differs from the defaults."""
    rows = ["| recipe | changed fields |", "|---|---|"]
    for name, recipe in RECIPES.items():
        plain = type(recipe)().as_dict()
        changed = {key: value for key, value in recipe.as_dict().items() if plain[key] != value}
        told = ", ".join(f"`{key}={format_value(value)}`" for key, value in changed.items())
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
    table = ["| argument or option | description |", "|---|---|", *rows]
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
    """Escapes text in backticks for a table cell: only the bar needs it there."""
    return text.replace("|", "\\|")


def _cell(text: str) -> str:
    """Escapes Markdown characters for a table cell, outside backticks."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [re.sub(r"([*_<>|\[\]])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [_code(part) for part in parts[1::2]]
    return "`".join(parts)
