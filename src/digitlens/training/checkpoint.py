"""The state of a training run in one file, written atomically at each validation; no pickle.

Everything random follows from the recipe's seed and the number of the epoch or page, so the tensors
here and the history are all that a resumed run needs to end with the same weights, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from digitlens.errors import DataError
from digitlens.files import atomic_path, write_bytes
from digitlens.training.settings import Settings, same_recipe

STATE = "state.safetensors"
HISTORY, STEPS = "history.jsonl", "steps.jsonl"

Row = dict[str, float]


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        history: One row for each finished epoch, or each validation between steps.
        best: Weights of the epoch with the lowest validation loss; empty where the last are kept.
        best_epoch: Its number, from 1; 0 before the first, and where the last weights are kept.
        best_loss: Its validation loss.
        recipe: The recipe as TOML; a resumed run must have the same.
        steps: Mean losses over stretches of steps, more rows than the history has.
    """

    recipe: str
    history: list[Row] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_loss: float = float("inf")
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
    facts = {
        "recipe": progress.recipe,
        "history": progress.history,
        "best_epoch": progress.best_epoch,
        "best_loss": progress.best_loss,
        "steps": progress.steps,
    }
    # safetensors refuses tensors that share memory or are not laid out row by row.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    with atomic_path(folder / STATE) as temporary:
        save_file(tensors, temporary, {"progress": json.dumps(facts)})


def load_state(
    folder: Path, recipe: Settings, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> Progress:
    """Puts modules and optimiser back where ``save_state`` found them.

    Raises DataError where the file is missing or damaged, or belongs to another recipe.
    """
    path = folder / STATE
    try:
        with safe_open(path, "pt") as stored:
            facts: dict[str, Any] = json.loads(stored.metadata()["progress"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): start the run anew") from error
    if not same_recipe(facts["recipe"], recipe):
        raise DataError(f"{path} belongs to another recipe: resume without changing the recipe")
    for prefix, module in modules.items():
        module.load_state_dict(_under(tensors, prefix))
    _load_optimizer(optimizer, _under(tensors, "optimizer"))
    return Progress(**facts, best=_under(tensors, "best"))


def write_history(folder: Path, history: Sequence[Row], steps: Sequence[Row] = ()) -> None:
    """Writes the history as JSON lines, one for each row, and what is known by steps."""
    for name, rows in ((HISTORY, history), (STEPS, steps)):
        if rows:
            write_bytes(folder / name, "".join(json.dumps(row) + "\n" for row in rows).encode())


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = prefix + "/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, slot = name.split("/")
        state.setdefault(int(index), {})[slot] = _laid_out_like(tensor, parameters[int(index)])
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _laid_out_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Moments must lie in memory as their parameter does, channels last: fused steps rely on it."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
