"""Tools are no package: they are imported from their own folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tools"))
