"""What a user sees: one sentence and exit code 2 for each mistake of theirs, through the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tschurn.config import SMALL_SIMULATION, Simulation

Call = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]
HEADER = "user_id,actor_id,timestamp,event,value\n"


def refused(result: tuple[int, str, str], *told: str) -> None:
    code, out, err = result
    assert code == 2, err
    lines = [line for line in err.splitlines() if line.startswith("tschurn: ")]
    assert len(lines) == 1 and "Traceback" not in err and out == ""
    for part in told:
        assert part in lines[0], lines[0]


def test_a_missing_experiment_file(tschurn: Call) -> None:
    refused(tschurn("run", "nowhere.toml"), "nowhere.toml", "no such experiment file")


def test_an_unknown_key(tschurn: Call, write_experiment: Write, log_frame: pd.DataFrame) -> None:
    refused(tschurn("run", write_experiment(log_frame, "[windows]\nobserve_day = 7")), "did you mean `observe_days`?")


def test_a_missing_log(tschurn: Call, write_experiment: Write) -> None:
    refused(tschurn("run", write_experiment("no/such/events.csv")), "no/such/events.csv", "no such file")


def test_a_missing_column(tschurn: Call, write_experiment: Write, log_frame: pd.DataFrame) -> None:
    refused(
        tschurn("run", write_experiment(log_frame.rename(columns={"event": "events"}))), "no column `event`", "`events`"
    )


def test_an_unreadable_date(tschurn: Call, write_experiment: Write, log_frame: pd.DataFrame) -> None:
    log = log_frame.astype({"timestamp": str})
    log.loc[41, "timestamp"] = "41st of May"
    refused(tschurn("run", write_experiment(log)), "events.csv, row 42", "`timestamp`", "'41st of May'")


@pytest.mark.parametrize(("content", "told"), [("", "0 bytes"), (HEADER, "no rows")])
def test_an_empty_log(tschurn: Call, write_experiment: Write, tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "empty.csv").write_text(content)
    refused(tschurn("run", write_experiment(str(tmp_path / "empty.csv"))), "empty.csv", told)


def test_a_log_too_short_to_split(tschurn: Call, write_experiment: Write, log_frame: pd.DataFrame) -> None:
    short = log_frame[log_frame["timestamp"] < "2024-02-10"]
    refused(tschurn("run", write_experiment(short)), "spans 40 days", "at least 42", 'kind = "user"')


def test_a_churn_target_with_one_class(tschurn: Call, write_experiment: Write) -> None:
    """Everybody acts every day: nobody churns."""
    days = pd.date_range("2024-01-01", periods=84)
    log = pd.DataFrame([(u, u, d, "post", 1) for u in range(20) for d in days], columns=HEADER.strip().split(","))
    refused(tschurn("run", write_experiment(log)), "churn target has one class only", "not churned")


def test_an_unknown_model(tschurn: Call, write_experiment: Write, log_frame: pd.DataFrame) -> None:
    refused(
        tschurn("run", write_experiment(log_frame, '[models]\nuse = "lightgbm_histroy"')),
        "`models.use`",
        "did you mean `lightgbm_history`?",
    )


def test_a_run_name_that_is_a_path(tschurn: Call, write_experiment: Write, log_frame: pd.DataFrame) -> None:
    refused(tschurn("run", write_experiment(log_frame), "--run", "../elsewhere"), "--run", "plain folder name")


TINY = ("--creators", 60, "--fans", 500, "--rows", 120_000, "--days", 60)


def test_simulate_writes_a_log_once(tschurn: Call, tmp_path: Path) -> None:
    code, out, err = tschurn("simulate", tmp_path / "platform", *TINY)
    assert code == 0 and "120,000 rows" in out and re.search(r"churn rate 0\.3[4-7]", out), err
    before = {f.name: f.read_bytes() for f in (tmp_path / "platform").iterdir()}
    assert set(before) == {"events.parquet", "creators.csv", "truth.parquet"}
    refused(
        tschurn("simulate", tmp_path / "platform", *TINY, "--seed", 8), "events.parquet", "there already", "--force"
    )
    assert before == {f.name: f.read_bytes() for f in (tmp_path / "platform").iterdir()}
    assert tschurn("simulate", tmp_path / "platform", *TINY, "--seed", 8, "--force")[0] == 0
    assert before["events.parquet"] != (tmp_path / "platform" / "events.parquet").read_bytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--creators", "many"), "--creators"),
        (("--creators", 5), "--creators"),
        (("--days", 20), "--days"),
        (("--churn-rate", 1.5), "--churn-rate"),
        (("--churn-rate", 0.001), "churn_rate"),
        (("--sticker-rate", 0.999), "sticker_rate"),
        (("--rows", 20_000), "rows = 20,000 is too few"),
        (("--first-day", "yesterday"), "--first-day"),
        (("--first-day", "1668038400"), "--first-day"),
        (("--first-day", "2019-01-01"), "--first-day"),
        (("--seed", -1), "--seed"),
    ],
)
def test_a_platform_that_cannot_be(tschurn: Call, tmp_path: Path, options: tuple, told: str) -> None:
    refused(tschurn("simulate", tmp_path / "platform", *TINY, "--quiet", *options), told)
    assert not (tmp_path / "platform").exists()


def test_simulating_where_one_cannot(tschurn: Call, tmp_path: Path) -> None:
    (tmp_path / "platform").touch()
    for folder in ("platform", "platform/below"):
        refused(tschurn("simulate", tmp_path / folder, *TINY), "platform", "is a file")
    (tmp_path / "taken" / "events.parquet").mkdir(parents=True)
    refused(tschurn("simulate", tmp_path / "taken", *TINY, "--force"), "events.parquet", "is a folder")
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["events.parquet"]


def test_help_tells_the_defaults_of_the_simulation(tschurn: Call) -> None:
    text = " ".join(tschurn("simulate", "--help")[1].split())
    for key, default in Simulation().model_dump().items():
        about = re.split(r" --(?!small \d)", text.split(f"--{key.replace('_', '-')} ")[-1])[0]
        small = f"; with --small {SMALL_SIMULATION[key]}" if key in SMALL_SIMULATION else ""
        shown = {"sticker_rate": "0.10"}.get(key, "none" if default is None else default)
        assert f"default {shown}{small})" in about, (key, about)


def test_debug_shows_the_traceback(tschurn: Call) -> None:
    with pytest.raises(Exception, match="no such experiment file"):
        tschurn("run", "nowhere.toml", "--debug")


def test_a_fault_of_ours_is_exit_code_one(tschurn: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from tschurn import config

    monkeypatch.setattr(config, "load", lambda path: 1 / 0)
    code, _, err = tschurn("run", "x.toml")
    assert code == 1 and "internal error: ZeroDivisionError" in err


def test_report_says_where_it_has_drawn_a_run_again(
    tschurn: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tschurn import reporting

    asked: list[tuple] = []
    monkeypatch.setattr(reporting, "redraw", lambda *given: asked.append(given))
    code, out, _ = tschurn("report", tmp_path, "--language", "ko")
    assert code == 0 and str(tmp_path / "index.html") in out and str(tmp_path / "report.json") in out
    assert asked == [(tmp_path, "ko")]


def test_report_of_what_is_no_run(tschurn: Call, tmp_path: Path) -> None:
    refused(tschurn("report", tmp_path), str(tmp_path), "no finished run")
    refused(tschurn("report", tmp_path / "a", tmp_path / "b"), "no finished run")
    (tmp_path / "manifest.json").write_text("[]")
    refused(tschurn("report", tmp_path), "manifest.json", "expected an object")


def test_help_answers_within_a_third_of_a_second_of_cpu() -> None:
    """CPU time, not wall time; the imports that would break it are named in test_architecture."""
    before = os.times()
    done = subprocess.run([sys.executable, "-m", "tschurn", "--help"], capture_output=True, text=True, check=True)
    after = os.times()
    assert "run an experiment" in done.stdout
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.3
