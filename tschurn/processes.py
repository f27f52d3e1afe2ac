"""a process that others were started for → an end to them when it dies, killed or not."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading

_SET_SIGNAL_OF_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def end_with_parent() -> None:
    """In a process that was started by another: end as soon as that one is gone.

    A run that is killed would otherwise leave its trainings behind, which go on writing where the next run starts. The
    thread waits where Python can wait; on Linux the system ends also what is deep inside a library and holds the lock
    of the interpreter.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_SET_SIGNAL_OF_PARENTS_DEATH, signal.SIGKILL)
        threading.Thread(target=_outlive, args=(parent,), daemon=True).start()


def _outlive(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
