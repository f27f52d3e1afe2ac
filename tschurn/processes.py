"""a process that others were started for → an end to them when it dies, killed or not."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """In a process that was started by another: end as soon as that one is gone.

    A run that is killed would otherwise leave its trainings behind, which go on writing where the next run starts.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive, args=(parent,), daemon=True).start()


def _outlive(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
