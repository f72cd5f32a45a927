"""Files written whole or not at all, their hashes and names, and the cache of what was fetched."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".hif", ".avif", ".pdf"),
)


@contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """Gives a temporary path next to ``path`` that takes its place when the block succeeds.

    A crash, an error or a second process at the same time leaves either the old file or a whole
    new one, never a half. The temporary name keeps the suffix, which libraries look at.

    Args:
        path: The file to write; missing parent folders are made.
    """
    import tempfile  # noqa: PLC0415  (slow to load)

    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        begin = f".{path.stem}-"
        handle, name = tempfile.mkstemp(prefix=begin, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with _naming(path):
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Makes errors name a file, not the temporary one that nobody asked for."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically; it is on the disk then, and so is its name."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if os.name == "posix":  # elsewhere folders cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as indented JSON, atomically; a list of nothing but numbers is one line."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    text = re.sub(r"\[\n[\s\d.,e+-]+\]", lambda one: f"[{' '.join(one[0][1:-1].split())}]", text)
    write_bytes(path, (text + "\n").encode())


def cache_folder(name: str) -> Path:
    """A folder by name in ``DIGITLENS_CACHE`` if set, else in the user's cache; not made yet."""
    from platformdirs import user_cache_dir  # noqa: PLC0415  (most commands never need it)

    chosen = os.environ.get("DIGITLENS_CACHE")
    return Path(chosen or user_cache_dir("digitlens", appauthor=False)).expanduser() / name


def is_file(path: Path) -> bool:
    """Whether there is a file; no also where we may not look, or where no name can be so long."""
    try:
        return path.is_file()
    except OSError:
        return False


def names_picture(name: str) -> bool:
    """Whether a file of that name is a picture that folders mean: by its suffix, and not hidden."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def sha256(content: bytes | memoryview) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _umask() -> int:
    # Only way to ask; restored at once. mkstemp makes files private, which a report should not be.
    mask = os.umask(0)
    os.umask(mask)
    return mask
