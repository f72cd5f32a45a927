"""The most memory that a process has held; needs no library, so that peers can tell as well."""

from pathlib import Path


def peak_memory() -> float | None:
    """Megabytes that this process has held at most; None where the system does not tell.

    ``getrusage`` also counts what the parent held when it forked.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peaks = [int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")]
    return peaks[0] if peaks else None
