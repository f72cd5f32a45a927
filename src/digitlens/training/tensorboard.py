"""Writes what happens in a training for TensorBoard to show: numbers, pictures, weights, graph.

Pictures are drawn by functions that are given: drawing has its home elsewhere.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from digitlens.datasets.mnist import Split, Tiles
from digitlens.training.loop import Row, StepInfo
from digitlens.training.monitor import Pace, Snapshot, points_of

MISTAKES = 25  # on a picture, the most confident ones
_FETCH_EVERY = 1.0  # seconds between two looks at losses

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Drawers:
    """What draws; each gives uint8[H, W, 3]."""

    confusion: Callable[[npt.NDArray[np.int64]], Picture]  # from counts int64[10, 10]
    # From tiles uint8[N, 28, 28], probabilities float32[N, 10], and N titles.
    mistakes: Callable[[Tiles, npt.NDArray[np.float32], Sequence[str]], Picture]
    filters: Callable[[npt.NDArray[np.float32]], Picture]  # from kernels float32[C, k, k]


class TensorBoard:
    """Follows one training: its methods are the hooks of ``train``.

    Tags: ``step/…`` by steps; ``epoch/…`` by epochs, named and valued as in ``history.jsonl``;
    ``sample/…`` and ``weights/…`` by epochs. Models of an ensemble are runs of their own.
    """

    def __init__(
        self, folder: Path, recipe: str, sample: Split, drawers: Drawers, *, smoothing: float = 0.0
    ) -> None:
        """Begins to follow; the folder is made with the first step.

        A folder that has event files, of a run that was stopped, gets more, and what the run did
        after its last checkpoint is taken back. The recipe is TOML, shown as text; the network is
        scored on the sample after each epoch, see ``sample_of``.
        """
        self._folder, self._recipe, self._sample = folder, recipe, sample
        self._drawers, self._smoothing = drawers, smoothing
        self._fetch = Pace(_FETCH_EVERY, time.perf_counter)
        self._writer: SummaryWriter | None = None
        self._network: nn.Module = nn.Identity()
        self._model = 0
        self._steps: list[StepInfo] = []

    def on_step(self, info: StepInfo) -> None:
        """Notes a step; writes what has come together when it is time."""
        if info.model != self._model:
            self._begin(info)
        self._steps.append(info)
        if self._fetch.due():
            self._write_steps()

    def on_epoch(self, row: Row) -> None:
        """Writes an epoch's row, and how the network does and looks after it."""
        self._write_steps()
        writer, network, epoch = self._open_writer, self._network, int(row["epoch"])
        _write_row(writer, row)
        self._write_pictures(writer, Snapshot(network), epoch)
        _write_weights(writer, network, epoch, self._drawers.filters)
        writer.flush()

    def close(self) -> None:
        """Writes what is left."""
        if self._writer:
            self._write_steps()
            self._writer.close()
            self._writer = None

    @property
    def _open_writer(self) -> SummaryWriter:
        if self._writer is None:
            raise RuntimeError("an epoch cannot be over before its first step")
        return self._writer

    def _begin(self, info: StepInfo) -> None:
        """Opens the files of a model; a run that goes on forgets steps that are taken again."""
        self.close()
        folder = self._folder
        if info.models > 1:
            folder /= f"member-{info.model}"
        known = any(folder.glob("events.*"))
        self._model, self._network = info.model, info.network
        self._writer = SummaryWriter(str(folder), purge_step=info.step if known else None)
        if not known:
            for row in info.history:  # a run that was begun without
                _write_row(self._writer, row)
            self._writer.add_text("recipe", f"```toml\n{self._recipe}\n```")
            _write_graph(self._writer, info.network, self._sample.tiles[:1])

    def _write_steps(self) -> None:
        since = time.perf_counter()
        for point, info in zip(points_of(self._steps), self._steps, strict=True):
            values = {
                "loss": point.loss,
                "accuracy": point.accuracy,
                "learning_rate": point.learning_rate,
                "images_per_second": info.images_per_second,
            }
            for name, value in values.items():
                self._open_writer.add_scalar(f"step/{name}", value, point.step)
        self._steps = []
        self._fetch.done(since)

    def _write_pictures(self, writer: SummaryWriter, snapshot: Snapshot, epoch: int) -> None:
        score = snapshot.score(self._sample, self._smoothing)
        confusion = self._drawers.confusion(score.confusion)
        writer.add_image("sample/confusion", confusion, epoch, dataformats="HWC")
        if shown := score.mistakes[:MISTAKES]:
            tiles = self._sample.tiles[[mistake.index for mistake in shown]]
            probabilities = snapshot.answers(tiles).probabilities.astype(np.float32)
            titles = [f"{m.truth} taken for {m.answer}, {m.confidence:.0%}" for m in shown]
            picture = self._drawers.mistakes(tiles, probabilities, titles)
            writer.add_image("sample/mistakes", picture, epoch, dataformats="HWC")


def _write_row(writer: SummaryWriter, row: Row) -> None:
    for name, value in row.items():
        if name not in {"epoch", "step"}:
            writer.add_scalar(f"epoch/{name}", value, int(row["epoch"]))


def _write_weights(
    writer: SummaryWriter,
    network: nn.Module,
    epoch: int,
    draw: Callable[[npt.NDArray[np.float32]], Picture],
) -> None:
    for name, weight in network.named_parameters():
        writer.add_histogram(f"weights/{name}", weight.detach().float().cpu(), epoch)
    first = next((part for part in network.modules() if isinstance(part, nn.Conv2d)), None)
    if first is not None:
        kernels = first.weight.detach().float().cpu().numpy()[:, 0]
        writer.add_image("weights/filters", draw(kernels), epoch, dataformats="HWC")


def _write_graph(writer: SummaryWriter, network: nn.Module, tiles: Tiles) -> None:
    """The graph as it answers: in training mode tracing would draw random numbers."""
    answering = Snapshot(network).network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of itself: it is what TensorBoard asks for
        writer.add_graph(answering, torch.from_numpy(tiles))
