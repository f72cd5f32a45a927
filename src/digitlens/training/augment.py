"""Augments whole batches of tiles, in geometry and intensity; labels are not involved.

Each change is drawn per tile from the given generator, so the same generator state produces the
same tiles. Input and output are uint8[N, 28, 28], as the network accepts them.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.training.recipe import Recipe

CHUNK = 4096  # tiles at once: a larger sampling grid would not stay in the cache
_SIDE = 28
_MAX_NOISE = 100.0  # largest standard deviation, in gray levels
_OUTLINE_SHARE = 0.3  # fraction of filtered tiles that become outlines
_MIN_BLUR_SIDE = 8  # pixels; smallest side to which a tile is downsampled
_KNOTS = 7  # elastic: displacements are drawn on 7 x 7 points, a stroke's width apart


def augment(tiles: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Returns augmented tiles uint8[N, 28, 28]; the same object if the recipe augments nothing.

    The recipe's fields from ``shift`` to ``lines`` set the amount. The generator is on the CPU.
    """
    if not augments(recipe):
        return tiles
    parts = [_augment_chunk(part, recipe, generator) for part in tiles.split(CHUNK)]
    return torch.cat(parts)


def augments(recipe: Recipe) -> bool:
    """Returns whether the recipe has any augmentation."""
    return _moves(recipe) or recipe.thickness > 0 or changes_light(recipe)


def _moves(recipe: Recipe) -> bool:
    return any((recipe.shift, recipe.rotate, recipe.scale, recipe.shear, recipe.elastic))


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
    """Returns the input position sampled by each output pixel, float[N, 28, 28, 2] in -1..1."""
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
    """Blends a fraction of the images with their dilation or erosion by 3 x 3."""
    amount = _uniform(len(images), 1.0, generator).to(images.device)
    chosen = (torch.rand(len(images), generator=generator) < share).to(images.device)
    amount = torch.where(chosen, amount, 0).view(-1, 1, 1, 1)
    # Erosion by a cross instead of a square, at half strength: MNIST strokes are two pixels wide
    # and a full square would erase them.
    thick = functional.max_pool2d(images, 3, stride=1, padding=1)
    thin = -functional.max_pool2d(-images, (1, 3), stride=1, padding=(0, 1))
    thin = torch.minimum(thin, -functional.max_pool2d(-images, (3, 1), stride=1, padding=(1, 0)))
    grow, shrink = amount.clamp(min=0), (-amount).clamp(min=0) * 0.5
    return images + grow * (thick - images) + shrink * (thin - images)


def changes_light(recipe: Recipe) -> bool:
    """Returns whether the recipe has any augmentation of intensity."""
    colours = recipe.blur, recipe.contrast, recipe.noise, recipe.filters
    return any((*colours, recipe.erase, recipe.lines))


def change_light(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Augments the intensity of images float[N, 1, 28, 28] from 0 to 255.

    The recipe's fields from ``erase`` to ``lines`` set the amount of each change.
    """
    changes = (
        (recipe.filters, _apply_filter),
        (recipe.blur, _blur),
        (recipe.contrast, _fade),
        (0.5 if recipe.erase else 0, partial(_erase, largest=recipe.erase)),
        (recipe.lines, _draw_line),
        (recipe.noise, _add_noise),
    )
    for share, change in changes:
        if share > 0:
            is_chosen = torch.rand(len(images), generator=generator) < share
            rows = is_chosen.nonzero().squeeze(1).to(images.device)
            images = images.index_copy(0, rows, change(images[rows], generator))
    return images.clamp(0, 255)


def _draw(images: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Returns one uniform random number per image, float[N, 1, 1, 1]."""
    random = torch.rand(len(images), 1, 1, 1, generator=generator)
    return (low + random * (high - low)).to(images.device)


def _apply_filter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Applies a random filter to each image and blends the response with the image.

    Z. Xu et al., "Robust and generalizable visual representation learning via random
    convolutions", ICLR 2021. Responses are stretched to 0 to 255; half of them lose their sign
    first, the others keep it, so that ink may turn dark.
    """
    kernels = torch.randn(len(images), 1, 3, 3, generator=generator).to(images.device)
    # A grouped convolution over images as channels gives each image its own filter.
    response = functional.conv2d(images.transpose(0, 1), kernels, padding=1, groups=len(images))
    response = response.transpose(0, 1)
    response = torch.where(_draw(images, 0, 1, generator) < 0.5, response.abs(), response)
    lowest, highest = response.amin((2, 3), keepdim=True), response.amax((2, 3), keepdim=True)
    response = (response - lowest) * (255 / (highest - lowest).clamp(min=1))
    response = torch.lerp(images, response, _draw(images, 0, 1, generator))
    return torch.where(_draw(images, 0, 1, generator) < _OUTLINE_SHARE, _outline(images), response)


def _outline(images: Tensor) -> Tensor:
    """Returns the outlines of the ink, one pixel wide, at full brightness."""
    ink = (images > 100).float()
    thick = functional.max_pool2d(ink, 3, stride=1, padding=1)
    return (thick - ink) * 255


def _blur(images: Tensor, generator: torch.Generator) -> Tensor:
    """Downsamples to 8 to 20 pixels, the same side for all images, and upsamples again."""
    side = int(torch.randint(_MIN_BLUR_SIDE, 21, (), generator=generator))
    small = functional.interpolate(images, size=side, mode="area")
    return functional.interpolate(small, size=_SIDE, mode="bicubic", align_corners=False)


def _fade(images: Tensor, generator: torch.Generator) -> Tensor:
    """Fades the ink, brightens the background and adds an illumination gradient to it."""
    background = _draw(images, 0, 128, generator) * (_draw(images, 0, 1, generator) < 0.5)
    ink = _draw(images, 0.3, 1, generator)
    axis = torch.linspace(-1, 1, _SIDE, device=images.device)
    slope = _draw(images, -0.4, 0.4, generator) * axis
    slope = slope + _draw(images, -0.4, 0.4, generator) * axis.unsqueeze(1)
    return (background * (1 + slope)).clamp(0, 200) + images * ink * (1 - background / 255)


def _erase(images: Tensor, generator: torch.Generator, *, largest: float) -> Tensor:
    """T. DeVries and G. W. Taylor, "Improved regularization ... with cutout", 2017."""
    half = _draw(images, 1, max(1.0, largest), generator) / 2
    position = torch.arange(_SIDE, device=images.device).float()
    in_columns = (position - _draw(images, 0, _SIDE, generator)).abs() < half
    in_rows = (position.unsqueeze(1) - _draw(images, 0, _SIDE, generator)).abs() < half
    return images.masked_fill(in_columns & in_rows, 0.0)


def _draw_line(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draws a line of two segments across each image, one to two pixels wide."""
    count = len(images)
    starts, kinks, ends = (
        torch.rand(count, 2, generator=generator).to(images.device) * _SIDE for _ in range(3)
    )
    sides = torch.randint(0, 2, (count,), generator=generator).to(images.device)
    index = torch.arange(count, device=images.device)
    starts[index, sides], ends[index, sides] = 0.0, float(_SIDE)
    distance = torch.minimum(_distance(starts, kinks), _distance(kinks, ends)).unsqueeze(1)
    width = _draw(images, 0.5, 1.0, generator)
    line = (width + 0.5 - distance).clamp(0, 1) * _draw(images, 100, 255, generator)
    return torch.maximum(images, line)


def _distance(starts: Tensor, ends: Tensor) -> Tensor:
    """Returns the distance of each pixel to a segment, float[N, 28, 28]; ends are float[N, 2]."""
    position = torch.arange(_SIDE, device=starts.device).float() + 0.5
    pixels = torch.stack(torch.meshgrid(position, position, indexing="ij"), dim=-1)
    segment = (ends - starts).view(-1, 1, 1, 2)
    offset = pixels - starts.view(-1, 1, 1, 2)
    share = (offset * segment).sum(-1) / (segment * segment).sum(-1).clamp(min=1e-6)
    return (offset - share.clamp(0, 1).unsqueeze(-1) * segment).norm(dim=-1)


def _add_noise(images: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return images + noise * _draw(images, 0, _MAX_NOISE, generator)
