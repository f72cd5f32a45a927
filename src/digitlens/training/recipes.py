"""Recipes by name, from a file and with changes; gathers every problem before it complains."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from digitlens.errors import RecipeError
from digitlens.training.recipe import (
    AutoencoderRecipe,
    DetectorRecipe,
    LineRecipe,
    Recipe,
    TrainingRecipe,
)
from digitlens.training.settings import built, changed

AnyRecipe = Recipe | DetectorRecipe | LineRecipe | AutoencoderRecipe

# What helps digits: moved, bent, thickened as people write them, and averaged weights.
_RESIDUAL = Recipe(
    architecture="residual",
    widths=(24, 48, 64),
    kernels=(5, 3),
    batch_norm=True,
    dense=0,
    dropout=0.2,
    learning_rate=0.004,
    epochs=8,
    patience=0,
    ema_decay=0.998,
    shift=2.0,
    rotate=10.0,
    scale=0.1,
    shear=10.0,
    elastic=0.5,
    thickness=0.3,
)
_STANDARD = dataclasses.replace(
    _RESIDUAL,
    architecture="fast",
    widths=(32, 64, 128),
    dropout=0.0,
    epochs=13,
    ema_decay=0.995,
    patience=5,
)
_BEST = dataclasses.replace(_RESIDUAL, widths=(32, 64, 128), epochs=10, tta_views=5)
# Their teacher is named with --set teacher=RUN; without one they learn the labels.
_SMALL = dataclasses.replace(
    _RESIDUAL, dropout=0.0, epochs=10, distillation_temperature=3.0, repeat=2
)
_SMALLER = dataclasses.replace(
    _SMALL, architecture="fast", kernels=(3,), convs=2, learning_rate=0.01, epochs=12
)

RECIPES: dict[str, AnyRecipe] = {
    "standard": _STANDARD,
    # What the shipped classifier was trained with: it meets noise, blur and weak ink, and tiles
    # that show no digit.
    "default": dataclasses.replace(
        _RESIDUAL,
        widths=(32, 64, 96),
        epochs=16,
        negatives=0.2,
        filters=0.15,
        blur=0.12,
        contrast=0.2,
        erase=6.0,
        noise=0.15,
        lines=0.15,
    ),
    # The most accurate on MNIST: one network, and several averaged.
    "best": _BEST,
    "ensemble": dataclasses.replace(_BEST, models=5),
    # Distilled: --set teacher=RUN
    "small-200k": _SMALL,
    "small-20k": dataclasses.replace(_SMALLER, widths=(12, 20, 24)),
    "small-8k": dataclasses.replace(_SMALLER, widths=(8, 12, 14)),
    # The shipped `swift`, with --set teacher=default: a hundredth of its work.
    "swift": dataclasses.replace(
        _SMALLER,
        margin=2,
        widths=(8, 16, 24),
        kernels=(5, 3),
        convs=1,
        pool="stride",
        learning_rate=0.015,
        epochs=24,
        shift=1.0,
        rotate=6.0,
        scale=0.06,
        shear=6.0,
        elastic=0.3,
        thickness=0.15,
    ),
    # The textbook: two blocks of convolution, ReLU and max pooling, dropout, dense, softmax.
    "classic": Recipe(),
    # Seconds, for one pass over the tiles: what is cheap to go back through, and Muon's steps.
    "fast": Recipe(
        architecture="swift",
        margin=2,
        widths=(16, 24, 32, 48),
        kernels=(5, 3),
        batch_norm=True,
        dense=0,
        dropout=0.0,
        optimizer="muon",
        learning_rate=0.15,
        schedule="linear",
        warmup=0.0,
        batch_size=256,
        epochs=1,
        label_smoothing=0.1,
    ),
    # The digit detector, trained on whole pages: some hours on two cores.
    "pages": DetectorRecipe(),
    # The line recogniser, from the weights of PP-OCRv6: about an hour on two cores.
    "lines": LineRecipe(),
    # Digits through a short code and back: seconds.
    "autoencoder": AutoencoderRecipe(),
}
_RENAMED = {"committee": "ensemble"}  # recipes of version 0.1
# Kinds of recipe that are no classifier's, by the architecture that tells them.
_KINDS: dict[str, type[DetectorRecipe | LineRecipe | AutoencoderRecipe]] = {
    one.architecture: one for one in (DetectorRecipe, LineRecipe, AutoencoderRecipe)
}
T = TypeVar("T", bound=TrainingRecipe)


def load_recipe(recipe: str, changes: list[str] | None = None) -> AnyRecipe:
    """A named recipe or a TOML file, with some fields changed.

    Args:
        recipe: A name in ``RECIPES``, or the path of a ``.toml`` file whose missing fields take
            their defaults. Its ``architecture`` tells what it trains: ``pages`` a digit detector,
            ``lines`` a line recogniser, ``autoencoder`` an autoencoder, any other a classifier.
        changes: Texts such as ``"epochs=3"`` or ``"widths=16,32,64"``.

    Raises:
        RecipeError: The recipe is unknown, or fields are unknown or impossible; lists all of them.
    """
    values = _named_values(_RENAMED.get(recipe, recipe))
    kind = _KINDS.get(str(values.get("architecture")), Recipe)
    return changed(kind, values, changes or [])


def changed_recipe(recipe: Recipe, changes: list[str]) -> Recipe:
    """A recipe with some fields changed, as in ``load_recipe``."""
    return changed(Recipe, recipe.as_dict(), changes)


def recipe_from(values: Mapping[str, Any], kind: type[T] = Recipe) -> T:
    """A recipe from plain values, such as those in a model's card.

    Args:
        values: By field name; missing ones take their defaults, lists stand for tuples, whole
            numbers for numbers. Those of a second network, which digit detectors of version 0.1
            had, are left out.
        kind: Of the recipe.

    Raises:
        RecipeError: Fields are unknown or impossible; lists all of them.
    """
    return built(kind, {k: v for k, v in values.items() if not k.startswith("crop_")}, [])


def _named_values(recipe: str) -> dict[str, Any]:
    if recipe in RECIPES:
        return dataclasses.asdict(RECIPES[recipe])
    path = Path(recipe)
    if path.suffix != ".toml":
        raise RecipeError(
            f"no recipe {recipe!r}: expected one of {', '.join(RECIPES)}, "
            "or the path of a .toml file"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} cannot be read as a recipe: {error}") from error
