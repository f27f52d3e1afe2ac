"""A run that is killed leaves nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

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
        pool.submit(time.sleep, 60)
        time.sleep(60)
"""


def test_children_of_a_killed_run_end(tmp_path) -> None:
    script = tmp_path / "run.py"
    script.write_text(_RUN)
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    children = [int(pid) for pid in run.stdout.readline().split()]
    assert len(children) == 2 and all(map(_alive, children))
    run.send_signal(signal.SIGKILL)
    run.wait()
    until = time.monotonic() + 60
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
