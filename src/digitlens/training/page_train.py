"""Trains a page reader from a recipe on pages that are drawn as it goes: one loop of steps.

Pages have numbers, and what a page shows follows from the recipe's seed and its number alone. So a
run that goes on from a checkpoint sees the pages that it would have seen, whoever draws them.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from digitlens.data.pages.pages import PageMaker
from digitlens.model.page_network import PageNetwork
from digitlens.progress import work_bar
from digitlens.training.checkpoint import Progress, Row, load_state, save_state, write_history
from digitlens.training.device import Device, choose_device
from digitlens.training.page_loss import Losses, page_losses
from digitlens.training.page_recipe import PageRecipe
from digitlens.training.page_score import score
from digitlens.training.page_stream import Batch, batches, worker_count

FLOOR = 0.01  # share of the highest learning rate at which the cosine ends


@dataclass(frozen=True)
class TrainedPages:
    """A trained page reader.

    Attributes:
        network: The moving average at the last step, float32, on the CPU, in evaluation mode. The
            learning rate ends near zero there, so that the last is the best but for chance, and no
            step is chosen by the pages that measure it.
        history: One row for each validation.
        seconds: Time spent training, validation included, drawing the validation pages not.
    """

    network: PageNetwork
    history: list[Row]
    seconds: float


def train_pages(  # noqa: PLR0913  (what to train, with what, where)
    recipe: PageRecipe,
    training: PageMaker,
    validation: PageMaker,
    folder: Path,
    *,
    resume: bool = False,
    device: Device | None = None,
    workers: int | None = None,
) -> TrainedPages:
    """Trains until the steps are over.

    From the first step on the run folder holds all that is needed to go on: a run that was stopped
    and resumed ends with the same weights, bit for bit on the same machine, as one that was not.

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
    torch.manual_seed(recipe.seed)
    # First, because it takes one number of torch's: the first weights are those that follow it.
    held_out = _validation_batches(recipe, validation, workers)
    network = device.placed(page_network(recipe))
    averaged = copy.deepcopy(network)
    modules: dict[str, nn.Module] = {"network": network, "averaged": averaged}
    optimizer = _new_optimizer(recipe, network)
    progress = Progress(recipe.as_toml())
    if resume:
        progress = load_state(folder, progress.recipe, modules, optimizer)
    else:
        save_state(folder, progress, modules, optimizer)

    step = _steps_done(progress)
    losses: list[Losses] = []
    start = time.perf_counter()
    with work_bar("{task.fields[state]}") as bar:
        task = bar.add_task("training", total=recipe.steps, completed=step, state="")
        for drawn in _training_batches(recipe, training, step, workers):
            batch = _moved(drawn, device)
            losses.append(_learn(recipe, network, optimizer, batch, step, device))
            step += 1
            _update_average(averaged, network, recipe.average, step)
            if step % 10 == 0:
                bar.update(task, completed=step, state=_state(progress.history, losses[-1]))
            if step % recipe.check_every == 0 or step == recipe.steps:
                row = {
                    "step": step,
                    **_means(losses),
                    "learning_rate": learning_rate(recipe, step - 1),
                }
                with device.reduced():
                    row |= score(averaged, (_moved(each, device) for each in held_out))
                row["seconds"] = time.perf_counter() - start
                progress.history.append(row)
                save_state(folder, progress, modules, optimizer)
                write_history(folder, progress.history)
                losses, start = [], time.perf_counter()

    kept = page_network(recipe)
    kept.load_state_dict(averaged.state_dict())
    seconds = sum(row["seconds"] for row in progress.history)
    return TrainedPages(kept.eval(), progress.history, seconds)


def page_network(recipe: PageRecipe) -> PageNetwork:
    """The network that a recipe describes, with freshly drawn weights."""
    return PageNetwork(recipe.widths, recipe.blocks, recipe.paths)


def learning_rate(recipe: PageRecipe, step: int) -> float:
    """The learning rate at a step, from 0: along a cosine, and rising from zero at first."""
    rising = min((step + 1) / recipe.warmup_steps, 1.0)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1, step / recipe.steps)))
    return recipe.learning_rate * (rising * (cosine * (1 - FLOOR) + FLOOR))


def _learn(
    recipe: PageRecipe,
    network: PageNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    step: int,
    device: Device,
) -> Losses:
    """One step down the gradient of the loss, which it returns."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(recipe, step)
    with device.reduced():
        cells = network(batch.pages)
    losses = page_losses(cells, *batch[1:])
    optimizer.zero_grad()
    losses.total.backward()
    nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
    optimizer.step()
    return Losses(*(part.detach() for part in losses))


def _training_batches(
    recipe: PageRecipe, maker: PageMaker, step: int, workers: int
) -> Iterator[Batch]:
    """The batches of the steps from ``step`` on; pages of which some views were used start anew."""
    sets, used = divmod(step, recipe.views)
    stream = batches(
        maker,
        sets * recipe.batch_size,
        recipe.steps - sets * recipe.views,
        batch_size=recipe.batch_size,
        side=recipe.side,
        workers=workers,
        views=recipe.views,
    )
    return islice(stream, used, None)


def _validation_batches(recipe: PageRecipe, maker: PageMaker, workers: int) -> list[Batch]:
    """All validation pages, each once; the last batch may be smaller."""
    count = -(-recipe.validation_pages // recipe.batch_size)
    size, side = recipe.batch_size, recipe.side
    drawn = list(batches(maker, 0, count, batch_size=size, side=side, workers=workers, views=1))
    left = recipe.validation_pages - (count - 1) * size
    return [*drawn[:-1], Batch(*(part[:left] for part in drawn[-1]))]


def _moved(batch: Batch, device: Device) -> Batch:
    """On the device, the pages channels last."""
    moved = Batch(*(part.to(device.name) for part in batch))
    return moved._replace(pages=moved.pages.contiguous(memory_format=torch.channels_last))


def _new_optimizer(recipe: PageRecipe, network: nn.Module) -> torch.optim.Optimizer:
    """AdamW that decays weights; a decayed scale or offset would only fight its normalisation."""
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.99))


@torch.no_grad()
def _update_average(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Moves the average, statistics included, towards the network; faster in the first steps."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    news = network.state_dict().values()
    for old, new in zip(averaged.state_dict().values(), news, strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, weight)
        else:
            old.copy_(new)


def _steps_done(progress: Progress) -> int:
    return int(progress.history[-1]["step"]) if progress.history else 0


def _means(losses: Sequence[Losses]) -> Row:
    names = ("train_loss", "centre_loss", "value_loss", "box_loss")
    means = torch.stack([torch.stack(each) for each in losses]).mean(dim=0)
    return dict(zip(names, means.tolist(), strict=True))


def _state(history: list[Row], losses: Losses) -> str:
    validated = ""
    if history:
        row = history[-1]
        validated = f"  validation {row['val_loss']:.3f}, found {row['found']:.1%}"
    return f"loss {losses.total.item():.3f}{validated}"
