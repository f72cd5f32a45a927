"""The folder of the cases is at the root."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
