"""What pictures cost, and whether processes get in each other's way."""

import json
from itertools import cycle
from pathlib import Path

import scale


def test_costs_and_throughput_follow_from_processor_time(monkeypatch, tmp_path, capsys):
    def run(place, command, *_, **__):
        pictures = len(list(Path(place).iterdir())) - 1
        each = 0.01 if pictures > 20 else 0.1
        return next(noise) + each * pictures * (1.25 if command == "batch" else 1)

    noise = cycle([0.7, 0.5])
    monkeypatch.setattr(scale, "photo", lambda *_: scale.drawing("7"))  # large ones take seconds
    monkeypatch.setattr(scale, "run", run)
    monkeypatch.setattr(scale, "cores", lambda: 2)
    monkeypatch.setattr("sys.argv", f"scale.py --count 201 --rounds 2 --out {tmp_path}".split())
    scale.main()
    assert "| drawings | read | 10.0 | 360,000 | 100 % | 2,778 |" in capsys.readouterr().out
    rows = json.loads((tmp_path / "scale.json").read_text())["rows"]
    assert [round(row["share"], 3) for row in rows] == [1, 0.8, 0.8] * 2
    assert [round(row["ms"], 1) for row in rows] == [10, 12.5, 12.5, 100, 125, 125]


def test_pictures_are_read_by_each_command(monkeypatch, tmp_path):
    asked = []

    def cost(command, number):
        asked.append((command[3], number))
        return {"cpu": 2000.0, "failed": 0}

    monkeypatch.setattr(scale, "cost", cost)
    assert scale.run(str(tmp_path), "read", number=1) == 2.0
    assert scale.run(str(tmp_path), "batch", "--workers", "1") == 2.0
    assert asked == [("read", 1), ("batch", 0)]
    assert len(list(tmp_path.iterdir())) == 1
