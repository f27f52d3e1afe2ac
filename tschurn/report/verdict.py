"""Tables of models → what the report says of them: all figures on test, and which model wins by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from tschurn.report.values import Tables, first, number, records, table_of

METRIC_NAMES = (
    *("base_rate", "accuracy", "ap", "micro_ap", "auc"),
    *("brier", "brier_reliability", "brier_resolution", "brier_uncertainty", "brier_within"),
    *("ece", "ece_perfect", "lift_10", "lift_20"),
)


def target_summary(tables: Tables, target: str) -> dict[str, Any] | None:
    """All models of a target on test, the verdict, reliability, differences; null where nothing was evaluated."""
    metrics = table_of(tables, "metrics", target)
    if metrics.empty:
        return None
    about = first(table_of(tables, "target_summary", target))
    models = models_of(metrics)
    used = next((m["name"] for m in models if m["used"]), about.get("used", models[0]["name"]))
    for model in models:
        model["used"] = model["name"] == used
    best = models[0]
    rival = _rival(models, used)
    reliability = table_of(tables, "reliability", target)
    return {
        "used": used,
        "models": models,
        "winner": {"name": best["name"], "kind": best["kind"], "ap": best["ap"], "is_used": best["used"]},
        "rival": rival,
        "verdict": _verdict(tables, target, models, used, rival),
        "reliability": records(reliability[reliability["model"] == used].sort_values("bin")),
        "differences": records(table_of(tables, "differences", target).sort_values("versus")),
        **{k: about.get(k) for k in ("best_network", "best_baseline", "calibration", "refit_spearman", "epochs")},
        "test_evaluations": about.get("test_evaluations"),
    }


def models_of(metrics: pd.DataFrame) -> list[dict[str, Any]]:
    """METRICS of one target → one dict per model, the highest AP on test first."""
    models = []
    for name, part in metrics.groupby("model", sort=True):
        by = part.set_index("metric")
        one: dict[str, Any] = {"name": name, **{k: part[k].iloc[0] for k in ("kind", "used", "validation_ap")}}
        one["used"] = bool(one["used"])
        one |= {m: by["value"].get(m) for m in METRIC_NAMES}
        one["intervals"] = {m: {"low": by["low"][m], "high": by["high"][m]} for m in METRIC_NAMES if m in by.index}
        models.append(one)
    return sorted(models, key=lambda m: (-number(m["ap"], -1.0), m["name"]))


def _rival(models: list[dict[str, Any]], used: str) -> dict[str, Any] | None:
    """The model that the used one is held against, the strictest: the baseline that is best on test; for a baseline,
    the network that is. models: the best first."""
    others = [m for m in models if m["name"] != used]
    kind = next((m["kind"] for m in models if m["name"] == used), "baseline")
    wanted = ("network", "baseline") if kind == "baseline" else ("baseline",)
    pool = next((found for k in wanted if (found := [m for m in others if m["kind"] == k])), others)
    return {k: pool[0][k] for k in ("name", "kind", "ap", "auc")} if pool else None


def _verdict(
    tables: Tables, target: str, models: list[dict[str, Any]], used: str, rival: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Which model wins on test and whether by more than noise, as a code of texts [verdict] with its numbers.

    More than noise: the 95 % interval of the paired difference excludes 0.
    """
    kind = next((m["kind"] for m in models if m["name"] == used), "baseline")
    if rival is None:
        return {"code": "alone", "used": used, "used_kind": kind, "more_than_noise": False}
    table = table_of(tables, "differences", target)
    row = first(table[(table["used"] == used) & (table["versus"] == rival["name"])])
    low, high = number(row.get("low"), math.nan), number(row.get("high"), math.nan)
    if math.isnan(low) or math.isnan(high) or low == high:  # no interval, or one of no width for want of one
        outcome = "unknown"
    else:
        outcome = "ahead" if low > 0 else "behind" if high < 0 else "level"
    plain = "plain" if rival["kind"] != "baseline" else "only_plain"
    group = plain if kind == "baseline" else "learned"
    return {
        "code": f"{group}_{outcome}",
        "used": used,
        "used_kind": kind,
        "versus": rival["name"],
        "versus_kind": rival["kind"],
        "more_than_noise": outcome in ("ahead", "behind"),
        "distance": None if row.get("difference") is None else abs(row["difference"]),
        **{k: row.get(k) for k in ("difference", "low", "high")},
    }


def by_anchor(tables: Tables, target: str) -> dict[str, Any] | None:
    """On how many test days the used model was ahead, and the difference of each."""
    rows = table_of(tables, "differences_by_anchor", target).sort_values("anchor_day")
    if rows.empty:
        return None
    found = rows[rows["difference"].notna()]
    return {
        "versus": rows["versus"].iloc[0],
        "anchors": len(found),
        "ahead": int((found["difference"] > 0).sum()),
        "rows": records(rows),
    }
