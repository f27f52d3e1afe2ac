"""an error, or a signal, that ended a command → its exit code, the word for it, and one sentence.

Whatever starts the command reads the code: whether to call somebody, to try again later, or to train anew.
"""

from __future__ import annotations

import errno
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from tschurn import memory
from tschurn.errors import MachineError, TschurnError

# Exit code → the word for it (`outcome` of --json), and what it means.
EXIT_CODES = {
    0: ("done", "done"),
    1: ("fault", "a fault of ours"),
    2: ("mistake", "a mistake of the user's: the sentence on stderr says what to mend"),
    3: ("drift", "done, but drift asks for what --fail-on names"),
    4: ("machine", "the machine: disk or memory ran out, or the system ended a process; try again once it is mended"),
    130: ("interrupted", "interrupted (SIGINT, Ctrl-C)"),
    143: ("ended", "ended (SIGTERM)"),
}
FAULT, DRIFT, INTERRUPTED, ENDED = 1, 3, 130, 143
_STAYS = "what is finished stays, and the next run goes on from there"
_RAN_OUT = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file grew larger than this process may write",
    errno.ENOMEM: "there is not enough memory",
    errno.EMFILE: "this process may open no more files",
    errno.ENFILE: "the system can open no more files",
    errno.EIO: "the disk could not be read or written",
}
# Of libraries that lose the number of the error on the way.
_TOLD = (
    (re.compile(r"No space left on device|\d+ requested and \d+ written"), errno.ENOSPC),
    (re.compile(r"Disk quota exceeded"), errno.EDQUOT),
    (re.compile(r"File too large"), errno.EFBIG),
)
_CHAIN = 10  # causes looked at


class Ended(BaseException):
    """SIGTERM has come. No Exception, so that nothing that goes on after errors goes on after it."""


@dataclass(frozen=True)
class Ending:
    """How a command that was not done ended: exit code, class of the error and one sentence."""

    code: int
    error: str
    sentence: str


def ending(error: BaseException, came: Sequence[int] = ()) -> Ending:
    """What ended a command → Ending. came: signals that had come by then; what a library makes of one is no fault."""
    if isinstance(error, Ended) or signal.SIGTERM in came:
        return Ending(ENDED, "Ended", f"ended by SIGTERM; {_STAYS}")
    if isinstance(error, KeyboardInterrupt) or signal.SIGINT in came:
        return Ending(INTERRUPTED, "KeyboardInterrupt", f"interrupted; {_STAYS}")
    if isinstance(error, TschurnError) and type(error) is not TschurnError:
        return Ending(error.exit_code, type(error).__name__, str(error))
    if ran_out := _ran_out(error):
        return Ending(MachineError.exit_code, MachineError.__name__, f"{ran_out}; {_STAYS}, once it is mended")
    if isinstance(error, TschurnError):
        return Ending(error.exit_code, type(error).__name__, str(error))
    sentence = f"internal error: {type(error).__name__}: {error} (run again with --debug for details)"
    return Ending(FAULT, type(error).__name__, sentence)


@contextmanager
def signals() -> Iterator[list[int]]:
    """Within the block SIGTERM raises Ended and SIGINT KeyboardInterrupt, after the processes that were started here
    were ended: waiting for them would be waiting for what they compute. → the signals that came, as they come."""
    came: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        again = number in came
        came.append(number)
        _end_children()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if not again:  # what is tidied up after the first is not disturbed by a second
            raise Ended

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup, or of a job in the background
                before[number] = signal.signal(number, end)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_children() -> None:
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():
            child.terminate()


def _ran_out(error: BaseException) -> str | None:
    """An error, or what caused it → what the machine ran out of, if it is that."""
    for _ in range(_CHAIN):
        if memory.ran_out(error):
            return f"{_RAN_OUT[errno.ENOMEM]}{_detail(error)}"
        if type(error).__name__ == "BrokenProcessPool":
            return "the system ended a process of this run, as it does when memory is short"
        number = error.errno if isinstance(error, OSError) else None
        number = number or next((known for pattern, known in _TOLD if pattern.search(str(error))), None)
        if number in _RAN_OUT:
            where = getattr(error, "filename", None)
            return f"{_RAN_OUT[number]}{f' ({where})' if where else ''}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if error is None:
            return None
    return None


def _detail(error: BaseException) -> str:
    return f" ({error})" if str(error) else ""
