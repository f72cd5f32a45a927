"""What commands need: a way to run them, few tiles, plots that are made and not drawn."""

import sys

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from digitlens.cli.main import app
from digitlens.datasets.mnist import Mnist


@pytest.fixture
def run(request):
    """Runs the program with what a module's ``COMMAND`` says, and further arguments."""
    begin = getattr(request.module, "COMMAND", "").split()

    def run(*arguments, **options):
        return CliRunner().invoke(app, [*begin, *map(str, arguments)], **options)

    return run


@pytest.fixture
def few_tiles(small_split, monkeypatch):
    """MNIST is a few drawn tiles."""
    few = Mnist(small_split, small_split)
    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", lambda _folder=None: few)


@pytest.fixture
def unsaved(monkeypatch):
    """Plots are made and nothing is drawn into their files, which takes seconds."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: path.touch())


@pytest.fixture
def undrawn(monkeypatch):
    """As if nothing were installed that draws."""
    for name in [name for name in sys.modules if name.startswith("digitlens.visualization.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
