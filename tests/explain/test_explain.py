"""The whole stage on planted windows: causes first, noise out, every table as its contract says."""

from __future__ import annotations

import subprocess
import sys

import lightgbm
import numpy as np
import pandas as pd
import pytest

from tschurn import contracts, explain
from tschurn.config import Experiment, parse

TABLES = {
    "collinearity": contracts.COLLINEARITY,
    "selection": contracts.SELECTION,
    "surrogates": contracts.SURROGATES,
    "importance": contracts.IMPORTANCE,
    "shap_sample": contracts.SHAP_SAMPLE,
    "dependence": contracts.DEPENDENCE,
    "stability": contracts.STABILITY,
    "reasons": contracts.REASONS,
    "shared_reasons": contracts.SHARED_REASONS,
    "sharing": contracts.SHARING,
}


def experiment(**explain_keys: object) -> Experiment:
    raw = {
        "experiment": {"name": "t"},
        "log": {"path": "x"},
        "run": {"threads": 1},
        "explain": {"boruta_trials": 12, **explain_keys},
    }
    return parse(raw, "test")


class Direct:
    """A linear model of recency and the anchor day's posts that explains itself."""

    def __init__(self, windows: object) -> None:
        self.columns = windows.flat_columns().set_index("column").loc[["post@0", "recency"]].reset_index()
        self._windows = windows
        self._places = [windows.flat_columns()["column"].tolist().index(c) for c in self.columns["column"]]

    def values(self, rows: np.ndarray) -> np.ndarray:
        return self._windows.flat(rows)[:, self._places]

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        return (self.values(rows) - 1.0) * np.array([-0.8, 1.0])


def scores_of(windows: object, rows: np.ndarray) -> pd.DataFrame:
    """SCORES of these windows."""
    scored = windows.index.iloc[rows]
    p = 1 / (1 + np.exp(-windows.log_odds[rows]))
    return scored[["user_id", "anchor_day"]].assign(target="churn", p=p, p_low=p, p_high=p).reset_index(drop=True)


@pytest.fixture(scope="module")
def given(planted) -> tuple[object, dict]:
    """Windows, and the arguments of a call in which a network is used."""
    windows = planted(users=300, anchors=9)
    rng = np.random.default_rng(1)
    odds = pd.DataFrame({"gru": windows.log_odds, "lightgbm": windows.log_odds + rng.normal(size=len(windows.index))})
    return windows, {
        "log_odds": odds, "scores": scores_of(windows, np.flatnonzero(windows.index["split"] == "open")),
        "target": "churn", "label": "churned", "used": "gru", "best_network": "gru", "direct": None,
        "score_rows": np.flatnonzero(windows.index["split"] == "open"), "experiment": experiment(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def tables(given) -> dict[str, pd.DataFrame]:
    windows, arguments = given
    return explain.explain(windows, **arguments)


def test_every_table_keeps_its_contract(tables: dict[str, pd.DataFrame]) -> None:
    assert set(tables) == set(TABLES)
    for name, table in tables.items():
        assert TABLES[name].check(table).num_rows == len(table) > 0


def test_causes_are_found_and_noise_is_not(tables: dict[str, pd.DataFrame]) -> None:
    collinearity = tables["collinearity"].set_index("column")
    assert collinearity.loc["nothing", "reason"] == "constant"
    assert collinearity.loc["total", "reason"] == "perfect"
    assert sum(collinearity.loc[["post@0", "post_2@0"], "kept"]) == 1
    cause = collinearity.index[collinearity["kept"] & collinearity.index.isin(["post@0", "post_2@0"])][0]
    selection = tables["selection"].set_index("column")["decision"]
    assert selection["recency"] == selection[cause] == "accepted"
    assert (selection[selection.index.str.startswith(("noise", "person"))] != "accepted").all()
    importance = tables["importance"].set_index("column")
    assert importance.index.tolist()[:2] == ["recency", cause]
    # the other six days of the cause's feature are kept with it and take a little off its direction
    assert importance.loc["recency", "direction"] > 0.9 and importance.loc[cause, "direction"] < -0.85


def test_surrogate_of_the_used_network_is_faithful(tables: dict[str, pd.DataFrame], given) -> None:
    windows, _ = given
    row = tables["surrogates"].iloc[0]
    assert len(tables["surrogates"]) == 1 and (row["model"], row["how"], row["explained"]) == ("gru", "surrogate", True)
    assert row["r2"] > 0.95 and row["spearman"] > 0.95 and row["top_decile_overlap"] > 0.6
    assert row["windows"] == (windows.index["split"] == "test").sum() and row["users"] == 300


def test_reasons_are_for_scored_users_and_name_the_cause(tables: dict[str, pd.DataFrame], given) -> None:
    windows, arguments = given
    reasons = tables["reasons"]
    scored = windows.index.iloc[arguments["score_rows"]]
    assert set(reasons["user_id"]) <= set(scored["user_id"]) and reasons["rank"].max() <= 3
    recency = pd.Series(windows.past[arguments["score_rows"], 0], index=scored["user_id"])
    quiet = reasons[reasons["user_id"].isin(recency.index[recency == 6]) & (reasons["rank"] == 1)]
    assert (quiet["feature"] == "recency").all() and len(quiet) > 20
    assert quiet["sentence_en"].str.contains("Recency in words: 6, more than the average of 3", regex=False).all()
    train = windows.past[windows.index["split"] == "train", 0]
    assert quiet["typical"].iloc[0] == pytest.approx(train.mean())


def test_a_reason_of_a_daily_feature_tells_its_days_together(given, tables: dict[str, pd.DataFrame]) -> None:
    windows, arguments = given
    changed = {"used": "lightgbm", "direct": Direct(windows), "collinearity": tables["collinearity"]}
    reasons = explain.explain(windows, **arguments | changed)["reasons"]
    found = reasons[reasons["feature"] == "post"].set_index(["user_id", "anchor_day"])
    place = windows.features.loc[windows.features["kind"] == "daily", "feature"].tolist().index("post")
    index = windows.index
    sums = pd.Series(
        windows.batch(np.arange(len(index)))[:, :, place].sum(axis=1),
        index=pd.MultiIndex.from_frame(index[["user_id", "anchor_day"]]),
    )
    assert len(found) > 20
    assert found["value"].tolist() == sums[found.index].tolist()
    assert found["typical"].iloc[0] == pytest.approx(sums[(index["split"] == "train").to_numpy()].mean())
    assert found["sentence_en"].str.contains("Post in words").all()


def test_used_model_that_explains_itself_and_best_network_besides(given, tables: dict[str, pd.DataFrame]) -> None:
    windows, arguments = given
    changed = {"used": "lightgbm", "direct": Direct(windows), "collinearity": tables["collinearity"]}
    found = explain.explain(windows, **arguments | changed)
    assert found["surrogates"]["model"].tolist() == ["lightgbm", "gru"]
    assert found["surrogates"]["how"].tolist() == ["direct", "surrogate"]
    assert found["surrogates"]["explained"].tolist() == [True, False]
    assert found["collinearity"] is tables["collinearity"]
    assert set(found["reasons"]["feature"]) <= set(changed["direct"].columns["feature"])
    direct = found["importance"][found["importance"]["model"] == "lightgbm"]
    assert direct["column"].tolist() == ["recency", "post@0"]
    pd.testing.assert_frame_equal(
        found["importance"][found["importance"]["model"] == "gru"].reset_index(drop=True), tables["importance"]
    )
    for name, table in found.items():
        TABLES[name].check(table)


def test_used_baseline_without_an_explainer_and_no_network(given, tables: dict[str, pd.DataFrame]) -> None:
    windows, arguments = given
    arguments = arguments | {"collinearity": tables["collinearity"], "experiment": experiment(boruta_trials=5)}
    both = explain.explain(windows, **arguments | {"used": "lightgbm"})["surrogates"]
    assert both[["model", "explained"]].to_numpy().tolist() == [["lightgbm", True], ["gru", False]]
    alone = explain.explain(windows, **arguments | {"used": "lightgbm", "best_network": None})["surrogates"]
    assert alone[["model", "explained"]].to_numpy().tolist() == [["lightgbm", True]]


def test_labels_of_test_and_open_windows_do_not_reach_the_selection(given, tables: dict[str, pd.DataFrame]) -> None:
    windows, arguments = given
    whole = windows.index
    try:
        windows.index = whole.assign(churned=whole["churned"].where(whole["split"] == "train", 0))
        again = explain.explain(windows, **arguments)
    finally:
        windows.index = whole
    pd.testing.assert_frame_equal(again["selection"], tables["selection"])
    pd.testing.assert_frame_equal(again["reasons"], tables["reasons"])


def test_nothing_carries_anything(planted) -> None:
    """Labels that are pure chance: tables stay whole, and nobody gets a made-up reason."""
    windows = planted(users=120, anchors=8, seed=3)
    closed = windows.index["closed"].to_numpy()
    chance = np.random.default_rng(0).integers(0, 2, len(closed))
    windows.index["churned"] = pd.array(chance, dtype="Int8")
    windows.index.loc[~closed, "churned"] = pd.NA
    found = explain.explain(
        windows, pd.DataFrame({"gru": windows.log_odds}), scores_of(windows, np.flatnonzero(~closed)),
        target="churn", label="churned", used="gru",
        best_network="gru", direct=None, score_rows=np.flatnonzero(~closed), experiment=experiment(),
    )  # fmt: skip
    assert (found["selection"]["decision"] != "accepted").all()
    for name, table in found.items():
        TABLES[name].check(table)


def test_progress_goes_up_to_the_end(given, tables: dict[str, pd.DataFrame]) -> None:
    windows, arguments = given
    seen: list[tuple[str, float, float]] = []
    explain.explain(
        windows, **arguments | {"experiment": experiment(boruta_trials=5), "collinearity": tables["collinearity"]},
        progress=lambda stage, done, total, note="": seen.append((stage, done, total)),
    )  # fmt: skip
    done = [d for _, d, _ in seen]
    assert done == sorted(done) and seen[-1][1] == seen[-1][2] and {s for s, _, _ in seen} == {"explain"}


def test_import_is_cheap() -> None:
    code = (
        "import sys, tschurn.explain; "
        "print([m for m in ('lightgbm', 'shap', 'scipy', 'pandas', 'sklearn') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_lightgbm_direct_explainer_at_work(given, tables: dict[str, pd.DataFrame]) -> None:
    """As the pipeline does it: the used LightGBM model explains itself by native TreeSHAP on all flat columns."""
    windows, arguments = given
    train = np.flatnonzero(windows.index["split"] == "train")
    data = lightgbm.Dataset(windows.flat(train), windows.index["churned"].iloc[train].to_numpy(dtype=float))
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, num_boost_round=30)

    class Trees:
        columns = windows.flat_columns()

        def values(self, rows: np.ndarray) -> np.ndarray:
            return windows.flat(rows)

        def contributions(self, rows: np.ndarray) -> np.ndarray:
            return booster.predict(self.values(rows), pred_contrib=True, num_threads=1)[:, :-1]

    changed = {"used": "lightgbm", "best_network": None, "direct": Trees(), "collinearity": tables["collinearity"]}
    found = explain.explain(windows, **arguments | changed)
    assert found["importance"]["column"].iloc[0] == "recency"
    assert len(found["importance"]) == len(Trees.columns)
