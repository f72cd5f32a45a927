"""Trains the digit detector of a recipe on pages that are drawn as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from digitlens.datasets.synthetic.pages import PageMaker
from digitlens.training.checkpoint import Row
from digitlens.training.device import Device, choose_device
from digitlens.training.nets.detector_network import DetectorNetwork
from digitlens.training.page_loss import page_losses
from digitlens.training.page_recipe import DetectorRecipe
from digitlens.training.page_score import score
from digitlens.training.page_stream import Batch, batches, worker_count
from digitlens.training.steps import Learned, take_steps


def train_pages(  # noqa: PLR0913  (what to train, with what, where)
    recipe: DetectorRecipe,
    training: PageMaker,
    validation: PageMaker,
    folder: Path,
    *,
    resume: bool = False,
    device: Device | None = None,
    workers: int | None = None,
) -> Learned[DetectorNetwork]:
    """Trains until the steps are over; see ``take_steps``.

    Args:
        recipe: What to train.
        training: Draws the pages to learn from.
        validation: Draws the pages to validate with.
        folder: Run folder; receives the state and ``history.jsonl``.
        resume: Go on from the state in the folder.
        device: Where to train; chosen by ``choose_device`` if not given.
        workers: Processes that draw pages, 0 for none but this; the result does not depend on it.

    Raises:
        DataError: There is nothing to resume, or it belongs to another recipe.
    """
    device = device or choose_device(recipe.precision)
    workers = worker_count(device.name) if workers is None else workers
    return take_steps(
        _Pages(recipe, training, validation, workers),
        recipe.schedule(),
        folder,
        device,
        recipe=recipe.as_toml(),
        seed=recipe.seed,
        resume=resume,
    )


def page_network(recipe: DetectorRecipe) -> DetectorNetwork:
    """The network that a recipe describes, with freshly drawn weights."""
    return DetectorNetwork(recipe.widths, recipe.blocks, recipe.paths)


@dataclass(frozen=True)
class _Pages:
    """A ``Lesson``: to find the digits of pages and name them."""

    recipe: DetectorRecipe
    training: PageMaker
    validation: PageMaker
    workers: int

    def network(self) -> DetectorNetwork:
        return page_network(self.recipe)

    def batches(self, step: int) -> Iterator[Batch]:
        """The batches from ``step`` on; pages of which some views were used start anew."""
        recipe = self.recipe
        return batches(
            self.training,
            0,
            recipe.steps,
            batch_size=recipe.batch_size,
            side=recipe.side,
            workers=self.workers,
            views=recipe.views,
            skip=step,
        )

    def held_out(self) -> list[Batch]:
        """All validation pages, each once; the last batch may be smaller."""
        size, total = self.recipe.batch_size, self.recipe.validation_pages
        count = -(-total // size)
        drawn = list(
            batches(
                self.validation,
                0,
                count,
                batch_size=size,
                side=self.recipe.side,
                workers=self.workers,
                views=1,
            )
        )
        left = total - (count - 1) * size
        return [*drawn[:-1], Batch(*(part[:left] for part in drawn[-1]))]

    def losses(self, network: DetectorNetwork, batch: Batch, device: Device) -> dict[str, Tensor]:
        with device.reduced():
            cells = network(batch.pages)
        parts = page_losses(cells, *batch[1:])
        names = ("train_loss", "centre_loss", "value_loss", "box_loss")
        return dict(zip(names, parts, strict=True))

    def score(self, network: DetectorNetwork, batches: Iterable[Batch]) -> Row:
        return score(network, batches)

    def state(self, row: Row) -> str:
        return f"found {row['found']:.1%}"
