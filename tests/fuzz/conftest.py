"""Adds ``fuzz/`` to the import path, since its modules import each other by name."""

import sys
from pathlib import Path

FUZZ = Path(__file__).parents[2] / "fuzz"
sys.path.append(str(FUZZ))
