"""Writes the static site: the page and everything it needs to read pictures in the browser.

The graphs are those that Python runs. onnxruntime-web, which runs them in the browser, comes from
one pinned and verified version of its npm package, and is cached.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from digitlens import __version__, files
from digitlens.datasets.sources import NpmPackage, npm_archives, read_members
from digitlens.errors import DataError, DigitlensError
from digitlens.models import bundle
from digitlens.progress import work_bar

STATIC = Path(__file__).with_name("static")
LISTING = "site.json"
FORMAT = 1  # of the listing
TIME_LIMIT = 300.0  # seconds for a package of 33 MB
PAGE = "index.html"
VENDOR = "vendor/onnxruntime-web"

# Policy of the page on hosts without headers; the server sends the same and more in its headers.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; media-src 'self' blob:; "
    "worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)
_CHARSET = '<meta charset="utf-8">'
_POLICY = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
_SERVER_MODE, _BROWSER_MODE = (
    f'<meta name="digitlens-mode" content="{mode}">' for mode in ("server", "browser")
)


@dataclass(frozen=True)
class Runtime:
    """The browser's ONNX runtime: a package, and (name, name in the site, SHA-256) of its files."""

    package: NpmPackage
    files: tuple[tuple[str, str, str], ...]


# The module is renamed to .js: not every host serves .mjs as a script.
RUNTIME = Runtime(
    NpmPackage(
        "onnxruntime-web",
        "1.30.0",
        "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    ),
    (
        (
            "package/dist/ort.wasm.bundle.min.mjs",
            "ort.wasm.bundle.min.js",
            "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
        ),
        (
            "package/dist/ort-wasm-simd-threaded.wasm",
            "ort-wasm-simd-threaded.wasm",
            "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
        ),
    ),
)


class SiteError(DigitlensError):
    """The site cannot be written to a folder."""


def write_site(folder: Path, model: str | Path, pages: str | Path) -> None:
    """Writes the site atomically; replaces one that was written before.

    Raises SiteError if the folder has other files or cannot be written, ModelError if a model is
    missing or damaged, and DataError if onnxruntime-web cannot be downloaded.
    """
    _check_free(folder)
    parts = {**_model_files(model, pages), **_runtime_files(), **_page_files()}
    try:
        with files.temporary_folder(folder) as temporary:
            site = temporary / "site"
            for name, content in parts.items():
                (site / name).parent.mkdir(parents=True, exist_ok=True)
                (site / name).write_bytes(content)
            files.write_json(site / LISTING, _listing(parts))
            _replace(folder, site, temporary / "before")
    except OSError as error:
        raise SiteError(f"{folder} cannot be written: {error}") from error


def _check_free(folder: Path) -> None:
    """Raises SiteError unless the path is new, or a folder with files of an earlier export only."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SiteError(f"{folder} is not a folder: name one that is new or empty")
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    if others := sorted(found - _listed(folder)):
        raise SiteError(
            f"{folder} has files that digitlens did not write ({', '.join(others[:3])}"
            f"{', …' if len(others) > 3 else ''}): name a folder that is new or empty"
        )


def _listed(folder: Path) -> set[str]:
    """The files that an earlier export wrote to a folder."""
    try:
        listing: Any = json.loads((folder / LISTING).read_text(encoding="utf-8"))
        return {LISTING, *listing["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _replace(folder: Path, site: Path, previous: Path) -> None:
    if folder.exists():
        folder.rename(previous)
    try:
        site.rename(folder)
    except OSError:
        if previous.exists():
            previous.rename(folder)
        raise


# The files of each role, by their key in the listing.
_GRAPH = {"card": bundle.CARD, "graph": bundle.GRAPH}
_LINE_FILES = {"card": bundle.CARD, "detector": bundle.DETECTOR, "recognizer": bundle.RECOGNIZER}
_ROLE_FILES = {"tiles": _GRAPH, "pages": _GRAPH, "lines": _LINE_FILES | {"spotter": bundle.SPOTTER}}


def _model_files(model: str | Path, pages: str | Path) -> dict[str, bytes]:
    """The graphs that Python runs, with their cards."""
    classifier, detector = bundle.open_roles(model, pages)
    lines = bundle.lines_of(classifier.folder)
    bundle.load_line_bundle(lines)  # checked
    folders = {"tiles": classifier.folder, "pages": detector.folder, "lines": lines}
    return {
        f"models/{role}/{name}": (folder / name).read_bytes()
        for role, folder in folders.items()
        for name in _ROLE_FILES[role].values()
        if files.is_file(folder / name)
    }


def _page_files() -> dict[str, bytes]:
    """The files of the page, switched to run without a server."""
    paths = [path for path in sorted(STATIC.rglob("*")) if path.is_file()]
    parts = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in paths}
    return {**parts, PAGE: browser_page(parts[PAGE].decode()).encode()}


def browser_page(html: str) -> str:
    """The page without a server: sets its mode to browser, and its content security policy."""
    for marker in (_CHARSET, _SERVER_MODE):
        if html.count(marker) != 1:
            raise SiteError(f"{PAGE} is damaged: expected {marker} once; install digitlens again")
    return html.replace(_CHARSET, f"{_CHARSET}\n  {_POLICY}").replace(_SERVER_MODE, _BROWSER_MODE)


def _runtime_files() -> dict[str, bytes]:
    """The files of onnxruntime-web, from the cache or by npm, with its licence."""
    package, members = RUNTIME.package, {name: member for member, name, _ in RUNTIME.files}
    folder = files.cache_folder(f"{package.name}-{package.version}")
    parts = {n: (folder / n).read_bytes() for n in members if files.is_file(folder / n)}
    if list(map(files.sha256, parts.values())) != [sha256 for _, _, sha256 in RUNTIME.files]:
        with TemporaryDirectory(prefix="digitlens-") as temporary, work_bar() as bar:
            bar.add_task(f"{package} by npm", total=None)
            what = f"the browser runtime, {package}, comes"
            (archive,) = npm_archives([package], Path(temporary), what, TIME_LIMIT)
            found = read_members(archive, members.values())
        parts = {name: found[member] for name, member in members.items() if member in found}
        for name, content in parts.items():
            files.write_bytes(folder / name, content)
    return {f"{VENDOR}/{name}": content for name, content in {**parts, **_licences()}.items()}


def _licences() -> dict[str, bytes]:
    """The licence and notices of ONNX Runtime, as its Python package carries them."""
    # Not imported: only the model layer imports it, and only two files are needed.
    package = importlib.util.find_spec("onnxruntime")
    folders = [Path(folder) for folder in (package and package.submodule_search_locations) or ()]
    texts = [folder / name for folder in folders for name in ("LICENSE", "ThirdPartyNotices.txt")]
    parts = {f"{path.stem}.txt": path.read_bytes() for path in texts if files.is_file(path)}
    if "LICENSE.txt" not in parts:
        raise DataError("onnxruntime is installed without its licence: install it again")
    return parts


def _listing(parts: dict[str, bytes]) -> dict[str, Any]:
    """The listing of the site's files, which the reader in the browser loads first."""
    module, wasm = (f"{VENDOR}/{name}" for _, name, _ in RUNTIME.files)
    roles = {
        role: {
            key: path if (path := f"models/{role}/{name}") in parts else None
            for key, name in names.items()
        }
        for role, names in _ROLE_FILES.items()
    }
    return {
        "format": FORMAT,
        "digitlens": __version__,
        "runtime": {"package": str(RUNTIME.package), "module": module, "wasm": wasm},
        "classifier": roles["tiles"],
        "pages": roles["pages"],
        "lines": roles["lines"],
        "files": {
            name: {"size": len(content), "sha256": files.sha256(content)}
            for name, content in sorted(parts.items())
        },
    }
