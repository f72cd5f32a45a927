"""The code blocks of the documentation run and print what the pages show.

The blocks of a page run from top to bottom in a separate folder: ``console`` (a line after ``$`` is
a command; the lines below are compared with its output, see ``matches``), ``pycon``, ``python``,
and files (blocks with a title), which are written. All other blocks are ignored.
"""

import doctest
import re
import socket
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from digitlens.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
BEFORE = ("FRAMING.md", "LOG.md", "cost.md")  # papers without commands
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.name not in BEFORE)
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READ_ONLY = {"text", "csv", "ini", "dockerfile"}
DECIMAL = re.compile(r"\d+\.\d+")
PORTS = ("8000", "8001", "8002")

pytestmark = [pytest.mark.mnist, pytest.mark.train]


class Block(NamedTuple):
    """A fenced block: its language, its file name if it has a title, and its text."""

    language: str
    title: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    for port in PORTS:
        text = text.replace(port, str(free_port())) if port in text else text
    return [Block(*found) for found in FENCE.findall(text)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def steps_of(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with its expected output."""
    lines = text.replace("\\\n", "").splitlines()
    steps: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith("$ "):
            steps.append((line.removeprefix("$ ").strip(), ""))
        else:
            command, shown = steps.pop()
            steps.append((command, f"{shown}{line}\n"))
    return steps


def matches(shown: str, printed: str) -> bool:
    """Whether a command printed the expected text.

    ``...`` matches anything, on a line of its own any number of lines. Decimal numbers, which
    depend on the machine, may differ by 10 %.
    """
    shown, printed = (
        "\n" + "\n".join(line.rstrip() for line in text.strip().splitlines())
        for text in (shown, printed)
    )
    pattern = re.escape(DECIMAL.sub("\0", shown)).replace("\0", f"({DECIMAL.pattern})")
    pattern = re.sub(r"\\\n\\\.\\\.\\\.(?=\\\n|$)", "(?:\n.*)?", pattern)
    found = re.fullmatch(pattern.replace(re.escape("..."), ".*?"), printed, re.DOTALL)
    if not found:
        return False
    pairs = zip(DECIMAL.findall(shown), found.groups(), strict=True)
    return all(float(one) == pytest.approx(float(other), rel=0.1) for one, other in pairs)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_code_blocks_of_a_page_run_and_print_what_it_shows(page, shell):
    shell.prepare(page.read_text(encoding="utf-8"))
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command, shown in steps_of(block.text):
                printed = shell.run(command)
                assert not shown or matches(shown, printed), f"{command}\n{printed}"
        elif block.language == "python":
            exec(compile(block.text, page.name, "exec"), names)
        elif block.language == "pycon":
            run_example(block.text, names, page.name)
        else:
            assert block.language in READ_ONLY


def run_example(text: str, names: dict[str, object], page: str) -> None:
    example = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    example.globs = names
    said: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(verbose=False, optionflags=flags)
    assert runner.run(example, out=said.append, clear_globs=False).failed == 0, "".join(said)


def test_output_is_compared_line_by_line():
    assert matches("a ... c\n...\nend", "a b c\n1\n2\nend\n")
    assert matches("a\n...\nend", "a\nend")
    assert not matches("a\n...\nend", "b\nend")
    assert not matches("a", "a\nb")
    assert matches("99.1 % of 12", "98.9 % of 12")
    assert not matches("99.1 % of 12", "88.9 % of 12")
    assert not matches("99.1 % of 12", "99.1 % of 13")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_commands_and_options_mentioned_on_a_page_exist(page):
    commands = typer.main.get_command(app).commands
    for said in re.findall(r"`digitlens ([a-z]+[^`\n]*)`", page.read_text(encoding="utf-8")):
        name = said.split()[0]
        options = {option for one in commands[name].params for option in one.opts} | {"--help"}
        assert set(re.findall(r"(?<= )--[a-z-]+", said)) <= options, said
