"""What pictures cost, and whether processes get in each other's way."""

import json

import scale


def test_costs_and_throughput_follow_from_processor_time(monkeypatch, tmp_path, capsys):
    seconds = {"read": iter([3.0, 2.0, 4.0, 5.0]), "batch": iter([2.5] * 4 + [8.0] * 4)}
    monkeypatch.setattr(scale, "run", lambda _place, command, *_, **__: next(seconds[command]))
    monkeypatch.setattr(scale, "cores", lambda: 2)
    monkeypatch.setattr("sys.argv", f"scale.py --count 200 --rounds 2 --out {tmp_path}".split())
    scale.main()
    assert "| drawings | read | 10.0 | 360,000 | 100 % | 2,778 |" in capsys.readouterr().out
    rows = json.loads((tmp_path / "scale.json").read_text())["rows"]
    assert [round(row["share"], 3) for row in rows] == [1, 0.8, 0.8, 1, 0.5, 0.5]
    assert [round(row["ms"]) for row in rows] == [10, 12, 12, 200, 400, 400]


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
