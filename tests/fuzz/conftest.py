"""The modules of ``fuzz/`` import each other by name, from their own folder."""

import sys
from pathlib import Path

FUZZ = Path(__file__).parents[2] / "fuzz"
sys.path.append(str(FUZZ))
