"""The training loop of all kinds of networks: steps, validations, checkpoints, time limit.

The batch of a step depends only on the recipe's seed and the step's number, and the state of a run
is one file, written at each validation. A resumed run therefore sees the same batches and ends
with the same weights, bit for bit on the same machine. A ``Task`` defines the network, its data
and its device, see ``training.tasks``.
"""

from __future__ import annotations

import copy
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from digitlens.errors import DataError
from digitlens.files import write_bytes
from digitlens.progress import work_bar
from digitlens.training.optim import set_learning_rate
from digitlens.training.recipe import TrainingRecipe
from digitlens.training.settings import Schedule, same_recipe

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Device:
    """The device of tensors, and the number format in which the network computes."""

    name: str  # ``cuda``, ``mps`` or ``cpu``
    dtype: torch.dtype  # torch.bfloat16 or torch.float32
    reason: str  # one line for the user

    def reduced(self) -> torch.autocast:
        """Returns a context in which networks compute in ``dtype``."""
        return torch.autocast(self.name, self.dtype, enabled=self.dtype != torch.float32)

    def placed(self, network: Network) -> Network:
        """Returns the network on the device, channels last."""
        network = network.to(self.name)
        return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def choose_device(precision: str = "auto") -> Device:
    """Returns the best device, in bfloat16 if the hardware and ``precision`` support it."""
    if torch.cuda.is_available():
        name, detail = "cuda", f"CUDA found {torch.cuda.get_device_name()}"
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif torch.backends.mps.is_available():
        name, detail, has_bfloat16 = "mps", "no CUDA, but MPS found an Apple GPU", False
    else:
        units = _cpu_bfloat16_units()
        name, has_bfloat16 = "cpu", bool(units)
        detail = f"no CUDA or MPS device; the CPU {f'has {units}' if units else 'lacks bfloat16'}"
    use_bfloat16 = has_bfloat16 if precision == "auto" else precision == "bfloat16"
    dtype = torch.bfloat16 if use_bfloat16 else torch.float32
    demand = "" if precision == "auto" else f"; the recipe requires {precision}"
    dtype_name = str(dtype).removeprefix("torch.")
    threads = f", {torch.get_num_threads()} threads" if name == "cpu" else ""
    return Device(name, dtype, f"{name}, {dtype_name}, channels-last{threads} ({detail}{demand})")


def _cpu_bfloat16_units() -> str:
    """Returns the instruction sets that multiply bfloat16; empty if there are none."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16", "bf16": "BF16"}
    return " and ".join(text for key, text in names.items() if capabilities.get(key))


STATE = "state.safetensors"
HISTORY, STEPS = "history.jsonl", "steps.jsonl"

Row = dict[str, float]


@dataclass
class Progress:
    """The progress of a run, as stored in its state file."""

    recipe: str  # as TOML; a resumed run must have the same recipe
    history: list[Row] = field(default_factory=list)  # one row per validation
    # Weights of the epoch with the lowest validation loss; empty if the last weights are kept.
    best: dict[str, Tensor] = field(default_factory=dict)
    # Number of that epoch, from 1; 0 before the first one, and if the last weights are kept.
    best_epoch: int = 0
    best_loss: float = float("inf")  # validation loss of that epoch
    # Mean losses over groups of steps, in finer resolution than the history.
    steps: list[Row] = field(default_factory=list[Row])


def save_state(
    folder: Path,
    progress: Progress,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Writes progress, modules and optimiser as one file in the run folder."""
    tensors = {f"best/{name}": tensor for name, tensor in progress.best.items()}
    for prefix, module in modules.items():
        tensors |= {f"{prefix}/{name}": tensor for name, tensor in module.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{slot}": tensor for slot, tensor in slots.items()}
    facts = {name: value for name, value in vars(progress).items() if name != "best"}
    # safetensors refuses tensors that share memory or are not laid out row by row.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    # Not save_file: its temporary files would stay behind after a kill.
    write_bytes(folder / STATE, save(tensors, {"progress": json.dumps(facts)}))


def load_state(
    folder: Path,
    recipe: TrainingRecipe,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> Progress:
    """Restores modules, optimiser and progress as written by ``save_state``.

    Raises DataError if the file is missing or damaged, or belongs to a different recipe.
    """
    path = folder / STATE
    try:
        with safe_open(path, "pt") as stored:
            facts: dict[str, Any] = json.loads(stored.metadata()["progress"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): start a new run") from error
    if not same_recipe(facts["recipe"], recipe):
        raise DataError(f"{path} belongs to another recipe: resume without changing the recipe")
    for prefix, module in modules.items():
        module.load_state_dict(_with_prefix(tensors, prefix))
    _load_optimizer(optimizer, _with_prefix(tensors, "optimizer"))
    return Progress(**facts, best=_with_prefix(tensors, "best"))


def write_history(folder: Path, history: Sequence[Row], steps: Sequence[Row] = ()) -> None:
    """Writes the rows per validation and the rows by steps as JSON Lines, in a file each."""
    for name, rows in ((HISTORY, history), (STEPS, steps)):
        if rows:
            write_bytes(folder / name, "".join(json.dumps(row) + "\n" for row in rows).encode())


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = prefix + "/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, slot = name.split("/")
        slots, weight = state.setdefault(int(index), {}), parameters[int(index)]
        slots[slot] = tensor
        if tensor.shape == weight.shape:  # fused steps need moments channels last like the weights
            slots[slot] = torch.empty_like(weight, dtype=tensor.dtype).copy_(tensor)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


SEGMENTS = 60  # rows by steps in a whole run

R = TypeVar("R", bound=TrainingRecipe)
N = TypeVar("N", bound=nn.Module)
B = TypeVar("B", bound=tuple[Tensor, ...])


class Task(ABC, Generic[R, N, B]):
    """What is trained: the network, its batches, its losses and scores, and its device.

    Batches are named tuples of tensors; the first holds the inputs, one row per sample.
    """

    # Validations without a lower loss before training stops early; 0 never stops. The weights with
    # the lowest loss are kept; if None, the last weights, which are the best up to chance if the
    # learning rate ends near zero, and whose validation scores are free of selection bias.
    patience: int | None = None

    def __init__(self, recipe: R, schedule: Schedule, device: Device | None = None) -> None:
        """Uses the device of ``choose_device`` if none is given."""
        self.recipe, self.schedule = recipe, schedule
        self.device = device or choose_device(recipe.precision)

    def seed(self, step: int) -> int | None:
        """Returns the seed of random draws from a step on, such as dropout; None does not reseed.

        At least the first step after each validation has a seed, so that resuming changes nothing.
        """
        return (self.recipe.seed << 24) + step

    @abstractmethod
    def network(self) -> N:
        """Returns a network with initial weights."""

    @abstractmethod
    def optimizer(self, network: N) -> torch.optim.Optimizer:
        """Returns the optimiser of a network."""

    @abstractmethod
    def batches(self, step: int) -> Iterable[B]:
        """Yields the batches from a step on."""

    @abstractmethod
    def held_out(self) -> list[B]:
        """Returns the validation batches; empty if nothing is held out."""

    @abstractmethod
    def losses(self, network: N, batch: B) -> dict[str, Tensor]:
        """Returns the loss to minimise, first, and other measurements of a step, by name."""

    @abstractmethod
    def score(self, network: N, batches: Iterable[B]) -> Row:
        """Returns scores, ``val_loss`` among them, and leaves the network in evaluation mode."""

    @abstractmethod
    def state(self, row: Row) -> str:
        """Formats the scores to show in the progress bar."""

    def validated(self, network: N, folder: Path) -> None:
        """Hook after each validation, which may write into the run folder; does nothing here."""


@dataclass(frozen=True)
class StepInfo:
    """The state of a training just after a step.

    Losses stay on the device: fetching each one would make a GPU wait.
    """

    step: int  # steps done, from 1, including those before a resume
    steps: int  # of the recipe; early stopping takes fewer
    epoch: int  # interval between validations that contains this step, from 1
    epochs: int  # of the recipe
    losses: Mapping[str, Tensor]  # float32[] each, means over the batch; the first is minimised
    learning_rate: float  # of this step
    images_per_second: float  # since the last validation
    # The network that will be kept, with averaged weights if the recipe averages. Training goes on
    # changing it; callbacks must not.
    network: nn.Module
    history: Sequence[Row]  # one row per validation so far
    model: int = 1  # of an ensemble, from 1
    models: int = 1  # of the ensemble; 1 for a network alone


OnStep = Callable[[StepInfo], None]
OnCheck = Callable[[Row], object]


@dataclass(frozen=True)
class Trained(Generic[N]):
    """A trained network."""

    network: N  # float32, on the CPU, in evaluation mode
    history: list[Row]  # one row for each validation
    best_epoch: int  # the validation whose weights are kept, from 1
    seconds: float  # of training and validation, without generating the validation data
    scores: Row  # ``val_loss`` and others of the weights that are kept; empty without validation
    steps: list[Row] = field(default_factory=list[Row])  # losses by steps, about sixty rows


def fit(  # noqa: PLR0915  (one loop, meant to be read in one piece)
    task: Task[Any, N, B],
    folder: Path,
    *,
    resume: bool = False,
    time_limit: float | None = None,
    on_step: OnStep | None = None,
    on_check: OnCheck | None = None,
) -> Trained[N]:
    """Trains until all steps are done or the validation loss has stopped falling.

    Writes the state, ``history.jsonl`` and ``steps.jsonl`` into the folder, which from the first
    step on holds everything needed to resume. ``resume`` continues from there, or starts over if
    the run was killed before it wrote a state; raises DataError if the state is missing or damaged,
    or belongs to another recipe.

    If the schedule would take longer than ``time_limit`` seconds, steps are skipped so that its end
    is reached in time; such a run is not reproducible bit for bit. ``on_step`` is called after each
    step and must not change weights; ``on_check`` is called with the row of each validation, after
    the state is saved: what it raises ends the run.
    """
    schedule, device = task.schedule, task.device
    torch.manual_seed(task.recipe.seed)
    # Before the network, since it draws from torch's generator, and initial weights depend on that.
    held_out = task.held_out()
    network = device.placed(task.network())
    averaged = copy.deepcopy(network) if schedule.ema_decay else network
    modules: dict[str, nn.Module] = {"network": network}
    modules |= {"averaged": averaged} if schedule.ema_decay else {}
    optimizer = task.optimizer(network)
    progress = Progress(task.recipe.as_toml())
    if resume and any((folder / name).exists() for name in (STATE, HISTORY)):
        progress = load_state(folder, task.recipe, modules, optimizer)
        write_history(folder, progress.history, progress.steps)  # a kill may have prevented it
    else:
        save_state(folder, progress, modules, optimizer)

    run = _Run(schedule, progress, time_limit)
    with work_bar("{task.fields[state]}") as bar:
        bar_task = bar.add_task("training", total=schedule.steps, completed=run.step, state="")
        network.train()
        for batch in task.batches(run.step) if not run.over(task.patience) else ():
            if (seed := task.seed(run.step)) is not None:
                torch.manual_seed(seed)
            rate = schedule.learning_rate(run.place)
            set_learning_rate(optimizer, rate)
            losses = task.losses(network, to_device(batch, device))
            descend(network, optimizer, next(iter(losses.values())), schedule.clip)
            run.note(len(batch[0]), losses, rate)
            if schedule.ema_decay:
                update_ema(averaged, network, schedule.ema_decay, run.step - 1)
            if on_step:
                on_step(run.info(averaged))
            if run.step % 10 == 0:
                bar.update(bar_task, completed=run.step, state=_bar_text(task, run))
            if run.step % schedule.check_every and run.place < schedule.steps:
                continue

            with device.reduced():
                scores = task.score(averaged, (to_device(each, device) for each in held_out))
            network.train()
            run.check(scores)
            if task.patience is not None:
                run.keep_best(averaged)
            save_state(folder, progress, modules, optimizer)
            write_history(folder, progress.history, progress.steps)
            task.validated(averaged, folder)
            if on_check:
                on_check(progress.history[-1])
            if run.over(task.patience):
                break
            run.restart()

    kept_network = task.network()
    kept_network.load_state_dict(progress.best or averaged.state_dict())
    seconds = sum(row["seconds"] for row in progress.history)
    best = progress.best_epoch or len(progress.history)
    scores = {k: v for k, v in progress.history[best - 1].items() if k.startswith("val_")}
    return Trained(kept_network.eval(), progress.history, best, seconds, scores, progress.steps)


class _Run:
    """Progress of a run, and its measurements since the last validation."""

    def __init__(self, schedule: Schedule, progress: Progress, time_limit: float | None) -> None:
        self._schedule, self._progress, self._limit = schedule, progress, time_limit
        self.history = history = progress.history
        every = schedule.check_every
        self.step = int(history[-1].get("step", every * len(history))) if history else 0
        self._before = sum(row["seconds"] for row in history)
        self._begun = time.perf_counter()
        self._segment = max(1, schedule.steps // SEGMENTS)
        self.restart()
        # Position in the schedule: steps done, plus those skipped because of the time limit.
        self.place = self._place(self._before)

    def restart(self) -> None:
        """Resets the measurements."""
        self._start = time.perf_counter()
        self._counts: list[int] = []
        self._losses: list[Mapping[str, Tensor]] = []
        self._rates: list[float] = []

    def note(self, count: int, losses: Mapping[str, Tensor], rate: float) -> None:
        """Records a step on ``count`` samples."""
        self._counts.append(count)
        self.latest = {name: loss.detach() for name, loss in losses.items()}
        self._losses.append(self.latest)
        self._rates.append(rate)
        self.step += 1
        self.place = self._place(self._before + time.perf_counter() - self._begun)

    def info(self, network: nn.Module) -> StepInfo:
        """Returns the latest step for callbacks."""
        every = self._schedule.check_every
        return StepInfo(
            step=self.step,
            steps=self._schedule.steps,
            epoch=-(-self.step // every),
            epochs=-(-self._schedule.steps // every),
            losses=self.latest,
            learning_rate=self._rates[-1],
            images_per_second=self.speed,
            network=network,
            history=self.history,
        )

    @property
    def speed(self) -> float:
        """Samples per second since the last validation."""
        return sum(self._counts) / (time.perf_counter() - self._start)

    def check(self, scores: Row) -> None:
        """Adds a row to the history, and the rows by steps since the last one."""
        seconds = time.perf_counter() - self._start
        boundaries = range(self._segment, len(self._losses), self._segment)
        for first, last in zip((0, *boundaries), (*boundaries, len(self._losses)), strict=True):
            step = self.step - len(self._losses) + last
            means, rate = self._means(first, last), self._rates[last - 1]
            self._progress.steps.append({"step": step, **means, "learning_rate": rate})
        epoch = {"epoch": len(self.history) + 1} if self._schedule.epochs else {}
        speed = {"images_per_second": sum(self._counts) / seconds, "seconds": seconds}
        means = self._means(0, len(self._losses)) | scores | {"learning_rate": self._rates[-1]}
        self.history.append({**epoch, "step": self.step, **means, **speed})

    def keep_best(self, network: nn.Module) -> None:
        """Keeps the weights if their loss is the lowest; without validation, always."""
        progress, number = self._progress, len(self.history)
        loss = self.history[-1].get("val_loss", -number)
        if loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = loss, number
            progress.best = copy.deepcopy(network.state_dict())

    def over(self, patience: int | None) -> bool:
        """Returns whether no steps are left or patience is exhausted."""
        epochs_waited = len(self.history) - self._progress.best_epoch
        return self.place >= self._schedule.steps or bool(patience and epochs_waited >= patience)

    def _place(self, seconds: float) -> int:
        steps = self._schedule.steps
        due = int(steps * seconds / self._limit) if self._limit else 0
        return min(steps, max(self.step, due))

    def _means(self, first: int, last: int) -> Row:
        counts = torch.tensor(self._counts[first:last], dtype=torch.float32)
        columns = {name: [each[name] for each in self._losses[first:last]] for name in self.latest}
        return {
            name: float(torch.stack(column).float().cpu() @ counts / counts.sum())
            for name, column in columns.items()
        }


def to_device(batch: B, device: Device) -> B:
    """Returns the batch on the device, images channels last."""
    inputs, *targets = (part.to(device.name) for part in batch)
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return type(batch)(inputs, *targets)


def epoch_seed(seed: int, epoch: int) -> int:
    """Returns the seed of an epoch."""
    return (seed * 1_000_003 + epoch * 7_919 + 1) % 2**63


@torch.no_grad()
def update_ema(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Moves the average towards the network, faster in the first steps; copies its buffers."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for average, current in zip(averaged.parameters(), network.parameters(), strict=True):
        average.lerp_(current, weight)
    for average, current in zip(averaged.buffers(), network.buffers(), strict=True):
        average.copy_(current)


def descend(
    network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, clip: float = 0.0
) -> None:
    """Takes one optimiser step, with gradients clipped to the norm ``clip``; 0 does not clip."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip:
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()


def _bar_text(task: Task[Any, Any, Any], run: _Run) -> str:
    validated = f"  {task.state(run.history[-1])}" if run.history else ""
    loss = next(iter(run.latest.values())).item()
    return f"loss {loss:.4f}{validated}  {run.speed:,.0f} images/s"
