"""The trace of calls, on a small package with known folders."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "trace.py"


@pytest.fixture(scope="module")
def trace():
    spec = importlib.util.spec_from_file_location("trace_of_reading", SCRIPT)  # not Python's trace
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_calls_are_traced_in_order_within_the_folder(trace, tmp_path):
    names = {}
    for place in ("a/one.py", "a/two.py", "b/one.py"):
        file = tmp_path / "package" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("def call(*next):\n    return next and next[0](*next[1:])\n")
        space = {}
        exec(compile(file.read_text(), str(file), "exec"), space)
        names[place] = space["call"]
    one, two, other = names.values()
    files = trace.called_files(lambda: one(two, other, max, 1, 2), tmp_path / "package")
    assert [str(file.relative_to(tmp_path / "package")) for file in files] == list(names)
    assert sys.getprofile() is None


def test_reading_crosses_modules(trace, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trace.py"])
    trace.main()
    modules, changes = (int(line.split()[-1]) for line in capsys.readouterr().out.splitlines())
    assert modules > 5
    assert modules // 5 < changes
