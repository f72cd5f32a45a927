"""The documentation site builds, has no dead links and loads nothing from other hosts."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from digitlens.cli.main import app
from digitlens.training.recipe import AutoencoderRecipe, DetectorRecipe, LineRecipe, Recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|\]\((#[^)]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_relative_link_has_a_target(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target, _ in LINK.findall(text):
        assert not target or "://" in target or (page.parent / target).exists(), target


def test_every_page_is_in_the_navigation():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": (\S+\.md)$", config, re.MULTILINE))
    assert listed == {str(path.relative_to(DOCS)) for path in PAGES}


def test_pictures_are_small_and_used():
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


def test_site_builds_and_loads_nothing_from_other_hosts(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    fetched = re.compile(
        r"<(?:script|img|iframe|source)[^>]+src=\"(?:https?:)?//"
        r"|<link[^>]+rel=\"?(?:stylesheet|preconnect|icon)[^>]+href=\"(?:https?:)?//"
    )
    assert [page for page in pages if fetched.search(page.read_text(encoding="utf-8"))] == []


def test_reference_lists_every_option_and_recipe_field(site):
    commands = (site / "reference/commands/index.html").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(app).commands.items():
        assert f'id="{name}"' in commands
        shown = [one for one in command.params if not one.hidden]  # hidden: deprecated names
        options = {option for one in shown for option in one.opts if option[0] == "-"}
        assert [option for option in options if option not in commands] == []
    fields = (site / "reference/recipe/index.html").read_text(encoding="utf-8")
    kinds = (Recipe, DetectorRecipe, LineRecipe, AutoencoderRecipe)
    named = [name for kind in kinds for name in kind().as_dict()]
    assert [name for name in named if f"<code>{name}</code>" not in fields] == []


def test_unknown_generated_block_is_refused():
    path = DOCS / "generated.py"
    spec = importlib.util.spec_from_file_location("generated", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.on_page_markdown("as it is") == "as it is"
    with pytest.raises(KeyError, match="nothing"):
        module.on_page_markdown("<!-- generated: nothing -->")
