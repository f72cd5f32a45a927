"""The comparison of results after a disturbance detects torn files and lost rows."""

import sqlite3
from contextlib import closing

import pytest
from chaos.commands import contents, leftovers

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.json", '{"a": 1', "does not end in a line"),
        ("a.json", '{"a": 1\n', "delimiter"),
        ("a.csv", "a,b\n1,2\n3\n", "rows of different lengths"),
        ("a.csv", "a,b\n1,", "does not end in a line"),
        ("a.toml", "a =\n", "Invalid value"),
        ("a.png", "\x89PNG", "cannot identify"),
        ("a.sqlite", "no database", "not a database"),
        ("model.json", '{"format": 1}\n', "model"),
    ],
)
def test_torn_file_is_detected(tmp_path, name, content, error):
    (tmp_path / name).write_text(content)
    with pytest.raises(Exception, match=error):
        contents(tmp_path)


def test_contents_omit_times_and_temporary_files(tmp_path):
    (tmp_path / "a.json").write_text('{"loss": 1, "seconds": 3}\n')
    (tmp_path / ".a-0.json").write_text("{")
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as base:
        base.execute("CREATE TABLE readings (picture TEXT)")
        base.execute("INSERT INTO readings VALUES ('a.png')")
        base.commit()
    assert contents(tmp_path) == {"a.json": {"loss": 1}, "log.sqlite": [("a.png",)]}
    assert leftovers(tmp_path) == [".a-0.json"]
