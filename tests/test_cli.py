"""The command line as a whole: help, version, and errors in one line."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from digitlens import __version__
from digitlens.__main__ import main
from digitlens.cli.main import app

COMMANDS = [
    *("read", "predict", "train", "tune", "evaluate", "compare", "data", "serve", "export"),
    "reconstruct",
]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "digitlens", *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_every_command_and_each_has_its_own_help():
    done = _run("--help")
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    for command in COMMANDS:
        told = CliRunner().invoke(app, [command, "--help"], prog_name="digitlens")
        assert told.exit_code == 0
        assert f"digitlens {command}" in told.output


def test_version():
    assert _run("--version").stdout == f"digitlens {__version__}\n"


def test_errors_are_one_line_with_exit_code_1_and_misuse_has_exit_code_2(tmp_path, monkeypatch):
    done = _run("evaluate", "--model", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("digitlens: no model ")
    assert done.stderr.count("\n") == 1
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["digitlens", "train", "--out", f"{tmp_path}/file/run"])
    with pytest.raises(SystemExit, match=r"^digitlens: .*/file/run cannot be "):
        main()
    assert _run("read", "--no-such-option").returncode == 2


def test_importing_writes_no_file(tmp_path):
    program = "import digitlens, digitlens.cli.main"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", [["data"], ["read", "x.png"]])
def test_out_of_memory_is_reported_in_one_line_and_a_bug_with_its_traceback(monkeypatch, way):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("digitlens.cli.main.app", fails)
    monkeypatch.setattr("digitlens.cli.read_paths.read_paths", fails)
    monkeypatch.setattr("digitlens.__main__._quit", sys.exit)
    monkeypatch.setattr(sys, "argv", ["digitlens", *way])
    error = RuntimeError("std::bad_alloc")
    with pytest.raises(SystemExit) as ended:
        main()
    assert str(ended.value).startswith("digitlens: out of memory")
    error = RuntimeError("a mistake")
    with pytest.raises(RuntimeError, match="a mistake"):
        main()
