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
        drawn = list(self._draw(self._validation, count))
        left = total - (count - 1) * size
        return [*drawn[:-1], PageBatch(*(part[:left] for part in drawn[-1]))]

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
    named = value >= 0
    if not bool(named.any()):
        none = torch.zeros_like(centres)
        return Losses(centres, centres.detach(), none, none)
    # The cells around a digit's centre predict it too, but weigh less than the centre.
    share = (torch.where(peaks, 1.0, 0.3) / count.sqrt()[:, None, None])[named]
    logits = cells.values.permute(0, 2, 3, 1)[named]
    names = functional.cross_entropy(logits, value[named].long(), reduction="none")
    found = cells.reach.permute(0, 2, 3, 1)[named]
    wanted = reach.permute(0, 2, 3, 1)[named].float()
    sides = functional.smooth_l1_loss(found, wanted, beta=0.1, reduction="none").sum(dim=1)
    total = centres + ((names + sides) * share).sum() / share.sum()
    parts = [(part.detach() * share).sum() / share.sum() for part in (names, sides)]
    return Losses(total, centres.detach(), *parts)


def _focal(logit: Tensor, centre: Tensor, weight: Tensor, peaks: Tensor) -> Tensor:
    """Returns the penalty-reduced focal loss of each cell (Law and Deng, *CornerNet*, 2018)."""
    chance = torch.sigmoid(logit)
    hit = (1 - chance) ** 2 * functional.softplus(-logit)
    miss = chance**2 * (1 - centre) ** 4 * functional.softplus(logit) * weight
    return torch.where(peaks, hit, miss)


def page_score(network: DetectorNetwork, pages: Iterable[PageBatch]) -> dict[str, float]:
    """Scores a network on at least one batch and leaves it in evaluation mode.

    Returns ``val_loss``, the mean loss of the batches; ``found``, the fraction of digits whose cell
    has a score above 0.5; ``right``, the fraction of those whose value is right; ``false_finds``,
    the number of false peaks above 0.5 per page.
    """
    network.eval()
    losses, counts, seen = list[Tensor](), list[Tensor](), 0
    with torch.no_grad():
        for batch in pages:
            cells = network(batch.pages)
            losses.append(page_losses(cells, *batch[1:]).total)
            counts.append(_counts(cells, batch))
            seen += len(batch.pages)
    digits, found, right, false = torch.stack(counts).sum(dim=0).tolist()
    return {
        "val_loss": torch.stack(losses).mean().item(),
        "found": found / max(1, digits),
        "right": right / max(1, found),
        "false_finds": false / seen,
    }


def _counts(cells: Cells, batch: PageBatch) -> Tensor:
    """Counts digits, found digits, correctly classified ones and false finds: int64[4]."""
    asked = batch.weight > 0
    digits = (batch.centre > 0.999) & asked
    found = digits & (cells.centre > 0)
    right = found & (cells.values.argmax(dim=1) == batch.value.long())
    # A find next to a digit's core is that digit: the core of a small digit is a single cell.
    near = _highest_around((batch.value != NOTHING).float()) > 0
    peaks = (cells.centre == _highest_around(cells.centre)) & (cells.centre > 0)
    false = peaks & asked & ~near
    return torch.stack([cell.sum() for cell in (digits, found, right, false)])


def _highest_around(cells: Tensor) -> Tensor:
    return functional.max_pool2d(cells[:, None], 3, stride=1, padding=1)[:, 0]
