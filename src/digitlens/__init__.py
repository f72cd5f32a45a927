"""Reads the numbers on a picture with small networks, and says so when it is not sure."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitlens.errors import DigitlensError
    from digitlens.imaging.image import load_image
    from digitlens.models.classifier import Classifier
    from digitlens.reading.reader import DigitReader, read
    from digitlens.results import Box, Digit, Number, Reading

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Classifier",
    "Digit",
    "DigitReader",
    "DigitlensError",
    "Number",
    "Reading",
    "__version__",
    "load_image",
    "read",
]

# Loaded on first use (PEP 562), so that `import digitlens` takes almost no time.
_HOMES = {
    "Box": "digitlens.results",
    "Classifier": "digitlens.models.classifier",
    "Digit": "digitlens.results",
    "DigitReader": "digitlens.reading.reader",
    "DigitlensError": "digitlens.errors",
    "Number": "digitlens.results",
    "Reading": "digitlens.results",
    "load_image": "digitlens.imaging.image",
    "read": "digitlens.reading.reader",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'digitlens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
