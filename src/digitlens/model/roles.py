"""Tells by their cards which of two models reads whole pages and which single tiles."""

from __future__ import annotations

from pathlib import Path

from digitlens.errors import ModelError
from digitlens.model.bundle import DEFAULT, load_card, pretrained_names
from digitlens.model.page_model import PAGES

_ARCHITECTURE = "pages"  # what the recipe in the card of a page reader calls its network


def shipped_classifiers() -> list[str]:
    """Names of the shipped models that classify tiles."""
    cards = {name: load_card(name) for name in pretrained_names()}
    return [name for name, card in cards.items() if not (card.crops_sha256 or card.decoder_sha256)]


def roles(model: str | Path = DEFAULT, pages: str | Path = PAGES) -> tuple[str | Path, str | Path]:
    """Which model classifies tiles and which reads pages.

    A user who trained a page reader need not know that two networks read: given as the model, it
    reads the pages, and the shipped classifier the tiles.

    Args:
        model: Name of a shipped model, a model folder, or a run folder; of either kind.
        pages: Likewise, of a page reader.

    Returns:
        The classifier and the page reader.

    Raises:
        ModelError: ``model`` is missing or damaged, or a page reader beside another one.
    """
    if load_card(model).recipe.get("architecture") != _ARCHITECTURE:
        return model, pages
    if pages not in (PAGES, model):
        raise ModelError(
            f"{model} is a page reader, and {pages} is given as another one: give one of them"
        )
    return DEFAULT, model
