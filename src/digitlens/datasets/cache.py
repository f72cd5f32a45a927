"""The cache folder: where verified files of MNIST are kept for the next time."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from digitlens import files
from digitlens.datasets.manifest import MnistFile

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """The folder for MNIST: in ``DIGITLENS_CACHE`` if set, else in the user's cache folder."""
    from platformdirs import user_cache_dir  # noqa: PLC0415  (most commands never need it)

    chosen = os.environ.get("DIGITLENS_CACHE")
    return Path(chosen or user_cache_dir("digitlens", appauthor=False)).expanduser() / "mnist"


def store(file: MnistFile, content: bytes) -> None:
    """Writes a verified file atomically, uncompressed, because that loads five times faster.

    A cache that cannot be written costs time on the next run, nothing now, so it is only noted.
    """
    try:
        files.write_bytes(cache_folder() / file.name, content)
    except OSError as error:
        log.warning("%s cannot be kept for the next time: %s", file.name, error)
