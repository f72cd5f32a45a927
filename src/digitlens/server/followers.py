"""Optional followers of a training: a live page in the browser, and files for TensorBoard."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitlens.errors import needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.server.training_page import LiveHistory
    from digitlens.training.loop import OnCheck, OnStep, Trained
    from digitlens.training.monitor import TensorBoard, Watcher
    from digitlens.training.recipe import Recipe

_RELOAD_SECONDS = 3.0  # seconds to wait for a closed page to be reloaded


class Followers:
    """Live page and TensorBoard files of one training, open for the duration of a block.

    Attributes:
        wanted: Whether a page or files were requested.
        address: Address of the page; empty before it is served.
    """

    def __init__(
        self,
        *,
        watch: bool = False,
        port: int = 0,
        open_page: bool = True,
        tensorboard: bool = False,
        events: Path | None = None,
    ) -> None:
        """Arguments are named like the options of ``digitlens train``.

        ``events`` is the folder for TensorBoard files; default ``tensorboard`` in the run folder.
        """
        self._watch, self._port, self._open_page, self._events = watch, port, open_page, events
        self._wants_board = tensorboard or events is not None
        self.wanted = watch or self._wants_board
        self.address = ""
        self._stack = ExitStack()
        self._watcher: Watcher | None = None
        self._history: LiveHistory | None = None
        self._board: TensorBoard | None = None

    def __enter__(self) -> Followers:
        """Checks for missing packages and a taken port before the training starts."""
        if self.wanted:
            with needs_extra("train"):
                import_module("digitlens.training.monitor")
        if self._wants_board:
            with needs_extra("tensorboard"):
                import_module("torch.utils.tensorboard")
        if self._watch:
            with needs_extra("serve"):
                from digitlens.server.training_page import listen  # noqa: PLC0415
            self._listener = self._stack.enter_context(listen(self._port))
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the server and closes the files."""
        self._stack.close()

    def begin(self, recipe: Recipe, folder: Path, splits: tuple[Split, Split]) -> None:
        """Opens the TensorBoard files, serves the page and opens it in the browser."""
        if not self.wanted:
            return
        from digitlens.training.monitor import SAMPLE, TensorBoard  # noqa: PLC0415

        if self._wants_board:
            events = self._events or folder / "tensorboard"
            self._board = TensorBoard(events, recipe.as_toml())
            self._stack.callback(self._board.close)
            note(f"to view it:  tensorboard --logdir {events}")
        if self._watch:
            held_out = len(splits[1]) > 0
            sample = splits[int(held_out)].evenly(SAMPLE)
            kind = "held-out digits" if held_out else "training digits, since none are held out"
            self._begin_page(recipe, folder.name, sample, f"{len(sample):,} {kind}")

    @property
    def on_step(self) -> OnStep | None:
        """The hook that ``train`` calls after steps; None without followers."""
        return self._hook("on_step")

    @property
    def on_epoch(self) -> OnCheck | None:
        """The hook that ``train`` calls after epochs; None without followers."""
        return self._hook("on_epoch")

    def _hook(self, name: str) -> Callable[[Any], None] | None:
        hooks = [getattr(follower, name) for follower in (self._watcher, self._board) if follower]

        def call_hooks(update: Any) -> None:
            for hook in hooks:
                hook(update)

        return call_hooks if hooks else None

    def end(self, trained: Trained[Any]) -> None:
        """Reports to the page that training is over; it then answers with the kept network."""
        if self._watcher and self._history:
            self._watcher.keep(trained.network)
            self._history.end(_ending_text(trained))

    def linger(self) -> None:
        """Keeps serving the page while a browser has it open; on a terminal only."""
        if not (self._history and self._history.readers and sys.stderr.isatty()):
            return
        note("the page is served until it is closed (stop with Ctrl-C)")
        last_seen = time.monotonic()
        with suppress(KeyboardInterrupt):
            while time.monotonic() - last_seen < _RELOAD_SECONDS:
                last_seen = time.monotonic() if self._history.readers else last_seen
                time.sleep(0.2)

    def _begin_page(self, recipe: Recipe, name: str, sample: Split, sample_text: str) -> None:
        from digitlens.server.training_page import LiveHistory, PageData, TrainingInfo, serving  # noqa: PLC0415
        from digitlens.training.monitor import Watcher  # noqa: PLC0415

        self._history = LiveHistory(TrainingInfo(name, recipe.as_dict(), sample_text, len(sample)))
        self._watcher = Watcher(sample, self._history.record, smoothing=recipe.label_smoothing)
        data = PageData(self._history, sample.tiles, self._watcher.answers)
        self.address = self._stack.enter_context(serving(data, self._listener))
        note(f"watch it at {self.address}")
        if self._open_page and sys.stderr.isatty() and _has_display():
            import webbrowser  # noqa: PLC0415

            webbrowser.open(self.address)


def _has_display() -> bool:
    """Whether there is a display; a text browser would take over the terminal."""
    has_screen = sys.platform in ("darwin", "win32")
    return has_screen or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _ending_text(trained: Trained[Any]) -> str:
    epochs = len(trained.history)
    if "val_accuracy" not in trained.scores:
        return f"Trained for {epochs} epochs in {trained.seconds:.0f} s."
    return (
        f"Validation accuracy {trained.scores['val_accuracy']:.2%}: epoch {trained.best_epoch} of "
        f"{epochs} is kept, after {trained.seconds:.0f} s of training."
    )
