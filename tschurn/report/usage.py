"""SEASONALITY → daily usage in all and by event kind: what is trend, week and rest, and on which days the log fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tschurn.report.theme import BLUE, GREY, LIGHT, ORANGE, faint, finish, safe, short
from tschurn.report.values import Tables, table_of

if TYPE_CHECKING:
    from tschurn.report.words import Texts

WEEK, CHANGE_DAYS = 7, 28
MOST_DAYS, MOST_DAYS_SMALL = 1_500, 400  # beyond these a series is drawn by week, large and small
KINDS_DRAWN, NAMES_TOLD, ACROSS = 12, 20, 3
MOST_BANDS = 100  # shaded runs of outage days that a figure draws


def usage_summary(tables: Tables) -> dict[str, Any]:
    """Tables → the totals and the event kinds with the strength of trend and week, what has no series of its own
    (left_out), the number of outage days, and how it was computed; empty lists where there is no decomposition."""
    table = table_of(tables, "seasonality")
    rows = [_series(name, part.sort_values("day")) for name, part in table.groupby("series", sort=True)]
    kinds = [row for row in rows if row["event_name"] is not None]
    kinds.sort(key=lambda row: -row["rows"])  # equal ones stay by name
    days = rows[0]["days"] if rows else 0
    return {
        "totals": [row for row in rows if row["event_name"] is None],
        "kinds": kinds,
        "drawn": min(len(kinds), KINDS_DRAWN),
        "left_out": _left_out(tables, kinds),
        "days": days,
        "by_week": days > MOST_DAYS,
        "outages": int(table.loc[table["outage"].astype(bool), "day"].nunique()),
        "change_days": CHANGE_DAYS,
        "robust": any(row["robust"] for row in rows),
        "plainly": sum(not row["robust"] for row in rows),
    }


def _series(name: str, part: pd.DataFrame) -> dict[str, Any]:
    """Strength of trend and season: 1 − Var(remainder) / Var(component + remainder), at least 0, without the outage
    days (Wang, Smith and Hyndman 2006); change: of the trend over the last 28 days, null where there was none before
    them."""
    known = part[~part["outage"].astype(bool)]
    trend = part["trend"].to_numpy(float)
    before = trend[-1 - CHANGE_DAYS] if len(trend) > CHANGE_DAYS else math.nan
    kind = part["event_name"].iloc[0]
    return {
        "series": name,
        "side": None if pd.isna(kind) else part["side"].iloc[0],
        "event_name": None if pd.isna(kind) else kind,
        "rows": float(part["observed"].sum()),
        "mean": known["observed"].mean(),
        "strength": {component: _strength(known, component) for component in ("trend", "seasonal")},
        "change": trend[-1] / before - 1 if before > 1e-9 * max(1.0, part["observed"].max()) else None,
        "days": len(part),
        "robust": bool(part["robust"].any()),
    }


def _strength(part: pd.DataFrame, component: str) -> float | None:
    whole = float(np.var(part[component] + part["remainder"])) if len(part) else 0.0
    return max(0.0, 1 - float(np.var(part["remainder"])) / whole) if whole > 0 else None


def _left_out(tables: Tables, kinds: list[dict[str, Any]]) -> dict[str, Any]:
    """Event kinds without a series of their own: how many, their share of the rows, and the most frequent names."""
    names = table_of(tables, "event_names").sort_values(["rows", "side", "event_name"], ascending=[False, True, True])
    shown = {(kind["side"], kind["event_name"]) for kind in kinds}
    other = [key not in shown for key in zip(names["side"], names["event_name"], strict=True)] if kinds else []
    rest = names[np.array(other, dtype=bool)] if kinds else names.head(0)
    return {
        "kinds": len(rest),
        "share": float(rest["rows"].sum() / names["rows"].sum()) if len(rest) else None,
        "names": [{"side": side, "event_name": name}
                  for side, name in zip(rest["side"], rest["event_name"], strict=True)][:NAMES_TOLD],
    }  # fmt: skip


# --- figures --------------------------------------------------------------------------------------
def draw_usage(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure]:
    """→ a figure for each total, and one of the most frequent event kinds, by id."""
    table = table_of(tables, "seasonality").sort_values(["series", "day"], kind="stable")
    found = {
        f"season-{row['series']}": _season(table[table["series"] == row["series"]], texts) for row in summary["totals"]
    }
    if summary["kinds"]:
        found["kinds"] = _kinds(table, summary["kinds"][: summary["drawn"]], texts)
    return found


def _season(part: pd.DataFrame, texts: Texts) -> go.Figure:
    """Daily usage with its trend, its weekly season and the remainder, one above the other; outage days shaded.

    Of many days the means of weeks are drawn, and of the season how far a week's days lie apart.
    """
    weekly = len(part) > MOST_DAYS
    drawn = _by_week(part) if weekly else part
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.5, 0.25, 0.25])
    days = _days(drawn)

    def line(column: str, row: int, colour: str, width: float) -> None:
        style = {"color": colour, "width": width}
        name = texts.plain(f"figures.{column}")
        values = short(drawn[column])
        figure.add_scatter(x=days, y=values, mode="lines", line=style, name=name, showlegend=row == 1, row=row, col=1)

    line("observed", 1, GREY, 1.2)
    line("trend", 1, BLUE, 2.4)
    line("seasonal", 2, BLUE, 1.4)
    line("remainder", 3, GREY, 1.2)
    _shade(figure, part, texts)
    for row, title in enumerate(("figures.per_day", "usage.swing" if weekly else "figures.seasonal",
                                 "figures.remainder"), start=1):  # fmt: skip
        figure.update_yaxes(title_text=texts.plain(title), nticks=4, row=row, col=1)
    figure.update_xaxes(type="date", tickformat="%y-%m-%d", hoverformat="%Y-%m-%d", nticks=4, tickangle=0)
    return finish(figure, 380, legend=True)


def _kinds(table: pd.DataFrame, kinds: list[dict[str, Any]], texts: Texts) -> go.Figure:
    """Event kinds as small multiples: the trend, and faintly what was observed."""
    down = math.ceil(len(kinds) / ACROSS)
    titles = [f"{texts.plain('sides.' + kind['side'])} · {safe(kind['event_name'], 1)}" for kind in kinds]
    figure = make_subplots(
        rows=down, cols=ACROSS, subplot_titles=titles, shared_xaxes="all", horizontal_spacing=0.08,
        vertical_spacing=0.34 / max(down, 2),
    )  # fmt: skip
    for i, kind in enumerate(kinds):
        part = table[table["series"] == kind["series"]]
        part = _by_week(part) if len(part) > MOST_DAYS_SMALL else part
        at = {"row": i // ACROSS + 1, "col": i % ACROSS + 1}
        for column, line in (("observed", {"color": LIGHT, "width": 1}), ("trend", {"color": BLUE, "width": 2})):
            figure.add_scatter(x=_days(part), y=short(part[column], 4), mode="lines", line=line,
                               name=texts.plain(f"figures.{column}"), showlegend=i == 0, **at)  # fmt: skip
        figure.update_yaxes(nticks=3, rangemode="tozero", **at)
        figure.update_xaxes(type="date", tickformat="%y-%m", hoverformat="%Y-%m-%d", nticks=4, tickangle=0,
                            showticklabels=i + ACROSS >= len(kinds), **at)  # fmt: skip
        if i % ACROSS == 0:
            figure.update_yaxes(title_text=texts.plain("figures.per_day"), **at)
    figure.update_annotations(font_size=12)
    figure = finish(figure, 80 + 140 * down, legend=True)
    return figure.update_layout(margin_t=70)


def _by_week(part: pd.DataFrame) -> pd.DataFrame:
    """Rows of one series → the same by weeks: means, of `seasonal` the highest minus the lowest."""
    week = np.arange(len(part)) // WEEK
    means = part.groupby(week)[["observed", "trend", "remainder"]].mean()
    season = part.groupby(week)["seasonal"]
    return means.assign(day=part.groupby(week)["day"].first(), seasonal=season.max() - season.min())


def _days(part: pd.DataFrame) -> list[str]:
    return [str(day)[:10] for day in part["day"]]


def _shade(figure: go.Figure, part: pd.DataFrame, texts: Texts) -> None:
    """Bands over all panels where the log fails, with a name in the legend."""
    outage = part["outage"].astype(bool).to_numpy()
    if not outage.any():
        return
    run = np.cumsum(np.diff(outage.astype(int), prepend=0) != 0)
    moments = pd.to_datetime(part["day"]).to_numpy()[outage]
    half = np.timedelta64(12, "h")
    for low, high in pd.Series(moments).groupby(run[outage]).agg(["min", "max"]).head(MOST_BANDS).to_numpy():
        figure.add_shape(type="rect", xref="x", yref="paper", x0=str(low - half)[:16], x1=str(high + half)[:16], y0=0,
                         y1=1, fillcolor=faint(ORANGE), line_width=0, layer="below")  # fmt: skip
    marker = {"symbol": "square", "size": 11, "color": faint(ORANGE)}
    figure.add_scatter(
        x=[None], y=[None], mode="markers", marker=marker, name=texts.plain("usage.outage"), row=1, col=1
    )
