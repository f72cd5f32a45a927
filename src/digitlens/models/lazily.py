"""Makes what is costly when it is first needed, once, whichever thread needs it first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Lazily(Generic[Made]):
    """Something that is made when it is first asked for; safe to use from several threads."""

    def __init__(self, make: Callable[[], Made]) -> None:
        """Remembers how to make it.

        Args:
            make: Makes it; if it raises, the next who asks tries again.
        """
        self._make: Callable[[], Made] | None = make
        self._made: list[Made] = []
        self._lock = threading.Lock()

    def __call__(self) -> Made:
        """It; made now if it never was."""
        with self._lock:
            if self._make:
                self._made.append(self._make())
                self._make = None  # and what it was to be made of
            return self._made[0]
