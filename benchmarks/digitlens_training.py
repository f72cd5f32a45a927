"""Trains recipes of digitlens as ``digitlens train`` does, and says how long it took."""

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from digitlens.datasets.mnist import Split, load_mnist
from digitlens.training.device import choose_device
from digitlens.training.nets.tile_network import count_parameters, predict_logits
from digitlens.training.pipeline import page_makers
from digitlens.training.recipe import DetectorRecipe, Recipe
from digitlens.training.recipes import load_recipe
from digitlens.training.tasks.detector import detector_network, train_detector
from digitlens.training.tasks.tile import one_network, train_classifier
from flops import FLOPS_OF_TRAINING, multiply_adds, peak_flops
from memory import peak_memory

Row = dict[str, Any]
# Tiles of an epoch, of which there are two: the second is measured. Some seconds each.
TILES = {"fast": 54_000, "standard": 8_000, "best": 4_000}
PAGE_STEPS = 8


def train_seeds(
    name: str, changes: Sequence[str], seeds: Sequence[int], threads: int
) -> Iterator[Row]:
    """A row for each seed, and the memory after the first; then the versions and the device.

    ``seconds`` are those of the whole call with the data in memory: augmentation, steps,
    validation and what is saved; without what the recipe compiles, which is ``compile_seconds``.
    Neither import, loading, the split nor the test set is in them.
    """
    torch.set_num_threads(threads)
    mnist = load_mnist()
    device = choose_device()
    for seed in seeds:
        recipe = load_recipe(name, [*changes, f"seed={seed}"])
        assert isinstance(recipe, Recipe)
        yield {"seed": seed, **_one(recipe, *recipe.split(mnist.train), mnist.test)}
        if seed == seeds[0]:
            yield {"memory_mb": peak_memory()}
    yield {"versions": f"torch {torch.__version__}", "device": device.reason}


def _one(recipe: Recipe, training: Split, validation: Split, test: Split) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = train_classifier(recipe, training, validation, Path(folder))
        seconds = time.perf_counter() - start
    compiling = float(getattr(done, "compile_seconds", 0.0))
    answers = predict_logits(done.network, torch.from_numpy(test.tiles)).argmax(1).numpy()
    return {
        "seconds": seconds - compiling,
        "compile_seconds": compiling,
        "loop_seconds": done.seconds,
        "epochs": len(done.history),
        "parameters": count_parameters(done.network),
        "validation_accuracy": done.scores.get("val_accuracy"),
        "test_accuracy": float((answers == test.labels).mean()),
    }


def throughput(name: str, threads: int) -> Iterator[Row]:
    """Images a second of a recipe, and which share of the machine's peak their arithmetic is."""
    torch.set_num_threads(threads)
    recipe = load_recipe(name)
    device = choose_device(recipe.precision)
    if isinstance(recipe, DetectorRecipe):
        each = multiply_adds(detector_network(recipe), torch.zeros(1, 3, recipe.side, recipe.side))
        images, seconds = _pages(recipe)
    else:
        each = multiply_adds(one_network(recipe), torch.zeros(1, 28, 28, dtype=torch.uint8))
        images, seconds = _tiles(recipe, TILES[name])
    peak = peak_flops(device.dtype, threads, device.name)
    flops = FLOPS_OF_TRAINING * each * images / seconds
    yield {
        "recipe": name,
        "images": images,
        "seconds": seconds,
        "images_per_second": images / seconds,
        "multiply_adds": each,
        "flops": flops,
        "peak_flops": peak,
        "dtype": str(device.dtype).removeprefix("torch."),
        "share_of_peak": flops / peak,
    }


def _tiles(recipe: Recipe, count: int) -> tuple[int, float]:
    """Tiles and seconds of an epoch in the middle of a training: drawn, augmented, learned."""
    short = dataclasses.replace(recipe, epochs=2, patience=0, members=1)
    train = load_mnist().train
    some = Split(train.tiles[:count], train.labels[:count])
    nothing = Split(train.tiles[:0], train.labels[:0])
    with tempfile.TemporaryDirectory() as folder:
        last = train_classifier(short, some, nothing, Path(folder)).history[-1]
    return round(last["images_per_second"] * last["seconds"]), last["seconds"]


def _pages(recipe: DetectorRecipe) -> tuple[int, float]:
    """Pages and seconds of some steps, which are drawn by processes on the same cores."""
    short = dataclasses.replace(
        recipe, steps=2 * PAGE_STEPS, check_every=PAGE_STEPS, validation_pages=1
    )
    makers = page_makers(short, *short.split(load_mnist().train))
    with tempfile.TemporaryDirectory() as folder:
        last = train_detector(short, *makers, Path(folder)).history[-1]
    return PAGE_STEPS * recipe.batch_size, last["seconds"]
