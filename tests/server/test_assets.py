import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from digitlens.server.assets import FOLDER, Assets


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "static"
    (folder / "app").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>7</h1>")
    (folder / "app" / "main.js").write_text("export {}")
    (folder / "model.onnx").write_bytes(b"\x08")
    (folder / "ort.wasm").write_bytes(b"\0asm")
    (folder / "manifest.webmanifest").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "way-out").symlink_to(tmp_path)
    app = Starlette()
    app.router.default = Assets(folder)
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/app/main.js", "text/javascript; charset=utf-8"),
        ("/ort.wasm", "application/wasm"),
        ("/model.onnx", "application/octet-stream"),
        ("/manifest.webmanifest", "application/manifest+json"),
    ],
)
def test_files_have_their_types_whatever_the_machine_thinks(site, path, kind):
    answer = site.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_file_that_has_not_changed_is_not_sent_again(site):
    tag = site.get("/app/main.js").headers["ETag"]
    answer = site.get("/app/main.js", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/app/%2e%2e/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/way-out/secret.txt",
        "/app",
        "/%00",
        "/nothing",
        "/" + "a" * 5000,
    ],
)
def test_nothing_outside_and_nothing_else_is_found(site, path):
    answer = site.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_only_reading_is_possible(site):
    assert site.post("/index.html").status_code == 405
    assert site.head("/index.html").status_code == 200


def test_the_page_is_there():
    assert (FOLDER / "index.html").exists()
