"""What a record says of its own making: date, commit, machine and versions."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from digitlens import __version__
from digitlens.evaluation.speed import processor
from digitlens.training.run import source_commit


def provenance() -> dict[str, Any]:
    """JSON-ready; ``load`` is the mean number of busy processes of the last minute."""
    packages = ("numpy", "onnxruntime", "pillow")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": source_commit(),
        "machine": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version(), "digitlens": __version__}
        | {package: version(package) for package in packages},
    }
