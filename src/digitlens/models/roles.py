"""Tells by their cards which of two models finds digits on pages and which classifies tiles."""

from __future__ import annotations

from pathlib import Path

from digitlens.errors import ModelError
from digitlens.models.bundle import (
    DEFAULT,
    Bundle,
    Card,
    Model,
    load_bundle,
    load_card,
    pretrained_names,
)
from digitlens.models.detector import PAGES, finds_digits


def shipped_classifiers() -> list[str]:
    """Names of the shipped models that classify tiles."""
    cards = {name: load_card(name) for name in pretrained_names()}
    return [name for name, card in cards.items() if not (finds_digits(card) or card.decoder_sha256)]


def roles(model: str | Path = DEFAULT, pages: str | Path = PAGES) -> tuple[str | Path, str | Path]:
    """Which model classifies tiles and which finds digits on pages.

    A user who trained a digit detector need not know that several networks read: given as the
    model, it finds the digits, and the shipped classifier names the tiles.

    Args:
        model: Name of a shipped model, a model folder, or a run folder; of either kind.
        pages: Likewise, of a digit detector.

    Returns:
        The classifier and the digit detector.

    Raises:
        ModelError: ``model`` is missing or damaged, or a digit detector beside another one.
    """
    return (DEFAULT, model) if _is_detector(load_card(model), model, pages) else (model, pages)


def open_roles(model: Model = DEFAULT, pages: Model = PAGES) -> tuple[Bundle, Bundle]:
    """The classifier and the digit detector themselves, each read once.

    Args: see ``roles``; bundles are taken as they are.

    Raises:
        ModelError: As in ``roles``, or one of them is missing or damaged.
    """
    bundle = load_bundle(model)
    if _is_detector(bundle.card, model, pages):
        return load_bundle(DEFAULT), bundle
    return bundle, load_bundle(pages)


def _is_detector(card: Card, model: Model, pages: Model) -> bool:
    """Whether a card is a digit detector's; raises ModelError where another is given as well."""
    if not finds_digits(card):
        return False
    if pages not in (PAGES, model):
        raise ModelError(
            f"{model} is a digit detector, and {pages} is given as another one: give one of them"
        )
    return True
