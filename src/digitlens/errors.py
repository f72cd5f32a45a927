"""The errors a user can cause; each says what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager


class DigitlensError(Exception):
    """Base of all errors caused by the user's input or machine, not by misuse in code."""


class ImageError(DigitlensError):
    """An image cannot be decoded, or claims an implausible size."""


class ModelError(DigitlensError):
    """A model is missing, damaged, in a newer format, or its outputs are invalid."""


class DataError(DigitlensError):
    """A data set is missing or does not have the expected content."""


class TemplateError(DigitlensError):
    """A template is invalid, or a picture does not match the template's reference picture."""


class RecipeError(DigitlensError):
    """A recipe has unknown fields or impossible values; the message lists all of them."""


class MissingExtraError(DigitlensError):
    """An optional dependency is not installed."""


NO_MEMORY = "out of memory: close other programs, or run it with more memory"
# Parts of the messages of Python, the C++ library, torch, onnxruntime, the loader and the system.
_MEMORY_PHRASES = ("bad_alloc", "allocate", "out of memory", "failed to map", "start new thread")


def lacks_memory(error: BaseException) -> bool:
    """Whether an error, or its cause, is that memory ran out; libraries share no class for it."""
    return any(
        isinstance(each, MemoryError) or any(phrase in str(each) for phrase in _MEMORY_PHRASES)
        for each in with_causes(error)
    )


def with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an error, the one that it was raised from or while handling, and so on."""
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


@contextmanager
def needs_extra(extra: str, what: str = "this") -> Generator[None]:
    """Turns a failed optional import in the block into a one-line error that names the extra.

    Args:
        extra: Name of the extra in ``pyproject.toml``, for example ``"train"``.
        what: The feature that needs it, as it begins the message.

    Raises:
        MissingExtraError: A module imported inside the block is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("digitlens"):
            raise
        raise MissingExtraError(
            f"{what} needs the package {error.name!r}, which is not installed: "
            f"run  pip install 'digitlens[{extra}]'"
        ) from error
