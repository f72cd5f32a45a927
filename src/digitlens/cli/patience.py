"""What commands that train have in common: threads that wait quietly, and an end by Ctrl-C."""

from __future__ import annotations

import os

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def use_patient_threads() -> None:
    """To be called before torch loads, which reads it once.

    Threads that spin while they wait for each other are fastest on an idle machine and hopeless on
    a busy one: beside one other process an epoch took 43 s with the usual 300,000 turns and 6.5 s
    with 1,000; on an idle machine 2.3 s and 2.6 s.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
