"""Files written whole or not at all, their hashes and names, and the cache of what was fetched."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".hif", ".avif", ".pdf"),
)
_TEMPORARY = re.compile(r"\..+-\d+(\.\w+)?")  # names of ``atomic_path``


@contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """Gives a temporary path next to ``path`` that takes its place when the block succeeds.

    A crash, an error or a second process at the same time leaves either the old file or a whole
    new one, never a half. The temporary name keeps the suffix, which libraries look at.

    Args:
        path: The file to write; missing parent folders are made.
    """
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _temporary(path)
    try:
        yield temporary
        with _naming(path):
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # the disk became read-only, say: the next one takes it over
            temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _temporary(path: Path) -> tuple[int, Path]:
    """Makes an empty file next to another one that no other process writes.

    What a killed process left is taken over, so that it does not pile up: names are numbers, and a
    lock, which ends with its process, tells whether somebody still writes.
    """
    new, old = os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    for number in count():
        name = path.with_name(f".{path.stem}-{number}{path.suffix}")
        try:
            handle, is_new = os.open(name, new, 0o666), True
        except FileExistsError:
            try:
                handle, is_new = os.open(name, old), False
            except OSError:  # gone meanwhile, somebody else's, or a link
                continue
        if sys.platform == "win32":  # a file that is open cannot be replaced there
            os.close(handle)
            if is_new:
                return os.open(os.devnull, os.O_RDONLY), name
        elif _is_ours(handle) and _is_free(handle, name, is_new=is_new):
            os.truncate(handle, 0)
            return handle, name
        else:
            os.close(handle)
    raise AssertionError


def _is_ours(handle: int) -> bool:
    return os.name != "posix" or os.fstat(handle).st_uid == os.geteuid()


def _is_free(handle: int, name: Path, *, is_new: bool) -> bool:
    """Whether nobody else writes an open file, which is still there, and locks it."""
    try:
        if not lock(handle):
            return False
    except OSError:  # a file system without locks
        return is_new
    opened = os.fstat(handle)
    try:
        there = name.stat()
    except OSError:  # it took its place meanwhile
        return False
    return (opened.st_dev, opened.st_ino) == (there.st_dev, there.st_ino)


@contextmanager
def temporary_folder(path: Path) -> Generator[Path]:
    """Gives an empty folder next to ``path``, which is gone when the block ends.

    As with ``atomic_path``, what a killed process left is taken over.
    """
    import shutil  # noqa: PLC0415  (slow to load)

    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count():
        name = path.with_name(f".{path.name}-{number}")
        try:
            name.mkdir()
        except FileExistsError:
            if sys.platform == "win32":  # folders cannot be locked there
                continue
        with locked(name, own=True) as is_free:
            if not is_free:
                continue
            try:
                for left in name.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                yield name
            finally:
                shutil.rmtree(name, ignore_errors=True)
            return


@contextmanager
def locked(folder: Path, *, own: bool = False) -> Generator[bool]:
    """Keeps a folder for this process while the block lasts, by a lock that leaves no file.

    Gives False if another process has it, or it is gone, or, with ``own``, a link or somebody
    else's. Without locks, as on Windows, always True.
    """
    if os.name != "posix":
        yield True
        return
    try:
        handle = os.open(folder, os.O_RDONLY | (os.O_NOFOLLOW if own else 0))
    except OSError as error:  # one that may be written and not be looked into cannot be locked
        yield isinstance(error, PermissionError) and not own
        return
    try:
        is_ours = not own or _is_ours(handle)
        yield is_ours and _is_free(handle, folder, is_new=True)
    finally:
        os.close(handle)


def is_unused(folder: Path) -> bool:
    """Whether nothing is in a folder, or at most what a killed ``atomic_path`` left.

    A file is in use. Raises OSError where it cannot be looked into.
    """
    if folder.is_file():
        return False
    try:
        return all(_TEMPORARY.fullmatch(path.name) for path in folder.iterdir())
    except FileNotFoundError:
        return True


def lock(handle: int) -> bool:
    """Locks an open file, or folder, until it is closed or the process ends.

    Returns:
        False if another has it open and locked.

    Raises:
        OSError: It cannot be locked.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  (of one platform)

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415  (of the others)

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


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
