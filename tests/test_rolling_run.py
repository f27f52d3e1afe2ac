"""A run with a rolling split, end to end: every origin is measured on its own period, the last one is the run's."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import QUICK
from sklearn.metrics import average_precision_score
from synthetic import make_log

from tschurn.cli import main

pytestmark = pytest.mark.slow


def run(folder: Path, origins: int) -> Path:
    file = folder / "rolling.toml"
    split = f'[split]\nkind = "rolling"\norigins = {origins}\n'
    file.write_text(f'[experiment]\nname = "rolling"\n[log]\npath = "{folder / "events.csv"}"\n{split}{QUICK}')
    assert main(["run", str(file), "--reports", str(folder / "reports"), "--quiet"]) == 0
    return folder / "reports" / "rolling" / "latest"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rolling")
    make_log(users=200, days=140).to_csv(folder / "events.csv", index=False)
    return run(folder, 2)


def test_each_origin_is_measured_on_its_own_period_and_nothing_later(finished: Path) -> None:
    stages = finished / "stages"
    assert {p.name for p in stages.iterdir() if "." in p.name} == {
        "models.churn",
        "origins.churn.1",
        "explain.churn",
        "ablation.churn",
        "seeds.churn",
    }
    first = pd.read_parquet(stages / "origins.churn.1" / "predictions.parquet")
    last = pd.read_parquet(stages / "models.churn" / "predictions.parquet")
    blocks = {name: set(table.loc[table["split"] == "test", "anchor_day"]) for name, table in
              (("first", first), ("last", last))}  # fmt: skip
    assert max(blocks["first"]) < min(blocks["last"])
    assert set(first.loc[first["split"] == "later", "anchor_day"]) == blocks["last"]
    report = json.loads((finished / "report.json").read_text())["origins"]
    periods = report["targets"]["churn"]["periods"]
    assert report["asked"] == len(periods) == 2
    for period, predictions in zip(periods, (first, last), strict=True):
        test = predictions[predictions["split"] == "test"]
        days = test["anchor_day"]
        assert [period["first_day"], period["last_day"]] == [str(days.min()), str(days.max())]
        assert {m["name"] for m in period["models"]} == set(test["model"])
        for model in period["models"]:
            mine = test[test["model"] == model["name"]]
            assert len(mine) == period["windows"]
            assert model["ap"] == pytest.approx(average_precision_score(mine["y"], mine["p"]))


def test_the_last_origin_is_the_one_of_the_metrics(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    of_run, of_last = report["targets"]["churn"], report["origins"]["targets"]["churn"]["periods"][-1]
    assert of_run["used"] == of_last["used"] and of_run["models"] == of_last["models"]


def test_an_origin_chooses_on_its_own_validation(finished: Path) -> None:
    for stage in ("origins.churn.1", "models.churn"):
        metrics = pd.read_parquet(finished / "stages" / stage / "metrics.parquet").drop_duplicates("model")
        summary = pd.read_parquet(finished / "stages" / stage / "target_summary.parquet").iloc[0]
        best = metrics.loc[metrics["validation_ap"] == metrics["validation_ap"].max(), "model"]
        assert summary["used"] in {*best, "average"}  # the rule for the average: test_training.py
        assert set(metrics.loc[metrics["used"], "model"]) == {summary["used"]}
    one, other = (
        pd.read_parquet(finished / "stages" / stage / "metrics.parquet").set_index(["model", "metric"])["validation_ap"]
        for stage in ("origins.churn.1", "models.churn")
    )
    assert not one.equals(other)


def test_a_second_run_reuses_every_origin_and_looks_at_no_test_again(finished: Path) -> None:
    run(finished.parents[2], 2)
    manifest = json.loads((finished / "manifest.json").read_text())
    assert {"origins.churn.1", "models.churn"} <= set(manifest["reused"])
    assert manifest["counters"] == {"test_evaluations.churn": 1, "test_evaluations.churn.1": 1}
