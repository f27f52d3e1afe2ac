"""ANOMALY, its calibration and its gain → how unusual last weeks are, whether that holds, and what it adds."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from tschurn.report.theme import BLUE, GREEN, GREY, ORANGE, finish, short
from tschurn.report.values import Tables, number, records, table_of
from tschurn.report.words import Texts

TARGETS = ("churn", "sticker")
NOTABLE, RARE = 5, 20  # once in so many weeks: told as more than usual, and counted as rare
# A tenth of the weeks that holds more than this: the platform has moved away from its users' own past.
MOVED = 0.15
MEASURE_COLOURS = {"active_days": BLUE, "own_acts": ORANGE, "received_acts": GREEN}


def anomaly_summary(tables: Tables, listed: list[Any]) -> dict[str, Any] | None:
    """Tables, users of the list → counts, the rows of these users by id, the check and the gain; null without any."""
    found = table_of(tables, "anomaly")
    if found.empty:
        return None
    rare = found[found["times"] >= RARE]
    shown = found[found["user_id"].isin(listed)].drop(columns="anchor_day")
    shown["told"] = shown["direction"].where(shown["times"] >= NOTABLE, "usual")
    return {
        "scored": len(table_of(tables, "priority")),
        "comparable": len(found),
        "rare_times": RARE,
        "quieter": int((rare["direction"] == "quieter").sum()),
        "busier": int((rare["direction"] == "busier").sum()),
        "shown": {str(row["user_id"]): row for row in records(shown)},
        "check": _check(tables),
        "gain": {t: one for t in TARGETS if (one := _gain(tables, t))},
    }


def _check(tables: Tables) -> dict[str, Any]:
    """By measure the shares of later weeks in the quietest and the busiest tenth; moved: the largest beyond MOVED."""
    table = table_of(tables, "anomaly_calibration").sort_values(["measure", "bin"])
    later = table[table["block"] == "later"]
    measures = {
        name: {"weeks": part["weeks"].iloc[0], "quietest": part["share"].iloc[0], "busiest": part["share"].iloc[-1]}
        for name, part in later.groupby("measure")
    }
    ends = [(one[side], side) for one in measures.values() for side in ("quietest", "busiest")]
    share, side = max(ends, default=(0.0, None))
    return {"measures": measures, "moved": {"share": share, "side": side} if share > MOVED else None}


def _gain(tables: Tables, target: str) -> dict[str, Any] | None:
    """AP with and without the anomaly; code: 'adds', 'harms' or 'nothing' (the interval of the difference holds 0)."""
    rows = {row["inputs"]: row for row in records(table_of(tables, "anomaly_gain", target))}
    if not rows:
        return None
    both = rows["usual_and_anomaly"]
    low, high = number(both["low"], None), number(both["high"], None)
    code = "adds" if low is not None and low > 0 else "harms" if high is not None and high < 0 else "nothing"
    return {
        "code": code, "windows": both["windows"], "ap_usual": rows["usual"]["ap"], "ap": both["ap"],
        "difference": both["difference"], "low": low, "high": high,
        "auc_alone": rows["anomaly"]["auc"], "auc_usual": rows["usual"]["auc"],
    }  # fmt: skip


def check_figure(tables: Tables, texts: Texts) -> go.Figure | None:
    """The share of later weeks in each tenth of what was expected of them, a line for each measure."""
    table = table_of(tables, "anomaly_calibration").sort_values(["measure", "bin"])
    later = table[table["block"] == "later"]
    if later.empty:
        return None
    figure = go.Figure()
    for name, part in later.groupby("measure"):
        line = {"color": MEASURE_COLOURS[name], "width": 2}
        figure.add_scatter(
            x=[int(b) + 1 for b in part["bin"]], y=short(part["share"], 4), mode="lines+markers", line=line,
            name=texts.plain(f"anomaly.{name}"), hovertemplate="%{x}: %{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=0.1, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_xaxes(title_text=texts.plain("anomaly.tenth"), dtick=1)
    figure.update_yaxes(title_text=texts.plain("anomaly.share_of_weeks"), tickformat=".0%", rangemode="tozero")
    return finish(figure, 280, legend=True)
