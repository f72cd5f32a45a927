"""Trains an autoencoder of digits: steps through shuffled tiles, each epoch once through all.

With noise it is shown tiles that are spoiled and draws them clean: P. Vincent et al., "Extracting
and composing robust features with denoising autoencoders", ICML 2008.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.datasets.mnist import Split
from digitlens.training.checkpoint import Row
from digitlens.training.device import Device, choose_device
from digitlens.training.loop import Task, Trained, fit, shuffled
from digitlens.training.nets.autoencoder_network import Autoencoder, as_pixels
from digitlens.training.optim import new_adamw
from digitlens.training.recipe import AutoencoderRecipe

_CHUNK = 1000  # validation tiles at once


class Batch(NamedTuple):
    """What is shown in a step: tiles uint8[B, 1, 28, 28]."""

    tiles: Tensor


def train_autoencoder(
    recipe: AutoencoderRecipe,
    training: Split,
    validation: Split,
    folder: Path,
    *,
    resume: bool = False,
    device: Device | None = None,
) -> Trained[Autoencoder]:
    """Trains until the epochs are over; see ``loop.fit``.

    Args:
        recipe: What to train.
        training: Tiles to learn from; what they are labelled does not matter.
        validation: Tiles to validate with after each epoch.
        folder: Run folder; receives the state and ``history.jsonl``.
        resume: Go on from the state in the folder.
        device: Where to train; chosen by ``choose_device`` if not given.
    """
    task = _AutoencoderTask(recipe, training, validation)
    return fit(task, folder, device or choose_device(recipe.precision), resume=resume)


def new_autoencoder(recipe: AutoencoderRecipe) -> Autoencoder:
    """The network that a recipe describes, with freshly drawn weights."""
    outer, inner = recipe.widths
    return Autoencoder((outer, inner), recipe.code)


class _AutoencoderTask(Task[AutoencoderRecipe, Autoencoder, Batch]):
    """To draw tiles again."""

    def __init__(self, recipe: AutoencoderRecipe, training: Split, validation: Split) -> None:
        super().__init__(recipe, recipe.plan(len(training)))
        self._training = torch.from_numpy(training.tiles).unsqueeze(1)
        self._validation = torch.from_numpy(validation.tiles).unsqueeze(1)

    def network(self) -> Autoencoder:
        return new_autoencoder(self.recipe)

    def optimizer(self, network: Autoencoder) -> torch.optim.Optimizer:
        return new_adamw(network, self.recipe.learning_rate, self.recipe.weight_decay)

    def batches(self, step: int) -> Iterator[Batch]:
        """Epoch after epoch, each in an order of its own, from ``step`` on."""
        first, done = divmod(step, self.schedule.check_every)
        for epoch in range(first, self.recipe.epochs):
            order = shuffled(self.recipe.seed, epoch, len(self._training))
            for chosen in order.split(self.recipe.batch_size)[done:]:
                yield Batch(self._training[chosen])
            done = 0

    def held_out(self) -> list[Batch]:
        return [Batch(part) for part in self._validation.split(_CHUNK)]

    def losses(self, network: Autoencoder, batch: Batch, device: Device) -> dict[str, Tensor]:
        pixels = as_pixels(batch.tiles[:, 0])
        shown = pixels
        if self.recipe.noise:
            shown = (pixels + self.recipe.noise * torch.randn_like(pixels)).clamp(0, 1)
        with device.reduced():
            logits = network(shown)
        return {"train_loss": pixel_loss(logits.float(), pixels, self.recipe.loss)}

    def score(self, network: Autoencoder, batches: Iterable[Batch]) -> Row:
        tiles = (batch.tiles[:, 0] for batch in batches)
        return autoencoder_score(network, tiles, self.recipe.loss)

    def state(self, row: Row) -> str:
        return f"validation {row['val_loss']:.3f}, error {row['val_error']:.4f}"


def pixel_loss(logits: Tensor, pixels: Tensor, loss: str) -> Tensor:
    """How far logits are from pixels from 0 to 1, float[N, 28, 28] each: float[]."""
    if loss == "binary":
        return functional.binary_cross_entropy_with_logits(logits, pixels)
    return functional.mse_loss(torch.sigmoid(logits), pixels)


@torch.no_grad()
def autoencoder_score(network: Autoencoder, parts: Iterable[Tensor], loss: str) -> Row:
    """The loss of a recipe and the mean squared error of pixels from 0 to 1, in evaluation mode."""
    network.eval()
    sums, count = torch.zeros(2, dtype=torch.float64), 0
    for tiles in parts:
        pixels = as_pixels(tiles)
        logits = network(pixels).float()
        scores = pixel_loss(logits, pixels, loss), pixel_loss(logits, pixels, "squared")
        sums += len(tiles) * torch.stack(scores).cpu()
        count += len(tiles)
    val_loss, val_error = (sums / count).tolist()
    return {"val_loss": val_loss, "val_error": val_error}
