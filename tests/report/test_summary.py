"""Tables → the dict that decides every number of the report."""

from __future__ import annotations

import json
import math
import runpy
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import RELIABLE_R2
from tschurn.report.summary import summarise
from tschurn.report.values import CONTRACTS, plain

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
MADE = made["tables"]()
METRICS = ["base_rate", "accuracy", "ap", "micro_ap", "auc", "brier", "ece", "ece_perfect", "lift_10", "lift_20"]


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return {name: frame.copy() for name, frame in MADE.items()}


def summary_of(tables, notes=(), **sections) -> dict:
    return summarise(tables, list(notes), made["experiment"](**sections), made["manifest"]())


def set_difference(tables, low: float, high: float, used: str = "gru_bilstm", versus: str = "lightgbm_history") -> None:
    """Make `used` the used model of churn, with this interval of its difference to `versus`."""
    metrics, differences = tables["metrics"], tables["differences"]
    churn = metrics["target"] == "churn"
    metrics.loc[churn, "used"] = metrics.loc[churn, "model"] == used
    row = {"target": "churn", "used": used, "versus": versus, "versus_kind": "x", "difference": (low + high) / 2}
    others = differences[differences["target"] != "churn"]
    tables["differences"] = pd.concat([others, pd.DataFrame([row | {"low": low, "high": high}])], ignore_index=True)


def test_has_the_stable_keys_of_report_json(tables):
    found = summary_of(tables)
    assert found["experiment"] == "made up"
    assert found["rows"] == tables["log_summary"]["rows_read"][0] == 1_000_000
    assert found["users"] == made["USERS"]
    assert {"train", "validation", "calibration", "test", "purged", "open"} <= set(found["windows"])
    assert {k: n for k, n in found["windows"].items() if n} == tables["windows"]["split"].value_counts().to_dict()
    assert sum(found["windows"].values()) == len(tables["windows"])
    assert found["segments"] == tables["priority"]["segment"].value_counts().to_dict()
    assert set(found["targets"]) == set(found["surrogates"]) == {"churn", "sticker"}
    for target in ("churn", "sticker"):
        assert found["targets"][target]["used"] == "gru_bilstm"
        assert {"model", "r2", "spearman", "top_decile_overlap"} <= set(found["surrogates"][target])
        for model in found["targets"][target]["models"]:
            assert {"name", "kind", *METRICS} <= set(model)


def test_models_hold_the_metrics_as_they_are(tables):
    found = summary_of(tables)
    wide = tables["metrics"].pivot(index=["target", "model"], columns="metric", values="value")
    for target, about in found["targets"].items():
        assert len(about["models"]) == len(wide.loc[target])
        aps = [m["ap"] for m in about["models"]]
        assert aps == sorted(aps, reverse=True)
        for model in about["models"]:
            assert {m: model[m] for m in METRICS} == wide.loc[(target, model["name"]), METRICS].to_dict()
    ap = tables["metrics"].query("target == 'churn' and model == 'gru' and metric == 'ap'").iloc[0]
    gru = next(m for m in found["targets"]["churn"]["models"] if m["name"] == "gru")
    assert gru["intervals"]["ap"] == {"low": ap["low"], "high": ap["high"]}
    assert gru["intervals"]["base_rate"] == {"low": None, "high": None}


@pytest.mark.parametrize(
    ("low", "high", "used", "versus", "code", "more_than_noise"),
    [
        (0.001, 0.02, "gru_bilstm", "lightgbm_history", "learned_ahead", True),
        (-0.001, 0.02, "gru_bilstm", "lightgbm_history", "learned_level", False),
        (0.0, 0.02, "gru_bilstm", "lightgbm_history", "learned_level", False),
        (-0.02, -0.001, "gru_bilstm", "lightgbm_history", "learned_behind", True),
        (0.01, 0.01, "gru_bilstm", "lightgbm_history", "learned_unknown", False),
        (math.nan, math.nan, "gru_bilstm", "lightgbm_history", "learned_unknown", False),
        (0.001, 0.02, "lightgbm_history", "gru_bilstm", "plain_ahead", True),
        (-0.01, 0.02, "lightgbm_history", "gru_bilstm", "plain_level", False),
        (-0.02, -0.01, "lightgbm_history", "gru_bilstm", "plain_behind", True),
        (0.001, 0.02, "network_average", "lightgbm_history", "learned_ahead", True),
    ],
)
def test_verdict(tables, low, high, used, versus, code, more_than_noise):
    set_difference(tables, low, high, used, versus)
    about = summary_of(tables)["targets"]["churn"]
    assert about["verdict"]["code"] == code
    assert about["verdict"]["more_than_noise"] is more_than_noise
    assert (about["used"], about["verdict"]["versus"], about["rival"]["name"]) == (used, versus, versus)
    assert about["winner"]["name"] == "gru_bilstm"
    assert about["winner"]["is_used"] is (used == "gru_bilstm")


def test_the_verdict_is_against_the_baseline_that_is_best_on_test(tables):
    """Not the one that validation preferred: a win over that one would be no win."""
    metrics = tables["metrics"]
    plain = metrics["kind"].eq("baseline") & metrics["target"].eq("churn")
    ap = metrics[plain & metrics["metric"].eq("ap")].set_index("model")["value"].sort_values()
    metrics.loc[plain & metrics["model"].eq(ap.index[-2]), "validation_ap"] = 0.99
    about = summary_of(tables)["targets"]["churn"]
    assert about["rival"]["name"] == about["verdict"]["versus"] == ap.index[-1]


def test_verdict_without_networks_is_against_the_next_baseline(tables):
    tables["metrics"] = tables["metrics"][tables["metrics"]["kind"] == "baseline"]
    tables["target_summary"] = tables["target_summary"].assign(used="lightgbm_history", best_network=None)
    set_difference(tables, -0.01, 0.02, "lightgbm_history", "logistic_history")
    verdict = summary_of(tables)["targets"]["churn"]["verdict"]
    assert (verdict["code"], verdict["versus"]) == ("only_plain_level", "logistic_history")


def test_verdict_of_the_only_model(tables):
    tables["metrics"] = tables["metrics"][tables["metrics"]["model"] == "gru_bilstm"]
    assert summary_of(tables)["targets"]["churn"]["verdict"]["code"] == "alone"


def test_surrogate_is_the_explained_one_and_judged(tables):
    found = summary_of(tables)["surrogates"]
    assert found["churn"]["reliable"] is True
    assert found["sticker"]["reliable"] is False
    assert found["sticker"]["r2"] < RELIABLE_R2
    other = tables["surrogates"].iloc[[0]].assign(model="a_gru", explained=False, r2=0.99)
    tables["surrogates"] = pd.concat([other, tables["surrogates"]])
    assert summary_of(tables)["surrogates"]["churn"]["model"] == "gru_bilstm"
    tables["surrogates"].loc[tables["surrogates"]["how"] == "surrogate", "r2"] = RELIABLE_R2
    assert summary_of(tables)["surrogates"]["churn"]["reliable"] is True
    tables["surrogates"]["r2"] = None
    assert summary_of(tables)["surrogates"]["churn"]["reliable"] is None


def test_direct_explanations_have_no_surrogate(tables):
    tables["surrogates"] = tables["surrogates"][tables["surrogates"]["how"] == "direct"]
    found = summary_of(tables)
    assert found["surrogates"] == {"churn": {}, "sticker": {}}
    assert found["explanations"]["churn"][0]["r2"] is None
    assert found["explanations"]["churn"][0]["reliable"] is None


def test_explained_columns_have_labels_and_directions(tables):
    first = summary_of(tables)["explanations"]["churn"][0]
    assert first["explained"] is True
    assert first["shown"][0]["label"] == "active days of 28"
    for column in first["shown"]:
        low, high = column["direction_low"], column["direction_high"]
        if low is not None and max(low, -high) >= 0.1:
            assert column["effect"] == ("raises" if low > 0 else "lowers")
        else:
            assert column["effect"] == "mixed"
    assert {column["effect"] for column in first["shown"]} == {"raises", "lowers", "mixed"}
    korean = summary_of(tables, language="ko")["explanations"]["churn"][0]
    assert korean["shown"][0]["label"] == "28일 중 활동일"


def test_splits_count_windows_and_rates(tables):
    windows = tables["windows"]
    for row in summary_of(tables)["splits"]:
        part = windows[windows["split"] == row["split"]]
        assert row["windows"] == len(part)
        assert row["users"] == len(set(part["user_id"]))
        if row["split"] == "open" or part.empty:
            assert row["churned"] is None
        else:
            labels = part["churned"].dropna()
            assert row["churned"] == pytest.approx(labels.sum() / len(labels))
            assert (row["first"], row["last"]) == (str(part["anchor_day"].min()), str(part["anchor_day"].max()))


def test_list_is_the_head_of_the_ranking_with_reasons(tables):
    rows = summary_of(tables)["list"]
    priority = tables["priority"].sort_values("rank")
    assert [r["user_id"] for r in rows] == list(priority["user_id"].head(20))
    assert [r["rank"] for r in rows] == list(range(1, 21))
    assert rows[0]["reasons"]["churn"][0].startswith("1: last own event")
    assert [len(r["reasons"]["sticker"]) for r in rows] == [3] * 20
    assert "마지막" in summary_of(tables, language="ko")["list"][0]["reasons"]["churn"][0]


def test_integer_ids_stay_integers(tables):
    codes = {u: i for i, u in enumerate(tables["priority"]["user_id"])}
    for name in ("priority", "reasons", "money", "firmness"):
        tables[name] = tables[name].assign(user_id=tables[name]["user_id"].map(codes).astype("int64"))
    rows = summary_of(tables)["list"]
    assert [r["user_id"] for r in rows] == list(range(20))
    assert all(len(r["reasons"]["churn"]) == 3 for r in rows)


def test_comparison_is_sorted_by_size_and_counts_only_what_is_not_circular(tables):
    table = tables["comparison"]
    found = summary_of(tables)["comparison"]
    for versus, part in found.items():
        sizes = [abs(r["hedges_g"]) for r in part["rows"] if r["hedges_g"] is not None]
        assert sizes == sorted(sizes, reverse=True)
        mine = table[(table["versus"] == versus) & ~table["circular"]]
        assert part["differing"] == sum(q < 0.05 for q in mine["q"])
        assert part["circular"] == 1
    assert found["others"]["rows"][-1]["variable"] == "constant"
    assert found["others"]["rows"][-1]["significant"] is None


def test_unscored_and_groups(tables):
    found = summary_of(tables)
    assert found["unscored"] == [{"reason": "not_active", "users": 37, "last_day": "2024-02-06"}]
    priority = tables["priority"]
    mine = priority[priority["segment"] == "priority"]
    means = found["group"]["means"]["priority"]
    assert means["p_churn"] == pytest.approx(mine["p_churn"].mean())
    assert means["share"] == len(mine) / len(priority)
    assert found["group"]["means"]["all"]["users"] == len(priority)


def test_collinearity_and_selection_counts(tables):
    found = summary_of(tables)
    table = tables["collinearity"]
    assert found["collinearity"]["kept"] == table["kept"].sum()
    assert (
        sum(found["collinearity"]["removed"].values()) == len(found["collinearity"]["rows"]) == (~table["kept"]).sum()
    )
    churn = tables["selection"].query("target == 'churn'")["decision"].value_counts().to_dict()
    assert {k: found["selection"]["churn"][k] for k in churn} == churn


@pytest.mark.parametrize(
    ("notes", "configured", "code"),
    [
        ([], False, "no_sticker_target"),
        (["sticker_never"], True, "sticker_never"),
        (["other", "sticker_one_class"], True, "sticker_one_class"),
        ([], True, "sticker_missing"),
    ],
)
def test_why_there_is_no_sticker(notes, configured, code):
    found = summary_of(made["tables"](sticker=False), notes, sticker=configured)
    assert found["no_sticker"] == code
    assert found["targets"]["sticker"] == {} == found["surrogates"]["sticker"]
    assert found["group"]["means"]["all"]["p_sticker"] is None


def test_is_json_without_nan_whatever_is_missing(tables):
    found = summary_of(tables, simulated=True)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    everything_empty = {name: frame.head(0) for name, frame in tables.items()}
    for given in ({}, everything_empty):
        found = summary_of(given, simulated=True)
        json.dumps(found, allow_nan=False)
        assert found["targets"] == {"churn": {}, "sticker": {}}
        assert found["segments"] == {"priority": 0, "other_churners": 0, "favourites": 0, "rest": 0}
        assert found["rows"] == found["users"] == 0
    for name in tables:
        json.dumps(summary_of({k: v for k, v in tables.items() if k != name}, simulated=True), allow_nan=False)


def test_order_of_rows_does_not_matter(tables):
    ordered = ("filters", "quality")  # they ran in this order; the gravest first
    shuffled = {n: t if n in ordered else t.sample(frac=1, random_state=3) for n, t in tables.items()}
    expected, found = summary_of(tables, simulated=True), summary_of(shuffled, simulated=True)
    for key in expected:
        assert close(found[key], expected[key]), key


def close(a, b) -> bool:
    """Equal but for the last digits of sums taken in another order."""
    if isinstance(a, dict):
        return set(a) == set(b) and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b, strict=True))
    return a == pytest.approx(b) if isinstance(a, float) else a == b


def test_tells_nothing_of_where_the_data_lies(tables):
    found = summary_of(tables)
    assert "/somewhere/private" not in json.dumps(found)
    assert found["reproduce"]["config"]["log"]["path"] == "events.parquet"
    assert found["reproduce"]["data"][0]["path"] == "events.parquet"


def test_plain_values():
    given = {
        "a": np.float32(0.5),
        "b": [np.int8(1), math.inf, pd.NaT, pd.NA],
        3: date(2024, 2, 3),
        "s": np.array([1.0]),
    }
    assert plain(given) == {"a": 0.5, "b": [1, None, None, None], "3": "2024-02-03", "s": [1.0]}


def test_contracts_are_known_by_name():
    assert {"metrics", "shap_sample", "windows"} <= set(CONTRACTS)
