"""The main job end to end on a small log, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import STICKER
from conftest import write_small as experiment

from tschurn import contracts as c
from tschurn.cli import main
from tschurn.errors import RunFolderError
from tschurn.reporting import gathered, redraw

pytestmark = pytest.mark.slow

STAGES = {
    "log",
    "exploration",
    "windows",
    "horizons",
    "columns",
    "models.churn",
    "models.sticker",
    "explain.churn",
    "explain.sticker",
    "ablation.churn",
    "ablation.sticker",
    "seeds.churn",
    "seeds.sticker",
    "value",
    "segments",
    "reference",
}


def run(file: Path, reports: Path) -> Path:
    assert main(["run", str(file), "--reports", str(reports), "--quiet"]) == 0
    return reports / "small" / "latest"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("small")


@pytest.fixture(scope="module")
def finished(place: Path, small_run: Path) -> Path:
    """A run folder. Both targets, default settings but for the length of the search."""
    shutil.copy(small_run / "small.toml", place)
    shutil.copytree(small_run / "reports", place / "reports")
    return place / "reports" / "small" / "latest"


def test_everything_is_there_and_keeps_its_contract(finished: Path) -> None:
    for name in (
        "index.html",
        "priority_group.csv",
        "priority_group.parquet",
        "scores.csv",
        "scores.parquet",
        "predictions.parquet",
        "report.json",
        "path_users.csv",
        "manifest.json",
    ):
        assert (finished / name).stat().st_size > 0, name
    assert {p.name for p in (finished / "stages").iterdir()} == STAGES
    tables = {t.name: t for t in vars(c).values() if isinstance(t, c.Table)}
    found = list((finished / "stages").rglob("*.parquet"))
    assert len(found) > 30
    for file in found:
        tables[file.stem].check(pd.read_parquet(file))
    assert not list(finished.rglob("*partial*"))
    assert not [f for f in finished.rglob("*") if f.suffix in {".pkl", ".pickle", ".joblib"}]


def test_predictions_hold_each_closed_window_target_and_model_once(finished: Path) -> None:
    predictions = pd.read_parquet(finished / "predictions.parquet")
    windows = pd.read_parquet(finished / "stages" / "windows" / "windows.parquet")
    closed = windows[windows["closed"]]
    assert set(predictions.groupby(["target", "model"]).size()) == {len(closed)}
    assert predictions["p"].between(0, 1).all()
    one = predictions[(predictions["target"] == "churn") & (predictions["model"] == "gru")]
    joined = one.merge(closed, on=["user_id", "anchor_day"], suffixes=("", "_window"))
    assert len(joined) == len(closed)
    assert (joined["y"] == joined["churned"]).all() and (joined["split"] == joined["split_window"]).all()


def test_the_report_says_what_the_tables_say(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    windows = pd.read_parquet(finished / "stages" / "windows" / "windows.parquet")
    assert report["windows"] == {s: int((windows["split"] == s).sum()) for s in c.SPLITS}
    names = {"gru", "bilstm", "gru_bilstm", "causal_gru", "most_frequent", "recency", "logistic_recency",
             "logistic_history", "lightgbm_7days", "lightgbm_history", "average"}  # fmt: skip
    for target, found in report["targets"].items():
        assert {m["name"] for m in found["models"]} == names, target
        assert found["used"] in names
        assert {"r2", "spearman", "top_decile_overlap", "model"} <= set(report["surrogates"][target])
    assert report["segments"]["priority"] == len(pd.read_csv(finished / "priority_group.csv"))
    assert sum(report["segments"][s] for s in c.SEGMENTS) == len(pd.read_csv(finished / "scores.csv"))
    assert (finished / "scores.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_models_learn_what_the_log_holds(finished: Path) -> None:
    """The generator fades creators slowly, so that history must tell more than the base rate."""
    report = json.loads((finished / "report.json").read_text())
    models = {m["name"]: m for m in report["targets"]["churn"]["models"]}
    assert models["logistic_history"]["auc"] > 0.8 and models["most_frequent"]["auc"] == 0.5
    assert models[report["targets"]["churn"]["used"]]["ap"] > models["most_frequent"]["ap"]


def test_choice_is_by_validation_and_test_is_counted(finished: Path) -> None:
    for target in ("churn", "sticker"):
        stage = finished / "stages" / f"models.{target}"
        metrics = pd.read_parquet(stage / "metrics.parquet").drop_duplicates("model").set_index("model")
        summary = pd.read_parquet(stage / "target_summary.parquet").iloc[0]
        assert summary["used"] in ("average", metrics["validation_ap"].idxmax())
        assert summary["test_evaluations"] == 1


def test_json_of_a_run(finished: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["run", str(place / "small.toml"), "--reports", str(place / "reports"), "--json", "--quiet"])
    told = json.loads(capsys.readouterr().out)
    assert code == 0 and Path(told["paths"]["manifest"]).exists() and told["summary"]["seconds"]["total"] > 0
    assert set(told["summary"]["used"]) == {"churn", "sticker"} and set(told["summary"]["reused"]) >= STAGES


def test_nothing_is_computed_twice_and_a_change_redoes_what_it_touches(
    finished: Path, place: Path, log_frame: pd.DataFrame
) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in (finished / "stages").glob("*/stage.json")}
    stamps = {p.parent.name: p.stat().st_mtime_ns for p in (finished / "stages").glob("*/stage.json")}
    list_before = (finished / "priority_group.csv").read_bytes()
    run(place / "small.toml", place / "reports")
    again = {p.parent.name: p.stat().st_mtime_ns for p in (finished / "stages").glob("*/stage.json")}
    assert again == stamps and before
    assert (finished / "priority_group.csv").read_bytes() == list_before
    changed = place / "small.toml"
    text = changed.read_text()
    changed.write_text(text + "[segments]\nshare = 0.3\n")
    run(changed, place / "reports")
    redone = {p.parent.name: p.stat().st_mtime_ns for p in (finished / "stages").glob("*/stage.json")}
    changed.write_text(text)
    assert {name for name in redone if redone[name] != stamps[name]} == {"segments"}
    run(changed, place / "reports")
    assert (finished / "priority_group.csv").read_bytes() == list_before


def test_same_seed_same_bytes(finished: Path, place: Path) -> None:
    other = run(place / "small.toml", place / "reports again")
    times = {"manifest.json", "stage.json", "work.log", ".lock"}
    files = sorted(f.relative_to(finished) for f in finished.rglob("*") if f.is_file())
    assert files == sorted(f.relative_to(other) for f in other.rglob("*") if f.is_file())
    different = [
        str(f) for f in files if f.name not in times and (finished / f).read_bytes() != (other / f).read_bytes()
    ]
    assert different == []


def test_a_report_is_drawn_again_from_its_folder_alone(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not a byte is another: what a report shows is in the folder, and no model is needed for it."""
    folder = tmp_path / "moved"
    shutil.copytree(finished, folder)
    before = {name: (folder / name).read_bytes() for name in ("index.html", "report.json")}
    for name in before:
        (folder / name).unlink()
    assert main(["report", str(folder)]) == 0
    assert str(folder / "index.html") in capsys.readouterr().out
    assert {name: (folder / name).read_bytes() for name in before} == before
    redraw(folder, "ko")
    assert json.loads((folder / "report.json").read_text())["language"] == "ko"
    assert (folder / "index.html").read_text(encoding="utf-8").startswith('<!doctype html>\n<html lang="ko">')


def test_what_is_no_finished_run_is_told(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no finished run here .*manifest\.json"):
        redraw(tmp_path)
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "stages" / "explain.sticker")
    with pytest.raises(RunFolderError, match=r"no results of explain\.sticker"):
        redraw(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["experiment"]["search"]["unheard_of"] = 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunFolderError, match="another version of tschurn"):
        redraw(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        redraw(folder)


def test_no_id_is_told_where_the_lists_have_pseudonyms(
    finished: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSCHURN_PSEUDONYM_KEY", "a secret of more than sixteen letters")
    hidden = place / "hidden"
    shutil.copytree(finished, hidden / "small" / "latest")
    file = place / "small.toml"
    text = file.read_text()
    file.write_text(text + "[list]\npseudonyms = true\n")
    folder = run(file, hidden)
    file.write_text(text)
    names = set(pd.read_csv(folder / "scores.csv")["user_id"])
    ids = set(pd.read_csv(finished / "scores.csv")["user_id"].astype(str))
    assert len(names) == len(ids) and not names & ids
    tables = gathered(folder).tables
    told = {t.name: tables[t.name] for t in (c.PRIORITY, c.REASONS, c.ATTRIBUTION, c.LEVERS, c.ANOMALY, c.USER_DAYS,
                                             c.PREDICTIONS, c.MONEY, c.FIRMNESS)}  # fmt: skip
    assert {name for name, table in told.items() if len(table)} >= {"priority", "reasons", "user_days", "predictions"}
    for name, table in told.items():
        assert set(table["user_id"]) <= names, name
    report = json.loads((folder / "report.json").read_text())
    assert {row["user_id"] for row in report["list"]} <= names
    behind = set(pd.read_csv(folder / "path_users.csv")["user_id"])
    assert names <= behind and not behind & ids


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ('[actions]\n"history:recensy" = "call"\n', "history:recency"),
        ('[profiles]\nratio = ["history:recency", "history:tenur"]\n', "history:tenure"),
        ("[list]\npseudonyms = true\n", "TSCHURN_PSEUDONYM_KEY"),
        ('[contacts]\npath = "nowhere.csv"\n', "nowhere.csv"),
    ],
)
def test_what_the_file_names_wrongly_is_told_before_anything_is_trained(
    extra: str, told: str, tmp_path: Path, log_frame: pd.DataFrame, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("TSCHURN_PSEUDONYM_KEY", raising=False)
    file = experiment(tmp_path, log_frame, STICKER + extra)
    assert main(["run", str(file), "--reports", str(tmp_path / "reports"), "--quiet"]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "reports" / "small" / "latest" / "stages" / "horizons").exists()


def test_windows_with_a_contact_are_left_out_and_counted(tmp_path: Path, log_frame: pd.DataFrame) -> None:
    """As far as the windows: a lever that there is not ends the run there."""
    days = pd.to_datetime(log_frame["timestamp"]).dt.date
    user, day = log_frame["user_id"].iloc[0], sorted(set(days))[len(set(days)) // 2]
    pd.DataFrame({"user_id": [user], "contacted_on": [day]}).to_csv(tmp_path / "contacts.csv", index=False)
    file = experiment(tmp_path, log_frame, f'{STICKER}[contacts]\npath = "{tmp_path / "contacts.csv"}"\n')
    file.write_text(f'{file.read_text()}levers = ["none such"]\n')
    assert main(["run", str(file), "--reports", str(tmp_path / "reports"), "--quiet"]) == 2
    stages = tmp_path / "reports" / "small" / "latest" / "stages"
    windows = pd.read_parquet(stages / "windows" / "windows.parquet")
    far = (pd.to_datetime(windows["anchor_day"]) - pd.Timestamp(day)).dt.days
    touched = windows["closed"] & (windows["user_id"] == user) & far.between(-7, 6)
    assert touched.any() and (windows.loc[touched, "split"] == "excluded").all()
    assert (windows.loc[~touched, "split"] != "excluded").all()
    excluded = pd.read_parquet(stages / "windows" / "exclusions.parquet").set_index("reason")
    assert excluded.loc["contact", "windows"] == touched.sum()


def test_a_misspelt_lever_is_refused_before_anything_is_trained(
    tmp_path: Path, log_frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    file = experiment(tmp_path, log_frame, STICKER)
    file.write_text(f'{file.read_text()}levers = ["liek"]\n')
    assert main(["run", str(file), "--reports", str(tmp_path / "reports"), "--quiet"]) == 2
    assert "explain.levers" in capsys.readouterr().err
    stages = tmp_path / "reports" / "small" / "latest" / "stages"
    assert (stages / "windows").is_dir() and not (stages / "horizons").exists()


def test_a_sticker_that_never_occurs_and_no_history(tmp_path: Path, log_frame: pd.DataFrame) -> None:
    log = log_frame[log_frame["event"] != "sticker"]
    folder = run(experiment(tmp_path, log, STICKER + '[features]\nhistory = "none"\n'), tmp_path / "reports")
    report = json.loads((folder / "report.json").read_text())
    assert "churn" in report["targets"] and not report["targets"].get("sticker")
    assert "sticker" in (folder / "index.html").read_text(encoding="utf-8")
    assert {m["name"] for m in report["targets"]["churn"]["models"]}.isdisjoint(
        {"logistic_history", "lightgbm_history"}
    )
    scores = pd.read_csv(folder / "scores.csv")
    assert (scores["priority"] - scores["p_churn"]).abs().max() < 1e-6


def test_what_is_done_again_alone_is_what_it_was_beside_another(finished: Path, place: Path, tmp_path: Path) -> None:
    """Sums depend on the threads that add them up: a target that is explained alone has no more of them."""
    shutil.copytree(place / "reports", tmp_path / "reports")
    again = tmp_path / "reports" / "small" / "latest" / "stages" / "explain.sticker"
    (again / "collinearity.parquet").unlink()
    run(place / "small.toml", tmp_path / "reports")
    tables = [file.relative_to(again) for file in again.rglob("*.parquet")]
    for name in tables:
        assert (again / name).read_bytes() == (finished / "stages" / "explain.sticker" / name).read_bytes(), name
    assert Path("collinearity.parquet") in tables
