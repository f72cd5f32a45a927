"""Tells by their cards which of two models reads whole pages and which single tiles."""

from __future__ import annotations

from pathlib import Path

from digitlens.errors import ModelError
from digitlens.model.bundle import (
    DEFAULT,
    Bundle,
    Card,
    Model,
    load_bundle,
    load_card,
    pretrained_names,
)
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
    return (DEFAULT, model) if _reads_pages(load_card(model), model, pages) else (model, pages)


def open_roles(model: Model = DEFAULT, pages: Model = PAGES) -> tuple[Bundle, Bundle]:
    """The classifier and the page reader themselves, each read once.

    Args: see ``roles``; bundles are taken as they are.

    Raises:
        ModelError: As in ``roles``, or one of them is missing or damaged.
    """
    bundle = load_bundle(model)
    if _reads_pages(bundle.card, model, pages):
        return load_bundle(DEFAULT), bundle
    return bundle, load_bundle(pages)


def _reads_pages(card: Card, model: Model, pages: Model) -> bool:
    """Whether a card is that of a page reader; raises ModelError where another is given as well."""
    if card.recipe.get("architecture") != _ARCHITECTURE:
        return False
    if pages not in (PAGES, model):
        raise ModelError(
            f"{model} is a page reader, and {pages} is given as another one: give one of them"
        )
    return True
