"""One loop of steps for networks that learn from drawn pages, whose number has no end, or tiles.

Pages have numbers, and what a page shows follows from the recipe's seed and its number alone. So a
run that goes on from a checkpoint sees the pages that it would have seen, whoever draws them.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from digitlens.progress import work_bar
from digitlens.training.checkpoint import Progress, Row, load_state, save_state, write_history
from digitlens.training.device import Device
from digitlens.training.schedule import Schedule, learning_rate

N = TypeVar("N", bound=nn.Module)
B = TypeVar("B", bound=tuple[Tensor, ...])


class Lesson(Protocol[N, B]):
    """What is learned: a network, what it is shown, and what is wanted of it.

    Batches are named tuples of tensors; the first holds pictures, [B, 3, H, W].
    """

    def network(self) -> N:
        """A network with freshly drawn weights."""
        ...

    def batches(self, step: int) -> Iterable[B]:
        """What is shown from a step on."""
        ...

    def held_out(self) -> list[B]:
        """What is validated with."""
        ...

    def losses(self, network: N, batch: B, device: Device) -> dict[str, Tensor]:
        """What is made small, first, and what it consists of, by name."""
        ...

    def score(self, network: N, batches: Iterable[B]) -> Row:
        """Scores of a network, which is left in evaluation mode; ``val_loss`` among them."""
        ...

    def state(self, row: Row) -> str:
        """The scores that a progress bar has room for."""
        ...


@dataclass(frozen=True)
class Learned(Generic[N]):
    """A trained network.

    Attributes:
        network: The moving average at the last step, float32, on the CPU, in evaluation mode. The
            learning rate ends near zero there, so that the last is the best but for chance, and no
            step is chosen by what measures it.
        history: One row for each validation.
        seconds: Time spent training, validation included, drawing what it validates with not.
    """

    network: N
    history: list[Row]
    seconds: float


def take_steps(  # noqa: PLR0913  (what is learned, how, where)
    lesson: Lesson[N, B],
    schedule: Schedule,
    folder: Path,
    device: Device,
    *,
    recipe: str,
    seed: int,
    resume: bool,
    factors: Mapping[str, float] | None = None,
    checked: Callable[[N], object] | None = None,
    time_limit: float | None = None,
) -> Learned[N]:
    """Trains until the steps are over.

    From the first step on the folder holds all that is needed to go on: a run that was stopped and
    resumed ends with the same weights, bit for bit on the same machine, as one that was not.

    Args:
        lesson: What is learned.
        schedule: In which steps.
        folder: Receives the state and ``history.jsonl``.
        device: Where to train.
        recipe: All that decides the weights, as text; a run goes on with no other.
        seed: Of the first weights.
        resume: Go on from the state in the folder.
        factors: Parameters whose names begin so learn so many times faster.
        checked: Called with the moving average at each validation, when the state is written.
        time_limit: Seconds of training. Where the steps of the schedule would take longer, it is
            gone through faster and with fewer steps, so that its end is reached in time; such a
            run does not repeat itself bit for bit.

    Raises:
        DataError: There is nothing to resume, or it belongs to another recipe.
    """
    torch.manual_seed(seed)
    # First, because it takes one number of torch's: the first weights are those that follow it.
    held_out = lesson.held_out()
    network = device.placed(lesson.network())
    averaged = copy.deepcopy(network)
    modules: dict[str, nn.Module] = {"network": network, "averaged": averaged}
    optimizer = _new_optimizer(schedule, network, factors or {})
    progress = Progress(recipe)
    if resume:
        progress = load_state(folder, recipe, modules, optimizer)
    else:
        save_state(folder, progress, modules, optimizer)

    step = _steps_done(progress)
    before = sum(row["seconds"] for row in progress.history)
    place = _place(schedule, step, before, time_limit)
    losses: list[dict[str, Tensor]] = []
    begun = start = time.perf_counter()
    with work_bar("{task.fields[state]}") as bar:
        task = bar.add_task("training", total=schedule.steps, completed=step, state="")
        for drawn in lesson.batches(step) if place < schedule.steps else ():
            torch.manual_seed((seed << 24) + step)  # dropout is the same after a stop
            rate = learning_rate(schedule, place)
            parts = lesson.losses(network, _moved(drawn, device), device)
            _descend(network, optimizer, next(iter(parts.values())), rate, schedule.clip)
            losses.append({name: part.detach() for name, part in parts.items()})
            step += 1
            place = _place(schedule, step, before + time.perf_counter() - begun, time_limit)
            _update_average(averaged, network, schedule.average, step)
            if step % 10 == 0:
                bar.update(task, completed=step, state=_state(lesson, progress, losses[-1]))
            if step % schedule.check_every == 0 or place == schedule.steps:
                row = {"step": step, **_means(losses), "learning_rate": rate}
                with device.reduced():
                    row |= lesson.score(averaged, (_moved(each, device) for each in held_out))
                row["seconds"] = time.perf_counter() - start
                progress.history.append(row)
                save_state(folder, progress, modules, optimizer)
                write_history(folder, progress.history)
                if checked:
                    checked(averaged)
                losses, start = [], time.perf_counter()
            if place == schedule.steps:
                break

    kept = lesson.network()
    kept.load_state_dict(averaged.state_dict())
    seconds = sum(row["seconds"] for row in progress.history)
    return Learned(kept.eval(), progress.history, seconds)


def _descend(
    network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float, clip: float
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()


def _moved(batch: B, device: Device) -> B:
    """On the device, the pictures channels last."""
    pictures, *others = (part.to(device.name) for part in batch)
    return type(batch)(pictures.contiguous(memory_format=torch.channels_last), *others)


def _new_optimizer(
    schedule: Schedule, network: nn.Module, factors: Mapping[str, float]
) -> torch.optim.Optimizer:
    """AdamW that decays weights; a decayed scale or offset would only fight its normalisation."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {
        (1.0, schedule.weight_decay): [],
        (1.0, 0.0): [],
    }
    for name, parameter in network.named_parameters():
        factor = next((each for start, each in factors.items() if name.startswith(start)), 1.0)
        decay = schedule.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((factor, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "factor": factor}
            for (factor, decay), parameters in groups.items()
        ],
        lr=schedule.learning_rate,
        betas=(0.9, 0.99),
    )


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


def _place(schedule: Schedule, step: int, spent: float, time_limit: float | None) -> int:
    """How many steps of the schedule are done, or lost because the time would not suffice."""
    lost = int(schedule.steps * spent / time_limit) if time_limit else 0
    return min(schedule.steps, max(step, lost))


def _means(losses: Sequence[dict[str, Tensor]]) -> Row:
    return {name: torch.stack([each[name] for each in losses]).mean().item() for name in losses[0]}


def _state(lesson: Lesson[N, B], progress: Progress, losses: dict[str, Tensor]) -> str:
    loss = next(iter(losses.values())).item()
    validated = ""
    if progress.history:
        row = progress.history[-1]
        validated = f"  validation {row['val_loss']:.3f}, {lesson.state(row)}"
    return f"loss {loss:.3f}{validated}"
