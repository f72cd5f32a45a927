"""How well a digit detector does on generated pages, cell by cell; knows nothing of reading."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from digitlens.training.nets.detector_network import Cells, DetectorNetwork
from digitlens.training.page_loss import page_loss
from digitlens.training.page_stream import Batch
from digitlens.training.page_targets import NOTHING


def score(network: DetectorNetwork, pages: Iterable[Batch]) -> dict[str, float]:
    """Scores of a network, which is left in evaluation mode.

    Args:
        network: Runs where the pages are.
        pages: At least one batch.

    Returns:
        ``val_loss``, the mean loss of the batches; ``found``, the share of digits whose cell has a
        score above 0.5; ``right``, the share of these whose value is right; ``false_finds``, peaks
        above 0.5 on a page that are no digit.
    """
    network.eval()
    losses: list[Tensor] = []
    counts: list[Tensor] = []
    seen = 0
    with torch.no_grad():
        for batch in pages:
            cells = network(batch.pages)
            losses.append(page_loss(cells, *batch[1:]))
            counts.append(_counts(cells, batch))
            seen += len(batch.pages)
    digits, found, right, false = torch.stack(counts).sum(dim=0).tolist()
    return {
        "val_loss": torch.stack(losses).mean().item(),
        "found": found / max(1, digits),
        "right": right / max(1, found),
        "false_finds": false / seen,
    }


def _counts(cells: Cells, batch: Batch) -> Tensor:
    """int64[4]: digits, those found, those of them named right, and finds that are no digit."""
    asked = batch.weight > 0
    digits = (batch.centre > 0.999) & asked
    found = digits & (cells.centre > 0)
    right = found & (cells.values.argmax(dim=1) == batch.value.long())
    # A find beside the middle of a digit is that digit: a small one has a middle of one cell.
    near = _highest_around((batch.value != NOTHING).float()) > 0
    peaks = (cells.centre == _highest_around(cells.centre)) & (cells.centre > 0)
    false = peaks & asked & ~near
    return torch.stack([cell.sum() for cell in (digits, found, right, false)])


def _highest_around(cells: Tensor) -> Tensor:
    """The highest of each cell and its eight neighbours, float32[B, h, w]."""
    return functional.max_pool2d(cells[:, None], 3, stride=1, padding=1)[:, 0]
