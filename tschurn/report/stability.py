"""STABILITY → what the report says of whether an explanation would come out the same again."""

from __future__ import annotations

from typing import Any

from tschurn.report.values import Tables, number, records, table_of

TARGETS = ("churn", "sticker")
# Mean rank correlation of two explanations from which on their order counts as the same.
STEADY = 0.8


def stability_summary(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """Tables → by target, one dict for each explained model: its features, how many are the top, and by what was
    changed (seeds, folds, anchors) the agreement, and how many of the top stay; without what is not in the run."""
    return {target: found for target in TARGETS if (found := _of_target(tables, target))}


def _of_target(tables: Tables, target: str) -> list[dict[str, Any]]:
    table = table_of(tables, "stability", target)
    return [
        {"model": model, "features": part["features"].iloc[0], "top": part["top"].iloc[0],
         "over": {over: _agreement(rows) for over, rows in part.groupby("over", sort=False)}}
        for model, part in table.groupby("model", sort=False)
    ]  # fmt: skip


def _agreement(rows: Any) -> dict[str, Any]:
    """The two rows of one change → its figures; code: 'steady', 'shaky', or the note of what could not be compared."""
    by_measure = {row["measure"]: row for row in records(rows)}
    ranks, tops = by_measure["spearman"], by_measure["top_overlap"]
    correlation, overlap = number(ranks["mean"], None), number(tops["mean"], None)
    comparable = correlation is not None and overlap is not None
    return {
        "code": ("steady" if correlation >= STEADY else "shaky") if comparable else ranks["note"] or "constant",
        "pairs": ranks["pairs"],
        "stay": tops["top"] * overlap if comparable else None,
        "stay_by_chance": tops["top"] * tops["chance"] if comparable else None,
        **{name: {k: row[k] for k in ("mean", "low", "high")} for name, row in by_measure.items()},
    }
