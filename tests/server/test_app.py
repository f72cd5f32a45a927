"""Static files of the page, security headers, and start of the server."""

import socket
from urllib.request import urlopen

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from digitlens.server.app import HEADERS, Assets, Server
from digitlens.server.limits import Settings
from digitlens.server.service import make_service


@pytest.mark.parametrize("path", ["/", "/nothing", "/v1/models", "/v1/read", "/v2/x", "/metrics"])
def test_all_responses_have_the_security_headers(client, path):
    answer = client.get(path)
    assert path != "/" or answer.status_code == 200
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_page_cannot_load_from_other_origins():
    rules = dict(rule.split(" ", 1) for rule in HEADERS["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == "'none'"
    allowed = {source for rule in rules.values() for source in rule.split()}
    assert allowed == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:", "data:"}


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
def test_content_types_do_not_depend_on_the_machine(site, path, kind):
    answer = site.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "no-cache"


def test_unchanged_file_is_304_and_writing_is_refused(site):
    tag = site.get("/app/main.js").headers["ETag"]
    answer = site.get("/app/main.js", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert site.post("/index.html").status_code == 405
    assert site.head("/index.html").status_code == 200


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
def test_paths_outside_the_folder_are_not_found(site, path):
    answer = site.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("host", "begins"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")]
)
def test_address_is_reported_when_the_server_is_ready(start, host, begins):
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    address = start(host=host).address
    assert address.startswith(begins)
    with urlopen(f"{address}/healthz", timeout=10) as answer:
        assert answer.status == 200
        assert "Server" not in answer.headers


def test_address_in_use_is_an_error(reader):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = make_service(Settings(port=taken.getsockname()[1]), reader)
        with pytest.raises(OSError, match="in use"):
            Server(service, print).listen()
