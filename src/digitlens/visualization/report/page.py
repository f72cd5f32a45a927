"""Puts the sections together into one page that asks for nothing from outside."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from digitlens.visualization.html import content_policy
from digitlens.visualization.report.contents import Contents, Section, count, plural
from digitlens.visualization.report.history import curves, size, trained
from digitlens.visualization.report.sections import (
    calibration,
    confusion,
    errors,
    head,
    provenance,
    recipe,
    robustness,
    scores,
    speed,
)
from digitlens.visualization.theme import DARK, LIGHT, Theme

TEMPLATES = Path(__file__).parent / "templates"
_WRITERS = (count, plural, size)  # what templates write numbers with


def render(contents: Contents) -> str:
    """The page as HTML.

    Style and script are known to it by their hashes and nothing else may run or be fetched, see
    "Content Security Policy Level 3", W3C. All that is written in it is escaped.

    Args:
        contents: What it tells.
    """
    style = _colours() + (TEMPLATES / "style.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("page.html")
        .render(
            head=head(contents),
            sections=_sections(contents),
            style=Markup(style),
            script=Markup(script),
            policy=content_policy(style, script),
            **{each.__name__: each for each in _WRITERS},
        )
    )


def _sections(contents: Contents) -> list[Section]:
    return [
        trained(contents),
        curves(contents),
        scores(contents),
        confusion(contents),
        errors(contents),
        calibration(contents),
        *robustness(contents),
        *speed(contents),
        recipe(contents),
        provenance(contents),
    ]


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _colours() -> str:
    """The colours of all figures as variables: for light screens and paper, for dark screens."""
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}\n"
    return f":root {{ {_variables(LIGHT)} }}\n{dark}"


def _variables(theme: Theme) -> str:
    names = (field.name for field in fields(theme) if field.name != "tiles")
    return " ".join(f"--{name}: {getattr(theme, name)};" for name in names)
