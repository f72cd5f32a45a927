"""How many modules does one reading pass through? Counts modules and folders in a call trace.

    python benchmarks/trace.py [PICTURE]

One ``digitlens.read`` of a picture is traced once everything is loaded. ``modules`` counts the
modules of digitlens in which a function is called; ``changes of folder`` counts consecutive calls
of such functions in different folders.
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import digitlens

DRAWING = Path(__file__).parents[1] / "examples" / "drawing.png"
PACKAGE = Path(digitlens.__file__).parent


def main() -> None:
    path = Path((*sys.argv[1:], DRAWING)[0])
    digitlens.read(path)  # loads models
    files = called_files(lambda: digitlens.read(path), PACKAGE)
    changes = sum(a.parent != b.parent for a, b in pairwise(files))
    print(f"modules: {len(set(files))}\nchanges of folder: {changes}")


def called_files(function: Callable[[], object], folder: Path) -> list[Path]:
    """The file of each Python call in this thread, in order, if it is below ``folder``."""
    names: list[str] = []

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(f"{folder}/"):
            names.append(frame.f_code.co_filename)

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return list(map(Path, names))


if __name__ == "__main__":
    main()
