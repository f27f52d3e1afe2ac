"""an error → whether memory ran out; a process at work → the most memory it held."""

from __future__ import annotations

import re
import resource
from contextlib import suppress
from pathlib import Path

_FORGET_THE_PEAK = "5"  # of proc(5): VmHWM starts again from what is held now
# How it is told by those who have no MemoryError: the system, C++, the loader of libraries, threads.
_TOLD = re.compile(
    r"bad_alloc|annot allocate memory|failed to map segment|can't start new thread|Resource temporarily unavailable"
)
_OF_MEMORY = {"OutOfMemoryException", "ResourceExhaustedError"}  # DuckDB's, TensorFlow's
_TELL = {"LightGBMError"}  # classes, beside the system's, whose words are no user's data


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory: of the machine, of the process, or an engine's own."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name in _OF_MEMORY:
        return True
    tells = isinstance(error, RuntimeError | ImportError | OSError) or name in _TELL
    return tells and bool(_TOLD.search(str(error)))


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
