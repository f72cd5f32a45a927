"""Trains a digit detector on pages generated during training.

The loss is focal loss for centres, cross-entropy for values and smooth L1 for boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.datasets.synthetic.pages import PageMaker
from digitlens.training.loop import Device, Row, Task
from digitlens.training.optim import new_adamw
from digitlens.training.page_networks import Cells, DetectorNetwork
from digitlens.training.recipe import DetectorRecipe
from digitlens.training.tasks.batches import NOTHING, PageBatch, page_batches, worker_count


def detector_network(recipe: DetectorRecipe) -> DetectorNetwork:
    """Returns the network of a recipe with initial weights."""
    return DetectorNetwork(recipe.widths, recipe.blocks, recipe.paths)


class DetectorTask(Task[DetectorRecipe, DetectorNetwork, PageBatch]):
    """Detection and classification of the digits of pages.

    ``workers`` processes generate pages, 0 for this process; the result does not depend on them.
    """

    def __init__(
        self,
        recipe: DetectorRecipe,
        training: PageMaker,
        validation: PageMaker,
        device: Device | None = None,
        *,
        workers: int | None = None,
    ) -> None:
        super().__init__(recipe, recipe.plan(), device)
        self._training, self._validation = training, validation
        workers = worker_count(self.device.name) if workers is None else workers
        self._draw = partial(
            page_batches, batch_size=recipe.batch_size, side=recipe.side, workers=workers
        )

    def network(self) -> DetectorNetwork:
        return detector_network(self.recipe)

    def optimizer(self, network: DetectorNetwork) -> torch.optim.Optimizer:
        return new_adamw(network, self.recipe.learning_rate, self.recipe.weight_decay)

    def batches(self, step: int) -> Iterator[PageBatch]:
        """Yields the batches from ``step`` on; partly used sets of pages are drawn again."""
        return self._draw(self._training, self.recipe.steps, views=self.recipe.views, skip=step)

    def held_out(self) -> list[PageBatch]:
        """Returns all validation pages, each once; the last batch may be smaller."""
        size, total = self.recipe.batch_size, self.recipe.validation_pages
        count = -(-total // size)
        batches = list(self._draw(self._validation, count))
        remaining = total - (count - 1) * size
        return [*batches[:-1], PageBatch(*(part[:remaining] for part in batches[-1]))]

    def losses(self, network: DetectorNetwork, batch: PageBatch) -> dict[str, Tensor]:
        with self.device.reduced():
            cells = network(batch.pages)
        parts = page_losses(cells, *batch[1:])
        names = ("train_loss", "centre_loss", "value_loss", "box_loss")
        return dict(zip(names, parts, strict=True))

    def score(self, network: DetectorNetwork, batches: Iterable[PageBatch]) -> Row:
        return page_score(network, batches)

    def state(self, row: Row) -> str:
        return f"validation {row['val_loss']:.3f}, found {row['found']:.1%}"


class Losses(NamedTuple):
    """The scalar loss ``total``, which carries the gradient, and its parts.

    ``value`` and ``box`` are 0 if there are no digits.
    """

    total: Tensor
    centre: Tensor
    value: Tensor
    box: Tensor


def page_losses(
    cells: Cells, centre: Tensor, weight: Tensor, value: Tensor, reach: Tensor
) -> Losses:
    """Returns the loss of a batch and its parts; see ``Cells`` and ``Targets``.

    A page with n digits counts as much as the square root of n pages with one: otherwise pages full
    of small digits would outweigh those with one large digit or none.
    """
    peaks = (centre > 0.999) & (weight > 0)
    count = peaks.sum(dim=(1, 2)).clamp(min=1).float()
    focal = _focal(cells.centre, centre.float(), weight.float(), peaks)
    centres = (focal.sum(dim=(1, 2)) / count.sqrt()).sum() / count.sqrt().sum()
    has_value = value >= 0
    if not bool(has_value.any()):
        zero = torch.zeros_like(centres)
        return Losses(centres, centres.detach(), zero, zero)
    # The cells around a digit's centre predict it too, but weigh less than the centre.
    weights = (torch.where(peaks, 1.0, 0.3) / count.sqrt()[:, None, None])[has_value]
    logits = cells.values.permute(0, 2, 3, 1)[has_value]
    value_losses = functional.cross_entropy(logits, value[has_value].long(), reduction="none")
    predicted = cells.reach.permute(0, 2, 3, 1)[has_value]
    target = reach.permute(0, 2, 3, 1)[has_value].float()
    box_losses = functional.smooth_l1_loss(predicted, target, beta=0.1, reduction="none").sum(dim=1)
    total = centres + ((value_losses + box_losses) * weights).sum() / weights.sum()
    parts = [(part.detach() * weights).sum() / weights.sum() for part in (value_losses, box_losses)]
    return Losses(total, centres.detach(), *parts)


def _focal(logit: Tensor, centre: Tensor, weight: Tensor, peaks: Tensor) -> Tensor:
    """Returns the penalty-reduced focal loss of each cell (Law and Deng, *CornerNet*, 2018)."""
    probability = torch.sigmoid(logit)
    positive = (1 - probability) ** 2 * functional.softplus(-logit)
    negative = probability**2 * (1 - centre) ** 4 * functional.softplus(logit) * weight
    return torch.where(peaks, positive, negative)


def page_score(network: DetectorNetwork, pages: Iterable[PageBatch]) -> dict[str, float]:
    """Scores a network on at least one batch and leaves it in evaluation mode.

    Returns ``val_loss``, the mean loss of the batches; ``found``, the fraction of digits whose cell
    has a score above 0.5; ``right``, the fraction of those whose value is right; ``false_finds``,
    the number of false peaks above 0.5 per page.
    """
    network.eval()
    losses, counts, page_count = list[Tensor](), list[Tensor](), 0
    with torch.no_grad():
        for batch in pages:
            cells = network(batch.pages)
            losses.append(page_losses(cells, *batch[1:]).total)
            counts.append(_counts(cells, batch))
            page_count += len(batch.pages)
    digits, found, right, false = torch.stack(counts).sum(dim=0).tolist()
    return {
        "val_loss": torch.stack(losses).mean().item(),
        "found": found / max(1, digits),
        "right": right / max(1, found),
        "false_finds": false / page_count,
    }


def _counts(cells: Cells, batch: PageBatch) -> Tensor:
    """Counts digits, found digits, correctly classified ones and false finds: int64[4]."""
    is_scored = batch.weight > 0
    digits = (batch.centre > 0.999) & is_scored
    found = digits & (cells.centre > 0)
    right = found & (cells.values.argmax(dim=1) == batch.value.long())
    # A find next to a digit's core is that digit: the core of a small digit is a single cell.
    near_digit = _local_maximum((batch.value != NOTHING).float()) > 0
    peaks = (cells.centre == _local_maximum(cells.centre)) & (cells.centre > 0)
    false = peaks & is_scored & ~near_digit
    return torch.stack([cell.sum() for cell in (digits, found, right, false)])


def _local_maximum(cells: Tensor) -> Tensor:
    return functional.max_pool2d(cells[:, None], 3, stride=1, padding=1)[:, 0]
