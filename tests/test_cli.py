"""The command line as a whole: help, version, and errors in one line."""

import subprocess
import sys

from typer.testing import CliRunner

from digitlens import __version__
from digitlens.cli.main import app

COMMANDS = [
    *("read", "predict", "train", "tune", "evaluate", "compare", "data", "serve", "export"),
    "reconstruct",
]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "digitlens", *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_every_command_and_each_explains_itself():
    done = _run("--help")
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    for command in COMMANDS:
        told = CliRunner().invoke(app, [command, "--help"], prog_name="digitlens")
        assert told.exit_code == 0
        assert f"digitlens {command}" in told.output


def test_version():
    assert _run("--version").stdout == f"digitlens {__version__}\n"


def test_an_error_is_one_line_and_exit_code_1_and_misuse_2(tmp_path):
    done = _run("evaluate", "--model", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("digitlens: no model ")
    assert done.stderr.count("\n") == 1
    (tmp_path / "file").touch()
    done = _run("train", "--out", str(tmp_path / "file" / "run"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert _run("read", "--no-such-option").returncode == 2


def test_importing_writes_nothing(tmp_path):
    program = "import digitlens, digitlens.cli.main"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())
