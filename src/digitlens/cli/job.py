"""A training as it is about to begin: what every kind of recipe is trained from, and where to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.models.bundle import Card
    from digitlens.training.device import Device
    from digitlens.training.recipes import AnyRecipe

Result = tuple[dict[str, Any], str]  # JSON-ready, and the line that tells it


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        folder: The run folder.
        name: What its model will be called.
        splits: Tiles to train and to validate with.
        data: SHA-256 of what it learns from, by name.
        device: Where to train.
        resume: Go on from the state in the folder.
    """

    folder: Path
    name: str
    splits: tuple[Split, Split]
    data: dict[str, str]
    device: Device
    resume: bool

    def begun(self, recipe: AnyRecipe, also: dict[str, str] | None = None) -> Job:
        """The job with its run folder made, unless it is resumed.

        Args:
            recipe: What is trained.
            also: SHA-256 of what it learns from beside the tiles.

        Raises:
            DataError: The folder holds something already, or cannot be written.
        """
        from digitlens.training.run import start_run

        job = replace(self, data=self.data | (also or {}))
        if not job.resume:
            start_run(job.folder, job.name, recipe, job.data, job.device.reason)
        return job

    def card(self, recipe: AnyRecipe, results: dict[str, Any]) -> Card:
        """The card of the model that came out, for an export to fill in its hashes."""
        from digitlens import __version__
        from digitlens.models.bundle import Card
        from digitlens.training.run import run_name

        return Card(
            name=run_name(self.folder),  # of a resumed run, the one it began with
            version=__version__,
            sha256="",
            recipe=recipe.as_dict(),
            data=self.data,
            results=results,
        )

    @property
    def model(self) -> Path:
        """Where the model goes."""
        from digitlens.training.run import MODEL

        return self.folder / MODEL
