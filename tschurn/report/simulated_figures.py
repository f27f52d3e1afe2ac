"""Tables and summary of a simulated log → the figures of its section by id: truth, reasons, the platform's portrait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tschurn.contracts import CAUSES, NO_CAUSE
from tschurn.report.simulated import SIDES
from tschurn.report.theme import (
    BLUE,
    BLUES,
    GREEN,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    RED,
    SKY,
    bounds_of,
    error_bars,
    finish,
    safe,
    short,
    ticks,
)
from tschurn.report.values import Tables, table_of

if TYPE_CHECKING:
    from tschurn.report.words import Texts

# Chance is drawn as ink: it is a cause, but not one that a log could show.
CAUSE_COLOURS = dict(zip(CAUSES, (BLUE, ORANGE, GREEN, RED, "#CC79A7", SKY, INK), strict=True)) | {NO_CAUSE: "#B4BCC5"}
SIDE_COLOURS = dict(zip(SIDES, (BLUE, ORANGE), strict=True))
# What the reasons are held against: key of the summary → colour, symbol.
RIVAL_MARKS = {
    "chance": (GREY, "line-ns-open"),
    "chance_named": (GREY, "line-ew-open"),
    "recency": (RED, "x-thin-open"),
    "same": (SKY, "circle-open"),
    "change": (ORANGE, "square-open"),
}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
RANKS_SHOWN, PATH_COLUMNS = 160, 2


def draw_simulated(tables: Tables, about: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure | None]:
    """Tables and summary["simulated"] → id → figure, or nothing where there is nothing to show."""
    rhythm = table_of(tables, "weekly_rhythm")
    return {
        "ceiling": ceiling(about["truth"], texts),
        "cause-shares": cause_shares(about["causes"], texts),
        "precision": precision(about["reasons"], about["goal"]["goal"], texts),
        **{f"rhythm-{side}": weekly_rhythm(rhythm[rhythm["side"] == side], texts) for side in about["rhythm"]},
        "activity": activity(table_of(tables, "user_activity"), list(about["activity"]), texts),
        "engagement": engagement(table_of(tables, "engagement_paths"), texts),
    }


def cause_name(cause: str, texts: Texts) -> str:
    """What people call a cause, safe for a figure; in lines as beside an axis."""
    return safe(texts.words.get(f"causes.{cause}", cause.replace("_", " ")))


def one_line(name: str) -> str:
    """The same for a legend or a hover text."""
    return name.replace("<br>", " ")


# --- the truth ------------------------------------------------------------------------------------
def ceiling(truth: Mapping[str, Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """Per target: AP of chance, of the used model, and of the true probability, on one line."""
    truth = {t: row for t, row in truth.items() if row["ap_ceiling"] is not None and row["base_rate"] is not None}
    if not truth:
        return None
    figure = go.Figure()
    for y, row in enumerate(truth.values()):
        ends = [row["base_rate"], row["ap_ceiling"]]
        line = {"color": LIGHT, "width": 7}
        figure.add_scatter(x=ends, y=[y, y], mode="lines", line=line, showlegend=False, hoverinfo="skip")
    for key, name, colour, symbol, size in (
        ("base_rate", "chance", GREY, "circle", 11),
        ("ap_used", "observed_share", BLUE, "diamond", 14),
        ("ap_ceiling", "ceiling", GREEN, "circle", 11),
    ):
        rows = [(y, row[key]) for y, row in enumerate(truth.values()) if row[key] is not None]
        figure.add_scatter(
            x=[value for _, value in rows],
            y=[y for y, _ in rows],
            mode="markers+text",
            marker={"color": colour, "size": size, "symbol": symbol},
            text=[f"{value:.3f}" for _, value in rows],
            textposition="top center" if key == "ap_used" else "bottom center",
            name=texts.plain(f"figures.{name}"),
            hovertemplate="%{x:.3f}<extra></extra>",
        )
    figure.update_yaxes(
        ticks([texts.plain(f"targets.{t}") for t in truth]), range=[len(truth) - 0.4, -0.6], showgrid=False
    )
    figure.update_xaxes(title_text=texts.plain("figures.ap_test"), range=[0, 1.04])
    return finish(figure, 150 + 76 * len(truth), legend=True)


def cause_shares(causes: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """Share of the test windows by their true cause."""
    rows = [row for row in causes if row["share"] is not None]
    if not rows:
        return None
    figure = go.Figure(
        go.Bar(
            x=[row["share"] for row in rows],
            y=list(range(len(rows))),
            orientation="h",
            width=0.62,
            marker_color=[CAUSE_COLOURS.get(row["about"], GREY) for row in rows],
            text=[f"{row['share']:.1%}" for row in rows],
            textposition="outside",
            cliponaxis=False,
            customdata=[row["windows"] for row in rows],
            hovertemplate="%{x:.1%} · n = %{customdata:,}<extra></extra>",
        )
    )
    figure.update_yaxes(
        ticks([cause_name(row["about"], texts) for row in rows]),
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
        ticklabelstandoff=6,
    )
    top = 1.16 * max(row["share"] for row in rows) or 1.0
    figure.update_xaxes(title_text=texts.plain("figures.share_windows"), tickformat=".0%", range=[0, top])
    return finish(figure, 90 + 27 * len(rows))


def precision(rows: Sequence[Mapping[str, Any]], goal: float, texts: Texts) -> go.Figure | None:
    """Per true cause: how often the reasons name it, with its interval, and how often what it must surpass does."""
    if not any(row["value"] is not None for row in rows):
        return None
    figure = go.Figure()
    figure.add_vline(x=goal, line={"color": GREEN, "dash": "dot", "width": 1.5})
    for key, (colour, symbol) in RIVAL_MARKS.items():
        known = [(y, row[key]) for y, row in enumerate(rows) if row[key] is not None]
        name = texts.plain(f"figures.rival_{key}")
        figure.add_scatter(
            x=[value for _, value in known],
            y=[y for y, _ in known],
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": symbol, "line": {"width": 2.5, "color": colour}},
            name=name,
            hovertemplate="%{x:.1%}<extra>" + name + "</extra>",
        )
    known = [(y, row) for y, row in enumerate(rows) if row["value"] is not None]
    name = texts.plain("figures.reasons")
    figure.add_scatter(
        x=[row["value"] for _, row in known],
        y=[y for y, _ in known],
        mode="markers",
        marker={"color": BLUE, "size": 13, "symbol": "diamond"},
        error_x=error_bars([bounds_of(row["value"], row["low"], row["high"]) for _, row in known]),
        customdata=[row["n"] for _, row in known],
        name=name,
        hovertemplate="%{x:.1%} · n = %{customdata:,}<extra>" + name + "</extra>",
    )
    names = [
        cause_name(row["about"], texts) if row["about"] else f"<b>{texts.plain('figures.all_causes')}</b>"
        for row in rows
    ]
    figure.update_yaxes(ticks(names), range=[len(rows) - 0.5, -0.5], showgrid=True)
    figure.update_xaxes(
        title_text=texts.plain("figures.share_named"), range=[-0.02, 1.02], tickformat=".0%", showgrid=False
    )
    return finish(figure, 130 + 38 * len(rows), legend=True)


# --- the platform's portrait ----------------------------------------------------------------------
def weekly_rhythm(table: pd.DataFrame, texts: Texts) -> go.Figure | None:
    """Rows of one side by weekday and hour, as a share of all its rows."""
    if not table["rows"].sum():
        return None
    counts = table.pivot_table(index="weekday", columns="hour", values="rows", aggfunc="sum")
    counts = counts.reindex(index=range(7), columns=range(24)).fillna(0)
    names = [texts.plain(f"weekdays.{day}") for day in WEEKDAYS]
    figure = go.Figure(
        go.Heatmap(
            z=[short(row, 4) for row in (counts / counts.to_numpy().sum()).to_numpy()],
            customdata=[[int(n) for n in row] for row in counts.to_numpy()],
            colorscale=BLUES,
            zmin=0,
            xgap=1,
            ygap=1,
            hovertemplate="%{y} %{x}<br>%{z:.2%} · %{customdata:,}<extra></extra>",
            showscale=False,
        )
    )
    hours = list(range(0, 24, 6))
    figure.update_xaxes(
        tickvals=hours,
        ticktext=[f"{hour}:00" for hour in hours],
        showgrid=False,
        title_text=texts.plain("figures.hour"),
    )
    figure.update_yaxes(ticks(names), autorange="reversed", showgrid=False, ticklabelstandoff=6)
    return finish(figure, 260)


def activity(table: pd.DataFrame, sides: Sequence[str], texts: Texts) -> go.Figure | None:
    """Rows per user against the user's rank, both on log axes; a straight line would be a power law."""
    figure = go.Figure()
    for side in sides:
        rows = np.sort(table[f"{side}_rows"].to_numpy("float64"))[::-1]
        rows = rows[rows > 0]
        ranks = np.unique(np.geomspace(1, len(rows), RANKS_SHOWN).round().astype(int))
        figure.add_scatter(
            x=[int(rank) for rank in ranks],
            y=[int(n) for n in rows[ranks - 1]],
            mode="lines+markers",
            line={"color": SIDE_COLOURS[side], "width": 1.5},
            marker={"size": 5},
            name=texts.plain(f"sides.{side}"),
            hovertemplate="%{x:,}: %{y:,}<extra></extra>",
        )
    if not figure.data:
        return None
    for axes, title in ((figure.update_xaxes, "rank_of_user"), (figure.update_yaxes, "rows_of_user")):
        axes(type="log", title_text=texts.plain(f"figures.{title}"), dtick=1, exponentformat="none", tickformat=",d")
    return finish(figure, 360, legend=True)


def engagement(table: pd.DataFrame, texts: Texts) -> go.Figure | None:
    """Small multiples: a creator's engagement day by day; a dot is a day with an own act, in the colour of its true
    cause; days without an act are marked, hollow, only where they have one."""
    if table.empty:
        return None
    table = table.assign(cause=table["cause"].astype("object").fillna(NO_CAUSE), day=table["day"].astype(str).str[:10])
    table = table.sort_values(["user_id", "day"], kind="stable")
    users = list(table["user_id"].unique())
    rows = -(-len(users) // PATH_COLUMNS)
    figure = make_subplots(
        rows=rows,
        cols=PATH_COLUMNS,
        shared_xaxes="all",
        shared_yaxes="all",
        vertical_spacing=0.25 / max(rows, 2),
        horizontal_spacing=0.04,
        subplot_titles=[safe(user, 1) for user in users],
    )
    found = set(table["cause"])
    causes = [c for c in CAUSE_COLOURS if c in found] + sorted(found - set(CAUSE_COLOURS))
    for place, user in enumerate(users):
        at = {"row": place // PATH_COLUMNS + 1, "col": place % PATH_COLUMNS + 1}
        part = table[table["user_id"] == user]
        line = {"color": GREY, "width": 1}
        figure.add_scatter(
            x=list(part["day"]), y=short(part["engagement"], 3), mode="lines", line=line, showlegend=False,
            hoverinfo="skip", **at,
        )  # fmt: skip
        for cause in causes:
            _marks(figure, part[part["cause"] == cause], cause, texts, at)
    for cause in causes:  # the legend: one entry per cause, whoever has it
        marker = {"color": CAUSE_COLOURS.get(cause, GREY), "size": 8}
        figure.add_scatter(
            x=[None], y=[None], mode="markers", marker=marker, name=one_line(cause_name(cause, texts)), row=1, col=1
        )
    figure.update_annotations(font={"size": 11, "color": INK})
    figure.update_xaxes(type="date", tickformat="%y-%m-%d", hoverformat="%Y-%m-%d", nticks=5, tickangle=0)
    figure.update_yaxes(nticks=4)
    figure.update_yaxes(title={"text": texts.plain("figures.engagement"), "font": {"size": 11}}, col=1)
    finish(figure, 90 + 118 * rows, legend=True)
    return figure.update_layout(margin_t=96)


def _marks(figure: go.Figure, part: pd.DataFrame, cause: str, texts: Texts, at: Mapping[str, int]) -> None:
    """The days of one creator with one true cause: filled where the creator acted, else hollow."""
    active = part["active"].astype(bool)
    part = part[active | (cause != NO_CAUSE)]
    if part.empty:
        return
    symbols = ["circle" if acted else "circle-open" for acted in part["active"]]
    name = one_line(cause_name(cause, texts))
    figure.add_scatter(
        x=list(part["day"]),
        y=short(part["engagement"], 3),
        mode="markers",
        marker={"color": CAUSE_COLOURS.get(cause, GREY), "size": 5, "symbol": symbols},
        showlegend=False,
        hovertemplate="%{x}: %{y:.2f}<extra>" + name + "</extra>",
        **at,
    )
