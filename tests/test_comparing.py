"""Two runs compared: what differs, what may be compared and what not, and that noise is called noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_runs import QUALITY, make_run, rewrite
from sklearn.metrics import average_precision_score
from test_cli import Call, refused

from tschurn import contracts as c
from tschurn.comparing import compare


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def first(place: Path) -> Path:
    return make_run(place / "first")


def codes(found: dict[str, Any]) -> list[str]:
    return [row["code"] for row in found["warnings"]]


def test_a_copy_of_a_run_differs_in_nothing(first: Path, tmp_path: Path) -> None:
    found, told = compare(first, make_run(tmp_path / "copy"), tmp_path)
    assert found["differs"]["settings"] == found["differs"]["files"] == found["differs"]["versions"] == []
    assert found["warnings"] == [] and found["quality"] == {"new": [], "gone": []}
    assert {t: about["paired"]["verdict"] for t, about in found["targets"].items()} == dict.fromkeys(
        ("churn", "sticker"), "same"
    )
    assert found["list"]["jaccard"] == 1 and found["list"]["movers"] == []
    assert found["list"]["correlation"]["p_churn"] == pytest.approx(1)
    assert "All settings are the same." in told and any("the same AP" in line for line in told)


def test_the_difference_is_that_of_the_raw_predictions_on_the_common_windows(first: Path, tmp_path: Path) -> None:
    """By plain merging of what the runs left; test has moved by two weeks."""
    second = make_run(tmp_path / "second", noise=0.2, seed=2, shift=2)
    found, _ = compare(first, second)
    keys = ["user_id", "anchor_day"]
    for target, about in found["targets"].items():
        sides = []
        for run in (first, second):
            rows = pd.read_parquet(run / "stages" / f"models.{target}" / "predictions.parquet")
            sides.append(rows[(rows["model"] == "gru") & (rows["split"] == "test")])
        both = sides[0].merge(sides[1], on=keys)
        assert 0 < len(both) < len(sides[0]) and about["paired"]["windows"] == len(both)
        assert about["paired"]["anchors"] == 4 and about["paired"]["users"] == both["user_id"].nunique()
        ap = [average_precision_score(both["y_x"], both[p]) for p in ("p_x", "p_y")]
        assert about["paired"]["used"]["ap"]["a"] == pytest.approx(ap[0])
        assert about["paired"]["used"]["ap"]["b"] == pytest.approx(ap[1])
        gru = next(row for row in about["models"] if row["model"] == "gru")
        assert gru["paired"]["difference"] == pytest.approx(ap[1] - ap[0])
    assert codes(found) == ["log", "test_period", "anchor"]


def test_better_worse_and_noise(first: Path, tmp_path: Path) -> None:
    worse = make_run(tmp_path / "worse", noise=12, seed=2)
    assert compare(first, worse)[0]["targets"]["churn"]["paired"]["verdict"] == "worse"
    assert compare(worse, first, tmp_path)[0]["targets"]["churn"]["paired"]["verdict"] == "better"
    found, told = compare(first, make_run(tmp_path / "noise", seed=3))
    assert found["targets"]["churn"]["paired"]["verdict"] == "noise"
    assert sum("no more than noise" in line for line in told) == 2


@pytest.mark.parametrize(
    ("sections", "code", "paired"),
    [
        ({"windows": {"outcome_days": 14}}, "definition", set()),
        ({"log": {"timezone": "Asia/Seoul"}}, "definition", set()),
        ({"targets": {"churn": {"events": ["post"]}}}, "definition", set()),
        ({"targets": {"sticker": {"events": ["gift", "star"]}}}, "definition_sticker", {"churn"}),
        ({"windows": {"observe_days": 14}}, "eligible", {"churn", "sticker"}),
        ({"split": {"test_share": 0.3}}, "split", {"churn", "sticker"}),
        ({"experiment": {"name": "other"}}, "people", {"churn", "sticker"}),
        ({"search": {"trials": 3}}, None, {"churn", "sticker"}),
    ],
)
def test_what_cannot_be_compared_is_said_and_not_computed(
    first: Path, tmp_path: Path, sections: dict, code: str | None, paired: set[str]
) -> None:
    found, told = compare(first, make_run(tmp_path / "second", **sections))
    assert codes(found) == ([code] if code else [])
    assert {t for t, about in found["targets"].items() if about["paired"]["used"]} == paired
    changed = {f"{section}.{key}" for section, keys in sections.items() for key in keys}
    settings = [row["key"] for row in found["differs"]["settings"]]
    assert settings and all(any(row.startswith(key) for key in changed) for row in settings)
    assert sum("not known" in line for line in told) == 2 - len(paired)


def test_a_target_in_one_run_only(first: Path, tmp_path: Path) -> None:
    found, _ = compare(first, make_run(tmp_path / "second", only=("churn",)))
    assert list(found["targets"]) == ["churn"]
    assert found["warnings"][0] == {"code": "target_missing", "target": "sticker", "run": "a"}
    assert found["list"]["correlation"]["p_sticker"] is None


def test_another_used_model_is_compared_with_the_first(first: Path, tmp_path: Path) -> None:
    about = compare(first, make_run(tmp_path / "second", used="logistic_history"))[0]["targets"]["churn"]
    assert about["used"] == {"a": "gru", "b": "logistic_history"}
    by_name = {row["model"]: row["paired"] for row in about["models"]}
    assert by_name["gru"]["difference"] == by_name["logistic_history"]["difference"] == 0
    assert about["paired"]["used"]["ap"]["difference"] != 0


def test_labels_that_were_corrected_are_counted(first: Path, tmp_path: Path) -> None:
    second = make_run(tmp_path / "second")
    windows = pd.read_parquet(second / "stages" / "windows" / "windows.parquet")
    rows = windows.index[windows["split"] == "test"][:9]
    churned = windows["churned"].astype("Int8").copy()
    churned[rows] = 1 - churned[rows]
    rewrite(second, "windows", c.WINDOWS, churned=churned)
    paired = compare(first, second)[0]["targets"]["churn"]["paired"]
    assert paired["relabelled"] == 9
    test = windows["split"] == "test"
    assert paired["base_rate"] == pytest.approx(churned[test].astype(float).mean())


def test_what_became_of_those_who_left(first: Path, tmp_path: Path) -> None:
    second = make_run(tmp_path / "second", noise=4, seed=2, shift=2)
    left = compare(first, second)[0]["list"]["left"]
    windows = pd.read_parquet(second / "stages" / "windows" / "windows.parquet")
    then = pd.read_parquet(first / "stages" / "segments" / "priority.parquet")["anchor_day"].iloc[0]
    known = windows[(windows["anchor_day"] == then) & windows["closed"]].set_index("user_id")["churned"]
    assert left["known"] > 0
    for row in left["shown"]:
        assert row["churned"] == (known[row["user_id"]] if row["user_id"] in known.index else None)
    assert compare(second, first, tmp_path)[0]["list"]["left"]["known"] == 0  # the first does not reach so far


def test_findings_that_are_new_or_gone(first: Path, tmp_path: Path) -> None:
    silent = ("silent_days", "warning", None, QUALITY[0][3], QUALITY[0][4], 0, None, 0.0)
    second = make_run(tmp_path / "second", quality=[silent])
    quality = compare(first, second)[0]["quality"]
    assert [row["check"] for row in quality["new"]] == ["silent_days"]
    assert [row["check"] for row in quality["gone"]] == ["incomplete_end"]


def test_pseudonyms_are_all_that_is_shown(first: Path, tmp_path: Path) -> None:
    """Of a run with pseudonyms no id leaves; with another run without, nobody can be found again."""
    runs = []
    for name in ("one", "two"):
        run = make_run(tmp_path / name, seed=len(name), list={"pseudonyms": True})
        priority = pd.read_parquet(run / "stages" / "segments" / "priority.parquet")
        people = pd.DataFrame({"rank": priority["rank"], "user_id": "secret-" + priority["user_id"]})
        people.to_parquet(run / "scores.parquet")
        runs.append(run)
    found, _ = compare(*runs)
    assert found["list"]["scored"]["both"] == found["a"]["scored"]
    shown = [row["user_id"] for part in ("came", "left") for row in found["list"][part]["shown"]]
    assert all(user.startswith("secret-u") for user in [*shown, *(row["user_id"] for row in found["list"]["movers"])])
    found, _ = compare(first, runs[0])
    assert found["list"]["scored"]["both"] == 0 and "ids_pseudonyms" in codes(found)
    assert not any(row["user_id"].startswith("u") for row in found["list"]["came"]["shown"])


def test_the_same_runs_give_the_same_files_and_no_place_is_told(first: Path, tmp_path: Path) -> None:
    second = make_run(tmp_path / "second", seed=2)
    files = []
    for out in ("one", "two"):
        compare(first, second, tmp_path / out)
        files.append({f.name: f.read_bytes() for f in (tmp_path / out).iterdir()})
    assert set(files[0]) == {"comparison.html", "comparison.json"} and files[0] == files[1]
    assert b"private" not in files[0]["comparison.json"] and str(tmp_path).encode() not in files[0]["comparison.json"]


def test_of_files_in_the_settings_only_the_name_is_told(first: Path, tmp_path: Path) -> None:
    second = make_run(tmp_path / "second", log={"creators": "/private/here/creators.csv"})
    settings = compare(first, second)[0]["differs"]["settings"]
    assert settings == [{"key": "log.creators", "a": None, "b": "creators.csv"}]


def test_the_command_writes_beside_the_second_run(tschurn: Call, first: Path, tmp_path: Path) -> None:
    second = make_run(tmp_path / "second", seed=2)
    code, out, err = tschurn("report", first, second, "--quiet", "--language", "ko")
    assert code == 0, err
    told = json.loads((second / "comparison.json").read_text(encoding="utf-8"))
    assert told["language"] == "ko" and "관리우선대상군" in out
    assert str(second / "comparison.html") in out
    assert not (first / "comparison.html").exists() or first == second


def test_folders_that_cannot_be_compared(tschurn: Call, first: Path, tmp_path: Path) -> None:
    refused(tschurn("report", first, first, "--quiet"), "the same run")
    (tmp_path / "link").symlink_to(first)
    refused(tschurn("report", first, tmp_path / "link", "--quiet"), "the same run")
    refused(tschurn("report", first, tmp_path / "nothing", "--quiet"), "nothing", "no finished run")
    refused(tschurn("report", tmp_path, "--quiet"), "no finished run")
    unfinished = make_run(tmp_path / "unfinished")
    (unfinished / "stages" / "segments").rename(unfinished / "stages" / ".segments.partial")
    refused(tschurn("report", first, unfinished, "--quiet"), "unfinished", "no results of segments", "has not ended")
    older = make_run(tmp_path / "older")
    path = older / "stages" / "segments" / "threshold.parquet"
    pd.read_parquet(path).drop(columns="score").to_parquet(path)
    refused(tschurn("report", first, older, "--quiet"), "older", "threshold has no score", "another version")
    (tmp_path / "taken").touch()
    refused(tschurn("report", first, make_run(tmp_path / "b", seed=2), "--out", tmp_path / "taken", "--quiet"), "taken")
    assert not list(tmp_path.rglob("comparison.*"))
    refused(tschurn("report", first, "--out", tmp_path), "--out goes with two runs")


@pytest.mark.filterwarnings("error")
def test_no_common_test_window_and_nobody_scored(first: Path, tmp_path: Path) -> None:
    second = make_run(tmp_path / "second", shift=8)
    segments = pd.read_parquet(second / "stages" / "segments" / "priority.parquet").head(0)
    rewrite_empty = second / "stages" / "segments" / "priority.parquet"
    segments.to_parquet(rewrite_empty)
    found, told = compare(first, second)
    assert {about["paired"]["why"] for about in found["targets"].values()} == {"no_common"}
    assert found["list"]["jaccard"] is None and found["list"]["group"]["b"] == 0
    assert any("no window is test in both" in line for line in told)
    assert np.isfinite(found["targets"]["churn"]["models"][0]["a"]["ap"]["value"])
