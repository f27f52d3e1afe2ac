"""SUFFICIENCY and RETURN_TIMES → how long one must look, for how long an outcome, and who of the churned comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from tschurn.contracts import ALARM_DAYS, LOOKS, OUTCOMES
from tschurn.report.theme import BLUE, BLUES, GREY, ORANGE, RED, bounds_of, faint, finish, short, ticks
from tschurn.report.values import Tables, number, records, table_of

if TYPE_CHECKING:
    from tschurn.config import Experiment, WindowShape
    from tschurn.report.words import Texts

TARGETS = ("churn", "sticker")
# A standard error of the difference of two AUCs from which on "not told apart" says more of the noise than of the days.
UNCLEAR_SE = 0.02
MARKED_DAYS = (14, 28, 56)
MOST_ALARMS = 0.2


def horizons_summary(tables: Tables, experiment: Experiment) -> dict[str, Any]:
    """Tables → "sufficiency" by target, "left_out" (days the log is too short for), and "returns", null without one."""
    shape = experiment.windows
    maps = {t: found for t in TARGETS if (found := _map(tables, t, shape))}
    one = next(iter(maps.values()), None)
    return {
        "sufficiency": maps,
        "left_out": {
            "looks": [d for d in LOOKS if one and d not in one["looks"]],
            "outcomes": [d for d in OUTCOMES if one and d not in one["outcomes"]],
        },
        "returns": _returns(tables, shape),
    }


def _map(tables: Tables, target: str, shape: WindowShape) -> dict[str, Any] | None:
    """The cells of a target, and what they say of the experiment's own days.

    code: 'enough', 'longer' or 'shorter' (the recommended look is the experiment's own, or another), 'unclear' (too
    few users and weeks to tell looks apart), 'elsewhere' (its own look lies outside the map).
    """
    cells = records(table_of(tables, "sufficiency", target).sort_values(["outcome_days", "observe_days"]))
    if not cells:
        return None
    for cell in cells:
        cell |= {"ap_ratio": cell["ap"] / cell["base_rate"], "ap_over": cell["ap"] - cell["base_rate"]}
    outcomes = sorted({cell["outcome_days"] for cell in cells})
    outcome = shape.outcome_days if shape.outcome_days in outcomes else outcomes[-1]
    column = {cell["observe_days"]: cell for cell in cells if cell["outcome_days"] == outcome}
    enough = next(cell for cell in column.values() if cell["recommended"])
    best = max(column.values(), key=lambda cell: cell["auc"])
    own = column.get(shape.observe_days)
    if enough["behind_se"] > UNCLEAR_SE:
        code = "unclear"
    elif own is None:
        code = "elsewhere"
    elif own is enough:
        code = "enough"
    else:
        code = "longer" if enough["observe_days"] > own["observe_days"] else "shorter"
    sizes = {name: cells[0][name] for name in ("train_windows", "windows", "users", "anchors")}
    return {
        "cells": cells, "looks": sorted(column), "outcomes": outcomes, "outcome": outcome, "code": code, **sizes,
        "enough": enough["observe_days"], "enough_auc": enough["auc"], "error": enough["behind_se"],
        "best": best["observe_days"], "best_auc": best["auc"], "behind_best": enough["behind"],
        "own": shape.observe_days, "own_auc": own and own["auc"],
        "difference": own and enough["auc"] - own["auc"],
    }  # fmt: skip


def _returns(tables: Tables, shape: WindowShape) -> dict[str, Any] | None:
    """The shares that are back by MARKED_DAYS, and the first churn period after which few of the
    churned would come back; rises_again: the highest share after a longer one, where more would."""
    curve = records(table_of(tables, "return_times").sort_values("day"))
    if not curve:
        return None
    churned = table_of(tables, "windows")
    churned = churned[(churned["split"] != "excluded") & (churned["churned"] == 1)]
    alarms = [(row["day"], a) for row in curve if (a := number(row["false_alarms"], None)) is not None]
    period = next((day for day, share in alarms if share <= MOST_ALARMS), None)
    highest = max((share for day, share in alarms if period is not None and day > period), default=0.0)
    marked = [row for row in curve if row["day"] in MARKED_DAYS and row["day"] > shape.outcome_days]
    return {
        "silences": curve[0]["at_risk"],
        "windows": len(churned),
        "marked": marked,
        "mostly_back": bool(marked) and marked[-1]["share"] >= 0.5,
        "last_day": curve[-1]["day"],
        "alarm_days": ALARM_DAYS,
        "false_alarms": alarms[0][1] if alarms else None,
        "limit": MOST_ALARMS,
        "period": period,
        "rises_again": highest if highest > MOST_ALARMS else None,
        "period_silences": next((row["at_risk"] for row in curve if row["day"] == period), None),
        "longest_period": alarms[-1][0] if alarms else None,
    }


# --- figures --------------------------------------------------------------------------------------
def draw_horizons(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure]:
    """→ a map for each target, and the return curve, by id."""
    found = {f"sufficiency-{target}": _map_figure(about, texts) for target, about in summary["sufficiency"].items()}
    if summary["returns"]:
        found["returns"] = _return_figure(tables, summary["returns"], texts)
    return found


def _map_figure(about: Mapping[str, Any], texts: Texts) -> go.Figure:
    """AUC by days observed (down) and days of outcome (across); the recommended cells are framed."""
    looks, outcomes = about["looks"], about["outcomes"]
    cells = {(cell["observe_days"], cell["outcome_days"]): cell for cell in about["cells"]}
    rows = [[cells.get((look, outcome)) for outcome in outcomes] for look in looks]
    figure = go.Figure(
        go.Heatmap(
            z=[short([cell and cell["auc"] for cell in row]) for row in rows],
            text=[[_cell_text(cell) for cell in row] for row in rows],
            textfont={"size": 12},
            texttemplate="%{text}",
            hovertemplate="%{y} → %{x}<br>%{text}<extra></extra>",
            colorscale=BLUES, xgap=3, ygap=3, showscale=False,
        )
    )  # fmt: skip
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell and cell["recommended"]:
                frame = {"color": ORANGE, "width": 3}
                figure.add_shape(type="rect", x0=x - 0.48, x1=x + 0.48, y0=y - 0.47, y1=y + 0.47, line=frame)
    days = [texts.plain("horizons.days", n=n) for n in outcomes]
    figure.update_xaxes(ticks(days), title_text=texts.plain("horizons.outcome"), showgrid=False)
    days = [texts.plain("horizons.days", n=n) for n in looks]
    figure.update_yaxes(ticks(days), title_text=texts.plain("horizons.observed"), autorange="reversed", showgrid=False)
    return finish(figure, 110 + 58 * len(looks))


def _cell_text(cell: Mapping[str, Any] | None) -> str:
    """AUC, and under it AP over the base rate."""
    return f"<b>{cell['auc']:.3f}</b><br>{cell['ap']:.2f} / {cell['base_rate']:.2f}" if cell else ""


def _return_figure(tables: Tables, about: Mapping[str, Any], texts: Texts) -> go.Figure:
    """Share that is back, day by day, with its band; beside it the false alarms of a churn period so long."""
    curve = table_of(tables, "return_times").sort_values("day")
    days = [int(day) for day in curve["day"]]
    figure = go.Figure()
    edges = short(curve["high"], 4) + short(curve["low"], 4)[::-1]
    figure.add_scatter(x=days + days[::-1], y=edges, fill="toself", fillcolor=faint(BLUE), line={"width": 0},
                       hoverinfo="skip", showlegend=False)  # fmt: skip
    for column, line in (
        ("share", {"color": BLUE, "width": 2.4}),
        ("false_alarms", {"color": RED, "width": 1.6, "dash": "dot"}),
    ):
        name = texts.plain(f"horizons.{column}", n=about["alarm_days"])
        figure.add_scatter(x=days, y=short(curve[column], 4), mode="lines", line=line, name=name,
                           hovertemplate="%{x}: %{y:.1%}<extra></extra>")  # fmt: skip
    marked: Sequence[Mapping[str, Any]] = about["marked"]
    up, down = zip(*(bounds_of(m["share"], m["low"], m["high"]) for m in marked), strict=True) if marked else ((), ())
    figure.add_scatter(
        x=[m["day"] for m in marked], y=[m["share"] for m in marked], mode="markers+text",
        marker={"color": BLUE, "size": 9}, text=[f"{m['share']:.0%}" for m in marked], textposition="bottom right",
        error_y={"type": "data", "array": up, "arrayminus": down, "width": 0, "color": GREY}, showlegend=False,
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_hline(y=about["limit"], line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_xaxes(title_text=texts.plain("horizons.since_anchor"), rangemode="tozero")
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return finish(figure, 340, legend=True)
