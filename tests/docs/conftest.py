"""A shell that runs the commands of documentation pages, in process to import once."""

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from digitlens.cli.main import app
from digitlens.training import tile_networks as network
from digitlens.training.recipe import Recipe

ROOT = Path(__file__).parents[2]
# Commands that are not run: they would change the test environment, or never end.
SKIPPED = re.compile(r"(pip|npm) install |digitlens serve$")
TRAINING = "digitlens train --recipe fast"  # run once for all pages
RUN = "runs/fast-1"
# These commands run in this process, to import heavy libraries once, unless they need a shell.
HERE = re.compile(r"digitlens |python \w+\.py")
SHELL, QUOTED = set("|&;<>$`"), re.compile(r"'[^']*'")


class Shell:
    """Runs the commands of one page."""

    def __init__(self, trained: Callable[[], tuple[Path, str]]) -> None:
        self.trained, self.servers = trained, []

    def prepare(self, text: str) -> None:
        """Copies the tutorial's run into the folder if the page uses it without training it."""
        if RUN in text and f"$ {TRAINING}\n" not in text:
            shutil.copytree(self.trained()[0], RUN)

    def run(self, command: str) -> str:
        """Runs a command and returns its stdout and stderr."""
        if SKIPPED.match(command):
            return ""
        if command == TRAINING:
            folder, printed = self.trained()
            shutil.copytree(folder, RUN)
            return printed
        if command.endswith("&"):
            return self.start(command)
        if HERE.match(command) and not SHELL & set(QUOTED.sub("", command)):
            return in_process(shlex.split(command))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, command: str) -> str:
        """Starts a server and waits until it answers."""
        process = subprocess.Popen(
            ["bash", "-c", command.removesuffix("&")],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.servers.append(process)
        port = int(re.findall(r"\b\d{4,5}\b", command)[-1])
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return ""
            time.sleep(0.05)
        raise AssertionError(f"{command} does not answer")

    def stop(self) -> None:
        """Stops the servers."""
        for process in self.servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "COLUMNS": "120"}


def in_process(command: list[str]) -> str:
    """Runs ``digitlens`` or a script in this process and returns its stdout and stderr."""
    name, *arguments = command
    found = [sorted(map(str, Path().glob(part))) if "*" in part else [part] for part in arguments]
    arguments = [part for parts in found for part in parts]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        if name == "digitlens":
            assert not app(arguments, standalone_mode=False), printed.getvalue()
        else:
            run_script(arguments)
    return printed.getvalue()


def run_script(arguments: list[str]) -> None:
    """Runs a file as ``python FILE`` would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        with contextlib.suppress(SystemExit):  # raised by the argument parser, also on success
            runpy.run_path(arguments[0], run_name="__main__")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run that most pages use, and the output of its training."""
    folder = tmp_path_factory.mktemp("docs")
    with contextlib.chdir(folder):
        printed = in_process(shlex.split(TRAINING))
    return folder / RUN, printed


@pytest.fixture
def shell(request, tmp_path, monkeypatch):
    """A shell in a folder with the examples; trains only for pages that need a run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    # One page registers an architecture, which must not leak into other tests.
    monkeypatch.setattr(network, "ARCHITECTURES", dict(network.ARCHITECTURES))
    monkeypatch.setattr(Recipe, "choices", dict(Recipe.choices))
    monkeypatch.syspath_prepend(tmp_path)  # blocks import scripts of the same page
    shutil.copytree(ROOT / "examples", "examples")
    runs = Shell(lambda: request.getfixturevalue("trained"))
    yield runs
    runs.stop()
