"""Data sets that are learned in a second, and recipes for them."""

from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
import torch
from PIL import ImageFont

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.glyph_sources import FontGlyphs
from digitlens.datasets.synthetic.pages import PageMaker
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.training import loop
from digitlens.training.recipe import DetectorRecipe, Recipe


def _drawn(count: int, seed: int) -> Split:
    """Returns noisy tiles of ten classes that differ in the position of a bar."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count).astype(np.uint8)
    tiles = rng.integers(0, 60, (count, 28, 28)).astype(np.uint8)
    for tile, label in zip(tiles, labels, strict=True):
        row, column = 2 + 5 * (int(label) % 5), 4 + 12 * (int(label) // 5)
        tile[row : row + 4, column : column + 9] = 220
    return Split(tiles, labels)


@pytest.fixture(scope="session")
def bars() -> Split:
    return _drawn(600, seed=1)


@pytest.fixture(scope="session")
def more_bars() -> Split:
    return _drawn(1000, seed=2)


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """A small recipe with dropout, augmentation and weight averaging."""
    return Recipe(
        architecture="fast",
        widths=(4, 8),
        kernels=(3,),
        batch_norm=True,
        dense=16,
        dropout=0.2,
        learning_rate=0.01,
        batch_size=64,
        epochs=4,
        patience=0,
        ema_decay=0.9,
        shift=1.0,
        rotate=5.0,
        elastic=0.2,
        thickness=0.3,
    )


@pytest.fixture(scope="session")
def tiny_pages() -> DetectorRecipe:
    """A digit detector with few channels and checkpoints between uses of the same pages."""
    return DetectorRecipe(
        widths=(4, 4, 8, 8, 8),
        blocks=(1, 0, 0, 0),
        paths=(4, 4, 8),
        side=64,
        batch_size=3,
        steps=7,
        warmup_steps=3,
        learning_rate=0.01,
        check_every=3,
        validation_pages=4,
    )


@pytest.fixture(scope="session")
def maker(small_split) -> Callable[[int], PageMaker]:
    """Returns a function from a seed to a page maker with Pillow's own font."""
    hand = FontGlyphs({"latin": ImageFont.load_default(96)})
    return lambda seed: PageMaker(small_split, Fonts((hand,), (hand,)), seed)


@pytest.fixture(scope="session")
def same() -> Callable[[torch.nn.Module, torch.nn.Module], bool]:
    """Returns a function that tests whether two networks have identical weights."""

    def compare(a: torch.nn.Module, b: torch.nn.Module) -> bool:
        pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
        return all(torch.equal(x, y) for x, y in pairs)

    return compare


@pytest.fixture(scope="session")
def without_times() -> Callable[[list[dict[str, float]]], list[dict[str, float]]]:
    """Returns a function that removes times from a history."""
    return lambda history: [
        {name: value for name, value in row.items() if "second" not in name} for row in history
    ]


@pytest.fixture
def stopped(monkeypatch) -> Callable[[int, Callable[[], object]], None]:
    """Returns a function that interrupts a training in a step (from 1), before averaging."""

    def stop(step: int, train: Callable[[], object]) -> None:
        steps, update = count(1), loop.update_ema

        def interrupted(*args: object) -> None:
            if next(steps) == step:
                raise KeyboardInterrupt
            update(*args)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "update_ema", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train()

    return stop
