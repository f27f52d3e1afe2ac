"""an experiment and a folder → `tschurn run` in processes of its own, which can be killed and looked for."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_POLL = 0.02
_TO_END = 30  # seconds that processes have to notice that their parent is gone
_WRONG = ("Traceback", "internal error")


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: its exit code, and what it said on stderr."""

    code: int
    said: str

    def complaints(self, killed: bool) -> list[str]:
        """What is wrong with that, after a fault: a traceback, or an exit code other than the machine's."""
        wrong = [f"said {self.said!r}"] if any(word in self.said for word in _WRONG) else []
        allowed = (0, -signal.SIGKILL) if killed else (0, 4)
        return wrong if self.code in allowed else [*wrong, f"exit code {self.code}: {self.said!r}"]


class Attempt:
    """`tschurn run` at work. file_limit: bytes that no file may exceed."""

    def __init__(self, toml: Path, reports: Path, file_limit: int | None = None) -> None:
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))) if file_limit else None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tschurn", "run", str(toml), "--reports", str(reports), "--quiet"],
            stdout=subprocess.DEVNULL, stderr=self._said, start_new_session=True, preexec_fn=limit,
        )  # fmt: skip

    def reaches(self, folder: Path, stage: str) -> bool:
        """Wait until a stage is at work; → whether it was seen, and not only its results, or none."""
        while self._process.poll() is None:
            if stage == "start" or (stage == "report" and (folder / "predictions.parquet").exists()):
                return True
            if (folder / "stages" / f".{stage}.partial").exists():
                return True
            time.sleep(_POLL)
        return False

    def wait(self, seconds: float, still: bool = False) -> Ended:
        """Wait until it has ended; still: or until the seconds are over."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            if still:
                return Ended(0, "")
            self.kill("killed", np.random.default_rng())
            code = self._process.wait()
        self._said.seek(0)
        return Ended(code, self._said.read())

    def kill(self, kind: str, random: np.random.Generator) -> None:
        """SIGKILL to all its processes, to the first alone, or to one that it started."""
        if kind == "killed":
            victims = self._processes()
        elif kind == "run killed, its processes left":
            victims = [self._process.pid]
        else:
            started: list[int] = []
            while self._process.poll() is None and not started:  # it may be at a stage that needs none
                started = [p for p in self._processes() if p != self._process.pid and b"spawn_main" in _command(p)]
                time.sleep(_POLL)
            victims = [int(random.choice(started))] if started else []
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def left_behind(self) -> list[str]:
        """Processes of it that have not ended a while after it did; they are ended."""
        until = time.monotonic() + _TO_END
        while (left := self._processes()) and time.monotonic() < until:
            time.sleep(_POLL)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [f"process {pid} stayed: {_command(pid)!r}" for pid in left]

    def _processes(self) -> list[int]:
        """Those of its session, which outlives it."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.getsid(int(place.name)) == self._process.pid and _state(place) != "Z":
                    found.append(int(place.name))
        return found


def _state(place: Path) -> str:
    return (place / "stat").read_text().rsplit(")", 1)[1].split()[0]


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
