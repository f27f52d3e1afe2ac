"""A finished run in MLflow: in a real store on disk, read back with MLflow's own client. No mock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_run

from tschurn import tracking
from tschurn.errors import CommandError, MachineError, RunFolderError

Call = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]
USERS = ("u7-of-the-list", "u8-of-reasons")
MODELS = [{"name": "average", "ap": 0.1}, {"name": "gru", "ap": 0.5, "auc": 0.75, "used": True, "validation_ap": 0.6,
                                           "intervals": {"ap": {"low": 0.4}}}]  # fmt: skip
REPORT = {
    "experiment": "made", "rows": 9000, "users": 120, "windows": {"train": 5, "test": 3},
    "targets": {"churn": {"used": "gru", "models": MODELS}, "sticker": None}, "surrogates": {}, "notes": [],
    "segments": {"priority": 12, "rest": 108}, "calls": {"call": 10, "holdout": 2, "resting": 0},
    "list": [{"user_id": USERS[0], "reasons": {}}], "reasons": {USERS[1]: []}, "attribution": {"shown": {USERS[1]: 1}},
}  # fmt: skip
SCORE = {
    "experiment": "made", "anchor_day": "2026-11-22", "run": "reports/made/latest", "scored": 53, "seconds": 4.5,
    "unscored": {"not_active": 52}, "segments": {"priority": 12}, "versions": {"numpy": "2.4.0"}, "data": [],
    "drift": {"recommendation": "retrain", "churn": {"psi": 0.3}}, "warnings": ["views fell by half"],
}  # fmt: skip


def finished(folder: Path, **sections: dict[str, Any]) -> Path:
    """A made-up run folder with a report that names users."""
    make_run(folder, **sections)
    (folder / "report.json").write_text(json.dumps(REPORT), encoding="utf-8")
    (folder / "index.html").write_text(f"<html>{USERS}</html>", encoding="utf-8")
    (folder / "priority_group.csv").write_text(f"user_id\n{USERS[0]}\n", encoding="utf-8")
    return folder


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow's client of a store on disk."""
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    for variable in (tracking.VARIABLE, *tracking.SETTINGS):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = str(tmp_path / "기록 mlruns")
    tracking.ready(store)
    from mlflow.tracking import MlflowClient

    yield MlflowClient(tracking_uri=store)
    for variable in tracking.SETTINGS:
        os.environ.pop(variable, None)


def artifacts(client: Any, run: str, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    return {one.path: Path(client.download_artifacts(run, one.path, str(folder))).read_bytes()
            for one in client.list_artifacts(run)}  # fmt: skip


def test_a_run_is_logged_from_its_folder_alone(client: Any, tmp_path: Path) -> None:
    folder = finished(tmp_path / "latest", windows={"observe_days": 14}, segments={"share": 0.2})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"seconds": {"total": 7.5, "models.churn": 5.0}, "peak_memory_mib": 99}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    run = client.get_run(tracking.log_run(folder, client.tracking_uri))
    assert run.info.run_name == "latest" and run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == "made"
    assert run.info.end_time - run.info.start_time == 7500
    params = run.data.params
    assert params["windows.observe_days"] == "14" and params["segments.share"] == "0.2"
    assert params["targets.sticker.events"] == '["gift"]' and "log.creators" not in params
    assert run.data.metrics == {
        "churn.test.ap": 0.5, "churn.test.auc": 0.75, "churn.validation.ap": 0.6, "windows.train": 5, "windows.test": 3,
        "segments.priority": 12, "segments.rest": 108, "calls.call": 10, "calls.holdout": 2, "calls.resting": 0,
        "seconds.total": 7.5, "seconds.models.churn": 5.0, "peak_memory_mib": 99,
    }  # fmt: skip
    tags = run.data.tags
    assert tags["tschurn.used.churn"] == "gru" and tags["tschurn.commit"] == "ab" * 20
    assert tags["tschurn.version.numpy"] == "2.4.0" and "tschurn.used.sticker" not in tags


def test_nothing_that_names_a_user_leaves(client: Any, tmp_path: Path) -> None:
    run = tracking.log_run(finished(tmp_path / "latest"), client.tracking_uri)
    found = artifacts(client, run, tmp_path / "there")
    assert set(found) == {"manifest.json", "figures.json"}
    assert json.loads(found["figures.json"])["targets"] == REPORT["targets"]
    stored = b"".join(path.read_bytes() for path in Path(client.tracking_uri).rglob("*") if path.is_file())
    assert not [user for user in USERS if user.encode() in stored]


def test_the_report_is_logged_where_it_has_pseudonyms(client: Any, tmp_path: Path) -> None:
    run = tracking.log_run(finished(tmp_path / "latest", list={"pseudonyms": True}), client.tracking_uri)
    assert set(artifacts(client, run, tmp_path / "there")) == {"manifest.json", "report.json", "index.html"}


def test_the_same_data_has_the_same_fingerprint_wherever_it_lies(client: Any, tmp_path: Path) -> None:
    first, second, third = (finished(tmp_path / name, shift=shift) for name, shift in (("a", 0), ("b", 0), ("c", 1)))
    moved = json.loads((second / "manifest.json").read_text())
    moved["data"][0] |= {"path": "/elsewhere/events.parquet", "changed_ns": 7}
    (second / "manifest.json").write_text(json.dumps(moved))
    runs = [client.get_run(tracking.log_run(folder, client.tracking_uri)) for folder in (first, second, third)]
    prints = [run.data.tags["tschurn.data"] for run in runs]
    assert prints[0] == prints[1] != prints[2]
    assert len({run.info.experiment_id for run in runs}) == 1


def test_a_score_is_logged_with_its_drift(client: Any, tmp_path: Path) -> None:
    (tmp_path / "score").mkdir()
    (tmp_path / "score" / "score.json").write_text(json.dumps(SCORE))
    (tmp_path / "score" / "scores.csv").write_text(USERS[0])
    run = client.get_run(tracking.log_score(tmp_path / "score", client.tracking_uri))
    assert run.info.run_name == "score 2026-11-22" and run.info.end_time - run.info.start_time == 4500
    assert run.data.metrics == {
        "scored": 53,
        "unscored.not_active": 52,
        "segments.priority": 12,
        "drift.churn.psi": 0.3,
    }
    assert run.data.tags["tschurn.drift.recommendation"] == "retrain"
    assert set(artifacts(client, run.info.run_id, tmp_path / "there")) == {"score.json"}


def test_the_environment_says_where(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracking.VARIABLE, client.tracking_uri)
    assert client.get_run(tracking.log_run(finished(tmp_path / "latest"))).info.status == "FINISHED"


def test_a_server_that_does_not_answer(client: Any, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"did not take the run.*the same command again"):
        tracking.log_run(finished(tmp_path / "latest"), "http://127.0.0.1:9")


def test_a_run_that_was_not_logged_whole_is_marked_as_failed(client: Any, tmp_path: Path) -> None:
    folder = finished(tmp_path / "latest", list={"pseudonyms": True})
    (folder / "index.html").unlink()
    with pytest.raises(MachineError, match=r"index\.html"):
        tracking.log_run(folder, client.tracking_uri)
    experiment = client.get_experiment_by_name("made").experiment_id
    assert [run.info.status for run in client.search_runs([experiment])] == ["FAILED"]


def test_a_folder_without_a_finished_run(client: Any, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no finished run"):
        tracking.log_run(tmp_path, client.tracking_uri)
    with pytest.raises(RunFolderError, match=r"report\.json.*no such file"):
        tracking.log_run(make_run(tmp_path / "latest"), client.tracking_uri)
    (tmp_path / "latest" / "report.json").write_text('{"targets": ')
    with pytest.raises(RunFolderError, match=r"report\.json: cannot be read"):
        tracking.log_run(tmp_path / "latest", client.tracking_uri)


@pytest.mark.parametrize("uri", ["sqlite:///runs.db", "postgresql://me:hunter2@db/runs", "s3://bucket"])
def test_where_runs_cannot_be_logged(uri: str) -> None:
    with pytest.raises(CommandError, match="expected a folder") as told:
        tracking.ready(uri)
    assert "hunter2" not in str(told.value)


def test_a_mistake_is_told_before_hours_of_work(
    tschurn: Call,
    monkeypatch: pytest.MonkeyPatch,
    write_experiment: Callable[..., Path],
    log_frame: Any,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv(tracking.VARIABLE, raising=False)
    code, _, err = tschurn("run", write_experiment(log_frame), "--mlflow")
    assert code == 2 and f"set {tracking.VARIABLE}" in err and not (tmp_path / "reports").exists()


def test_without_the_extra(write_experiment: Write, log_frame: Any, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['mlflow'] = None; from tschurn.cli import main; raise SystemExit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", write_experiment(log_frame), "--reports", tmp_path / "reports", "--mlflow",
         tmp_path / "mlruns"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "pip install '.[mlflow]'" in done.stderr.splitlines()[-1], done.stderr
    assert not (tmp_path / "reports").exists()


def test_the_client_neither_reports_home_nor_logs_by_itself(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    code = (
        "import sys, logging; from tschurn import tracking; tracking.ready(sys.argv[1]);"
        "from mlflow.telemetry.utils import is_telemetry_disabled;"
        "print(is_telemetry_disabled(), logging.getLogger('mlflow').handlers, 'tensorflow' in sys.modules)"
    )
    environment = {"PATH": os.environ["PATH"]}  # in tests it reports nothing anyhow
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split("\n")[0] == "True [] False" and done.stderr == ""
