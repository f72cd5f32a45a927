"""Where batches read from and write to: a folder, or part of a bucket, with what both can do.

All that several machines agree on rests on ``create``: of those that create the same name, exactly
one succeeds. The store's clock says how old a thing is, never that of a machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

from digitlens.errors import DataError, DigitlensError, needs_extra
from digitlens.files import atomic_path

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CLOUD = re.compile(r"(s3a?|gs|az|abfss?)://.+")
_TRIES = 5  # to create a name that is not there
_PATIENCE = timedelta(seconds=60)  # with a store that does not answer


class UnreadableError(DigitlensError):
    """A single thing is not there, or may not be read."""


def open_store(place: str) -> Store:
    """The store at a path of a folder, which need not be there, or an address.

    Raises:
        MissingExtraError: An address, and the extra ``cloud`` is not installed.
        DataError: Nothing is known of such an address.
    """
    if "://" not in place:
        return FolderStore(Path(place))
    if not _CLOUD.fullmatch(place):
        raise DataError(f"expected a folder, s3://, gs:// or az://, found {place}")
    return _CloudStore(place)


class FolderStore:
    """Things by names with slashes between folders, in a folder that has to know hard links.

    Several machines may share it. Each method raises DataError where the store cannot be reached or
    does not allow it; so do those of a bucket, which are alike.
    """

    def __init__(self, folder: Path) -> None:
        """Makes nothing yet."""
        self._folder = folder

    def create(self, name: str, content: bytes) -> bool:
        """Writes a thing that is not there yet; False where it is, whoever wrote it."""
        path = self._folder / name
        temporary = path.with_name(f".new-{uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(temporary, path)  # unlike to rename, it fails where something has the name
        except OSError as error:
            if isinstance(error, FileExistsError) and path.is_file():
                return False
            raise DataError(
                f"{path} cannot be written ({error.strerror or error}): name another --out, on a "
                "file system with hard links"
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink()
        return True

    def put(self, name: str, content: bytes) -> None:
        """Writes a thing, whole, over what was there."""
        try:
            with atomic_path(self._folder / name) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise DataError(f"{self._folder / name} cannot be written ({error})") from error

    def get(self, name: str) -> bytes:
        """What is in a thing; raises UnreadableError where it is not there or not ours to read."""
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, PermissionError) as error:
            raise UnreadableError(f"cannot be read ({error.strerror})") from error
        except OSError as error:
            raise DataError(f"{self._folder / name} cannot be read ({error})") from error

    def has(self, name: str) -> bool:
        """Whether there is such a thing."""
        return (self._folder / name).exists()

    def delete(self, name: str) -> None:
        """Removes a thing, if it is there."""
        (self._folder / name).unlink(missing_ok=True)

    def written(self, folder: str = "") -> dict[str, float]:
        """The names right below a folder, and when each was written, in the store's seconds."""
        found: dict[str, float] = {}
        with suppress(FileNotFoundError), os.scandir(self._folder / folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # gone meanwhile
                    if entry.is_file() and not entry.name.startswith("."):
                        found[entry.name] = entry.stat().st_mtime
        return found

    def names(self, after: str = "") -> Iterator[str]:
        """All names, in folders too, ascending, from behind one on; no links to folders."""
        found: list[str] = []
        for place, _, names in os.walk(self._folder):
            below = Path(place).relative_to(self._folder)
            found += ((below / name).as_posix() for name in names)
        return iter(sorted(name for name in found if name > after))


class _CloudStore:
    """The same below an address in a cloud; who asks is taken from the variables of its tools."""

    def __init__(self, address: str) -> None:
        with needs_extra("cloud", address.partition(":")[0] + "://"):
            import obstore  # noqa: PLC0415
            from obstore.store import from_url  # noqa: PLC0415
        self._api, self._address = obstore, address
        with self._telling():
            self._store: ObjectStore = from_url(
                address, retry_config={"max_retries": 8, "retry_timeout": _PATIENCE}
            )

    def create(self, name: str, content: bytes) -> bool:
        for _ in range(_TRIES):
            with self._telling(name):
                try:
                    self._api.put(self._store, name, content, mode="create", use_multipart=False)
                except self._api.exceptions.AlreadyExistsError:
                    # So it is told, too, that another write was under way, which may have failed.
                    if self.has(name):
                        return False
                else:
                    return True
        raise DataError(f"{self._address}: {name} cannot be written: it is said to be there")

    def put(self, name: str, content: bytes) -> None:
        with self._telling(name):
            self._api.put(self._store, name, content, use_multipart=False)

    def get(self, name: str) -> bytes:
        denied = self._api.exceptions.PermissionDeniedError
        with self._telling(name):
            try:
                return bytes(self._api.get(self._store, name).bytes())
            except (FileNotFoundError, denied) as error:
                raise UnreadableError(_line(error)) from error

    def has(self, name: str) -> bool:
        with self._telling(name), suppress(FileNotFoundError):
            return bool(self._api.head(self._store, name))
        return False

    def delete(self, name: str) -> None:
        with self._telling(name), suppress(FileNotFoundError):
            self._api.delete(self._store, name)

    def written(self, folder: str = "") -> dict[str, float]:
        with self._telling(folder):
            found = self._api.list_with_delimiter(self._store, folder or None)["objects"]
        return {Path(each["path"]).name: each["last_modified"].timestamp() for each in found}

    def names(self, after: str = "") -> Iterator[str]:
        with self._telling():
            for each in chain.from_iterable(self._api.list(self._store, offset=after or None)):
                yield each["path"]

    @contextmanager
    def _telling(self, name: str = "") -> Generator[None]:
        """Makes a line of what the store says."""
        try:
            yield
        except (self._api.exceptions.BaseError, FileNotFoundError, ValueError) as error:
            place = "/".join(filter(None, (self._address.rstrip("/"), name)))
            raise DataError(f"{place}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


Store: TypeAlias = FolderStore | _CloudStore
