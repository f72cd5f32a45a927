"""Trains the crop network of a recipe on what a page reader takes for digits on drawn pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.data.pages.pages import PageMaker
from digitlens.model.crop_model import NONE
from digitlens.model.crop_network import CropNetwork
from digitlens.training.checkpoint import Row
from digitlens.training.crop_stream import Crops, CropStream, Find
from digitlens.training.device import Device, choose_device
from digitlens.training.page_recipe import PageRecipe
from digitlens.training.page_stream import MARGIN, worker_count
from digitlens.training.steps import Learned, take_steps

FIRST = 10_000_000  # numbers of its pages begin here: the page network has not learned from these
FIRST_VALIDATION = 3_000_000  # likewise; neither is the page reader calibrated with them
VALIDATION_BATCHES = 24
ALLOWED = 0.05  # share of what is no digit that may be taken for one, where recall is measured


def train_crops(  # noqa: PLR0913  (what to train, with what, where)
    recipe: PageRecipe,
    training: PageMaker,
    validation: PageMaker,
    find: Find,
    folder: Path,
    *,
    resume: bool = False,
    device: Device | None = None,
    workers: int | None = None,
) -> Learned[CropNetwork]:
    """Trains until the steps are over; see ``take_steps``.

    Args:
        recipe: What to train.
        training: Draws the pages to learn from.
        validation: Draws the pages to validate with.
        find: Finds the candidates of a page.
        folder: Receives the state and ``history.jsonl``.
        resume: Go on from the state in the folder.
        device: Where to train; chosen by ``choose_device`` if not given.
        workers: Processes that draw pages, 0 for none but this; the result does not depend on it.

    Raises:
        DataError: There is nothing to resume, or it belongs to another recipe.
    """
    device = device or choose_device(recipe.precision)
    workers = worker_count(device.name) if workers is None else workers
    side = recipe.side + MARGIN
    return take_steps(
        _CropLesson(
            recipe,
            CropStream(training, find, side, recipe.crop_pages, workers),
            CropStream(validation, find, side, recipe.crop_pages, workers),
        ),
        recipe.crop_schedule(),
        folder,
        device,
        recipe=recipe.as_toml(),
        seed=recipe.seed,
        resume=resume,
    )


def crop_network(recipe: PageRecipe) -> CropNetwork:
    """The network that a recipe describes, with freshly drawn weights."""
    return CropNetwork(recipe.crop_widths, recipe.crop_blocks)


def crop_score(network: CropNetwork, batches: Iterable[Crops]) -> Row:
    """Scores of a network, which is left in evaluation mode.

    Args:
        network: Runs where the windows are.
        batches: At least one.

    Returns:
        ``val_loss``, the mean cross-entropy; ``right``, the share of digits whose value is right;
        ``found``, the share of digits that are surer to be one than all but 5 % of what is none.
    """
    network.eval()
    with torch.no_grad():
        seen = [(network(batch.windows), batch.classes) for batch in batches]
    logits = torch.cat([each for each, _ in seen])
    classes = torch.cat([each for _, each in seen])
    digit = classes != NONE
    named = logits[digit][:, :NONE].argmax(dim=1) == classes[digit]
    sure = 1 - torch.softmax(logits, dim=1)[:, NONE]
    least = sure[~digit].quantile(1 - ALLOWED) if bool((~digit).any()) else 0.0
    return {
        "val_loss": functional.cross_entropy(logits, classes).item(),
        "right": named.float().mean().item(),
        "found": (sure[digit] > least).float().mean().item(),
    }


@dataclass(frozen=True)
class _CropLesson:
    """A ``Lesson``: to name the digit in the middle of a window, if there is one."""

    recipe: PageRecipe
    training: CropStream
    validation: CropStream

    def network(self) -> CropNetwork:
        return crop_network(self.recipe)

    def batches(self, step: int) -> Iterator[Crops]:
        """The batches from ``step`` on; pages of which some views were used start anew."""
        recipe = self.recipe
        return self.training.batches(FIRST, recipe.crop_steps, recipe.crop_views, skip=step)

    def held_out(self) -> list[Crops]:
        return list(self.validation.batches(FIRST_VALIDATION, VALIDATION_BATCHES, 1))

    def losses(self, network: CropNetwork, batch: Crops, device: Device) -> dict[str, Tensor]:
        with device.reduced():
            logits = network(batch.windows)
        return {"train_loss": functional.cross_entropy(logits.float(), batch.classes)}

    def score(self, network: CropNetwork, batches: Iterable[Crops]) -> Row:
        return crop_score(network, batches)

    def state(self, row: Row) -> str:
        return f"named {row['right']:.1%}"
