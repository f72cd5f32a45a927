"""What the epochs of a training are made of: augmented tiles, and what to answer to each.

Knows neither the network nor the optimiser.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.datasets.mnist import Split, Tiles
from digitlens.errors import ModelError
from digitlens.models.classifier import Classifier
from digitlens.training.augment import augment
from digitlens.training.nets.tile_network import CLASSES
from digitlens.training.recipe import Recipe

NONE = CLASSES  # the label of a tile that shows no digit
_POOL_SEED = 1  # of the tiles of no digit; a training with another seed sees them otherwise bent


class Material:
    """Gives one epoch after the other.

    Attributes:
        tiles: uint8[N, 28, 28]; all that is trained with, before augmentation.
        labels: int64[N]; 0 to 9, or 10 for tiles that show no digit.
    """

    def __init__(self, recipe: Recipe, training: Split, device: str) -> None:
        """Takes what the recipe needs beside the tiles: its teacher, and tiles of no digit.

        Raises:
            ModelError: There is no such teacher.
            DataError: The fonts for tiles of no digit could not be fetched.
        """
        self._recipe = recipe
        self._device = device
        tiles, labels = torch.from_numpy(training.tiles), torch.from_numpy(training.labels).long()
        if recipe.none:
            more = _without_digit(round(recipe.none * len(tiles)), training.tiles)
            tiles = torch.cat([tiles, more])
            labels = torch.cat([labels, torch.full((len(more),), NONE)])
        self.tiles, self.labels = tiles.to(device), labels.to(device)
        self._teacher = Classifier(recipe.teacher) if recipe.teacher else None
        self._drawn: tuple[int, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        """Tiles in an epoch."""
        return len(self.tiles)

    def epoch(self, number: int) -> tuple[Tensor, Tensor]:
        """Tiles and targets of an epoch, in the order of the data.

        Args:
            number: From 0; the same number gives the same tiles.

        Returns:
            uint8[N, 28, 28], and float[N, C]: what the network should say, rows sum to 1.
        """
        number //= self._recipe.repeat
        if self._drawn is None or self._drawn[0] != number:
            generator = torch.Generator().manual_seed(_number(self._recipe.seed, number) + 1)
            tiles = augment(self.tiles, self._recipe, generator)
            self._drawn = number, tiles, self._targets(tiles)
        return self._drawn[1:]

    def _targets(self, tiles: Tensor) -> Tensor:
        if self._teacher:
            return _taught(self._teacher, tiles, self._recipe).to(self._device)
        return functional.one_hot(self.labels, CLASSES + (self._recipe.none > 0)).float()


def _taught(teacher: Classifier, tiles: Tensor, recipe: Recipe) -> Tensor:
    """A teacher's answers, softened; where it knows tiles of no digit, so does its student.

    G. Hinton et al., "Distilling the knowledge in a neural network", 2015.
    """
    outputs = teacher.outputs(tiles.cpu().numpy())
    answers = torch.from_numpy(outputs.probabilities)
    if recipe.none:
        if outputs.digit is None:
            raise ModelError(
                f"the teacher {recipe.teacher} does not know tiles of no digit: name one that was "
                "trained with them, or set none=0"
            )
        digit = torch.from_numpy(outputs.digit).unsqueeze(1)
        answers = torch.cat([answers * digit, 1 - digit], dim=1)
    return torch.softmax(answers.clamp(min=1e-9).log() / recipe.soften, dim=1)


def _without_digit(count: int, digits: Tiles) -> Tensor:
    """Tiles of no digit, some of them digits that are spoiled."""
    from digitlens.datasets.negatives.faces import load_faces  # noqa: PLC0415  (OpenCV and fonts)
    from digitlens.datasets.negatives.make import make_not_digits  # noqa: PLC0415

    return torch.from_numpy(make_not_digits(count, load_faces("training"), _POOL_SEED, digits))


def shuffled(seed: int, epoch: int, count: int) -> Tensor:
    """The order of an epoch, int64[count]; seeds dropout and all else that is drawn in it, too."""
    torch.manual_seed(_number(seed, epoch))
    return torch.randperm(count, generator=torch.Generator().manual_seed(_number(seed, epoch) + 2))


def mixed(tiles: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Each tile blended with the one before it, in a proportion that all share, and so its target.

    H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.

    Args:
        tiles: uint8[N, 28, 28].
        targets: float[N, C].
        alpha: Of the beta distribution; 0 blends nothing.
    """
    if not alpha:
        return tiles, targets
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    blended = tiles.float().lerp(tiles.roll(1, 0).float(), share).round().to(torch.uint8)
    return blended, targets.lerp(targets.roll(1, 0), share)


def _number(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch * 7_919 + 1) % 2**63
