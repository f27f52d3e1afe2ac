"""The explanations' part of the summary, SHAP_SAMPLE and DEPENDENCE → its figures by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tschurn.report.theme import (
    BLUE,
    EFFECT_COLOURS,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    PAPER,
    RED,
    bounds_of,
    error_bars,
    finish,
    safe,
    short,
    ticks,
)
from tschurn.report.values import Tables, number, table_of
from tschurn.report.why import HALF, MIXED_DIRECTION

if TYPE_CHECKING:
    from tschurn.report.words import Texts

BEES_SHOWN, CLUSTERS_SHOWN, PANELS_SHOWN = 220, 15, 6
BY_RANK = [[0, BLUE], [0.5, LIGHT], [1, RED]]  # of a value among those of the same column
TARGET_COLOURS, TARGET_SYMBOLS = (BLUE, ORANGE), ("circle", "diamond")


def draw_why(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure | None]:
    """Figures of the explanations: clusters of columns, then of each explained model, then the two targets together."""
    found: dict[str, go.Figure | None] = {"clusters": clusters(summary["collinearity"]["clusters"], texts)}
    for target, explained in summary["explanations"].items():
        samples, dependences = (table_of(tables, name, target) for name in ("shap_sample", "dependence"))
        for place, one in enumerate(explained):
            suffix = target if place == 0 else f"{target}-{place + 1}"
            sample, points = (t[t["model"] == one["model"]] for t in (samples, dependences))
            found[f"importance-{suffix}"] = importance(one["shown"], texts)
            found[f"bees-{suffix}"] = beeswarm(sample, one["shown"], texts)
            found[f"dependence-{suffix}"] = dependence(points, one["dependence"], texts)
    if summary["shared"]:
        found["shared"] = shared(summary["shared"]["shown"], tuple(summary["explanations"]), texts)
    return found


def clusters(rows: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """Each kept column with those it stands for, by how strongly they correlate with it."""
    rows = rows[:CLUSTERS_SHOWN]
    if not rows:
        return None
    figure = go.Figure()
    figure.add_vrect(x0=0, x1=HALF**0.5, fillcolor=LIGHT, opacity=0.35, line_width=0, layer="below")
    for reason, colour, symbol in (("perfect", BLUE, "diamond"), ("vif", ORANGE, "circle")):
        dots = [(y, m) for y, row in enumerate(rows) for m in row["members"] if m["reason"] == reason]
        figure.add_scatter(
            x=short([abs(number(m["correlation"], 0.0)) for _, m in dots]),
            y=[y for y, _ in dots],
            mode="markers",
            marker={
                "color": colour,
                "symbol": symbol,
                "size": 9,
                "opacity": 0.8,
                "line": {"width": 1, "color": PAPER},
            },
            name=texts.plain(f"reasons.{reason}"),
            text=[f"{safe(m['label'], 4)}<br>r = {number(m['correlation'], 0.0):+.3f}" for _, m in dots],
            hovertemplate="%{text}<extra></extra>",
        )
    names = [f"{safe(row['label'])} ({len(row['members'])})" for row in rows]
    figure.update_yaxes(ticks(names), range=[len(rows) - 0.5, -0.5])
    figure.update_xaxes(title_text=texts.plain("why.correlation_axis"), range=[0, 1.03])
    return finish(figure, 120 + 34 * len(rows), legend=True)


def importance(columns: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """Mean |SHAP| of the most important columns, and beside it the direction of their effect with its interval."""
    if not columns:
        return None
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, column_widths=[0.6, 0.4], horizontal_spacing=0.08)
    for effect, colour in EFFECT_COLOURS.items():
        rows = [(y, c) for y, c in enumerate(columns) if c["effect"] == effect]
        figure.add_bar(
            x=[c["importance"] for _, c in rows],
            y=[y for y, _ in rows],
            orientation="h",
            width=0.62,
            marker_color=colour,
            name=texts.plain(f"effects.{effect}"),
            text=[safe(c["label"], 6) for _, c in rows],
            textposition="none",
            hovertemplate="%{text}<br>%{x:.3f}<extra></extra>",
            row=1,
            col=1,
        )
        told = [(y, c) for y, c in rows if number(c["direction"], None) is not None]
        ends = [bounds_of(c["direction"], c["direction_low"], c["direction_high"]) for _, c in told]
        figure.add_scatter(
            x=short([c["direction"] for _, c in told]),
            y=[y for y, _ in told],
            mode="markers",
            marker={"color": colour, "size": 7},
            error_x=error_bars(ends) | {"color": colour},
            showlegend=False,
            text=[_interval(c) for _, c in told],
            hovertemplate="%{text}<extra></extra>",
            row=1,
            col=2,
        )
    figure.add_vrect(
        x0=-MIXED_DIRECTION, x1=MIXED_DIRECTION, fillcolor=LIGHT, opacity=0.5, line_width=0, layer="below", row=1, col=2
    )
    shown = range(len(columns))
    figure.update_yaxes(range=[len(columns) - 0.5, -0.5], tickvals=list(shown), showgrid=False)
    figure.update_yaxes(ticks([safe(c["label"]) for c in columns]), row=1, col=1)
    figure.update_xaxes(title_text=texts.plain("figures.mean_shap"), nticks=4, tickangle=0, row=1, col=1)
    figure.update_xaxes(
        title_text=texts.plain("why.direction_axis"), range=[-1.12, 1.12], tickvals=[-1, 0, 1], row=1, col=2
    )
    figure.update_layout(barmode="overlay")
    return finish(figure, 150 + 34 * len(columns), legend=True)


def _interval(row: Mapping[str, Any]) -> str:
    """A direction and its interval, for a hover text."""
    low, high = number(row["direction_low"], None), number(row["direction_high"], None)
    between = "" if low is None or high is None else f" ({low:+.2f}…{high:+.2f})"
    return f"{row['direction']:+.2f}{between}"


def dependence(points: pd.DataFrame, columns: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """A panel for each of the most important columns: its value, its SHAP value, and in colour its partner's value."""
    columns = [c for c in columns if (points["column"] == c["column"]).any()][:PANELS_SHOWN]
    if not columns:
        return None
    across = min(2, len(columns))
    down = -(-len(columns) // across)
    titles = [_with_partner(column, texts) for column in columns]
    figure = make_subplots(
        rows=down, cols=across, subplot_titles=titles, horizontal_spacing=0.2, vertical_spacing=0.45 / down
    )
    for place, column in enumerate(columns):
        row, col = divmod(place, across)
        at = {"row": row + 1, "col": col + 1}
        part = points[points["column"] == column["column"]]
        rank = part["partner_value"].astype(float).rank(method="average")
        figure.add_scatter(
            x=short(part["value"]),
            y=short(part["shap"], 4),
            mode="markers",
            marker={"size": 5, "opacity": 0.75, "color": _colours(rank), "coloraxis": "coloraxis"},
            customdata=short(part["partner_value"]),
            hovertemplate="%{x:,.4~g} → SHAP %{y:+.3f} · %{customdata}<extra></extra>",
            **at,
        )
        small = {"title_standoff": 4, "title_font_size": 11, "tickfont_size": 10}
        figure.update_xaxes(title_text=safe(column["label"], 3), nticks=4, tickangle=0, **small, **at)
        figure.update_yaxes(title_text="SHAP", nticks=5, zeroline=True, zerolinecolor=GREY, **small, **at)
    figure.update_annotations(font_size=10, font_color=INK)
    figure.update_layout(coloraxis={"colorscale": BY_RANK, "cmin": 0, "cmax": 1, "colorbar": _colour_bar(texts)})
    finish(figure, 120 + 260 * down)
    return figure.update_layout(margin_t=84)


def _colours(rank: pd.Series) -> list[float]:
    """Ranks of the partner's values → 0 to 1; the middle where there is no partner or its value is not known."""
    return short((rank - 1).div(max(int(rank.notna().sum()) - 1, 1)).fillna(0.5), 2)


def _with_partner(column: Mapping[str, Any], texts: Texts) -> str:
    partner = column["partner_label"]
    return texts.plain("why.no_partner") if partner is None else texts.plain("why.partner", partner=safe(partner))


def beeswarm(sample: pd.DataFrame, columns: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """One dot per window and column: sideways its SHAP value, in colour the rank of the column's value."""
    order = {c["column"]: place for place, c in enumerate(columns)}
    sample = sample[sample["column"].isin(order)]
    if sample.empty:
        return None
    groups = sample.groupby("column", sort=False)
    step = np.ceil(groups["shap"].transform("size") / BEES_SHOWN)
    sample = sample[groups.cumcount() % step == 0]
    groups = sample.groupby("column", sort=False)
    ranks = groups["value"].rank(method="average").sub(1).div((groups["value"].transform("count") - 1).clip(lower=1))
    reach = float(sample["shap"].max() - sample["shap"].min()) or 1.0
    inside = sample.assign(bin=np.floor(sample["shap"] / reach * 90)).groupby(["column", "bin"], sort=False).cumcount()
    side = np.where(inside % 2 == 0, 1.0, -1.0) * np.ceil(inside / 2)  # 0, -1, 1, -2, 2 …: alternately below and above
    y = sample["column"].map(order).to_numpy(float) + np.clip(side * 0.045, -0.42, 0.42)
    figure = go.Figure(
        go.Scatter(
            x=short(sample["shap"]),
            y=short(y),
            mode="markers",
            marker={
                "size": 4.5,
                "opacity": 0.8,
                "color": short(ranks.fillna(0.5), 2),
                "colorscale": BY_RANK,
                "cmin": 0,
                "cmax": 1,
                "colorbar": _colour_bar(texts),
            },
            customdata=short(sample["value"]),
            hovertemplate="SHAP %{x:.3f} · %{customdata}<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    shown = len(columns)
    figure.update_yaxes(ticks([safe(c["label"]) for c in columns]), range=[shown - 0.5, -0.5], showgrid=False)
    figure.update_xaxes(title_text=texts.plain("figures.shap"), nticks=6, tickangle=0)
    figure.update_layout(margin_t=52)
    return finish(figure, 150 + 34 * shown)


def _colour_bar(texts: Texts) -> dict[str, Any]:
    """From low to high values, above the figure."""
    return {
        "orientation": "h",
        "thickness": 8,
        "len": 150,
        "lenmode": "pixels",
        "outlinewidth": 0,
        "xref": "container",
        "x": 0.02,
        "xanchor": "left",
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "tickvals": [0.1, 0.9],
        "ticktext": [texts.plain("figures.low"), texts.plain("figures.high")],
    }


def shared(rows: Sequence[Mapping[str, Any]], targets: Sequence[str], texts: Texts) -> go.Figure | None:
    """Features important for both targets: the direction of each with its interval, the larger the more important."""
    if not rows:
        return None
    figure = go.Figure()
    figure.add_vrect(x0=-MIXED_DIRECTION, x1=MIXED_DIRECTION, fillcolor=LIGHT, opacity=0.5, line_width=0, layer="below")
    largest = max(row[t]["share"] for row in rows for t in targets)
    for target, colour, symbol, shift in zip(targets, TARGET_COLOURS, TARGET_SYMBOLS, (-0.13, 0.13), strict=False):
        told = [(y, r[target]) for y, r in enumerate(rows) if r[target]["direction"] is not None]
        ends = [bounds_of(r["direction"], r["direction_low"], r["direction_high"]) for _, r in told]
        figure.add_scatter(
            x=short([r["direction"] for _, r in told]),
            y=[y + shift for y, _ in told],
            mode="markers",
            marker={
                "color": colour,
                "symbol": symbol,
                "size": [6 + 10 * (r["share"] / largest) ** 0.5 for _, r in told],
                "line": {"width": 1, "color": INK},
            },
            error_x=error_bars(ends) | {"color": colour},
            name=texts.plain(f"targets.{target}"),
            text=[f"{_interval(r)} · {r['share']:.1%}" for _, r in told],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_yaxes(ticks([safe(row["label"]) for row in rows]), range=[len(rows) - 0.5, -0.5])
    figure.update_xaxes(title_text=texts.plain("why.direction_axis"), range=[-1.08, 1.08])
    return finish(figure, 130 + 40 * len(rows), legend=True)
