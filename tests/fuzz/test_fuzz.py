"""A short fuzzing run in every test run; ``make fuzz`` is the long one.

Any exception of a target other than ``DigitlensError`` fails a test; ``found`` is the input.
"""

import json
import random
import time

import pytest

from child import inputs, seeds_of
from mutate import LIMIT, mutate
from targets import TARGETS, attempt

COUNTS = {"reader": 3, "documents": 20, "api": 40}  # the slow ones
COUNT = 150
LONGEST = 10  # CPU seconds for one input


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_malformed_input_raises_only_digitlens_errors(name):
    seeds = seeds_of(TARGETS[name][1])
    taken = 0
    for found in [
        *seeds[: 3 if name == "reader" else None],
        *inputs(seeds, 7, COUNTS.get(name, COUNT)),
    ]:
        begun = time.process_time()
        taken += attempt(name, found)
        assert time.process_time() - begun < LONGEST
    assert taken  # some inputs are accepted


def test_inputs_are_reproducible_and_bounded():
    seeds = seeds_of("pictures")
    assert list(inputs(seeds, 1, 50)) == list(inputs(seeds, 1, 50))
    assert len(set(inputs(seeds, 1, 50))) > 40
    assert all(len(data) <= LIMIT for data in inputs([bytes(LIMIT)], 1, 50))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["pictures", "archives", "bundles", "requests"])
def test_many_mutations_keep_the_file_signature(kind):
    """Checksums and lengths are repaired, so that damage reaches the decoder."""
    for seed in seeds_of(kind):
        changed = [mutate(seed, random.Random(k)) for k in range(20)]
        assert sum(each[:4] == seed[:4] for each in changed) >= 8


def test_crash_is_reported_with_its_input_and_the_run_continues(monkeypatch, tmp_path):
    import run  # noqa: PLC0415  (adds the benchmarks' folder to the path)

    monkeypatch.setattr(run, "FINDS", tmp_path / "finds")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "CHILD", tmp_path / "child.py")
    (tmp_path / "child.py").write_text(
        "import sys, struct\n"
        "count = int(sys.argv[4].split('=')[1])\n"
        "open(sys.argv[3], 'r+b').write(struct.pack('<QQQQI', min(count - 1, 4), 1, 9, 9, 3)"
        " + b'bad')\n"
        "sys.exit('SomeError: oh' if count > 1 else 0)\n"
    )
    result = run.Result("decoder", run.MUTATION)
    run.fuzz_target(result, 7, 1)
    assert (result.tried, len(result.finds)) == (7, 2)
    assert "SomeError: oh" in result.finds[0]
    assert json.loads(json.dumps(result.row))["found"] == 2
    assert [path.read_bytes() for path in (tmp_path / "finds").iterdir()] == [b"bad"]
