"""What the model was made with: its recipe, field by field, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from digitlens import __version__
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import recipe_from
from digitlens.training.settings import defaults, field_docs
from digitlens.visualization.report.contents import Contents, Section
from digitlens.visualization.report.words import value

Facts = list[tuple[str, str]]


def recipe(contents: Contents) -> Section:
    """Every field with its value, its default and what it means."""
    rows: list[dict[str, Any]] = []
    if contents.card.recipe:
        chosen, usual = recipe_from(contents.card.recipe).as_dict(), defaults(Recipe)
        rows = [
            {
                "name": name,
                "value": value(chosen[name]),
                "usual": value(usual[name]),
                "differs": value(chosen[name]) != value(usual[name]),
                "means": text,
            }
            for name, text in field_docs(Recipe).items()
        ]
    changed = sum(row["differs"] for row in rows)
    return Section("recipe", "Recipe", {"rows": rows, "changed": changed})


def provenance(contents: Contents) -> Section:
    """Where model, data and this page come from."""
    groups = [
        ("The model", _model(contents)),
        ("The training", _training(contents.provenance)),
        ("The data files", _hashes(contents.card.data)),
        ("This page", _page(contents)),
    ]
    return Section("provenance", "Provenance", {"groups": [each for each in groups if each[1]]})


def _model(contents: Contents) -> Facts:
    card = contents.card
    facts = [("name", card.name), ("SHA-256 of its graph", card.sha256)]
    facts += [("SHA-256 of its weights", card.weights_sha256)] if card.weights_sha256 else []
    return [*facts, ("exported by", f"digitlens {card.version}"), *_given(contents)]


def _given(contents: Contents) -> Facts:
    """The temperature inside the graph, and what the graph is given."""
    facts = [("softmax temperature", f"{contents.card.temperature:.4g}")]
    return facts + [(name, text) for name, text in contents.report.model.given.items()]


def _training(found: Mapping[str, Any]) -> Facts:
    names = {"started": "started", "seed": "seed", "device": "device", "machine": "machine"}
    facts = [(name, str(found[key])) for key, name in names.items() if key in found]
    if found.get("digitlens"):
        facts.append(("digitlens", str(found["digitlens"])))
    if found.get("commit"):
        facts.append(("commit", str(found["commit"])))
    versions = found.get("versions")
    pairs = versions.items() if isinstance(versions, dict) else ()
    return facts + [(str(name), str(version)) for name, version in pairs]


def _hashes(data: Mapping[str, str]) -> Facts:
    return [(str(name), str(sha256)) for name, sha256 in data.items()]


def _page(contents: Contents) -> Facts:
    report = contents.report
    facts = [
        ("written", f"{contents.written:%Y-%m-%d %H:%M %Z}".strip()),
        ("by", f"digitlens {__version__}"),
        ("scored on", f"{report.data.name}, {report.n:,} tiles"),
        ("SHA-256 of these tiles and labels", report.data.sha256),
    ]
    return [*facts, *([("measured on", contents.machine)] if contents.machine else [])]
