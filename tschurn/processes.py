"""a process that others were started for → an end to them when it dies, killed or not; and the most memory it held."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

_SET_SIGNAL_OF_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
_FORGET_THE_PEAK = "5"  # of proc(5): VmHWM starts again from what is held now


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


class PeakMemory:
    """The most memory that this process holds from here on, or one of its children that ends from here on.

    Processes are not added up. Known where the system can forget an earlier peak, which is on Linux: elsewhere nothing
    is said, rather than a peak of another time. One at a time in a process.
    """

    def __init__(self) -> None:
        self._began = False
        self._children = _of_children()
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text(_FORGET_THE_PEAK)
            self._began = True

    def mib(self) -> int | None:
        """The peak so far, in MiB; None where it cannot be known."""
        own = _of_this_process() if self._began else None
        if own is None:
            return None
        children = _of_children()
        return round(max(own, children if children > self._children else 0) / 1024)


def _of_this_process() -> int | None:
    """VmHWM in KiB."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return None


def _of_children() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
