"""How commands end: exit codes of faults that are real where they can be, and of signals."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tschurn import cli, endings
from tschurn.errors import ConfigError, ContractError, MachineError, TschurnError, UserError

Call = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]
PLATFORM = ("--creators", "300", "--fans", "4000", "--rows", "900000", "--days", "120")


def raised(act: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        act()
    return caught.value


def chained(outer: Exception, inner: BaseException, how: str = "from") -> BaseException:
    def act() -> None:
        try:
            raise inner
        except BaseException as error:
            if how == "while":
                raise outer  # noqa: B904
            raise outer from (error if how == "from" else None)

    return raised(act)


def write_to_a_full_disk() -> None:
    with open("/dev/full", "wb") as full:
        np.zeros(100_000).tofile(full)


def write_parquet_to_a_full_disk() -> None:
    import pyarrow.parquet as pq

    with open("/dev/full", "wb") as full:  # as a path PyArrow would remove it, since it could not be written
        pq.write_table(pa.table({"a": np.random.default_rng(0).random(100_000)}), full)


def of_a_killed_process() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(os._exit, 9).result()


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (write_to_a_full_disk, "disk is full"),
        (write_parquet_to_a_full_disk, "disk is full"),
        (lambda: np.empty(1 << 55, dtype=np.int8), "not enough memory"),
        (lambda: pa.py_buffer(pa.allocate_buffer(1 << 60)), "not enough memory"),
        (of_a_killed_process, "the system ended a process"),
    ],
)
def test_what_the_machine_ran_out_of(act: Callable[[], object], told: str) -> None:
    ended = endings.ending(raised(act))
    assert ended.code == 4 == MachineError.exit_code and told in ended.sentence and ended.error == "MachineError"
    assert "what is finished stays" in ended.sentence


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EDQUOT, "quota"), 4),
        (OSError(errno.EFBIG, "big", "scores.csv"), 4),
        (OSError(errno.EMFILE, "files"), 4),
        (RuntimeError("can't start new thread"), 4),
        (MachineError("the disk is full"), 4),
        (chained(TschurnError("models.churn failed"), BrokenProcessPool("x")), 4),
        (chained(TschurnError("models.churn failed"), MemoryError()), 4),
        (chained(ValueError("x"), OSError(errno.ENOSPC, "full")), 4),
        (chained(ValueError("x"), OSError(errno.ENOSPC, "full"), "while"), 4),
        (chained(ValueError("x"), OSError(errno.ENOSPC, "full"), "from None"), 1),
        (chained(TschurnError("models.churn failed"), ValueError("x")), 1),
        (chained(ContractError("x"), MemoryError()), 1),
        (chained(ConfigError("x"), OSError(errno.ENOSPC, "full")), 2),
        (OSError(errno.ENOENT, "no such file"), 1),
        (OSError(errno.EPIPE, "of a process"), 1),
        (ZeroDivisionError("x"), 1),
        (UserError("No space left on device"), 2),
        (KeyboardInterrupt(), 130),
        (endings.Ended(), 143),
    ],
)
def test_whose_fault_an_error_is(error: BaseException, code: int) -> None:
    ended = endings.ending(error)
    assert ended.code == code and code in endings.EXIT_CODES
    assert ("internal error" in ended.sentence) == (code == 1 and not isinstance(error, TschurnError))


def test_where_it_ran_out_is_told() -> None:
    assert "scores.csv" in endings.ending(OSError(errno.ENOSPC, "full", "reports/scores.csv")).sentence


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_a_library_makes_of_a_signal_is_no_fault(number: int, code: int) -> None:
    assert endings.ending(RuntimeError("Query interrupted"), [number]).code == code


def test_each_code_is_told_in_help_and_in_the_module(tschurn: Call) -> None:
    for command in ((), ("run",), ("score",)):
        shown = tschurn(*command, "--help")[1]
        for code, (_, about) in endings.EXIT_CODES.items():
            assert f"  {code:<5}{about}" in shown
            assert f" {code} " in " ".join(cli.__doc__.split())


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As SIGINT is for a job in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with endings.signals():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


def listens() -> None:
    """In a new process, before its program: SIGINT is not ignored, as it is where the tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begun(*arguments: object, until: str = "", **keys: object) -> tuple[subprocess.Popen[str], str]:
    """The command as a process, once it has told `until` on stderr → process, what it has told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tschurn", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=listens, **keys,
    )  # fmt: skip
    told = ""
    while until not in told or not told:
        line = process.stderr.readline()
        assert line, told
        told += line
    return process, told


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_command_in_one_sentence_and_leaves_no_half_file(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process, told = begun("simulate", tmp_path / "p", *PLATFORM, "--json", until="simulate of")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    lines = (told + err).splitlines()
    assert process.returncode == code, lines
    assert " ERROR " in lines[-2] and lines[-1].startswith("tschurn: ") and "Traceback" not in err
    assert f'"exit_code": {code}' in out and out.count("\n") == 1
    assert not (tmp_path / "p" / "events.parquet").exists()


def test_sigterm_frees_the_run_folder(tmp_path: Path, write_experiment: Write, log_frame: pd.DataFrame) -> None:
    process, _ = begun("run", write_experiment(log_frame), "--reports", tmp_path / "reports", until="log done")
    folder = tmp_path / "reports" / "small" / "latest"
    lock = os.open(folder / ".lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    process.terminate()
    assert process.wait(60) == 143
    process.communicate()
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)
    assert not [path for path in folder.iterdir() if path.name.endswith(".partial")]


POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from tschurn import endings

def main():
    with endings.signals() as came:
        try:
            with ProcessPoolExecutor(2, get_context("spawn")) as pool:
                jobs = [pool.submit(time.sleep, 600), pool.submit(time.sleep, 600), pool.submit(os.getpid)]
                while len(pool._processes) < 2 or not all(p.pid for p in pool._processes.values()):
                    time.sleep(0.01)
                print(*pool._processes, flush=True)
                jobs[0].result()
        except BaseException as error:
            return endings.ending(error, came).code

if __name__ == "__main__":
    raise SystemExit(main())
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_was_started_ends_too_without_being_waited_for(tmp_path: Path, number: int, code: int) -> None:
    """The signal is sent to the command alone, as a scheduler does; its processes would sleep for ten minutes."""
    (tmp_path / "pool.py").write_text(POOL)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "pool.py"], stdout=subprocess.PIPE, text=True, preexec_fn=listens
    )
    children = [int(pid) for pid in process.stdout.readline().split()]
    process.send_signal(number)
    assert process.wait(60) == code
    process.stdout.close()
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_limit_on_files_is_the_machines(tmp_path: Path) -> None:
    """`ulimit -f`: what a full disk does to a command, without filling one."""
    done = subprocess.run(
        [sys.executable, "-m", "tschurn", "simulate", tmp_path / "p", "--creators", "60", "--fans", "500", "--rows",
         "120000", "--days", "60"], capture_output=True, text=True, check=False, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16)),
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "what is finished stays" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert not (tmp_path / "p" / "events.parquet").exists()
