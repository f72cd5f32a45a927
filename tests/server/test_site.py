"""The exported folder for static hosts: contents and refusals."""

import hashlib
import io
import json
import os
import tarfile

import pytest
from typer.testing import CliRunner

from digitlens.cli.main import app
from digitlens.datasets import sources
from digitlens.datasets.sources import NpmPackage
from digitlens.errors import DataError, ModelError
from digitlens.models.bundle import PRETRAINED
from digitlens.models.bundle import SHIPPED_LINES as LINES
from digitlens.server import site
from digitlens.server.site import SiteError, browser_page, write_site

EMPTY = hashlib.sha256(b"").hexdigest()


def small_runtime(monkeypatch, content=b"runtime", sha256=None):
    """Replaces onnxruntime-web by a package of a few bytes and npm by a function."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as package:
        for name in ("package/a.mjs", "package/b.wasm"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    packed = archive.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    files = (("package/a.mjs", "a.js", digest), ("package/b.wasm", "b.wasm", digest))
    whole = sha256 or hashlib.sha256(packed).hexdigest()
    monkeypatch.setattr(site, "RUNTIME", site.Runtime(NpmPackage("small", "1.2.3", whole), files))
    commands = []

    def run(command, folder, _limit):
        commands.append(command)
        (folder / "small-1.2.3.tgz").write_bytes(packed)

    monkeypatch.setattr(sources, "run", run)
    return commands


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def npm(monkeypatch, cache):
    assert not cache.exists()
    return small_runtime(monkeypatch)


def files_in(folder):
    return {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("npm")
def test_site_is_complete_and_lists_its_files(tmp_path):
    write_site(tmp_path / "site", "default", "pages")
    files_found = files_in(tmp_path / "site")
    listing = json.loads(files_found.pop("site.json").read_text(encoding="utf-8"))
    assert listing["files"].keys() == files_found.keys()
    for name, entry in listing["files"].items():
        content = files_found[name].read_bytes()
        assert entry == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    parts = [*listing["runtime"].values(), *listing["classifier"].values(),
             *listing["pages"].values(), *listing["lines"].values()]  # fmt: skip
    assert set(parts) - {"small@1.2.3"} <= files_found.keys()
    assert {"index.html", "reader/index.js", "reader/worker.js"} <= files_found.keys()
    assert b"Microsoft" in files_found["vendor/onnxruntime-web/LICENSE.txt"].read_bytes()


@pytest.mark.usefixtures("npm")
def test_site_has_pythons_networks_and_a_page_in_browser_mode(tmp_path):
    write_site(tmp_path / "site", "default", "pages")
    folders = {"tiles": PRETRAINED / "default", "pages": PRETRAINED / "pages", "lines": LINES}
    for theirs, ours in folders.items():
        files_found = sorted((tmp_path / "site" / "models" / theirs).iterdir())
        assert "model.json" in [path.name for path in files_found]
        for path in files_found:
            assert path.read_bytes() == (ours / path.name).read_bytes()
    assert len(list((tmp_path / "site" / "models").rglob("*.onnx"))) == 5
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert '<meta name="digitlens-mode" content="browser">' in page
    assert page.index("Content-Security-Policy") < page.index("<link")
    assert "default-src 'none'" in page
    assert "unsafe-inline" not in page
    with pytest.raises(SiteError, match="expected <meta charset"):
        browser_page("<html></html>")


def test_package_is_fetched_once_and_again_if_the_cache_is_damaged(npm, tmp_path, cache):
    for name in ("first", "second"):
        write_site(tmp_path / name, "default", "pages")
    assert len(npm) == 1
    assert npm[0][-1] == "small@1.2.3"
    assert "--ignore-scripts" in npm[0]
    (cache / "small-1.2.3" / "b.wasm").write_bytes(b"other")
    write_site(tmp_path / "first", "default", "pages")
    assert len(npm) == 2
    assert (cache / "small-1.2.3" / "b.wasm").read_bytes() == b"runtime"


@pytest.mark.usefixtures("cache")
def test_wrong_archive_and_missing_npm_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"onnxruntime-web@1.30.0, comes from npm, a part of Node.js: npm cannot be run"
    with pytest.raises(DataError, match=message):
        write_site(tmp_path / "site", "default", "pages")
    small_runtime(monkeypatch, sha256=EMPTY)
    with pytest.raises(DataError, match=f"small@1.2.3: expected SHA-256 {EMPTY}, found"):
        write_site(tmp_path / "site", "default", "pages")
    assert not (tmp_path / "site").exists()


@pytest.mark.usefixtures("npm")
def test_site_replaces_an_earlier_one_atomically(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    write_site(tmp_path / "site", "default", "pages")
    old_files = {name: path.read_bytes() for name, path in files_in(tmp_path / "site").items()}
    (tmp_path / "site" / "index.html").write_text("changed", encoding="utf-8")
    write_site(tmp_path / "site", "default", "pages")

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(site.files, "write_json", fail)
    with pytest.raises(SiteError, match="no space left"):
        write_site(tmp_path / "site", "default", "pages")
    assert old_files == {n: path.read_bytes() for n, path in files_in(tmp_path / "site").items()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "site"]


@pytest.mark.usefixtures("npm")
@pytest.mark.skipif(os.name != "posix", reason="folders cannot be locked")
def test_leftovers_of_a_killed_export_are_removed(tmp_path):
    left = tmp_path / "site" / ".web-0" / "site"
    left.mkdir(parents=True)
    (left / "index.html").write_text("half")
    write_site(tmp_path / "site" / "web", "swift", "pages")
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["web"]


@pytest.mark.usefixtures("npm")
def test_folder_with_foreign_files_is_refused(tmp_path):
    write_site(tmp_path / "site", "default", "pages")
    (tmp_path / "site" / "CNAME").write_text("digits.example", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "site.json").write_text("[]", encoding="utf-8")
    (tmp_path / "file").write_text("text", encoding="utf-8")
    for name, message in {
        "site": r"has files that digitlens did not write \(CNAME\)",
        "mine": r"\(site\.json\): name a folder that is new or empty",
        "file": "is not a folder",
        "file/below": "cannot be written",
    }.items():
        with pytest.raises(SiteError, match=message):
            write_site(tmp_path / name, "default", "pages")


def test_unknown_model_is_refused(npm, tmp_path):
    with pytest.raises(ModelError, match="no model 'missing'"):
        write_site(tmp_path / "site", "missing", "pages")
    assert not npm


@pytest.mark.usefixtures("npm")
def test_export_command_reports_the_folder(tmp_path):
    answer = CliRunner().invoke(app, ["export", "--web", str(tmp_path / "site")])
    assert answer.exit_code == 0
    assert answer.stdout == ""
    assert f"written to {tmp_path / 'site'}: " in answer.stderr
    assert "python -m http.server" in answer.stderr
