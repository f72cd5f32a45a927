"""The committed notebooks match their sources, are fully executed and contain no machine details.

``make test`` executes them from top to bottom.
"""

import base64
import io
import json
import re
import socket
from pathlib import Path

import jupytext
import pytest
import typer.main
from PIL import Image

from digitlens.cli.main import app
from digitlens.training.recipe import RECIPES, Recipe

FOLDER = Path(__file__).parents[1] / "notebooks"
LEAST = {"digit_recognizer": (20, 10), "photo_to_dataframe": (3, 6)}  # pictures, links
LARGEST = 3_000_000  # bytes
LINK = re.compile(r"\]\(([^)]+?)\)(?!\))")
MACHINE = re.compile(r"/(home|root|tmp|work|Users|var|usr)/|\b\d{1,3}(\.\d{1,3}){3}\b|[A-Z]:\\")


class Notebook:
    """A notebook as committed."""

    def __init__(self, name):
        self.name, self.path = name, FOLDER / f"{name}.ipynb"
        self.cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        self.code = [cell for cell in self.cells if cell["cell_type"] == "code"]
        self.outputs = [output for cell in self.code for output in cell["outputs"]]
        texts = ("".join(one["source"]) for one in self.cells if one["cell_type"] == "markdown")
        self.text = "\n".join(texts)


@pytest.fixture(params=LEAST)
def notebook(request):
    return Notebook(request.param)


def test_cells_match_the_source(notebook):
    """If this fails, run ``make notebook``."""
    written = [
        (cell.cell_type, cell.source)
        for cell in jupytext.read(notebook.path.with_suffix(".py")).cells
    ]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in notebook.cells] == written


def test_every_cell_has_run_in_order_without_errors_or_warnings(notebook):
    assert [cell["execution_count"] for cell in notebook.code] == list(
        range(1, len(notebook.code) + 1)
    )
    assert {output["output_type"] for output in notebook.outputs} <= {"stream", "display_data"}
    assert {output.get("name", "stdout") for output in notebook.outputs} == {"stdout"}


def test_outputs_contain_no_machine_details_or_times(notebook):
    printed = "\n".join("".join(output.get("text", "")) for output in notebook.outputs)
    assert printed
    assert not MACHINE.search(printed), MACHINE.search(printed)
    assert socket.gethostname() not in printed
    assert not any("execution" in cell["metadata"] for cell in notebook.cells)


def test_pictures_are_visible_and_the_file_is_small(notebook):
    assert notebook.path.stat().st_size < LARGEST
    shown = [output["data"] for output in notebook.outputs if "data" in output]
    assert len(shown) >= LEAST[notebook.name][0]
    for data in shown:
        (content,) = [data[kind] for kind in ("image/png", "image/jpeg") if kind in data]
        with Image.open(io.BytesIO(base64.b64decode("".join(content)))) as picture:
            low, high = picture.convert("L").getextrema()
            assert high - low > 50, "an empty picture"


def test_every_link_has_a_target(notebook):
    headings = {
        line.lstrip("# ").replace(" ", "-")
        for line in notebook.text.splitlines()
        if line[:1] == "#"
    }
    targets = LINK.findall(notebook.text)
    assert len(targets) > LEAST[notebook.name][1]
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in headings
        else:
            assert (FOLDER / target).exists(), target


def test_every_command_and_option_shown_exists(notebook):
    commands = re.findall(r"`digitlens (\w+)([^`]*)`", notebook.text.replace("\n", " "))
    assert commands
    for name, arguments in commands:
        command = typer.main.get_command(app).commands[name]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"--[\w-]+", arguments)) <= known
        assert set(re.findall(r"--recipe (\w+)", arguments)) <= set(RECIPES)
        fields = set(re.findall(r"--set (\w+)=", arguments))
        assert fields <= set(Recipe.__dataclass_fields__)
