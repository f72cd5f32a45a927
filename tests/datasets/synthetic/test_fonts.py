import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from digitlens.datasets import packages
from digitlens.datasets.synthetic.fonts import Family, font_files, load_families
from digitlens.errors import DataError
from digitlens.files import sha256

WANTED = [
    "package/files/nice-latin-400-normal.woff",
    "package/files/nice-latin-700-normal.woff",
    "package/files/nice-greek-400-normal.woff",
]
UNWANTED = [
    "package/LICENSE",
    "package/files/nice-latin-400-italic.woff",
    "package/files/nice-latin-400-normal.woff2",
    "package/files/nice-vietnamese-400-normal.woff",
    "nice-latin-900-normal.woff",
    "../nice-latin-200-normal.woff",
]


def archive_of(names):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return stream.getvalue()


ARCHIVE = archive_of(WANTED + UNWANTED)
FAMILY = Family("nice", "1.2.3", "hand", "training", sha256(ARCHIVE))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fonts"


@pytest.fixture
def npm(cache, monkeypatch):
    """The commands that were run; each leaves the archive of every package asked for."""
    del cache
    commands = []

    def run(command, folder, time_limit):
        assert time_limit > 0
        commands.append(list(command))
        for package in (word for word in command if word.startswith("@fontsource/")):
            name, version = package.removeprefix("@fontsource/").split("@")
            (folder / f"fontsource-{name}-{version}.tgz").write_bytes(ARCHIVE)

    monkeypatch.setattr(packages, "run", run)
    return commands


def test_the_table_has_families_of_both_looks_for_both_roles():
    families = load_families()
    assert len({family.family for family in families}) == len(families) > 100
    assert {(family.kind, family.role) for family in families} == {
        (look, role) for look in ("hand", "print") for role in ("training", "validation")
    }
    assert all(len(bytes.fromhex(family.sha256)) == 32 for family in families)
    assert all(family.version.count(".") == 2 for family in families)


@pytest.mark.usefixtures("npm")
def test_only_the_wanted_files_are_unpacked(cache):
    found = font_files([FAMILY])
    folder = cache / "nice-1.2.3"
    assert {path.name for path in folder.iterdir()} == {Path(name).name for name in WANTED}
    assert set(cache.iterdir()) == {folder}
    assert found == {
        FAMILY: [
            {
                "latin": folder / "nice-latin-400-normal.woff",
                "greek": folder / "nice-greek-400-normal.woff",
            },
            {"latin": folder / "nice-latin-700-normal.woff"},
        ]
    }
    assert found[FAMILY][0]["greek"].read_text() == WANTED[2]


def test_npm_runs_no_script_in_batches_and_only_for_what_is_missing(npm):
    font_files([FAMILY])
    font_files([FAMILY])
    assert len(npm) == 1
    assert {"pack", "--ignore-scripts", "@fontsource/nice@1.2.3"} <= set(npm[0])
    families = [replace(FAMILY, family=f"nice{number}") for number in range(20)]
    assert list(font_files(families)) == families
    asked = [[word for word in command if word.startswith("@")] for command in npm[1:]]
    assert [len(batch) for batch in asked] == [16, 4]


@pytest.mark.usefixtures("npm")
def test_another_archive_than_expected_is_refused(cache):
    wrong = replace(FAMILY, sha256="0" * 64)
    with pytest.raises(DataError, match=f"@fontsource/nice@1.2.3: .*{'0' * 64}.*{FAMILY.sha256}"):
        font_files([wrong])
    assert not cache.exists()


def test_fonts_that_do_not_come_are_an_error(cache, tmp_path, monkeypatch):
    with monkeypatch.context() as silent:
        silent.setattr(packages, "run", lambda *_: None)
        with pytest.raises(DataError, match="found no file"):
            font_files([FAMILY])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"fonts .* npm, a part of Node.js: npm cannot be run"):
        font_files([FAMILY])
    assert not cache.exists()


@pytest.mark.usefixtures("npm")
def test_a_cache_that_cannot_be_written_is_an_error(cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot keep fonts in"):
        font_files([FAMILY])


def test_another_process_may_be_faster(npm, cache, monkeypatch):
    first = packages.run

    def slow(command, folder, time_limit):
        first(command, folder, time_limit)
        if len(npm) == 1:
            font_files([FAMILY])

    monkeypatch.setattr(packages, "run", slow)
    assert len(font_files([FAMILY])[FAMILY]) == 2
    assert len(npm) == 2
    assert [path.name for path in cache.iterdir()] == ["nice-1.2.3"]
