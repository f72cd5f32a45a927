"""Runs the command line: ``digitlens``, or ``python -m digitlens``.

``digitlens read`` with only file arguments bypasses the command-line parser: loading the parser
takes as long as loading the reader, and for one picture that is most of the run time.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from digitlens.errors import NO_MEMORY, DigitlensError, lacks_memory

_FORMAT_OPTIONS = ("--json", "--csv")
_INTERRUPTED = 130  # exit code: 128 + the number of the signal, as the parser returns


def main() -> None:
    """Runs the command line."""
    command, arguments = sys.argv[1:2], sys.argv[2:]
    if command == ["read"] and are_files(arguments):
        _quit(_read_files(arguments))
    from digitlens.cli.main import main  # noqa: PLC0415

    main()


def are_files(arguments: Sequence[str]) -> bool:
    """Whether the arguments of ``read`` are only files and at most one output format."""
    files = [argument for argument in arguments if argument not in _FORMAT_OPTIONS]
    options = [file for file in files if file.startswith("-") and file != "-"]
    return bool(files) and not options and len(arguments) - len(files) <= 1


def _read_files(arguments: Sequence[str]) -> str | int:
    """Reads files and returns the exit code, or an error message to print."""
    _import_reader()
    from digitlens.cli.read_paths import ReadSettings, format_of, read_paths  # noqa: PLC0415

    as_json, as_csv = (form in arguments for form in _FORMAT_OPTIONS)
    files = [argument for argument in arguments if argument not in _FORMAT_OPTIONS]
    try:
        return int(not read_paths(files, format_of(as_json, as_csv), ReadSettings()))
    except BrokenPipeError:  # the program at the end of the pipe has closed it
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


def _quit(outcome: str | int) -> NoReturn:
    """Ends the process like ``sys.exit``, but immediately.

    A normal exit takes 50 ms to tear down the modules, and after an interruption it waits for the
    reader's threads. Nothing is lost: files are written atomically, and both streams are flushed.
    """
    if isinstance(outcome, str):
        sys.stderr.write(f"{outcome}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(outcome if isinstance(outcome, int) else 1)


def _import_reader() -> None:
    """Imports the reader as fast as possible."""
    # OpenBLAS threads would spin during the imports for 40 ms; reading does not use them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # searching new modules for garbage takes 20 ms and finds none
    import_module("digitlens.reading.reader")

    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    main()
