"""Runs the command line: ``digitlens``, or ``python -m digitlens``.

``digitlens read`` with nothing but files has a way of its own, without the parser of the command
line: to load that takes as long as to load what reads, for one picture most of the time there is.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from digitlens.errors import NO_MEMORY, DigitlensError, lacks_memory

_FORMS = ("--json", "--csv")
_INTERRUPTED = 130  # exit code: 128 and the number of the signal, as the parser has it


def main() -> None:
    """Runs the command line."""
    command, arguments = sys.argv[1:2], sys.argv[2:]
    if command == ["read"] and are_files(arguments):
        _end(_read(arguments))
    from digitlens.cli.main import main  # noqa: PLC0415

    main()


def are_files(arguments: Sequence[str]) -> bool:
    """Whether arguments of ``read`` are files and one form of the answers at most: no question."""
    files = [argument for argument in arguments if argument not in _FORMS]
    options = [file for file in files if file.startswith("-") and file != "-"]
    return bool(files) and not options and len(arguments) - len(files) <= 1


def _read(arguments: Sequence[str]) -> str | int:
    """Reads files, and gives the exit code, or the line that says why nothing was read."""
    _load()
    from digitlens.cli.read_paths import ReadSettings, form_of, read_paths  # noqa: PLC0415

    as_json, as_csv = (form in arguments for form in _FORMS)
    files = [argument for argument in arguments if argument not in _FORMS]
    try:
        return int(not read_paths(files, form_of(as_json, as_csv), ReadSettings()))
    except BrokenPipeError:  # whoever wanted the answers has enough of them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (DigitlensError, OSError) as error:
        return f"digitlens: {error}"
    except Exception as error:
        if not lacks_memory(error):
            raise
        return f"digitlens: {NO_MEMORY}"


def _end(outcome: str | int) -> NoReturn:
    """Ends the process as ``sys.exit`` would, but at once.

    Taking down what was loaded takes 50 ms, and after an interruption the threads of the reader
    would be waited for. Nothing is lost: files are written whole, and both streams are flushed.
    """
    if isinstance(outcome, str):
        sys.stderr.write(f"{outcome}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(outcome if isinstance(outcome, int) else 1)


def _load() -> None:
    """Imports what reads, without what makes that slow."""
    # NumPy's threads for matrices would spin beside the imports, 40 ms; reading needs none.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # modules are no garbage: looking through them for some takes 20 ms
    import_module("digitlens.reading.reader")

    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    main()
