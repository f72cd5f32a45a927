"""The project files are consistent: workflows, issue forms, container, hooks, one version."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from digitlens import __version__
from digitlens.cli.main import app

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))


def parsed(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_has_timeouts_and_calls_existing_make_targets(path):
    workflow = parsed(path)
    assert workflow["name"]
    assert workflow[True]  # YAML parses the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                assert step["with"] == {"persist-credentials": False}
    text = path.read_text(encoding="utf-8")
    called = re.findall(r"\bmake ([\w-]+)", text)
    assert set(called) <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_commit_with_the_version_as_comment(path):
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used)


def test_release_signs_the_hashes_of_the_weights():
    release = parsed(GITHUB / "workflows/release.yml")["jobs"]["build"]
    steps = [step.get("with", {}) for step in release["steps"]]
    (signed,) = [step["subject-checksums"] for step in steps if "subject-checksums" in step]
    assert f"sha256sum > {signed}" in MAKEFILE
    assert release["permissions"]["attestations"] == "write"


def test_every_supported_python_is_tested_on_every_system():
    matrix = parsed(GITHUB / "workflows/tests.yml")["jobs"]["test"]["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = " ".join(project["classifiers"])
    assert set(matrix["python"]) == set(re.findall(r"Python :: (3\.\d+)", said))
    assert [name.split("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_form_is_complete(path):
    form = parsed(path)
    assert form["name"]
    assert form["description"]
    names = [field["id"] for field in form["body"]]
    assert len(set(names)) == len(names)
    assert all(field["attributes"]["label"] for field in form["body"])


def test_dependabot_watches_every_kind_of_dependency():
    watched = {each["package-ecosystem"] for each in parsed(GITHUB / "dependabot.yml")["updates"]}
    assert watched == {"pip", "npm", "github-actions", "docker"}


def test_container_serves_as_an_unprivileged_user_and_has_a_healthcheck():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    steps = [(name, rest) for name, rest in lines]
    last = {name: yaml.safe_load(rest) for name, rest in steps if name in ("ENTRYPOINT", "CMD")}
    (command, *options) = last["CMD"]
    known = {option for one in get_command(app).commands[command].params for option in one.opts}
    assert last["ENTRYPOINT"] == ["digitlens"]
    assert {option for option in options if option.startswith("--")} <= known
    assert [rest for name, rest in steps if name == "USER"] == ["digitlens"]
    assert "/readyz" in dict(steps)["HEALTHCHECK"]
    assert all("slim" in rest for name, rest in steps if name == "FROM")


def test_compose_service_is_local_and_read_only():
    (service,) = parsed("compose.yaml")["services"].values()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]


def test_dockerignore_admits_the_build_inputs():
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {"src", "pyproject.toml", "constraints.txt", project["readme"]}
    needed |= {name.removesuffix("/*") for name in project["license-files"]}
    assert {f"!{name}" for name in needed} <= set(allowed)
    assert all((ROOT / name).exists() for name in needed)


def test_hooks_use_the_ruff_version_of_the_constraints():
    repos = parsed(".pre-commit-config.yaml")["repos"]
    (ruff,) = [repo["rev"] for repo in repos if "ruff" in repo["repo"]]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert f"ruff=={ruff.removeprefix('v')}\n" in constraints


def test_version_is_defined_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/digitlens/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert "version" not in parsed("CITATION.cff")


def test_citation_has_the_required_fields():
    assert {"cff-version", "message", "title", "authors"} <= parsed("CITATION.cff").keys()
