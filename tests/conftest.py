"""What all tests share: a small log, experiment files for it, and the command line as a function."""

from __future__ import annotations

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


@pytest.fixture(scope="session")
def log_frame() -> pd.DataFrame:
    return make_log()


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
