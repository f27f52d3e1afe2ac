"""what an engine complains of → one sentence: about the user's log, or about the machine that is too small for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tschurn import disk, memory
from tschurn.errors import LogError, MachineError

# Modules whose exceptions are the engine's complaints.
_COMPLAINS = {"duckdb", "psycopg", "pyspark", "py4j"}
_OWN_LIMIT = re.compile(r"\([\d.]+ \w+/[\d.]+ \w+ used\)")  # reached, by DuckDB's own account

# With less to take, the in-process engine (DuckDB 2.0) may end the process, or never answer, instead of an error.
LEAST_MIB, LEAST_MIB_PER_THREAD = 1024, 128
_NO_LIMIT = 1 << 40


def memory_left(threads: int) -> int:
    """→ MiB that the process may still take under its limit (ulimit -v), as good as endless where there is none.

    Raises MachineError when they are not enough to read a log with so many threads.
    """
    if not sys.platform.startswith("linux"):
        return _NO_LIMIT
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return _NO_LIMIT
    with open("/proc/self/statm", encoding="ascii") as file:
        left = (limit - int(file.read().split()[0]) * resource.getpagesize()) >> 20
    if left < (least := LEAST_MIB + LEAST_MIB_PER_THREAD * threads):
        raise MachineError(
            f"not enough memory: the process may take {limit >> 20:,} MiB (ulimit -v), and {max(0, left):,} are left "
            f"where {least:,} are needed to read a log; raise the limit by {least - left:,} MiB or more"
        )
    return left


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn the engine's complaints about the user's log into one sentence that begins with `what`."""
    with enough(what):
        try:
            yield
        except Exception as error:
            if type(error).__module__.split(".")[0].lstrip("_") not in _COMPLAINS or memory.ran_out(error):
                raise
            raise LogError(f"{what}: cannot be read: {_said(error)[:300]}") from error


@contextmanager
def enough(what: str) -> Iterator[None]:
    """Turn it into MachineError when memory or disk are not enough for `what`."""
    try:
        yield
    except (MachineError, LogError):
        raise
    except Exception as error:
        if disk.is_full(error):
            raise MachineError(disk.no_room(what)) from error
        if memory.ran_out(error):
            to_do = "raise `memory_mib`" if _OWN_LIMIT.search(str(error)) else "lower `memory_mib` and `threads`"
            raise MachineError(
                f"{what}: not enough memory ({_said(error)[:150]}); give the process more, or {to_do} under [run]"
            ) from error
        raise


def _said(error: Exception) -> str:
    """What an engine's error says, in a line."""
    text = " ".join(str(error).split())
    if line := re.search(r"CSV Error on Line: (\d+)", text):
        why = re.search(
            r"Expected Number of Columns: \d+ Found: \d+|Invalid unicode|Maximum line size|Value with unt\w+ quote",
            text,
        )
        file = re.search(r"file = (\S.*?) delimiter =", text)
        where = f"{file[1]}, " if file else ""
        return f"{where}row {int(line[1]) - 1}: {why[0] if why else 'no row of this table'}; correct or remove the row"
    if "state machine" in text:
        return "its lines end in two ways, or a quotation mark is not closed; save it anew"
    if spark := re.search(r"\[[A-Z_.0-9]+\] .*?(?= SQLSTATE|$)", text):
        return spark[0]
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
