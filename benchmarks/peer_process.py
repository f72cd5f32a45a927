"""Starts a reader of digits in a process and an environment of its own, and asks it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens import files
from digitlens.progress import note

Page = npt.NDArray[np.uint8]
WORKER = Path(__file__).with_name("peer_worker.py")
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


class UnavailableError(Exception):
    """A reader cannot be installed, started or asked any more; the message is the reason."""


@dataclass(frozen=True)
class Reader:
    """Who is asked, what is installed for it, and the kinds of picture it can read."""

    name: str
    kinds: tuple[str, ...]
    packages: tuple[str, ...] = ()


def environment(packages: Sequence[str], folder: Path) -> str:
    """The Python with these packages below ``folder``, installed now if they are not there."""
    if not packages:
        return sys.executable
    place = folder / "-".join(packages)
    python, stamp = place / "bin" / "python", place / ".installed"
    if not stamp.exists():
        note(f"installing {' '.join(packages)} into {place}")
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        _run(str(python), *PIP, *packages)
        files.write_bytes(stamp, b"")
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(_last_line(done.stderr or done.stdout))


class Worker:
    """A running reader.

    Attributes:
        reader: Who it is.
        versions: What it says that reads.
        drawn: What it read on pictures drawn to warm it up, by kind.
    """

    drawn: dict[str, str]

    def __init__(
        self, reader: Reader, python: str, threads: int, stack: ExitStack, script: Path = WORKER
    ) -> None:
        """Starts it, until ``stack`` is closed; raises UnavailableError if it does not come up."""
        self.reader = reader
        self._errors = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        variables = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS")
        self._process = subprocess.Popen(
            [python, str(script), reader.name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **dict.fromkeys(variables, str(threads))},
        )
        stack.callback(self._stop)
        self.versions: str = self._reply()["versions"]

    def ask(self, kind: str, page: Page) -> dict[str, Any]:
        """What it answers: ``milliseconds`` with ``text``, or with ``error``."""
        assert self._process.stdin is not None
        header = json.dumps({"kind": kind, "shape": page.shape}).encode() + b"\n"
        try:
            self._process.stdin.write(header + page.tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise UnavailableError(self._last_words()) from None
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise UnavailableError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace")
        return _last_line(said) or f"ended with exit code {code}"

    def _stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        try:
            self._process.stdin.close()
        except BrokenPipeError:  # it ended with a picture still in the pipe
            return


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
