"""Trains a network from a recipe: one loop, read from top to bottom.

The tiles are tensors in memory, augmented a whole epoch at a time; there is no per-sample loader.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from digitlens.datasets.mnist import Split
from digitlens.progress import work_bar
from digitlens.training.checkpoint import Progress, Row, load_state, save_state, write_history
from digitlens.training.device import Device, choose_device
from digitlens.training.material import Material, mixed, shuffled
from digitlens.training.moment import Moment, OnEpoch, OnStep
from digitlens.training.nets.tile_network import (
    DigitNetwork,
    Ensemble,
    Shape,
    build_network,
    predict_logits,
)
from digitlens.training.optimizers import new_optimizer, set_learning_rate
from digitlens.training.recipe import Recipe
from digitlens.training.whitening import whiten


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        network: With the weights of the best epoch, float32, on the CPU, in evaluation mode.
        history: One row for each epoch.
        best_epoch: The epoch kept, from 1.
        seconds: Time spent training, validation included, data loading not.
        scores: Its ``val_loss`` and ``val_accuracy``; empty without validation tiles.
    """

    network: DigitNetwork | Ensemble
    history: list[Row]
    best_epoch: int
    seconds: float
    scores: Row


def train(  # noqa: PLR0913, PLR0915  (one loop, meant to be read in one piece)
    recipe: Recipe,
    training: Split,
    validation: Split,
    folder: Path,
    *,
    resume: bool = False,
    device: Device | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Trains until the epochs are over or the validation loss has stopped falling.

    After each epoch the run folder holds all that is needed to go on: a run that was stopped and
    resumed ends with the same weights, bit for bit on the same machine, as one that was not.

    Args:
        recipe: What to train.
        training: Tiles to learn from.
        validation: Tiles that choose the epoch, never the test set; without any the last is kept.
        folder: Run folder; receives the state and ``history.jsonl``.
        resume: Go on from the state in the folder.
        device: Where to train; chosen by ``choose_device`` if not given.
        on_step: Called after each step; the weights are the same whoever listens.
        on_epoch: Called with each row of the history once it is saved; what it raises ends the run.

    Raises:
        DataError: There is nothing to resume, or it belongs to another recipe.
    """
    device = device or choose_device(recipe.precision)
    torch.manual_seed(recipe.seed)
    network = one_network(recipe)
    whiten(network, training.tiles)
    network = device.placed(network)
    averaged = copy.deepcopy(network) if recipe.average else network
    modules: dict[str, nn.Module] = {"network": network}
    if recipe.average:
        modules["averaged"] = averaged
    optimizer = new_optimizer(recipe, network)
    reduced = device.reduced()
    progress = Progress(recipe.as_toml())
    if resume:
        progress = load_state(folder, progress.recipe, modules, optimizer)

    material = Material(recipe, training, device.name)
    steps = math.ceil(len(material) / recipe.batch_size)

    with work_bar("{task.fields[state]}") as bar:
        task = bar.add_task("training", total=recipe.epochs * steps, state="")
        while not _finished(recipe, progress):
            start = time.perf_counter()
            epoch = len(progress.history)
            tiles, targets = material.epoch(epoch)
            order = shuffled(recipe.seed, epoch, len(tiles)).to(device.name)
            loss_sum = torch.zeros((), device=device.name)
            right = torch.zeros((), device=device.name)
            network.train()
            for number, chosen in enumerate(order.split(recipe.batch_size)):
                step = epoch * steps + number
                set_learning_rate(optimizer, learning_rate(recipe, step, recipe.epochs * steps))
                batch, target = mixed(tiles[chosen], targets[chosen], recipe.mixup)
                with reduced:
                    logits = network(batch).float()
                loss = _learn(optimizer, logits, target, recipe.label_smoothing)
                if recipe.average:
                    _update_average(averaged, network, recipe.average, step)
                loss_sum += loss * len(chosen)
                hits = (logits.argmax(1) == target.argmax(1)).sum()
                right += hits
                speed = (number + 1) * recipe.batch_size / (time.perf_counter() - start)
                if on_step:
                    on_step(
                        Moment(
                            step=step + 1,
                            steps=recipe.epochs * steps,
                            epoch=epoch + 1,
                            epochs=recipe.epochs,
                            loss=loss,
                            accuracy=hits / len(chosen),
                            learning_rate=optimizer.param_groups[0]["lr"],
                            images_per_second=speed,
                            network=averaged,
                            history=progress.history,
                        )
                    )
                if number % 10 == 0:
                    state = _state(progress.history, loss.item(), speed)
                    bar.update(task, completed=step, state=state)

            with reduced:
                scores = score(averaged, validation, recipe.label_smoothing)
            seconds = time.perf_counter() - start
            progress.history.append(
                {
                    "epoch": epoch + 1,
                    "train_loss": loss_sum.item() / len(tiles),
                    "train_accuracy": right.item() / len(tiles),
                    **scores,
                    "learning_rate": optimizer.param_groups[0]["lr"],
                    "images_per_second": len(tiles) / seconds,
                    "seconds": seconds,
                }
            )
            # Without validation tiles the last epoch is the one that is kept.
            if (loss := scores.get("val_loss", -epoch)) < progress.best_loss:
                progress.best_loss, progress.best_epoch = loss, epoch + 1
                progress.best = copy.deepcopy(averaged.state_dict())
            save_state(folder, progress, modules, optimizer)
            write_history(folder, progress.history)
            if on_epoch:
                on_epoch(progress.history[-1])

    best = one_network(recipe)
    best.load_state_dict(progress.best)
    seconds = sum(row["seconds"] for row in progress.history)
    row = progress.history[progress.best_epoch - 1]
    scores = {key: row[key] for key in ("val_loss", "val_accuracy") if key in row}
    return Trained(best.eval(), progress.history, progress.best_epoch, seconds, scores)


def _learn(
    optimizer: torch.optim.Optimizer, logits: Tensor, target: Tensor, smoothing: float
) -> Tensor:
    """One step down the gradient of the cross-entropy, which it returns."""
    loss = functional.cross_entropy(logits, target, label_smoothing=smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def score(network: nn.Module, validation: Split, smoothing: float) -> Row:
    """Cross-entropy and accuracy on the validation tiles; nothing if there are none.

    The loss is the one that is trained, smoothing included: without it, a smoothed network looks
    worse the longer it learns, for a temperature that export sets right, and stops at once.
    """
    if not len(validation):
        return {}
    labels = torch.from_numpy(validation.labels).long()
    place = next(network.parameters()).device
    logits = predict_logits(network, torch.from_numpy(validation.tiles).to(place)).cpu()
    loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    right = logits.argmax(1) == labels
    return {"val_loss": loss.item(), "val_accuracy": right.float().mean().item()}


def new_network(recipe: Recipe) -> DigitNetwork | Ensemble:
    """What a recipe describes, a network or several averaged, with freshly drawn weights."""
    if recipe.members == recipe.views == 1:
        return one_network(recipe)
    return Ensemble([one_network(recipe) for _ in range(recipe.members)], recipe.views)


def one_network(recipe: Recipe) -> DigitNetwork:
    """One network with freshly drawn weights."""
    shape = Shape(
        recipe.widths,
        recipe.block_kernels(),
        recipe.convs,
        recipe.batch_norm,
        recipe.dense,
        recipe.dropout,
        recipe.pool,
        recipe.depth_drop,
        recipe.none > 0,
        recipe.margin,
    )
    return build_network(recipe.architecture, shape)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate at a step: up during the warm-up, then along the schedule.

    Args:
        recipe: Its fields learning_rate, warmup and schedule.
        step: From 0.
        steps: All steps of the run.
    """
    warmup = recipe.warmup * steps
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    factors = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
    return recipe.learning_rate * factors[recipe.schedule]


def _finished(recipe: Recipe, progress: Progress) -> bool:
    done = len(progress.history)
    waited = done - progress.best_epoch
    return done >= recipe.epochs or bool(recipe.patience and waited >= recipe.patience)


@torch.no_grad()
def _update_average(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Moves the average towards the network; faster at first, when the weights still run."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for old, new in zip(averaged.parameters(), network.parameters(), strict=True):
        old.lerp_(new, weight)
    for old, new in zip(averaged.buffers(), network.buffers(), strict=True):
        old.copy_(new)


def _state(history: list[Row], loss: float, speed: float) -> str:
    known = history and "val_accuracy" in history[-1]
    validated = f"  val accuracy {history[-1]['val_accuracy']:.2%}" if known else ""
    return f"loss {loss:.4f}{validated}  {speed:,.0f} images/s"
