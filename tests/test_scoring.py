"""A finished run scores later logs: the same list where nothing is new, whatever the parts, the engine or the door."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from synthetic import make_log

import tschurn
from tschurn import contracts as c
from tschurn import scoring
from tschurn.cli import main
from tschurn.errors import ConfigError, LogError, RunFolderError, TooShortError
from tschurn.features.frozen import Frozen
from tschurn.recalibrating import recalibrate
from tschurn.runs import Run

pytestmark = pytest.mark.slow

# Networks sum in another order where other windows are computed along; nothing else differs.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
LIST = pd.read_parquet


@pytest.fixture(scope="module")
def run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scoring") / "run"
    shutil.copytree(small_run / "reports" / "small" / "latest", folder)
    return folder


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, log_frame: pd.DataFrame) -> Path:
    """The run's log, and three weeks more of it."""
    longer = make_log(days=84 + 21)
    later = longer[longer["timestamp"] >= log_frame["timestamp"].max().normalize() + pd.Timedelta(days=1)]
    path = tmp_path_factory.mktemp("grown") / "events.csv"
    pd.concat([log_frame, later]).to_csv(path, index=False)
    return path


def same(one: Path, other: Path, but: tuple[str, ...] = ()) -> None:
    a, b = (LIST(folder / "scores.parquet").drop(columns=list(but)) for folder in (one, other))
    pd.testing.assert_frame_equal(a, b, **TOLERANCE)


def test_the_runs_own_list_is_made_again(run: Path, tmp_path: Path) -> None:
    """But for `firm`, of which a later list knows the seeds alone, and not the week before."""
    outcome = scoring.score(run, out=tmp_path)
    same(run, tmp_path, but=("firm",))
    group = LIST(tmp_path / "priority_group.parquet")
    assert group["user_id"].tolist() == LIST(run / "priority_group.parquet")["user_id"].tolist()
    for name in ("scores", "priority_group"):
        header = (tmp_path / f"{name}.csv").read_text(encoding="utf-8-sig").splitlines()[0]
        assert header == (run / f"{name}.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    left_out = pd.read_csv(tmp_path / "unscored.csv")
    known = pd.read_parquet(run / "stages" / "windows" / "unscored.parquet")
    assert set(left_out["user_id"]) == set(known["user_id"])
    assert outcome.summary["scored"] + len(left_out) == outcome.summary["log"]["users"]
    told = json.loads((tmp_path / "score.json").read_text())
    assert told["segments"] == outcome.summary["segments"] and told["seconds"] > 0
    assert 50 < told["peak_memory_mib"] < 10_000 or sys.platform != "linux"
    assert outcome.recommendation == "unknown"  # nothing has happened since


def test_the_newest_anchor_of_a_grown_log(run: Path, grown: Path) -> None:
    outcome = scoring.score(run, log=str(grown))
    last = pd.read_csv(grown)["timestamp"].max()[:10]
    newest = pd.read_parquet(run / "scores.parquet")["anchor_day"].iloc[0]
    assert outcome.folder == run / "scores" / outcome.summary["anchor_day"]
    assert outcome.summary["anchor_day"] == (newest + timedelta(days=21)).isoformat() <= last
    assert not (run / "scores" / ".work").exists()
    scores = LIST(outcome.folder / "scores.parquet")
    c.LIST.check(scores)
    assert set(scores["anchor_day"]) == {newest + timedelta(days=21)}
    assert scores["reason_1"].notna().any() and scores["firm"].notna().any()
    assert scores["p_churn"].between(scores["p_churn_low"], scores["p_churn_high"]).all()


def test_later_days_change_nothing(run: Path, grown: Path, tmp_path: Path) -> None:
    day = pd.read_parquet(run / "scores.parquet")["anchor_day"].iloc[0]
    scoring.score(run, log=str(grown), as_of=day, out=tmp_path)
    same(run, tmp_path, but=("firm",))


def test_parts_make_no_difference(run: Path, grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring.score(run, log=str(grown), out=tmp_path / "whole")
    monkeypatch.setattr(Frozen, "users_at_a_time", lambda self, days: 7)
    scoring.score(run, log=str(grown), out=tmp_path / "parts")
    same(tmp_path / "whole", tmp_path / "parts")
    assert (tmp_path / "whole" / "unscored.csv").read_bytes() == (tmp_path / "parts" / "unscored.csv").read_bytes()


@pytest.mark.spark
def test_spark_scores_the_same(run: Path, grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("needs Java")
    pd.read_csv(grown, parse_dates=["timestamp"]).to_parquet(tmp_path / "log.parquet")
    scoring.score(run, log=str(tmp_path / "log.parquet"), out=tmp_path / "here")
    monkeypatch.setattr(Frozen, "users_at_a_time", lambda self, days: 30)
    scoring.score(run, log=str(tmp_path / "log.parquet"), out=tmp_path / "spark", engine="spark")
    same(tmp_path / "here", tmp_path / "spark")
    assert (tmp_path / "here" / "unscored.csv").read_bytes() == (tmp_path / "spark" / "unscored.csv").read_bytes()


def test_frames_of_any_library_are_scored_as_the_log_is(run: Path, log_frame: pd.DataFrame) -> None:
    loaded = tschurn.load(run)
    found = loaded.predict(log_frame)
    listed = LIST(run / "scores.parquet")
    for column in ("user_id", "rank", "p_churn", "p_sticker", "p_churn_low", "priority", "reason_1", "reason_3"):
        pd.testing.assert_series_equal(found[column], listed[column], **TOLERANCE)
    assert set(found["segment"]) <= set(c.SEGMENTS)
    of_polars = loaded.predict(polars.from_pandas(log_frame))
    of_arrow = loaded.predict(pa.Table.from_pandas(log_frame, preserve_index=False))
    assert isinstance(of_polars, polars.DataFrame) and isinstance(of_arrow, pa.Table)
    for other in (of_polars.to_pandas(), of_arrow.to_pandas()):
        np.testing.assert_array_equal(other["p_churn"], found["p_churn"])
        assert other["user_id"].tolist() == found["user_id"].tolist()


def test_one_user_alone_is_scored_as_among_all(run: Path, log_frame: pd.DataFrame) -> None:
    loaded = tschurn.load(run)
    everybody = loaded.predict(log_frame).set_index("user_id")
    user = everybody.index[len(everybody) // 2]
    # the days on which a log begins and ends are known to features: others stand for them
    ends = log_frame.loc[log_frame["timestamp"].isin([log_frame["timestamp"].min(), log_frame["timestamp"].max()])]
    some = log_frame[log_frame["user_id"].isin([user, *ends["user_id"]])]
    alone = loaded.predict(some, everybody["anchor_day"].iloc[0])
    found = alone.set_index("user_id").loc[user]
    assert found["p_churn"] == pytest.approx(everybody.loc[user, "p_churn"], rel=1e-4)
    assert found["reason_1"] == everybody.loc[user, "reason_1"]


def test_what_cannot_be_scored_is_told(run: Path, grown: Path, log_frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--as-of 2031-01-01: the log ends on"):
        scoring.score(run, log=str(grown), as_of=date(2031, 1, 1), out=tmp_path)
    with pytest.raises(LogError, match="too late to observe 7 days"):
        scoring.score(run, log=str(grown), as_of=date(2024, 1, 4), out=tmp_path)
    with pytest.raises(LogError, match="no such file"):
        scoring.score(run, log=str(tmp_path / "none.csv"), out=tmp_path)
    with pytest.raises(RunFolderError, match="no finished run here"):
        scoring.score(tmp_path)
    days = log_frame.assign(timestamp=log_frame["timestamp"].dt.date)
    days.to_csv(tmp_path / "days.csv", index=False)
    with pytest.raises(LogError, match="days without times"):
        scoring.score(run, log=str(tmp_path / "days.csv"), out=tmp_path)
    with pytest.raises(LogError, match="expected a frame"):
        tschurn.load(run).predict(3)
    assert not (tmp_path / "scores.csv").exists()


def test_what_is_good_to_know_is_said(run: Path, grown: Path, tmp_path: Path) -> None:
    other_day = pd.read_parquet(run / "scores.parquet")["anchor_day"].iloc[0] + timedelta(days=9)
    told = scoring.score(run, log=str(grown), as_of=other_day, out=tmp_path).warnings
    assert any(f"{other_day:%A}" in warning for warning in told)
    late = pd.read_csv(grown)
    late[late["timestamp"].between("2024-03-01", "2024-04-10")].to_csv(tmp_path / "late.csv", index=False)
    outcome = scoring.score(run, log=str(tmp_path / "late.csv"), out=tmp_path)
    assert any("the log begins on 2024-03-01" in warning for warning in outcome.warnings)
    assert any("--as-of" in note for note in outcome.summary["notes"])


def test_drift_is_told_with_the_list(run: Path, grown: Path, tmp_path: Path) -> None:
    """And what has changed is: fans who give nothing any more, a kind of act under another name."""
    outcome = scoring.score(run, log=str(grown), out=tmp_path / "same")
    told = json.loads((tmp_path / "same" / "drift.json").read_text())
    assert outcome.recommendation == told["advice"] == outcome.summary["recommendation"] != "unknown"
    assert set(told["targets"]) == {"churn", "sticker"}
    assert set(told["sentences"]["en"]) <= {*outcome.warnings, *outcome.summary["notes"]}
    moved = pd.read_csv(tmp_path / "same" / "drift.csv")
    assert set(moved["target"]) == {"churn", "sticker"} and moved["psi"].notna().all()
    changed = pd.read_csv(grown)
    later = changed["timestamp"] >= "2024-03-25"
    changed.loc[later & (changed["event"] == "post"), "event"] = "posted"
    changed.to_csv(tmp_path / "changed.csv", index=False)
    outcome = scoring.score(run, log=str(tmp_path / "changed.csv"), out=tmp_path / "other")
    warned = json.loads((tmp_path / "other" / "drift.json").read_text())["warnings"]
    assert {(w["warning"], w["subject"]) for w in warned} >= {
        ("new_event", "own:posted"),
        ("vanished_event", "own:post"),
    }


def test_recalibration_moves_the_scores_and_nothing_else(
    run: Path, grown: Path, tmp_path: Path, log_frame: pd.DataFrame
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    with pytest.raises(TooShortError, match="nothing that the run has not learned from has closed"):
        recalibrate(folder)
    assert not (folder / "recalibrated").exists()
    # after the run two users of three act every other week only: far more churn than was predicted
    log = pd.read_csv(grown, parse_dates=["timestamp"])
    week = (log["timestamp"] - log_frame["timestamp"].max().normalize() - pd.Timedelta(days=1)).dt.days // 7
    log = log[(week < 0) | (log["user_id"] % 3 == 0) | ((week + log["user_id"]) % 2 == 0)]
    log.to_csv(tmp_path / "log.csv", index=False)
    before = scoring.score(folder, log=str(tmp_path / "log.csv"), out=tmp_path / "before")
    outcome = recalibrate(folder, log=str(tmp_path / "log.csv"))
    chosen = outcome.summary["targets"]["churn"]
    assert chosen["choice"] != "keep" and chosen["level"] > 0
    after_it = scoring.score(folder, log=str(tmp_path / "log.csv"), out=tmp_path / "after")
    assert before.summary["calibration"] == {"of": "run"}
    assert after_it.summary["calibration"]["targets"]["churn"]["choice"] == chosen["choice"]
    a, b = (LIST(tmp_path / name / "scores.parquet").set_index("user_id") for name in ("before", "after"))
    assert (b["p_churn"] > a["p_churn"].reindex(b.index)).mean() > 0.9
    assert b["p_churn"].rank().corr(a["p_churn"].reindex(b.index).rank()) > 0.99
    assert b["reason_1"].equals(a["reason_1"].reindex(b.index))
    # of other models it is no calibration
    note = json.loads((folder / "recalibrated" / "recalibration.json").read_text())
    note["models"]["churn"] = "of another run"
    (folder / "recalibrated" / "recalibration.json").write_text(json.dumps(note))
    assert scoring.score(folder, log=str(tmp_path / "log.csv"), out=tmp_path / "again").summary["calibration"] == {
        "of": "run"
    }


def test_the_command_line_scores_and_asks(
    run: Path, grown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["score", str(run), "--log", str(grown), "--out", str(tmp_path), "--json", "--quiet"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"list", "scores", "unscored", "drift", "figures"} <= set(told["paths"])
    assert all(Path(path).exists() for path in told["paths"].values())
    asked = [*command, "--fail-on", "recalibrate"]
    expected = 3 if told["summary"]["recommendation"] in ("recalibrate", "retrain") else 0
    assert main(asked) == expected
    capsys.readouterr()
    assert main(["recalibrate", str(tmp_path / "nothing"), "--quiet"]) == 2
    assert "no finished run here" in capsys.readouterr().err


def test_two_at_once_are_refused(run: Path) -> None:
    with Run(run), pytest.raises(RunFolderError, match="another run"):
        scoring.score(run)


def test_a_filled_in_list_is_kept(run: Path, tmp_path: Path) -> None:
    scoring.score(run, out=tmp_path)
    path = tmp_path / "scores.csv"
    rows = pd.read_csv(path)
    rows["contacted_on"] = rows["contacted_on"].astype(object)
    rows.loc[0, "contacted_on"] = "2024-03-20"
    rows.to_csv(path, index=False)
    scoring.score(run, out=tmp_path)
    assert (tmp_path / "scores.filled_1.csv").exists()


@pytest.mark.parametrize(
    "broken",
    [
        "windows/features.parquet",
        "value/value.txt",
        "models.churn/refit/model.json",
        "models.churn/refit/calibration.json",
        "explain.sticker/told/explained.json",
    ],
)
def test_a_run_with_a_broken_part_is_told(run: Path, tmp_path: Path, broken: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    for damage in ("", "{", "[]", '{"type": "network"}'):
        (folder / "stages" / broken).write_text(damage)
        with pytest.raises(RunFolderError, match=rf"stages: not as the run left it: {broken}; run"):
            scoring.score(folder, out=tmp_path)
    assert not (tmp_path / "scores.csv").exists()
