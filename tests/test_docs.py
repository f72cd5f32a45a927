"""The documentation keeps its word: what it shows is run, its links lead somewhere, it builds.

Blocks of a page are run from top to bottom in a folder of its own: ``console`` (a line after ``$``
is a command; what follows is compared with what it prints, ``...`` standing for anything),
``python``, and files (blocks with a title), which are written. All other blocks are only read.
"""

import contextlib
import doctest
import importlib.util
import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from digitlens.cli import app
from digitlens.training.recipe import Recipe

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BEFORE = ("FRAMING.md", "LOG.md", "cost.md")  # papers, which show no commands to try
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.name not in BEFORE)
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READ_ONLY = {"text", "json", "csv", "ini", "dockerfile"}
# Lines that are not run: they would change the environment that the tests run in, or wait.
SKIPPED = re.compile(r"(pip|npm) install |cd digitlens$|make (demo|test|docs)$|digitlens serve$")
TRAINING = "digitlens train --recipe fast"  # run once, for all pages together
RUN = "runs/fast-1"
PORTS = ("8000", "8001", "8002")
SHELL = set("|&;<>$`=")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|\]\((#[^)]+)\)")

pytestmark = [
    pytest.mark.mnist,
    pytest.mark.train,
    pytest.mark.filterwarnings("default:::torch"),
]


class Block(NamedTuple):
    """A fenced block: its language, the file that it is if any, and its text."""

    language: str
    title: str
    text: str


class Shell:
    """Runs the commands of one page."""

    def __init__(self, trained: tuple[Path, str]) -> None:
        self.trained, self.servers = trained, []

    def run(self, command: str) -> str:
        """What a command printed on both streams."""
        if SKIPPED.match(command):
            return ""
        if command == TRAINING:
            shutil.copytree(self.trained[0], RUN)
            return self.trained[1]
        if command.endswith("&"):
            return self.start(command)
        if command.startswith("digitlens ") and not SHELL & set(command):
            return digitlens(shlex.split(command)[1:])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, command: str) -> str:
        """Starts a server and waits until it answers."""
        process = subprocess.Popen(
            ["bash", "-c", command.removesuffix("&")],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.servers.append(process)
        port = int(re.findall(r"\b\d{4,5}\b", command)[-1])
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return ""
            time.sleep(0.05)
        raise AssertionError(f"{command} does not answer")

    def stop(self) -> None:
        """Ends the servers."""
        for process in self.servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "COLUMNS": "120"}


def digitlens(arguments: list[str]) -> str:
    """Runs the command line in this process, where what is heavy is imported already."""
    found = [sorted(map(str, Path().glob(part))) if "*" in part else [part] for part in arguments]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = app([part for parts in found for part in parts], standalone_mode=False)
    assert not code, printed.getvalue()
    return printed.getvalue()


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    for port in PORTS:
        text = text.replace(port, str(free_port())) if port in text else text
    return [Block(*found) for found in FENCE.findall(text)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def steps_of(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it shall print."""
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
    """Whether a text is the one shown; ``...`` stands for anything, alone for lines or none."""
    shown, printed = (
        "\n".join(line.rstrip() for line in text.strip().splitlines()) for text in (shown, printed)
    )
    pattern = re.sub(r"\\\n\\\.\\\.\\\.(?=\\\n|$)", lambda _: "(?:\\n.*)?", re.escape("\n" + shown))
    pattern = pattern.replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, "\n" + printed, re.DOTALL) is not None


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run that most pages speak of, and what its training printed."""
    folder = tmp_path_factory.mktemp("docs")
    with contextlib.chdir(folder):
        printed = digitlens(shlex.split(TRAINING)[1:])
    return folder / RUN, printed


@pytest.fixture
def shell(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    shutil.copytree(ROOT / "examples", "examples")
    runs = Shell(trained)
    yield runs
    runs.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_a_page_shows_is_so(page, shell, trained):
    blocks = blocks_of(page)
    if f"$ {TRAINING}\n" not in page.read_text(encoding="utf-8"):
        shutil.copytree(trained[0], RUN)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command, shown in steps_of(block.text):
                printed = shell.run(command)
                skipped = SKIPPED.match(command) or not shown
                assert skipped or matches(shown, printed), f"{command}\n{printed}"
        elif block.language == "python":
            run_python(block.text, names, page.name)
        else:
            assert block.language in READ_ONLY


def run_python(text: str, names: dict[str, object], page: str) -> None:
    if ">>> " not in text:
        exec(compile(text, page, "exec"), names)
        return
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


@pytest.mark.parametrize(
    "page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS))
)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target, _ in LINK.findall(text):
        assert not target or "://" in target or (page.parent / target).exists(), target


def test_every_page_is_in_the_navigation():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": (\S+\.md)$", config, re.MULTILINE))
    assert listed == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


def test_pictures_are_small_and_shown():
    shown = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    pictures = list((DOCS / "pictures/docs").iterdir())
    assert all(picture.stat().st_size < 150_000 for picture in pictures)
    assert sum(picture.stat().st_size for picture in pictures) < 2_000_000
    assert [picture.name for picture in pictures if picture.name not in shown] == []


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` does."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(out)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_the_site_builds_and_asks_nothing_of_other_hosts(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    asked = re.compile(r"(?:src|href)=\"(?:https?:)?//[^\"]+|url\([\"']?https?:|@import")
    for page in pages:
        found = asked.findall(page.read_text(encoding="utf-8"))
        links = [part for part in found if not part.startswith("href")]
        assert links == [], page


def test_the_reference_has_every_option_and_every_field(site):
    commands = (site / "reference/commands/index.html").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(app).commands.items():
        assert f'id="{name}"' in commands
        options = {option for one in command.params for option in one.opts if option[0] == "-"}
        assert [option for option in options if option not in commands] == []
    fields = (site / "reference/recipe/index.html").read_text(encoding="utf-8")
    assert [name for name in Recipe().as_dict() if f"<code>{name}</code>" not in fields] == []


def test_a_page_that_asks_for_what_is_not_made_is_refused():
    path = DOCS / "generated.py"
    spec = importlib.util.spec_from_file_location("generated", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.on_page_markdown("as it is") == "as it is"
    with pytest.raises(KeyError, match="nothing"):
        module.on_page_markdown("<!-- generated: nothing -->")
