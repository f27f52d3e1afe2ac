"""The main job on a small simulated platform: explanations are marked by the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from conftest import QUICK

from tschurn import contracts as c
from tschurn import scoring
from tschurn.cli import main
from tschurn.config import SMALL_SIMULATION

pytestmark = pytest.mark.slow

EXPERIMENT = """
[experiment]
name = "platform"
[log]
dataset = "creator_platform"
timezone = "Asia/Seoul"
drop_duplicates = true
[simulation]
{sizes}
[windows]
stride_days = 2
[targets.sticker]
events = ["sticker_small", "sticker_medium", "sticker_large"]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("platform")
    sizes = "\n".join(f"{key} = {value}" for key, value in SMALL_SIMULATION.items())
    (folder / "platform.toml").write_text(EXPERIMENT.format(sizes=sizes) + QUICK.replace("= 8", "= 30"))
    assert main(["run", str(folder / "platform.toml"), "--reports", str(folder / "reports"), "--quiet"]) == 0
    yield folder / "reports" / "platform" / "latest"


@pytest.fixture(scope="module")
def told(finished: Path) -> Callable[..., float]:
    table = pd.read_parquet(finished / "stages" / "truth" / "truth_figures.parquet")
    c.TRUTH_FIGURES.check(table)
    values = table.set_index(["target", "figure", "about"])["value"]
    return lambda figure, about="", target="churn": values[target, figure, about]


def test_the_stages_of_a_simulated_log(finished: Path) -> None:
    assert {"simulation", "truth"} <= {p.name for p in (finished / "stages").iterdir()}
    report = json.loads((finished / "report.json").read_text(encoding="utf-8"))
    assert report["rows"] == SMALL_SIMULATION["rows"]
    assert report["simulated"]["truth"].keys() == {"churn", "sticker"}
    removed = {row["filter"]: row["rows_removed"] for row in report["filters"]}
    assert all(removed[name] > 0 for name in ("missing_key", "not_in_creator_list", "repeated", "no_own_activity"))
    priority = pd.read_parquet(finished / "stages" / "segments" / "priority.parquet")
    assert len(priority) == len(pd.read_csv(finished / "scores.csv"))


def test_labels_of_the_log_are_those_of_the_truth(finished: Path) -> None:
    """The mean of p_true over the windows is the rate that happened, within what chance allows."""
    windows = pd.read_parquet(finished / "stages" / "windows" / "windows.parquet")
    known = pd.read_parquet(finished / "stages" / "simulation" / "truth.parquet").rename(columns={"day": "anchor_day"})
    joined = windows[windows["closed"]].merge(known, on=["user_id", "anchor_day"], validate="one_to_one")
    assert len(joined) == windows["closed"].sum()
    for label, p in (("churned", "p_churn_true"), ("sticker", "p_sticker_true")):
        assert joined[label].astype(float).mean() == pytest.approx(joined[p].mean(), rel=0.1)


def test_models_find_much_of_what_can_be_known_and_not_more(told: Callable[..., float]) -> None:
    for target in ("churn", "sticker"):
        assert told("base_rate", target=target) < told("ap_used", target=target)
        assert told("ap_used", target=target) < told("ap_ceiling", target=target) + 0.05
    assert told("ap_share") > 0.5
    assert told("p_spearman") > 0.5


def test_selection_takes_causes_and_leaves_noise(told: Callable[..., float]) -> None:
    assert told("selected", "independent") == told("selected", "user_constant") == 0
    assert told("selected") > 0.6


def test_reasons_name_the_true_cause_more_often_than_chance_and_recency(told: Callable[..., float]) -> None:
    assert told("precision_at_3") > 0.8
    assert told("precision_at_3") > 2 * told("precision_chance")
    assert told("precision_at_3") > max(told(f"precision_{rival}") for rival in ("recency", "same", "change"))
    assert told("direction_right") > 0.8


def test_its_own_log_is_scored_as_it_was(finished: Path, tmp_path: Path) -> None:
    """Where the run left it, and by its path, with the list of creators beside it."""
    listed = pd.read_parquet(finished / "scores.parquet").set_index("user_id")
    for name, log in (("left", None), ("named", str(finished / "stages" / "simulation" / "events.parquet"))):
        assert scoring.score(finished, log=log, out=tmp_path / name).summary["scored"] == len(listed)
        scores = pd.read_parquet(tmp_path / name / "scores.parquet").set_index("user_id").reindex(listed.index)
        for column in ("p_churn", "p_sticker", "priority"):
            pd.testing.assert_series_equal(scores[column], listed[column], rtol=1e-5, atol=1e-6)
        assert scores["reason_1"].equals(listed["reason_1"])
