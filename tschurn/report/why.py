"""COLLINEARITY, SELECTION, SURROGATES, IMPORTANCE and DEPENDENCE → what the report says of the explanations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from tschurn.contracts import RELIABLE_R2
from tschurn.report.values import Tables, first, number, records, table_of

# A column's direction is told only if its whole interval of Spearman's correlation, between value and SHAP value,
# lies beyond this: with enough windows no direction at all has an interval off 0, too.
MIXED_DIRECTION = 0.1
COLUMNS_SHOWN = 15
# Features of a target that count as important when the two targets are compared, and how many of both are shown.
IMPORTANT, SHARED_SHOWN = 20, 12
# Under this share of variance in common, what stands for a removed column does so only in part.
HALF = 0.5
# The effects on churn and on the sticker → what a feature means for the two together.
RELATIONS = {
    ("raises", "raises"): "both_up",
    ("lowers", "lowers"): "both_down",
    ("lowers", "raises"): "welcome",
    ("raises", "lowers"): "unwelcome",
}


def collinearity_summary(tables: Tables, labels: Mapping[str, str]) -> dict[str, Any]:
    """How many columns went and why, and clusters: each kept column with those it stands for, the largest first.

    Of the columns of a cluster the most correlated first. partly: columns that no kept one has half of the
    variance in common with: several together determine them.
    """
    table = table_of(tables, "collinearity")
    removed = table[~table["kept"].astype(bool)].sort_values(["step", "column"], na_position="first", kind="stable")
    reasons = removed["reason"].value_counts()
    rows = records(removed)
    for row in rows:
        row["label"] = labels.get(row["column"], row["column"])
        row["stands_for_label"] = labels.get(row["stands_for"], row["stands_for"])
    clusters: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: -abs(number(row["correlation"], 0.0))):
        if isinstance(row["stands_for"], str):
            clusters.setdefault(row["stands_for"], []).append(row)
    members = ("column", "label", "reason", "vif", "correlation")
    return {
        "columns": len(table),
        "kept": len(table) - len(removed),
        "removed": {r: int(reasons.get(r, 0)) for r in ("constant", "perfect", "vif")},
        "partly": sum(number(row["correlation"], 1.0) ** 2 < HALF for row in rows),
        "clusters": [
            {"column": kept, "label": labels.get(kept, kept), "members": [{k: row[k] for k in members} for row in part]}
            for kept, part in sorted(clusters.items(), key=lambda item: (-len(item[1]), item[0]))
        ],
        "rows": rows,
    }


def selection_summary(tables: Tables, targets: Iterable[str]) -> dict[str, Any]:
    """How many columns Boruta-SHAP accepted and rejected, by target."""
    result = {}
    for target in targets:
        table = table_of(tables, "selection", target)
        if len(table):
            counts = table["decision"].value_counts()
            decisions = {d: int(counts.get(d, 0)) for d in ("accepted", "tentative", "rejected")}
            result[target] = {"columns": len(table), "trials": table["trials"].max(), **decisions}
    return result


def surrogate_summary(tables: Tables, target: str) -> dict[str, Any] | None:
    """The surrogate to report: the one that reasons are taken from, else that of another model; null without any."""
    rows = table_of(tables, "surrogates", target)
    rows = rows[rows["how"] == "surrogate"].sort_values(["explained", "model"], ascending=[False, True], kind="stable")
    return _judged(first(rows)) if len(rows) else None


def _judged(row: dict[str, Any]) -> dict[str, Any]:
    """A row of SURROGATES, with whether its fidelity carries an explanation; null where there is none to judge."""
    r2 = number(row["r2"], None)
    return {k: v for k, v in row.items() if k != "target"} | {"reliable": None if r2 is None else r2 >= RELIABLE_R2}


def explanations_summary(tables: Tables, target: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The explained models of a target, the one that reasons are taken from first, with their columns.

    poor: whether its figures are greyed, since a surrogate stands between that is under the bar or was not measured.
    """
    importance = table_of(tables, "importance", target)
    dependence = table_of(tables, "dependence", target)
    standing = table_of(tables, "surrogates", target).sort_values(
        ["explained", "model"], ascending=[False, True], kind="stable"
    )
    result = []
    for row in records(standing):
        columns = importance[importance["model"] == row["model"]].sort_values(["rank", "column"], kind="stable")
        keep = ["column", "importance", "direction", "direction_low", "direction_high", "rank"]
        shown = records(columns.head(COLUMNS_SHOWN)[keep])
        for one in shown:
            one["label"] = labels.get(one["column"], one["column"])
            one["effect"] = effect_of(one)
        about = _judged(row)
        about["poor"] = row["how"] == "surrogate" and about["reliable"] is not True
        about["shown"] = shown
        about["dependence"] = _partners(dependence[dependence["model"] == row["model"]], labels)
        result.append(about)
    return result


def effect_of(row: Mapping[str, Any]) -> str:
    """A row of IMPORTANCE → 'raises' (proportional), 'lowers' (inverse) or 'mixed', by its direction's interval."""
    low, high = number(row["direction_low"], 0.0), number(row["direction_high"], 0.0)
    return "raises" if low >= MIXED_DIRECTION else "lowers" if high <= -MIXED_DIRECTION else "mixed"


def _partners(table: pd.DataFrame, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """DEPENDENCE of one model → its columns, the most important first, each with its partner."""
    rows = records(
        table.drop_duplicates("column").sort_values("rank", kind="stable")[["column", "partner", "interaction"]]
    )
    return [
        row | {"label": labels.get(row["column"], row["column"]),
               "partner_label": None if pd.isna(row["partner"]) else labels.get(row["partner"], row["partner"])}
        for row in rows
    ]  # fmt: skip


def shared_summary(tables: Tables, labels: Mapping[str, str], targets: tuple[str, str]) -> dict[str, Any] | None:
    """What the explained models of the two targets share: features important for both, and where they oppose.

    Null unless both are explained. share: of the target's whole importance, summed over the feature's columns;
    direction and effect: of its most important column. A feature is important for a target if it is among its first
    IMPORTANT. relation: see RELATIONS; 'unclear' where either effect is mixed. The most important for both first.
    """
    parts, poor = [], False
    for target in targets:
        rows = explanations_summary(tables, target, labels)
        explained = next((row for row in rows if row["explained"]), None)
        if explained is None:
            return None
        poor |= explained["poor"]
        parts.append(_of_features(tables, target, explained["model"]))
    both = [feature for feature in parts[0] if feature in parts[1]]
    found = [
        {"feature": f, "label": labels.get(f, f), **{t: part[f] for t, part in zip(targets, parts, strict=True)},
         "relation": RELATIONS.get(tuple(part[f]["effect"] for part in parts), "unclear")}
        for f in both
    ]  # fmt: skip
    found.sort(key=lambda row: (-row[targets[0]]["share"] * row[targets[1]]["share"], row["feature"]))
    counts = {
        relation: sum(row["relation"] == relation for row in found) for relation in (*RELATIONS.values(), "unclear")
    }
    first_ones = [len(part) for part in parts]
    return {"poor": bool(poor), "features": first_ones, "both": len(found), "relations": counts,
            "shown": found[:SHARED_SHOWN]}  # fmt: skip


def _of_features(tables: Tables, target: str, model: str) -> dict[str, dict[str, Any]]:
    """The most important features of a model: feature → share, direction with interval, effect."""
    importance = table_of(tables, "importance", target)
    columns = importance[(importance["model"] == model) & (importance["importance"] > 0)]
    flat = table_of(tables, "flat_columns")
    feature_of = dict(zip(flat["column"], flat["feature"], strict=True))
    columns = columns.assign(feature=[feature_of.get(column, column) for column in columns["column"]])
    total = columns["importance"].sum()
    shares = (
        columns.groupby("feature")["importance"]
        .sum()
        .div(total)
        .sort_index()
        .sort_values(ascending=False, kind="stable")
    )
    leading = columns.sort_values("rank", kind="stable").drop_duplicates("feature").set_index("feature")
    found = {}
    for feature, share in shares.head(IMPORTANT).items():
        row = leading.loc[feature]
        ends = {k: number(row[k], None) for k in ("direction", "direction_low", "direction_high")}
        found[feature] = {"share": share, **ends, "effect": effect_of(row)}
    return found
