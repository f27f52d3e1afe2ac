"""REASONS and SHARED_REASONS → how much each reason of the list weighs and whether it holds, and who shares which."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tschurn.report.values import Tables, records, table_of

TARGETS = ("churn", "sticker")


def reasons_summary(tables: Tables, listed: list[Any], language: str) -> dict[str, Any]:
    """Tables, users of the list → `shown`: by user and target their reasons' weights; `shared`: segments by target.

    shown: contributions in log-odds, widths (per cent of the largest of the target among these users), in the order
    of the sentences; reliable: whether the explanation agrees with the model for the user.
    """
    return {
        "shown": _shown(tables, listed),
        "shared": {t: found for t in TARGETS if (found := _shared(tables, t, language))},
    }


def _shown(tables: Tables, listed: list[Any]) -> dict[str, dict[str, Any]]:
    reasons = table_of(tables, "reasons")
    reasons = reasons[reasons["user_id"].isin(listed)].sort_values(["target", "rank"], kind="stable")
    widths = 100 * reasons["contribution"] / reasons.groupby("target")["contribution"].transform("max")
    shown: dict[str, dict[str, Any]] = {}
    for (user, target), part in reasons.assign(width=widths.round(1)).groupby(["user_id", "target"], sort=False):
        shown.setdefault(str(user), {})[target] = {
            "contributions": part["contribution"].tolist(),
            "widths": part["width"].tolist(),
            "reliable": bool(part["reliable"].all()),
        }
    return shown


def _shared(tables: Tables, target: str, language: str) -> dict[str, Any] | None:
    """The segments with their sentences; sharing: how many users share reasons, held: how many are expected of them.

    unreliable: of `explained` users with reasons at the list's anchor, those whose explanation does not hold.
    """
    table = table_of(tables, "shared_reasons", target).sort_values("segment", kind="stable")
    if table.empty:
        return None
    most, rows = table["expected"].max(), []
    for row in records(table):
        told = [row[f"sentence_{i}_{language}"] for i in (1, 2)]
        rows.append(
            {k: row[k] for k in ("segment", "kind", "users", "share", "p_mean", "expected", "reliable")}
            | {
                "features": [row[f"feature_{i}"] for i in (1, 2) if not pd.isna(row[f"feature_{i}"])],
                "sentences": [sentence for sentence in told if not pd.isna(sentence)],
                "width": round(100 * row["expected"] / most, 1) if most > 0 else 0.0,
            }
        )
    sharing = table[table["kind"] == "shared"]
    holds = table_of(tables, "reasons", target).groupby("user_id")["reliable"].all()
    return {
        "rows": rows,
        "users": int(table["users"].sum()),
        "expected": float(table["expected"].sum()),
        "sharing": int(sharing["users"].sum()),
        "held": float(sharing["expected"].sum()),
        "explained": len(holds),
        "unreliable": int((~holds.astype(bool)).sum()),
    }
