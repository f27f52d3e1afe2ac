"""What all tests share: a small log, experiment files for it, and the command line as a function."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from synthetic import make_log

from tschurn.cli import main

QUICK = """
[search]
seeds = 1
trials = 2
trial_epochs = 3
epochs = 7
[explain]
boruta_trials = 8
"""


STICKER = '[targets.sticker]\nevents = ["sticker"]\n'


@pytest.fixture(scope="session")
def log_frame() -> pd.DataFrame:
    return make_log()


def write_small(folder: Path, log: pd.DataFrame, extra: str) -> Path:
    """→ the experiment file of a small log in `folder`, beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    log.to_csv(folder / "events.csv", index=False)
    file = folder / "small.toml"
    file.write_text(f'[experiment]\nname = "small"\n[log]\npath = "{folder / "events.csv"}"\n{extra}{QUICK}')
    return file


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, log_frame: pd.DataFrame) -> Path:
    """The folder of a small experiment that has been run: small.toml, events.csv and reports/small/latest. Both
    targets, default settings but for the length of the search. Made once for all workers; not to be changed: copy it.
    """
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "small_run"
    with Path(f"{place}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            file = write_small(place, log_frame, STICKER)
            assert main(["run", str(file), "--reports", str(place / "reports"), "--quiet"]) == 0
            (place / "made").touch()
    return place


@pytest.fixture
def write_experiment(tmp_path: Path) -> Callable[..., Path]:
    """(log frame or path, extra TOML, [log] keys) → an experiment file that reads it."""

    def write(log: pd.DataFrame | str, extra: str = "", log_keys: str = "", name: str = "small") -> Path:
        if isinstance(log, pd.DataFrame):
            path = tmp_path / "events.csv"
            log.to_csv(path, index=False)
        else:
            path = Path(log)
        file = tmp_path / f"{name}.toml"
        file.write_text(f'[experiment]\nname = "{name}"\n[log]\npath = "{path}"\n{log_keys}\n{extra}', encoding="utf-8")
        return file

    return write


@pytest.fixture
def tschurn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line: arguments → exit code, what it printed, what it complained."""

    def call(*arguments: object) -> tuple[int, str, str]:
        extra = ["--reports", str(tmp_path / "reports")] if arguments and arguments[0] == "run" else []
        try:
            code = main([str(a) for a in arguments] + extra)
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call
