"""Fixtures for commands: a runner, a small MNIST, plots that are not rendered."""

import sys

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from digitlens.cli.main import app
from digitlens.datasets.mnist import Mnist


class Program:
    """Runs digitlens with the words of a module's ``COMMAND`` and further arguments."""

    def __init__(self, begin):
        self._begin = begin

    def __call__(self, *arguments, code=0, **options):
        """Asserts the exit code, unless it is None."""
        result = CliRunner().invoke(app, [*self._begin, *map(str, arguments)], **options)
        assert code in (None, result.exit_code), result.output
        return result

    def fails(self, kind, words, *arguments):
        """Asserts that the command raises an error of this kind containing all the words."""
        result = self(*arguments, code=None)
        assert isinstance(result.exception, kind), result.output
        for part in [words] if isinstance(words, str) else words:
            assert part in str(result.exception)
        return result

    def misused(self, words, *arguments):
        """Asserts that the command is refused as misuse, with these words on stderr."""
        result = self(*arguments, code=2)
        assert words in " ".join(result.stderr.replace("│", " ").split())
        return result


@pytest.fixture
def run(request):
    return Program(getattr(request.module, "COMMAND", "").split())


@pytest.fixture
def few_tiles(small_split, monkeypatch):
    """Replaces MNIST by a few drawn tiles."""
    few = Mnist(small_split, small_split)
    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", lambda _folder=None: few)


@pytest.fixture
def unsaved(monkeypatch):
    """Creates the files of plots empty: rendering takes seconds."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: path.touch())


@pytest.fixture
def undrawn(monkeypatch):
    """Simulates an installation without matplotlib."""
    for name in [name for name in sys.modules if name.startswith("digitlens.visualization.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
