"""Counts and times the operators of a training, part by part, while it runs."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.nn import functional
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from digitlens.datasets.mnist import Split, load_mnist
from digitlens.training.recipe import Recipe, load_recipe
from digitlens.training.tasks import tile
from digitlens.training.tile_networks import DigitNetwork
from roofline import Stage, Work

TILES = {"fast": 7_680, "standard": 1_024}  # to train with; of those for validation as many less
ROUNDS = 3
PARTS = {
    "first_convolution": "first convolution",
    "convolutions": "other convolutions, forward",
    "convolutions_backward": "convolutions, backward",
    "normalisation": "batch normalisation and ReLU, both ways",
    "dense": "dense layer and all else in the network",
    "loss": "loss",
    "optimiser": "optimiser",
    "augmentation": "augmentation",
    "validation": "validation",
    "rest": "choosing tiles, averages and sums",
}

_PART_OF = {
    "batch_norm": "normalisation",
    "relu": "normalisation",
    "threshold": "normalisation",  # the gradient of ReLU
    "softmax": "loss",
    "convolution": "convolutions_backward",
}
_GATHERS = ("index", "index_select", "gather")


class Tally(TorchDispatchMode):
    """While it is entered, every operator is counted and timed for the part it belongs to.

    Attributes:
        phase: What the training does just now.
        work: By part.
        seconds: By part; of the operators alone, without what lies between them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.phase = "before"  # the first epoch; no part of a step
        self.convolutions = 0  # in this pass through the network
        self.work: dict[str, Work] = defaultdict(Work)
        self.seconds: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs an operator; one that is made of others counts as those."""
        del types
        named = dict(kwargs or {})
        with self:
            made = func.decompose(*args, **named)
        if made is not NotImplemented:
            return made
        start = time.perf_counter()
        out = func(*args, **named)
        seconds = time.perf_counter() - start
        part = self._part(func.overloadpacket.__name__)
        self.seconds[part] += seconds
        self.work[part] += operator_work(func, args, named, out)
        return out

    def _part(self, name: str) -> str:
        if torch.is_inference_mode_enabled():
            return "validation"
        if self.phase not in ("forward", "backward"):
            return self.phase
        if "convolution" in name and self.phase == "forward":
            self.convolutions += 1
            return "first_convolution" if self.convolutions == 1 else "convolutions"
        return next((part for kind, part in _PART_OF.items() if kind in name), "dense")

    @contextmanager
    def during(self, phase: str) -> Generator[None]:
        """What happens meanwhile belongs to a phase."""
        before, self.phase, self.convolutions = self.phase, phase, 0
        try:
            yield
        finally:
            self.phase = before

    def marking(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose operators belong to a phase."""

        def marked(*args: Any, **kwargs: Any) -> Any:
            with self.during(phase):
                return function(*args, **kwargs)

        return marked


def operator_work(func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> Work:
    """What one call of an operator of PyTorch does.

    Views move nothing; what is changed in its place is read and written.
    """
    count = flop_registry.get(func.overloadpacket)
    flops = count(*args, **kwargs, out_val=out) if count else 0
    name = func.overloadpacket.__name__
    if func.is_view or name.startswith(("empty", "new_empty")):
        return Work(flops, 0, 1)
    if name in _GATHERS:  # reads no more of the first than it writes
        return Work(flops, 2 * _bytes(out) + sum(map(_bytes, tree_leaves(args[1:]))), 1)
    changed = [
        kwargs[argument.name] if argument.name in kwargs else args[place]
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info and argument.alias_info.is_write
        if argument.name in kwargs or place < len(args)
    ]
    fresh = [] if changed else out
    moved = sum(map(_bytes, tree_leaves([list(args), dict(kwargs), changed, fresh])))
    return Work(flops, moved, 1)


def _bytes(leaf: Any) -> int:
    """Of a tensor, one that is expanded only as many as there are."""
    if not isinstance(leaf, torch.Tensor):
        return 0
    return min(leaf.numel() * leaf.element_size(), leaf.untyped_storage().nbytes())


@contextmanager
def tallied() -> Generator[Tally]:
    """Tallies what is trained meanwhile, and tells the parts of ``train`` apart."""
    tally = Tally()
    inside = ExitStack()
    before = lambda *_: inside.enter_context(tally.during("optimiser"))  # noqa: E731
    hooks = (
        register_optimizer_step_pre_hook(before),
        register_optimizer_step_post_hook(lambda *_: inside.close()),
    )

    def first(function: Callable[..., Any]) -> Callable[..., Any]:
        def begun(*args: Any, **kwargs: Any) -> Any:
            tally.phase = "rest"
            return function(*args, **kwargs)

        return begun

    places = (
        (DigitNetwork, "forward", "forward"),
        (torch.Tensor, "backward", "backward"),
        (functional, "cross_entropy", "loss"),
        (tile, "augment", "augmentation"),
    )
    with ExitStack() as stack:
        for hook in hooks:
            stack.callback(hook.remove)
        for owner, name, phase in places:
            marked = tally.marking(phase, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, marked))
        begun = first(tile.EpochData.epoch)
        stack.enter_context(mock.patch.object(tile.EpochData, "epoch", begun))
        yield stack.enter_context(tally)


def training_stages(name: str, threads: int, tiles: int | None = None) -> list[Stage]:
    """The parts of a mean step of a recipe, the time between the operators, and the whole."""
    torch.set_num_threads(threads)
    recipe = load_recipe(name, ["epochs=1", "patience=0"])
    assert isinstance(recipe, Recipe)
    training, validation = _tiles(recipe, TILES[name] if tiles is None else tiles)
    steps = -(-len(training) // recipe.batch_size)
    wholes: list[float] = []
    tallies: list[Tally] = []
    for _ in range(ROUNDS):
        wholes.append(_train(recipe, training, validation))
        with tallied() as tally:
            _train(recipe, training, validation)
        tallies.append(tally)
    parts = [
        Stage(
            f"{name}.{part}",
            words,
            tallies[0].work[part] * (1 / steps),
            [tally.seconds[part] / steps for tally in tallies],
            threads,
            "torch",
        )
        for part, words in PARTS.items()
        if part in tallies[0].work
    ]
    return [*parts, *_wholes(name, parts, [whole / steps for whole in wholes], threads)]


def _tiles(recipe: Recipe, most: int) -> tuple[Split, Split]:
    training, validation = recipe.split(load_mnist().train)
    checked = len(validation) * most // len(training)
    return (
        Split(training.tiles[:most], training.labels[:most]),
        Split(validation.tiles[:checked], validation.labels[:checked]),
    )


def _train(recipe: Recipe, training: Split, validation: Split) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return tile.train_classifier(recipe, training, validation, Path(folder)).seconds


def _wholes(name: str, parts: list[Stage], wholes: list[float], threads: int) -> list[Stage]:
    within = sum(part.median for part in parts)
    work = sum((part.work for part in parts), Work())
    whole = Stage(f"{name}.step", "a step, all of it", work, wholes, threads, "torch", parts)
    between = [seconds - within for seconds in wholes]
    if min(between) <= 0:  # less than timing the operators costs
        return [whole]
    key, words = f"{name}.between", "between the operators"
    return [Stage(key, words, Work(), between, threads, "torch"), whole]
