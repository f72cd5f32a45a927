"""Counts the multiply-adds of a network, and measures what the machine could do at most.

The limits are those of the roofline model (S. Williams et al., "Roofline: an insightful visual
performance model for multicore architectures", 2009): arithmetic, as a large matrix product, and
memory, as the copy of STREAM (J. McCalpin, "Memory bandwidth and machine balance", 1995).
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from math import prod

import torch
from torch import Tensor, nn

SECONDS = 1.0  # of each measurement
SIDE = 2048  # of the matrices: 16 MB each in float32, hundreds of multiply-adds for each byte
COPIED = 256 * 2**20  # bytes; many times the caches
FLOPS_OF_TRAINING = 2 * 3  # for each multiply-add: two, forward and for both gradients


def multiply_adds(module: nn.Module, example_input: Tensor) -> int:
    """Multiply-adds of convolutions and dense layers in one forward pass of the whole input.

    What else a network does (activations, pooling, normalisation) is not arithmetic that counts;
    it is limited by memory.
    """
    total = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += output.numel() * _each(layer)

    counted = [layer for layer in module.modules() if isinstance(layer, _LAYERS)]
    hooks = [layer.register_forward_hook(count) for layer in counted]
    was_training = module.training
    try:
        with torch.inference_mode():
            module.eval()(example_input)
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    return total


_LAYERS = (nn.Conv2d, nn.Linear)


def _each(layer: nn.Module) -> int:
    """Multiply-adds for each number that comes out."""
    if isinstance(layer, nn.Conv2d):
        return layer.in_channels // layer.groups * prod(layer.kernel_size)
    assert isinstance(layer, nn.Linear)
    return layer.in_features


def peak_flops(dtype: torch.dtype, threads: int, device: str = "cpu") -> float:
    """FLOP/s of a large matrix product in a format, the fastest of those of a second."""
    one, two = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(one)
    with _threads(threads):
        return 2 * SIDE**3 / _fastest(lambda: torch.mm(one, two, out=out), device)


def bandwidth(threads: int, device: str = "cpu", copied: int = COPIED) -> float:
    """Bytes/s of a copy between arrays, read and written both counted.

    Args:
        threads: That copy.
        device: Where the arrays lie.
        copied: Bytes of each array; as they are, larger than any cache.
    """
    source = torch.ones(copied // 4, device=device)
    target = torch.zeros_like(source)
    with _threads(threads):
        return 2 * copied / _fastest(lambda: target.copy_(source), device)


def _fastest(work: Callable[[], object], device: str) -> float:
    """Seconds of the fastest of some calls: what slows down the others is not the machine's limit.

    The first is left out, which allocates and starts threads.
    """
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    work()
    wait()
    found: list[float] = []
    while len(found) < 3 or sum(found) < SECONDS:
        start = time.perf_counter()
        work()
        wait()
        found.append(time.perf_counter() - start)
    return min(found)


@contextmanager
def _threads(count: int) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
