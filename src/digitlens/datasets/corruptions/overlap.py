"""Which corruptions a training augmentation already showed, so that they are no surprise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from digitlens.datasets.corruptions.corruptions import CORRUPTIONS

# In doubt a corruption counts as seen: outlines come out of a random filter as they do of Canny's,
# and a ground made brighter is both brightness and fog. None of the fifteen bends or thickens.
OVERLAPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "shift": ("translate",),
        "rotate": ("rotate",),
        "scale": ("scale",),
        "shear": ("shear",),
        "noise": ("shot_noise", "impulse_noise"),
        "blur": ("glass_blur", "motion_blur"),
        "contrast": ("brightness", "fog"),
        "erase": ("spatter",),
        "filters": ("canny_edges",),
        "lines": ("dotted_line", "zigzag"),
    }
)
"""Fields of a recipe, and the corruptions of the same kind."""


def overlapping(recipe: Mapping[str, object]) -> tuple[str, ...]:
    """The corruptions of a kind that a model was trained with, in the order of the paper.

    Args:
        recipe: The recipe from the model's card; fields that are missing are taken for 0.
    """
    seen = {name for field, names in OVERLAPS.items() if _used(recipe.get(field)) for name in names}
    return tuple(name for name in CORRUPTIONS if name in seen)


def _used(value: object) -> bool:
    return isinstance(value, int | float) and value > 0
