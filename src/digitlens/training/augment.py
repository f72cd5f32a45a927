"""Bends, turns, moves and thickens whole batches of tiles at once; knows nothing of labels.

What changes pixels in their place, such as noise, is in ``photometry``.

Every change is drawn per tile from the given generator, so the same generator state gives the same
tiles. Tiles go in and come out as uint8[N, 28, 28], which is what the network takes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.training.photometry import change_light, changes_light
from digitlens.training.recipe import Recipe

CHUNK = 4096  # tiles at a time: the sampling grid of more would not stay in the cache
_SIDE = 28
_KNOTS = 7  # elastic: displacements are drawn on 7 x 7 points, a stroke's width apart


def augment(tiles: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """New versions of all tiles.

    Args:
        tiles: uint8[N, 28, 28], on any device.
        recipe: Its fields from shift to filters say how far to go.
        generator: Source of randomness, on the CPU.

    Returns:
        uint8[N, 28, 28]; the same object if the recipe asks for no augmentation.
    """
    if not augments(recipe):
        return tiles
    parts = [_augment_chunk(part, recipe, generator) for part in tiles.split(CHUNK)]
    return torch.cat(parts)


def augments(recipe: Recipe) -> bool:
    """Whether the recipe asks for any augmentation."""
    return _moves(recipe) or recipe.thickness > 0 or changes_light(recipe)


def _moves(recipe: Recipe) -> bool:
    fields = (recipe.shift, recipe.rotate, recipe.scale, recipe.shear, recipe.elastic)
    return any(field > 0 for field in fields)


def _augment_chunk(tiles: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    images = tiles.unsqueeze(1).float()
    if recipe.thickness > 0:
        images = _change_thickness(images, recipe.thickness, generator)
    if _moves(recipe):
        grid = _affine_grid(len(tiles), recipe, generator)
        if recipe.elastic > 0:
            grid = grid + _elastic_field(len(tiles), recipe.elastic, generator)
        images = functional.grid_sample(images, grid.to(images.device), align_corners=False)
    if changes_light(recipe):
        images = change_light(images, recipe, generator)
    return images.squeeze(1).round().clamp(0, 255).to(torch.uint8)


def _uniform(count: int, limit: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(count, generator=generator) * 2 - 1) * limit


def _affine_grid(count: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Where each output pixel looks in the input, float[N, 28, 28, 2] in -1..1."""
    angle = _uniform(count, math.radians(recipe.rotate), generator)
    slant = torch.tan(_uniform(count, math.radians(recipe.shear), generator))
    width = 1 + _uniform(count, recipe.scale, generator)
    height = 1 + _uniform(count, recipe.scale, generator)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Rotation times shear times scale; the grid maps output to input, so a larger factor shrinks.
    linear = torch.stack(
        [cos * width, (cos * slant - sin) * height, sin * width, (sin * slant + cos) * height]
    )
    shift = torch.stack([_uniform(count, recipe.shift * 2 / _SIDE, generator) for _ in range(2)])
    matrix = torch.cat([linear.T.reshape(count, 2, 2), shift.T.unsqueeze(2)], dim=2)
    return functional.affine_grid(matrix, [count, 1, _SIDE, _SIDE], align_corners=False)


def _elastic_field(count: int, pixels: float, generator: torch.Generator) -> Tensor:
    """A smooth random displacement, float[N, 28, 28, 2].

    Simard et al., "Best practices for convolutional neural networks applied to visual document
    analysis", 2003; smoothed by cubic interpolation between coarse points instead of a Gaussian.
    """
    knots = torch.randn(count, 2, _KNOTS, _KNOTS, generator=generator) * (pixels * 2 / _SIDE)
    field = functional.interpolate(knots, size=_SIDE, mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


def _change_thickness(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Moves a share of the images part of the way to their dilation or erosion by 3 x 3."""
    amount = _uniform(len(images), 1.0, generator).to(images.device)
    chosen = (torch.rand(len(images), generator=generator) < share).to(images.device)
    amount = torch.where(chosen, amount, 0).view(-1, 1, 1, 1)
    # Erosion by a cross rather than a square, and half as strong: MNIST strokes are two pixels wide
    # and a full square would erase them.
    thick = functional.max_pool2d(images, 3, stride=1, padding=1)
    thin = -functional.max_pool2d(-images, (1, 3), stride=1, padding=(0, 1))
    thin = torch.minimum(thin, -functional.max_pool2d(-images, (3, 1), stride=1, padding=(1, 0)))
    grow, shrink = amount.clamp(min=0), (-amount).clamp(min=0) * 0.5
    return images + grow * (thick - images) + shrink * (thin - images)
