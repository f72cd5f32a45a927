"""Trains networks on tiles: classifiers, alone or as an averaged ensemble, and autoencoders.

The tiles are tensors in memory, augmented one epoch at a time; there is no per-sample loader.
With noise, an autoencoder learns to denoise its input: P. Vincent et al., "Extracting and composing
robust features with denoising autoencoders", ICML 2008.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from digitlens.datasets.mnist import Split, Tiles
from digitlens.errors import ModelError
from digitlens.models.classifier import Classifier
from digitlens.progress import note
from digitlens.training.augment import augment
from digitlens.training.loop import (
    STATE,
    Device,
    OnCheck,
    OnStep,
    Row,
    Task,
    Trained,
    choose_device,
    epoch_seed,
    fit,
    write_history,
)
from digitlens.training.optim import anchor_weights, new_adamw, new_optimizer
from digitlens.training.recipe import AutoencoderRecipe, Recipe
from digitlens.training.tile_networks import (
    CLASSES,
    MEAN,
    SD,
    Autoencoder,
    DigitNetwork,
    Ensemble,
    as_pixels,
    one_network,
)

NONE = CLASSES  # the label of a tile without a digit
CHUNK = 1000  # validation tiles per batch
SAMPLE = 1000  # tiles for whitening; their 144,000 patches determine 25 directions well enough
FLAT = 0.2  # standard deviation of normalised pixels below which a patch has no ink
FAINT = 1e-3  # variance added in whitening, relative to the largest, against amplifying noise
_POOL_SEED = 1  # of the negatives, the same in all trainings; only their augmentation varies

TileNetwork = DigitNetwork | Ensemble


class TileBatch(NamedTuple):
    """The tiles of a training step."""

    tiles: Tensor  # uint8[B, 28, 28]
    targets: Tensor  # float[B, C]: target probabilities, rows sum to 1


def train_classifier(  # noqa: PLR0913  (what to train, with what, where, and callbacks)
    recipe: Recipe,
    training: Split,
    validation: Split,
    folder: Path,
    *,
    resume: bool = False,
    device: Device | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnCheck | None = None,
) -> Trained[TileNetwork]:
    """Trains the classifier of a recipe: one network, or an ensemble with different seeds.

    Validation tiles select the epoch; without them, the last is kept. Each model of an ensemble is
    trained in, and resumed from, a subfolder ``member-1`` and so on; the run's history is the mean
    of theirs. ``on_epoch`` is called with each row of the history. See ``loop.fit``.
    """
    is_single = recipe.models == 1
    models: list[Trained[DigitNetwork]] = []
    for number, model in enumerate(models_of(recipe), 1):
        if not is_single:
            note(f"model {number} of {recipe.models}")
        place = folder if is_single else folder / f"member-{number}"
        resumes = resume and (is_single or (place / STATE).is_file())
        numbered = _with_model_number(on_step, number, recipe.models)
        task = TileTask(model, training, validation, device)
        models.append(fit(task, place, resume=resumes, on_step=numbered, on_check=on_epoch))
    trained = _average(recipe, models, validation)
    if not is_single:
        write_history(folder, trained.history)
    return trained


class TileTask(Task[Recipe, DigitNetwork, TileBatch]):
    """Classification of tiles; with ``start``, fine-tuning of a copy of that network.

    Then the recipe has the architecture of ``start`` and one model, and ``anchor`` sets how
    strongly weights are pulled towards those of ``start``, see ``anchor_weights``.
    """

    def __init__(
        self,
        recipe: Recipe,
        training: Split,
        validation: Split,
        device: Device | None = None,
        *,
        start: DigitNetwork | None = None,
        anchor: float = 0.0,
    ) -> None:
        device = device or choose_device(recipe.precision)
        self._training, self._validation = training, validation
        self._start, self._anchor = start, anchor
        self._data = EpochData(recipe, training, device.name)
        self.patience = recipe.patience
        super().__init__(recipe, recipe.plan(len(self._data)), device)

    def seed(self, step: int) -> int | None:
        """Returns one seed per epoch."""
        epoch, offset = divmod(step, self.schedule.check_every)
        return None if offset else epoch_seed(self.recipe.seed, epoch)

    def network(self) -> DigitNetwork:
        if self._start:
            return copy.deepcopy(self._start)
        network = one_network(self.recipe)
        whiten(network, self._training.tiles)
        return network

    def optimizer(self, network: DigitNetwork) -> torch.optim.Optimizer:
        optimizer = new_optimizer(self.recipe, network)
        if self._start and self._anchor:
            start = copy.deepcopy(self._start).to(next(network.parameters()).device)
            anchor_weights(optimizer, network, start, self._anchor)
        return optimizer

    def batches(self, step: int) -> Iterator[TileBatch]:
        for epoch, rows in _epoch_rows(self, step, len(self._data), self._data.tiles.device):
            tiles, targets = self._data.epoch(epoch)
            yield TileBatch(tiles[rows], targets[rows])

    def held_out(self) -> list[TileBatch]:
        return _split_batches(self._validation)

    def losses(self, network: DigitNetwork, batch: TileBatch) -> dict[str, Tensor]:
        tiles, targets = mix_up(*batch, self.recipe.mixup)
        with self.device.reduced():
            logits = network(tiles).float()
        smoothing = self.recipe.label_smoothing
        loss = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        right = logits.argmax(1) == targets.argmax(1)
        return {"train_loss": loss, "train_accuracy": right.float().mean()}

    def score(self, network: DigitNetwork, batches: Iterable[TileBatch]) -> Row:
        return _score(network, batches, self.recipe.label_smoothing)

    def state(self, row: Row) -> str:
        return f"val accuracy {row['val_accuracy']:.2%}" if "val_accuracy" in row else ""


def _epoch_rows(
    task: Task[Any, Any, Any], step: int, count: int, device: torch.device
) -> Iterator[tuple[int, Tensor]]:
    """Yields epoch and rows of each batch from a step on; each epoch has a different order."""
    first, skipped = divmod(step, task.schedule.check_every)
    for epoch in range(first, task.recipe.epochs):
        generator = torch.Generator().manual_seed(epoch_seed(task.recipe.seed, epoch) + 2)
        order = torch.randperm(count, generator=generator).to(device)
        for rows in order.split(task.recipe.batch_size)[skipped:]:
            yield epoch, rows
        skipped = 0


def _split_batches(split: Split) -> list[TileBatch]:
    """Returns a split in batches; empty if the split is."""
    if not len(split):
        return []
    tiles = torch.from_numpy(split.tiles).split(CHUNK)
    labels = torch.from_numpy(split.labels).long().split(CHUNK)
    return [TileBatch(*parts) for parts in zip(tiles, labels, strict=True)]


def _score(network: nn.Module, batches: Iterable[TileBatch], smoothing: float) -> Row:
    """Returns cross-entropy and accuracy in evaluation mode; empty without batches.

    The loss has the label smoothing of training: without it, a smoothed network would appear to get
    worse, because of a temperature that the export corrects, and training would stop at once.
    """
    network.eval()
    with torch.inference_mode():
        pairs = [(network(tiles).float().cpu(), labels.cpu()) for tiles, labels in batches]
    if not pairs:
        return {}
    logits, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    right = logits.argmax(1) == labels
    return {"val_loss": loss.item(), "val_accuracy": right.float().mean().item()}


def new_network(recipe: Recipe) -> TileNetwork:
    """Returns the network or ensemble of a recipe with initial weights."""
    if recipe.models == recipe.tta_views == 1:
        return one_network(recipe)
    return Ensemble([one_network(recipe) for _ in range(recipe.models)], recipe.tta_views)


def models_of(recipe: Recipe) -> list[Recipe]:
    """Returns the recipes of an ensemble's models: ensembles of one size share no seeds."""
    first = recipe.seed * recipe.models
    seeds = range(first, first + recipe.models)
    return [dataclasses.replace(recipe, models=1, seed=seed) for seed in seeds]


def _with_model_number(on_step: OnStep | None, model: int, models: int) -> OnStep | None:
    """Wraps a callback to add the number of the model to each ``StepInfo``."""
    if on_step is None:
        return None
    return lambda info: on_step(dataclasses.replace(info, model=model, models=models))


def _average(
    recipe: Recipe, models: list[Trained[DigitNetwork]], validation: Split
) -> Trained[TileNetwork]:
    if recipe.models == recipe.tta_views == 1:
        return cast(Trained[TileNetwork], models[0])
    ensemble = Ensemble([model.network for model in models], recipe.tta_views).eval()
    means: list[Row] = []  # of each epoch, over the models that reached it
    for rows in zip_longest(*(model.history for model in models)):
        reached = [row for row in rows if row]
        means.append({key: fmean(row[key] for row in reached) for key in reached[0]})
    return Trained(
        ensemble,
        means,
        max(model.best_epoch for model in models),
        sum(model.seconds for model in models),
        _score(ensemble, _split_batches(validation), recipe.label_smoothing),
        models[0].steps,
    )


class EpochData:
    """The augmented tiles and targets of each epoch."""

    def __init__(self, recipe: Recipe, training: Split, device: str) -> None:
        """Raises ModelError if the teacher is missing, DataError if the negatives' fonts are."""
        self._recipe, self._device = recipe, device
        tiles, labels = torch.from_numpy(training.tiles), torch.from_numpy(training.labels).long()
        if recipe.negatives:
            negatives = _make_negatives(round(recipe.negatives * len(tiles)), training.tiles)
            tiles = torch.cat([tiles, negatives])
            labels = torch.cat([labels, torch.full((len(negatives),), NONE)])
        # uint8[N, 28, 28], before augmentation, and int64[N], 10 for tiles without a digit.
        self.tiles, self.labels = tiles.to(device), labels.to(device)
        self._teacher = Classifier(recipe.teacher) if recipe.teacher else None
        self._drawn: tuple[int, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        """Returns the number of tiles in an epoch."""
        return len(self.tiles)

    def epoch(self, number: int) -> tuple[Tensor, Tensor]:
        """Returns tiles uint8[N, 28, 28] and targets float[N, C] of an epoch, in the data's order.

        The same number, from 0, always has the same tiles. Rows of targets sum to 1. The last
        ``clean_epochs`` are not augmented: Z. He et al., "Data augmentation revisited", 2019.
        """
        is_clean = number >= self._recipe.epochs - self._recipe.clean_epochs
        number = -1 if is_clean else number // self._recipe.repeat
        if self._drawn is None or self._drawn[0] != number:
            tiles = self.tiles
            if not is_clean:
                generator = torch.Generator().manual_seed(epoch_seed(self._recipe.seed, number) + 1)
                tiles = augment(tiles, self._recipe, generator)
            self._drawn = number, tiles, self._targets(tiles)
        return self._drawn[1:]

    def _targets(self, tiles: Tensor) -> Tensor:
        if self._teacher:
            return _teacher_targets(self._teacher, tiles, self._recipe).to(self._device)
        return functional.one_hot(self.labels, self._recipe.classes).float()


def _teacher_targets(teacher: Classifier, tiles: Tensor, recipe: Recipe) -> Tensor:
    """Returns a teacher's softened probabilities, with a class for negatives if the recipe has one.

    G. Hinton et al., "Distilling the knowledge in a neural network", 2015.
    """
    outputs = teacher.outputs(tiles.cpu().numpy())
    mixed = torch.from_numpy(outputs.probabilities)
    if recipe.negatives:
        if outputs.digit is None:
            raise ModelError(
                f"the teacher {recipe.teacher} was trained without negatives: name a teacher "
                "trained with them, or set negatives=0"
            )
        digit = torch.from_numpy(outputs.digit).unsqueeze(1)
        mixed = torch.cat([mixed * digit, 1 - digit], dim=1)
    return torch.softmax(mixed.clamp(min=1e-9).log() / recipe.distillation_temperature, dim=1)


def _make_negatives(count: int, digits: Tiles) -> Tensor:
    """Returns tiles without a digit, some of them spoiled digits."""
    from digitlens.datasets.negative_inks import load_faces  # noqa: PLC0415  (OpenCV and fonts)
    from digitlens.datasets.negatives import make_negatives  # noqa: PLC0415

    return torch.from_numpy(make_negatives(count, load_faces("training"), _POOL_SEED, digits))


def mix_up(tiles: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Blends each tile and target with the previous one, in the same proportion for all.

    H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018. ``alpha`` is the
    parameter of the beta distribution; 0 blends nothing.
    """
    if not alpha:
        return tiles, targets
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    blended = tiles.float().lerp(tiles.roll(1, 0).float(), share).round().to(torch.uint8)
    return blended, targets.lerp(targets.roll(1, 0), share)


def whiten(network: DigitNetwork, tiles: Tiles) -> None:
    """Computes the filters of the first convolution, if it is fixed.

    They are the strongest principal components of patches, scaled to unit variance, and their
    negatives, so that the following ReLU loses nothing. Surplus filters keep their random weights.

    A. Coates and A. Ng, "Learning feature representations with k-means", 2012, for whitened
    patches; D. Page, "How to train your ResNet", part 8, 2019, for a fixed layer of them.
    """
    convolution = network.fixed
    if convolution is None:
        return
    side = convolution.kernel_size[0]
    half = -(-convolution.out_channels // 2)
    filters = _components(_patches(network, tiles[:SAMPLE], side))[:half]
    signed = torch.cat([filters, -filters])[: convolution.out_channels]
    convolution.weight.data[: len(signed)] = signed.view(-1, 1, side, side)


def _patches(network: DigitNetwork, tiles: Tiles, side: int) -> Tensor:
    """Returns the convolution's input patches that have ink: float[P, side * side], normalised."""
    pixels = ((torch.from_numpy(tiles).float() / 255 - MEAN) / SD).unsqueeze(1)
    inner = functional.pad(pixels, [-network.margin] * 4)
    patches = functional.unfold(inner, side, padding=side // 2, stride=2)
    rows = patches.transpose(1, 2).reshape(-1, side * side)
    return rows[rows.std(dim=1) > FLAT]


def _components(patches: Tensor) -> Tensor:
    """Returns the principal components of patches, float[D, D], one per row, strongest first."""
    variances, directions = torch.linalg.eigh(patches.T @ patches / max(1, len(patches)))
    scale = (variances + FAINT * variances[-1] + torch.finfo(torch.float32).tiny).rsqrt()
    return (directions * scale).T.flip(0)


class Batch(NamedTuple):
    """The tiles uint8[B, 28, 28] of a training step."""

    tiles: Tensor


class AutoencoderTask(Task[AutoencoderRecipe, Autoencoder, Batch]):
    """Reconstruction of tiles, without labels."""

    def __init__(
        self,
        recipe: AutoencoderRecipe,
        training: Split,
        validation: Split,
        device: Device | None = None,
    ) -> None:
        super().__init__(recipe, recipe.plan(len(training)), device)
        self._training = torch.from_numpy(training.tiles)
        self._validation = torch.from_numpy(validation.tiles)

    def network(self) -> Autoencoder:
        return Autoencoder(self.recipe.widths, self.recipe.code)

    def optimizer(self, network: Autoencoder) -> torch.optim.Optimizer:
        return new_adamw(network, self.recipe.learning_rate, self.recipe.weight_decay)

    def batches(self, step: int) -> Iterator[Batch]:
        for _, rows in _epoch_rows(self, step, len(self._training), self._training.device):
            yield Batch(self._training[rows])

    def held_out(self) -> list[Batch]:
        return [Batch(part) for part in self._validation.split(CHUNK)]

    def losses(self, network: Autoencoder, batch: Batch) -> dict[str, Tensor]:
        inputs = pixels = as_pixels(batch.tiles)
        if self.recipe.noise:
            inputs = (pixels + self.recipe.noise * torch.randn_like(pixels)).clamp(0, 1)
        with self.device.reduced():
            logits = network(inputs)
        return {"train_loss": pixel_loss(logits.float(), pixels, self.recipe.loss)}

    def score(self, network: Autoencoder, batches: Iterable[Batch]) -> Row:
        return autoencoder_score(network, batches, self.recipe.loss)

    def state(self, row: Row) -> str:
        return f"validation {row['val_loss']:.3f}, error {row['val_error']:.4f}"


def pixel_loss(logits: Tensor, pixels: Tensor, loss: str) -> Tensor:
    """Returns the loss float[] between logits and pixels 0 to 1, both float[N, 28, 28]."""
    if loss == "binary":
        return functional.binary_cross_entropy_with_logits(logits, pixels)
    return functional.mse_loss(torch.sigmoid(logits), pixels)


@torch.no_grad()
def autoencoder_score(network: Autoencoder, batches: Iterable[Batch], loss: str) -> Row:
    """Returns the recipe's loss and the mean squared error of pixels 0 to 1, in evaluation mode."""
    network.eval()
    sums, count = torch.zeros(2, dtype=torch.float64), 0
    for (tiles,) in batches:
        pixels = as_pixels(tiles)
        logits = network(pixels).float()
        scores = pixel_loss(logits, pixels, loss), pixel_loss(logits, pixels, "squared")
        sums += len(tiles) * torch.stack(scores).cpu()
        count += len(tiles)
    val_loss, val_error = (sums / count).tolist()
    return {"val_loss": val_loss, "val_error": val_error}
