"""A run that is killed leaves nobody behind; what the system ends under a run is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest

from tschurn import workers
from tschurn.config import parse
from tschurn.errors import LogError, MachineError, TschurnError
from tschurn.workers import Training, _fault, _in_words

_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows")

_RUN = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.managers import SyncManager
from tschurn.processes import end_with_parent

if __name__ == "__main__":
    context = get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(end_with_parent)
    with ProcessPoolExecutor(1, context, end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), manager._process.pid, flush=True)
        pool.submit(busy)
        time.sleep(60)
"""
# Inside a library that holds the lock of the interpreter, no thread of Python notices anything.
_BUSY = """
import ctypes, time

def busy():
    if HOLDING:
        ctypes.PyDLL(None).sleep(60)
    time.sleep(60)
"""


@pytest.mark.parametrize("holding", [False, pytest.param(True, marks=_LINUX)])
def test_children_of_a_killed_run_end(tmp_path, holding) -> None:
    script = tmp_path / "run.py"
    script.write_text(_BUSY.replace("HOLDING", str(holding)) + _RUN)
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    children = [int(pid) for pid in run.stdout.readline().split()]
    assert len(children) == 2 and all(map(_alive, children))
    time.sleep(1)  # for the worker to be busy
    run.send_signal(signal.SIGKILL)
    run.wait()
    until = time.monotonic() + 30
    while any(map(_alive, children)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(_alive, children))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # a zombie whom nobody waits for has ended as well
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_what_a_pool_lost_is_told_with_the_stages_it_was_at() -> None:
    ended = BrokenProcessPool("A process in the process pool was terminated abruptly")
    told = _fault([(Training("churn"), ended), (Training("sticker", 2), ended)])
    assert isinstance(told, MachineError) and told.exit_code == 4
    assert str(told).startswith("models.churn, origins.sticker.2: the system ended a process")
    assert "what is finished stays" in str(told)


@pytest.mark.parametrize("lost", ["end_with_parent", "_quiet"])  # what its queue, or a worker, begins with
def test_a_process_that_is_ended_while_it_starts_is_told(lost, monkeypatch, tmp_path):
    monkeypatch.setattr(workers, lost, os._exit if lost == "_quiet" else partial(os._exit, 1))
    experiment = parse({"experiment": {"name": "lost"}, "log": {"path": "log.csv"}}, "lost")
    with pytest.raises(MachineError, match=r"^models\.churn: the system ended a process"):
        workers.work(experiment, tmp_path, [Training("churn", folder=tmp_path)], 1, lambda *_: None)


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError(), ConnectionRefusedError()])
def test_a_lost_manager_is_the_machines_fault_too(error: Exception) -> None:
    assert isinstance(_fault([(Training("churn"), _in_words(error, Training("churn")))]), MachineError)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (MemoryError(), MachineError, "models.churn: memory ran out"),
        (RuntimeError("std::bad_alloc"), MachineError, "models.churn: memory ran out"),
        (ValueError("x is 3"), TschurnError, "models.churn failed: x is 3 (see somewhere/work.log)"),
        (LogError("row 3"), LogError, "row 3"),
    ],
)
def test_errors_of_a_worker_are_one_sentence(error: Exception, kind: type[TschurnError], said: str) -> None:
    told = _in_words(error, Training("churn", folder=Path("somewhere")))
    assert type(told) is kind and str(told).startswith(said)
