"""Memory is known by its peak; who says that it ran out is believed, and the words of users' data are not."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from lightgbm.basic import LightGBMError

from tschurn import memory
from tschurn.errors import LogError
from tschurn.memory import PeakMemory

_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows")


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (np.exceptions.AxisError("x"), False),
        (pa.ArrowMemoryError("malloc of size 8 failed"), True),
        (duckdb.OutOfMemoryException("could not allocate block"), True),
        (duckdb.InvalidInputException("row 3: std::bad_alloc"), False),  # what a user's file says
        (LightGBMError("std::bad_alloc"), True),
        (LightGBMError("Check failed"), False),
        (OSError(12, "Cannot allocate memory"), True),
        (ImportError("libx.so: failed to map segment from shared object"), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("x"), False),
        (ValueError("std::bad_alloc"), False),
        (LogError("column 'Cannot allocate memory' is missing"), False),
    ],
)
def test_who_is_believed(error: Exception, ran_out: bool) -> None:
    assert memory.ran_out(error) == ran_out


def test_tensorflow_is_believed() -> None:
    errors = pytest.importorskip("tensorflow").errors
    assert memory.ran_out(errors.ResourceExhaustedError(None, None, "OOM when allocating"))
    assert not memory.ran_out(errors.InvalidArgumentError(None, None, "x"))


@_LINUX
def test_the_peak_is_that_since_the_watch_began() -> None:
    before = PeakMemory()
    held = np.ones(40_000_000)  # 305 MiB
    high = before.mib()
    del held
    after = PeakMemory()
    assert high - after.mib() > 250
    assert before.mib() == after.mib()  # one watch at a time


_FAMILY = """
import subprocess, sys
from tschurn.memory import PeakMemory
subprocess.run([sys.executable, "-c", "pass"])
watch = PeakMemory()
alone = watch.mib()
subprocess.run([sys.executable, "-c", "held = bytearray(b'x') * 300_000_000"])
print(alone, watch.mib())
"""


@_LINUX
def test_the_peak_of_a_child_that_ended_counts() -> None:
    done = subprocess.run([sys.executable, "-c", _FAMILY], capture_output=True, text=True, check=True)
    alone, family = map(int, done.stdout.split())
    assert alone < 200 and 280 < family < 400
