"""The Ray Data and Daft scripts in docs/how-to/million.md read a local folder.

`make recipes` runs this in an environment with both: they take 700 MB and a minute to start.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import dataset

from digitlens.reading.shards import schema

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "how-to" / "million.md"


@pytest.mark.parametrize("name", ["read_with_ray.py", "read_with_daft.py"])
def test_recipe_reads_a_folder(name, labels, tmp_path):
    found = re.search(rf'^```python title="{name}"\n(.*?)^```$', PAGE.read_text(), re.M | re.S)
    (tmp_path / name).write_text(found[1])
    shutil.copytree(EXAMPLES, tmp_path / "in")
    (tmp_path / "in" / "torn.jpg").write_bytes(b"no picture")
    command = [sys.executable, name, str(tmp_path / "in"), str(tmp_path / "out")]
    patient = os.environ | {"RAY_raylet_start_wait_time_s": "300"}  # for a busy machine
    done = subprocess.run(
        command, cwd=tmp_path, env=patient, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    table = dataset.dataset(tmp_path / "out", format="parquet").to_table()
    assert table.schema.names == schema().names
    rows = {Path(row["path"]).name: row for row in table.to_pylist()}
    assert {name: rows[name]["text"] for name in labels} == labels
    assert rows.pop("torn.jpg")["status"] == "error"
    assert len(rows) == len(list(EXAMPLES.glob("*.png"))) + len(list(EXAMPLES.glob("*.jpg")))
