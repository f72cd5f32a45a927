"""Storage that batches read from and write to: a folder or part of a bucket, with one interface.

All coordination between machines rests on ``create``: of those that create the same name, exactly
one succeeds. The age of an object is measured by the store's clock, never by that of a machine.
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
_TRIES = 5  # attempts to create a name that is reported to exist but does not
_PATIENCE = timedelta(seconds=60)  # how long requests to an unresponsive store are retried


class UnreadableError(DigitlensError):
    """A single object is missing or access to it is denied."""


def open_store(address: str) -> Store:
    """Opens the store at the path of a folder, which need not exist, or at an address.

    Raises:
        MissingExtraError: It is an address, and the extra ``cloud`` is not installed.
        DataError: Addresses of this kind are not supported.
    """
    if "://" not in address:
        return FolderStore(Path(address))
    if not _CLOUD.fullmatch(address):
        raise DataError(f"expected a folder, s3://, gs:// or az://, found {address}")
    return _CloudStore(address)


class FolderStore:
    """Objects in a folder on a file system with hard links; names have slashes between folders.

    Several machines may share it. Each method raises DataError if the store cannot be reached or
    denies the operation; the methods of a bucket do the same.
    """

    def __init__(self, folder: Path) -> None:
        """Creates nothing yet."""
        self._folder = folder

    def create(self, name: str, content: bytes) -> bool:
        """Writes a new object; returns False if it exists, no matter who wrote it."""
        path = self._folder / name
        temporary = path.with_name(f".new-{uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(temporary, path)  # unlike a rename, it fails if the name exists
        except OSError as error:
            if isinstance(error, FileExistsError) and path.is_file():
                return False
            raise DataError(
                f"{path} cannot be written ({error.strerror or error}): choose another --out on a "
                "file system with hard links"
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink()
        return True

    def put(self, name: str, content: bytes) -> None:
        """Writes an object atomically, replacing an existing one."""
        try:
            with atomic_path(self._folder / name) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise DataError(f"{self._folder / name} cannot be written ({error})") from error

    def get(self, name: str) -> bytes:
        """The content of an object; raises UnreadableError if it is missing or access is denied."""
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, PermissionError) as error:
            raise UnreadableError(f"cannot be read ({error.strerror})") from error
        except OSError as error:
            raise DataError(f"{self._folder / name} cannot be read ({error})") from error

    def has(self, name: str) -> bool:
        """Whether an object exists."""
        return (self._folder / name).exists()

    def delete(self, name: str) -> None:
        """Removes an object, if it exists."""
        (self._folder / name).unlink(missing_ok=True)

    def written(self, folder: str = "") -> dict[str, float]:
        """The names directly in a folder, with the time of writing in the store's seconds."""
        times: dict[str, float] = {}
        with suppress(FileNotFoundError), os.scandir(self._folder / folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # deleted in the meantime
                    if entry.is_file() and not entry.name.startswith("."):
                        times[entry.name] = entry.stat().st_mtime
        return times

    def names(self, after: str = "") -> Iterator[str]:
        """All names after a given one in ascending order, recursively; links are not followed."""
        found: list[str] = []
        for folder, _, names in os.walk(self._folder):
            relative = Path(folder).relative_to(self._folder)
            found += ((relative / name).as_posix() for name in names)
        return iter(sorted(name for name in found if name > after))


class _CloudStore:
    """The same below a cloud address; credentials come from the environment of its tools."""

    def __init__(self, address: str) -> None:
        with needs_extra("cloud", address.partition(":")[0] + "://"):
            import obstore  # noqa: PLC0415
            from obstore.store import from_url  # noqa: PLC0415
        self._api, self._address = obstore, address
        with self._translated_errors():
            self._store: ObjectStore = from_url(
                address, retry_config={"max_retries": 8, "retry_timeout": _PATIENCE}
            )

    def create(self, name: str, content: bytes) -> bool:
        for _ in range(_TRIES):
            with self._translated_errors(name):
                try:
                    self._api.put(self._store, name, content, mode="create", use_multipart=False)
                except self._api.exceptions.AlreadyExistsError:
                    # Also raised if a concurrent write was in progress, which may have failed.
                    if self.has(name):
                        return False
                else:
                    return True
        raise DataError(f"{self._address}: {name} cannot be written: reported to exist but missing")

    def put(self, name: str, content: bytes) -> None:
        with self._translated_errors(name):
            self._api.put(self._store, name, content, use_multipart=False)

    def get(self, name: str) -> bytes:
        denied = self._api.exceptions.PermissionDeniedError
        with self._translated_errors(name):
            try:
                return bytes(self._api.get(self._store, name).bytes())
            except (FileNotFoundError, denied) as error:
                raise UnreadableError(_first_line(error)) from error

    def has(self, name: str) -> bool:
        with self._translated_errors(name), suppress(FileNotFoundError):
            return bool(self._api.head(self._store, name))
        return False

    def delete(self, name: str) -> None:
        with self._translated_errors(name), suppress(FileNotFoundError):
            self._api.delete(self._store, name)

    def written(self, folder: str = "") -> dict[str, float]:
        with self._translated_errors(folder):
            found = self._api.list_with_delimiter(self._store, folder or None)["objects"]
        return {Path(each["path"]).name: each["last_modified"].timestamp() for each in found}

    def names(self, after: str = "") -> Iterator[str]:
        with self._translated_errors():
            for each in chain.from_iterable(self._api.list(self._store, offset=after or None)):
                yield each["path"]

    @contextmanager
    def _translated_errors(self, name: str = "") -> Generator[None]:
        """Turns the store's errors into a DataError of one line."""
        try:
            yield
        except (self._api.exceptions.BaseError, FileNotFoundError, ValueError) as error:
            address = "/".join(filter(None, (self._address.rstrip("/"), name)))
            raise DataError(f"{address}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


Store: TypeAlias = FolderStore | _CloudStore
