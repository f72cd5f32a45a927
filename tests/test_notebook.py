"""The committed notebook: the cells of its source, all of them run, nothing of a machine in it.

That it runs is shown by ``make test``, which executes it from top to bottom.
"""

import base64
import io
import json
import re
import socket
from pathlib import Path

import jupytext
import typer.main
from PIL import Image

from digitlens.cli.main import app
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import RECIPES

FOLDER = Path(__file__).parents[1] / "notebooks"
SOURCE, NOTEBOOK = FOLDER / "digit_recognizer.py", FOLDER / "digit_recognizer.ipynb"
LARGEST = 3_000_000  # bytes
LINK = re.compile(r"\]\(([^)]+?)\)(?!\))")
MACHINE = re.compile(r"/(home|root|tmp|work|Users|var|usr)/|\b\d{1,3}(\.\d{1,3}){3}\b|[A-Z]:\\")

CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]
OUTPUTS = [output for cell in CODE for output in cell["outputs"]]
TEXT = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")


def test_it_has_the_cells_of_its_source():
    """Else run ``make notebook``."""
    written = [(cell.cell_type, cell.source) for cell in jupytext.read(SOURCE).cells]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in CELLS] == written


def test_every_cell_has_run_in_order_and_without_complaint():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    assert {output["output_type"] for output in OUTPUTS} <= {"stream", "display_data"}
    assert {output.get("name", "stdout") for output in OUTPUTS} == {"stdout"}


def test_nothing_tells_of_a_machine_or_a_time():
    printed = "\n".join("".join(output.get("text", "")) for output in OUTPUTS)
    assert printed
    assert not MACHINE.search(printed), MACHINE.search(printed)
    assert socket.gethostname() not in printed
    assert not any("execution" in cell["metadata"] for cell in CELLS)


def test_its_pictures_can_be_seen_and_are_small_enough_together():
    assert NOTEBOOK.stat().st_size < LARGEST
    shown = [output["data"] for output in OUTPUTS if "data" in output]
    assert len(shown) >= 20
    for data in shown:
        (content,) = [data[kind] for kind in ("image/png", "image/jpeg") if kind in data]
        with Image.open(io.BytesIO(base64.b64decode("".join(content)))) as picture:
            low, high = picture.convert("L").getextrema()
            assert high - low > 50, "an empty picture"


def test_every_link_leads_somewhere():
    headings = {
        line.lstrip("# ").replace(" ", "-") for line in TEXT.splitlines() if line[:1] == "#"
    }
    targets = LINK.findall(TEXT)
    assert len(targets) > 10
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in headings
        else:
            assert (FOLDER / target).exists(), target


def test_every_command_and_option_shown_exists():
    commands = re.findall(r"`digitlens (\w+)([^`]*)`", TEXT.replace("\n", " "))
    assert commands
    for name, arguments in commands:
        command = typer.main.get_command(app).commands[name]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"--[\w-]+", arguments)) <= known
        assert set(re.findall(r"--recipe (\w+)", arguments)) <= set(RECIPES)
        fields = set(re.findall(r"--set (\w+)=", arguments))
        assert fields <= set(Recipe.__dataclass_fields__)
