"""What commands need: a way to run them, few tiles, plots that are made and not drawn."""

import sys

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from digitlens.cli.main import app
from digitlens.datasets.mnist import Mnist


class Program:
    """Runs the program with what a module's ``COMMAND`` says, and further arguments."""

    def __init__(self, begin):
        self._begin = begin

    def __call__(self, *arguments, code=0, **options):
        """It must end with this exit code, if one is given."""
        result = CliRunner().invoke(app, [*self._begin, *map(str, arguments)], **options)
        assert code in (None, result.exit_code), result.output
        return result

    def fails(self, kind, words, *arguments):
        """It must end with such an error, which says some words, or all of several."""
        result = self(*arguments, code=None)
        assert isinstance(result.exception, kind), result.output
        for part in [words] if isinstance(words, str) else words:
            assert part in str(result.exception)
        return result

    def misused(self, words, *arguments):
        """It must refuse to do that, and say some words."""
        result = self(*arguments, code=2)
        assert words in " ".join(result.stderr.replace("│", " ").split())
        return result


@pytest.fixture
def run(request):
    return Program(getattr(request.module, "COMMAND", "").split())


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
