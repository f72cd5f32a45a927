"""The wheel reads pictures with its core dependencies alone: no torch, no OpenCV, no SciPy.

`make test` runs this in an environment with only the wheel and pytest.
"""

import importlib.util
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest

import digitlens

EXAMPLES = Path(__file__).parents[2] / "examples"
SITE = Path(sysconfig.get_path("purelib"))
# Packages of pip and the tests do not count towards the installed size.
TOOLS = {"pip", "setuptools", "wheel", "pytest", "pluggy", "iniconfig"}
LIMIT_MB = 215


def _run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "digitlens", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_digitlens_is_imported_from_the_wheel():
    assert SITE in Path(digitlens.__file__).parents


EXTRAS = ["torch", "cv2", "scipy", "matplotlib", "pooch", "onnx", "pypdfium2", "pillow_heif"]


@pytest.mark.parametrize("name", EXTRAS)
def test_no_extra_is_installed(name):
    assert importlib.util.find_spec(name) is None


def test_every_example_is_read_without_torch(labels, tmp_path):
    found = {name: digitlens.read(EXAMPLES / name).text for name in labels}
    assert len(labels) >= 6
    assert found == labels
    done = _run("read", *(EXAMPLES / name for name in labels), cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) >= len(labels)


def test_drawing_is_reconstructed_without_matplotlib(tmp_path):
    done = _run("reconstruct", EXAMPLES / "drawing.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "7  99 % sure" in done.stdout
    assert (tmp_path / "reconstructions" / "drawing-reconstructed.png").is_file()


@pytest.mark.parametrize(
    ("command", "extra"),
    [("train", "train"), ("tune --search epochs=1..3", "tune"), ("batch . --out rows", "cloud")],
)
def test_command_that_needs_an_extra_names_it_in_one_line(command, extra, tmp_path):
    done = _run(*command.split(), cwd=tmp_path)
    assert done.returncode == 1
    assert f"pip install 'digitlens[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("start", [b"%PDF-1.7\n", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"])
def test_format_that_needs_an_extra_names_it_and_other_files_are_read(start, tmp_path):
    (tmp_path / "scan").write_bytes(start)
    done = _run("read", "scan", EXAMPLES / "blank.jpg", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == f"{EXAMPLES / 'blank.jpg'}\t\n"
    assert done.stderr.startswith("digitlens: scan: is a ")
    assert "pip install 'digitlens[photo]'" in done.stderr
    assert done.stderr.count("\n") == 1
    with pytest.raises(digitlens.DigitlensError, match=r"digitlens\[photo\]"):
        digitlens.read(tmp_path / "scan")


def test_installed_size_stays_within_its_limit():
    """Sums the files recorded by each distribution, byte-compiled ones included."""
    total = 0
    for package in distributions(path=[str(SITE)]):
        if package.metadata["Name"].lower() not in TOOLS:
            paths = [Path(str(package.locate_file(entry))) for entry in package.files or []]
            total += sum(path.stat().st_size for path in paths if path.is_file())
    assert total / 1e6 < LIMIT_MB, f"{total / 1e6:.0f} MB installed"


def test_wheel_contains_the_model_and_the_licences():
    names = {str(entry) for entry in distribution("digitlens").files or []}
    assert "digitlens/models/pretrained/default/model.onnx" in names
    assert "digitlens/datasets/mnist_writers.npz" in names
    assert "digitlens/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/LICENSES/QMNIST.txt") for name in names)
