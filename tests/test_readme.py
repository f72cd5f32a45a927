"""The README is correct: examples run as shown, options exist, tables match their records."""

import doctest
import re
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from digitlens.cli.main import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
USAGE = (ROOT / "docs/usage.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")
ACCURACY = (ROOT / "docs/accuracy.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"^ {4}(digitlens .+?)(?:\s{2,}#.*)?$", re.MULTILINE)
TABLE = re.compile(r"<!-- table: (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)")


def test_readme_is_short():
    assert len(README.splitlines()) <= 120


def test_python_examples_run_as_shown(monkeypatch):
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        example = doctest.DocTestParser().get_doctest(block, {}, "README.md", "README.md", 0)
        assert example.examples
        assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_readme_shows_five_commands_and_usage_more():
    names = {command.split()[1] for command in COMMAND.findall(README)}
    assert names == {"read", "serve", "train", "evaluate", "explain"}
    assert names < {command.split()[1] for command in COMMAND.findall(USAGE)}


@pytest.mark.parametrize("command", COMMAND.findall(README + USAGE))
def test_every_option_shown_exists(command):
    name, *options = [command.split()[1], *re.findall(r" (--[a-z-]+)", command)]
    assert all(f"{option} " in shown_help(name) for option in options)


@cache
def shown_help(name):
    """The help text of a command."""
    return CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout


@pytest.mark.parametrize("text", [README, RESULTS, ACCURACY], ids=["README", "results", "accuracy"])
def test_every_table_matches_its_record(text):
    tables = TABLE.findall(text)
    assert tables
    for record, table in tables:
        assert table == (ROOT / record).read_text(encoding="utf-8")


def test_speed_table_is_from_the_newest_record():
    newest = max((ROOT / "benchmarks/records").glob("*_speed"))
    assert f"<!-- table: benchmarks/records/{newest.name}/summary.md -->" in RESULTS


def test_every_relative_link_has_a_target():
    targets = [target for target in LINK.findall(README) if "://" not in target]
    assert targets
    assert all((ROOT / target).exists() for target in targets)


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^ {4}make (\w+)", README, re.MULTILINE)
    assert {"demo", "test"} == set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
