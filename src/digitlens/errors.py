"""The errors a user can cause, each saying what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


class DigitlensError(Exception):
    """Base of every error that is about the user's input or machine, not about misuse in code."""


class ImageError(DigitlensError):
    """An image cannot be decoded, or claims an absurd size."""


class ModelError(DigitlensError):
    """A model is missing, damaged, of a newer format, or does not answer as a classifier should."""


class DataError(DigitlensError):
    """A data set is missing or does not have the expected content."""


class TemplateError(DigitlensError):
    """A template is not as expected, or a picture does not show what its reference shows."""


class RecipeError(DigitlensError):
    """A recipe has unknown fields or impossible values; the message lists all of them."""


class MissingExtraError(DigitlensError):
    """An optional dependency is not installed."""


NO_MEMORY = "there is not enough memory: end other programs, or give it more"
# How Python, the C++ library, torch, onnxruntime, the loader and the system say it.
_NO_MEMORY = ("bad_alloc", "allocate", "out of memory", "failed to map", "start new thread")


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory; libraries have no class for it."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


@contextmanager
def needs_extra(extra: str, what: str = "this") -> Generator[None]:
    """Turns a missing optional import inside the block into one line that names the extra.

    Args:
        extra: Name of the extra in ``pyproject.toml``, for example ``"train"``.
        what: What needs it.

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
