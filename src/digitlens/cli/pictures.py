"""Which files the paths given to a command mean: a file, a folder, a pattern, standard input."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

from digitlens.errors import ImageError

STDIN = "-"
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".hif", ".avif", ".pdf"),
)
_MAGIC = re.compile(r"[*?[]")

_Found: TypeAlias = tuple[list[str], list[ImageError]]  # files, and what is wrong with the rest


def find_pictures(
    paths: Sequence[str], left_out: Sequence[Path] = ()
) -> tuple[list[str], list[ImageError]]:
    """The files that paths mean, in the order of the paths.

    A folder means every picture in it and in its subfolders, told by its suffix, in natural order
    (2 before 10). A pattern (``*``, ``?``, ``[…]``, ``**`` for any subfolders) that is not itself
    the name of a file means what it matches. Both leave out what is hidden, and do not follow links
    to folders. Any other path is taken as it is, whether there is such a file or not.

    Args:
        paths: As the user gave them; ``-`` is standard input.
        left_out: Folders whose content folders and patterns do not mean, unless they lie in them:
            where results go that are pictures themselves.

    Returns:
        The files, and an error for each path that means none and each folder that cannot be read.
    """
    files: list[str] = []
    problems: list[ImageError] = []
    for path in paths:
        found, wrong = _meant(path, left_out)
        files += found
        problems += wrong
    return files, problems


def _meant(path: str, left_out: Sequence[Path]) -> _Found:
    if path in ("", STDIN):
        return [path], []
    try:
        if Path(path).is_dir():
            return _in_folder(Path(path), left_out)
        if Path(path).exists() or not _MAGIC.search(path):
            return [path], []
        return _by_pattern(path, left_out)
    except (OSError, ValueError):  # no right to look, too long, a null: opening it says so
        return [path], []


def _in_folder(folder: Path, left_out: Sequence[Path]) -> _Found:
    found, problems = _walk(folder)
    files = _sorted(_without(found, left_out, folder))
    if not files and not problems:
        problems = [
            ImageError(
                f"{folder}: is a folder without pictures: looked in it and its subfolders for "
                f"names that end in {', '.join(SUFFIXES)}"
            )
        ]
    return files, problems


def _walk(folder: Path) -> tuple[list[Path], list[ImageError]]:
    problems: list[ImageError] = []

    def note(error: OSError) -> None:
        problems.append(ImageError(f"{error.filename}: cannot be read ({error.strerror})"))

    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [path for name in names if _is_picture(path := Path(place, name))]
    return found, problems


def _is_picture(path: Path) -> bool:
    if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)  # a pipe would be waited for without end
    except OSError:  # a broken link, say: opening it says so
        return True


def _by_pattern(pattern: str, left_out: Sequence[Path]) -> _Found:
    parts = Path(pattern).parts
    fixed = list(takewhile(lambda part: not _MAGIC.search(part), parts))
    base, rest = Path(*fixed), parts[len(fixed) :]
    found: list[Path] = []
    problems: list[ImageError] = []
    for match in _matches(base, rest):
        if match.is_dir():
            more, wrong = _walk(match)
            found += more
            problems += wrong
        else:
            found.append(match)
    files = _sorted(_without(found, left_out, base))
    if not files and not problems:
        problems = [ImageError(f"{pattern}: matches no picture: check the pattern and the folder")]
    return files, problems


def _matches(base: Path, rest: Sequence[str]) -> Iterable[Path]:
    # `**` is for folders alone, and at the end it means what a folder means anyway.
    rest = [part if part == "**" else re.sub(r"\*+", "*", part) for part in rest]
    while rest and rest[-1] == "**":
        rest.pop()
    if not rest:
        return [base] if base.exists() else []
    hidden = any(part.startswith(".") for part in rest)  # asked for
    return [
        match
        for match in base.glob("/".join(rest))
        if hidden or not any(part.startswith(".") for part in match.relative_to(base).parts)
    ]


def _without(files: list[Path], folders: Sequence[Path], given: Path) -> list[Path]:
    folders = [folder for folder in folders if not _lies_in(given, folder)]
    return [path for path in files if not any(_lies_in(path, folder) for folder in folders)]


def _lies_in(path: Path, folder: Path) -> bool:
    real = Path(os.path.realpath(path))  # unlike Path.resolve, bears links that lead to themselves
    return real.is_relative_to(os.path.realpath(folder))


def _sorted(files: Iterable[Path]) -> list[str]:
    return sorted({str(path) for path in files}, key=lambda path: (_natural(path), path))


def _natural(path: str) -> list[list[int | str]]:
    """Sorts 2 before 10: every second piece of a name is a number."""
    names = (re.split(r"(\d+)", part.casefold()) for part in Path(path).parts)
    return [[int(text) if k % 2 else text for k, text in enumerate(name)] for name in names]
