"""Atomic writes, locks, file names and hashes, and the cache folder for downloads."""

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
_TEMPORARY = re.compile(r"\..+-\d+(\.\w+)?")  # names that ``atomic_path`` uses


@contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """Yields a temporary path next to ``path`` that replaces ``path`` when the block succeeds.

    After a crash, an error or a concurrent write, ``path`` is either the old file or a complete new
    one, never part of one. The temporary name keeps the suffix, since libraries depend on it.

    Args:
        path: The file to write; missing parent folders are created.
    """
    with _errors_naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _open_temporary(path)
    try:
        yield temporary
        with _errors_naming(path):
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # for example a disk gone read-only: the next call reuses the file
            temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _open_temporary(path: Path) -> tuple[int, Path]:
    """Opens an empty temporary file next to ``path`` that no other process writes.

    Files left by killed processes are reused, so that they do not accumulate: names are numbered,
    and a lock, which ends with its process, shows whether a file is still being written.
    """
    create, reuse = os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    for number in count():
        name = path.with_name(f".{path.stem}-{number}{path.suffix}")
        try:
            handle, is_new = os.open(name, create, 0o666), True
        except FileExistsError:
            try:
                handle, is_new = os.open(name, reuse), False
            except OSError:  # deleted meanwhile, another user's, or a symbolic link
                continue
        if sys.platform == "win32":  # open files cannot be replaced there
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
    """Locks an open file; False if another process holds it or its name no longer refers to it."""
    try:
        if not lock(handle):
            return False
    except OSError:  # a file system without locks
        return is_new
    opened = os.fstat(handle)
    try:
        current = name.stat()
    except OSError:  # renamed or deleted meanwhile
        return False
    return (opened.st_dev, opened.st_ino) == (current.st_dev, current.st_ino)


@contextmanager
def temporary_folder(path: Path) -> Generator[Path]:
    """Yields an empty folder next to ``path`` and deletes it when the block ends.

    As in ``atomic_path``, folders left by killed processes are reused.
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
                for entry in name.iterdir():
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
                yield name
            finally:
                shutil.rmtree(name, ignore_errors=True)
            return


@contextmanager
def locked(folder: Path, *, own: bool = False) -> Generator[bool]:
    """Locks a folder for the duration of the block, without a lock file.

    Yields False if another process holds the lock, if the folder does not exist, or, with ``own``,
    if it is a symbolic link or another user's. Always True without locks, as on Windows.
    """
    if os.name != "posix":
        yield True
        return
    try:
        handle = os.open(folder, os.O_RDONLY | (os.O_NOFOLLOW if own else 0))
    except OSError as error:  # a folder that is writable but not readable cannot be locked
        yield isinstance(error, PermissionError) and not own
        return
    try:
        is_ours = not own or _is_ours(handle)
        yield is_ours and _is_free(handle, folder, is_new=True)
    finally:
        os.close(handle)


def is_unused(folder: Path) -> bool:
    """Whether a folder is missing, empty, or holds only files left by a killed ``atomic_path``.

    A path of a file counts as used. Raises OSError if the folder cannot be listed.
    """
    if folder.is_file():
        return False
    try:
        return all(_TEMPORARY.fullmatch(path.name) for path in folder.iterdir())
    except FileNotFoundError:
        return True


def lock(handle: int) -> bool:
    """Locks an open file or folder until it is closed or the process ends.

    Returns:
        False if another process or handle holds the lock.

    Raises:
        OSError: It cannot be locked.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  (Windows only)

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415  (not on Windows)

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextmanager
def _errors_naming(path: Path) -> Generator[None]:
    """Makes errors name the requested file instead of the temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically and flushes content and folder entry to disk."""
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
    """Writes a value as indented JSON, atomically; a list of numbers takes one line."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    text = re.sub(r"\[\n[\s\d.,e+-]+\]", lambda m: f"[{' '.join(m[0][1:-1].split())}]", text)
    write_bytes(path, (text + "\n").encode())


def cache_folder(name: str) -> Path:
    """The path ``name`` in ``DIGITLENS_CACHE`` if set, else in the user's cache; not created."""
    from platformdirs import user_cache_dir  # noqa: PLC0415  (most commands do not need it)

    configured = os.environ.get("DIGITLENS_CACHE")
    return Path(configured or user_cache_dir("digitlens", appauthor=False)).expanduser() / name


def is_file(path: Path) -> bool:
    """Whether a path is a file; False also if access is denied or the name is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def names_picture(name: str) -> bool:
    """Whether a name has a picture's suffix and is not hidden: the files read from folders."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def sha256(content: bytes | memoryview) -> str:
    """The SHA-256 hash of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
