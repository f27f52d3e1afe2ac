"""ABLATION → what the report says of the columns that were removed: whether anything was lost with them."""

from __future__ import annotations

from typing import Any

from tschurn.report.values import Tables, number, records, table_of

TARGETS = ("churn", "sticker")
METRICS = ("ap", "auc")


def ablation_summary(tables: Tables) -> dict[str, Any]:
    """Tables → by target: its rows, each with a code; those that lost something, those that gained, or the most that
    may have been lost where nothing shows; without what is not in the run.

    A row's code: 'lost' (the interval of a difference, of AP or AUC, lies below zero), 'gained' (above), 'nothing'
    (both hold zero), 'same' (the model sees the same as before), 'unknown' (no interval), or null with all inputs.
    """
    return {target: found for target in TARGETS if (found := _of_target(tables, target))}


def _of_target(tables: Tables, target: str) -> dict[str, Any] | None:
    rows = records(table_of(tables, "ablation", target).drop(columns="target"))
    if not rows:
        return None
    for row in rows:
        row["code"] = _code(row)
    changed = [row for row in rows if row["code"] in ("lost", "gained", "nothing")]
    codes = {row["code"] for row in rows}
    return {
        "windows": rows[0]["windows"],
        "code": next((c for c in ("lost", "gained", "nothing", "unknown", "same") if c in codes), None),
        "rows": rows,
        "lost": [row for row in rows if row["code"] == "lost"],
        "gained": [row for row in rows if row["code"] == "gained"],
        "worst": {m: min((row[f"{m}_difference_low"] for row in changed), default=None) for m in METRICS},
        "whole_lives": [row["model"] for row in rows
                        if row["inputs"] == "all" and number(row["daily_features"], None) is not None],
    }  # fmt: skip


def _code(row: dict[str, Any]) -> str | None:
    differences = [number(row[f"{metric}_difference"], None) for metric in METRICS]
    if None in differences:
        return None
    bounds = [tuple(number(row[f"{m}_difference_{end}"], None) for end in ("low", "high")) for m in METRICS]
    if any(None in ends for ends in bounds):
        return "unknown"
    if all(ends == (0, 0) for ends in bounds):
        return "same"
    if any(high < 0 for _, high in bounds):
        return "lost"
    return "gained" if any(low > 0 for low, _ in bounds) else "nothing"
