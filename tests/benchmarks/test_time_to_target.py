"""The time-to-accuracy benchmark: which runs it starts, and the table it prints."""

import sys

import pytest

import time_to_target as timing
import training


@pytest.fixture
def asked(monkeypatch):
    """The arguments of each process; the processes return made-up rows."""
    found = []

    def say(who, wanted, _options, _missing):
        found.append((who, *wanted))
        if who == "keras":
            return [{"epoch": 3, "seconds": 8.0, "test_accuracy": 0.9901}, {"versions": "k"}]
        row = {"seconds": 2.0, "test_accuracy": 0.9934, "epochs": 1, "parameters": 9}
        return [row | {"seed": seed} for seed in range(wanted[1], wanted[2])] + [{"versions": "t"}]

    monkeypatch.setattr(training, "rows_of", say)
    monkeypatch.setattr(training, "PEERS", {"keras": training.PEERS["keras"]})
    monkeypatch.setattr(training.harness, "save_tiles", lambda *_: "tiles")
    monkeypatch.setattr(training, "load_mnist", lambda: None)
    return found


def test_each_target_has_its_recipe_and_seeds_and_the_first_one_peers(asked, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["time_to_target.py", "--seeds", "3", "0", "1"])
    timing.main()
    assert asked == [
        *(("digitlens", "fast", 0, 2), ("keras", "tiles", 15, 0.99), ("digitlens", "fast", 2, 3)),
        ("digitlens", "best", 0, 1),
    ]
    lines = capsys.readouterr().out.splitlines()
    assert "| 99.0 % | digitlens, `fast` | 3 | 2.0 ± 0.0 | 99.340 ± 0.000 % | yes |" in lines
    assert "| 99.0 % | Keras `mnist_convnet` | 1 | 8.0 | 99.010 % | yes |" in lines
    assert "| 99.7 % | digitlens, `best` | 1 | 2.0 | 99.340 % | no |" in lines
    assert lines[-1] == "- digitlens, `fast`: 9 parameters; t"
