"""Tables and summary → the report's Plotly figures by id; what comes from the log is escaped before it enters one.

Plotly renders a subset of HTML in every text and reads templates in hover texts, so names go through
`safe`, and stand at numeric positions with tick texts (equal or number-like names stay apart).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tschurn.report.anomaly import check_figure
from tschurn.report.attribution import draw_attribution
from tschurn.report.backtest import draw_backtest
from tschurn.report.calibration import joint_figure, reliability_figure
from tschurn.report.comparison import draw_comparison
from tschurn.report.groups import draw_groups
from tschurn.report.horizons import draw_horizons
from tschurn.report.profiles import draw_profiles
from tschurn.report.quality import days_figure
from tschurn.report.rfm import draw_rfm
from tschurn.report.search import experiments_figure, trials_figure
from tschurn.report.simulated_figures import draw_simulated
from tschurn.report.subgroups import draw_subgroups
from tschurn.report.summary import TARGETS
from tschurn.report.theme import (
    BLUE,
    BLUES,
    GREEN,
    GREY,
    INK,
    KIND_COLOURS,
    LIGHT,
    ORANGE,
    RED,
    SKY,
    bounds_of,
    error_bars,
    faint,
    finish,
    safe,
    short,
    ticks,
)
from tschurn.report.values import Tables, table_of
from tschurn.report.why_figures import draw_why

if TYPE_CHECKING:
    from tschurn.report.words import Texts

NODES_SHOWN, LINKS_SHOWN = 12, 60


def draw(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure]:
    """All figures for which there is something to show: id → figure, in the order of the report."""
    found: dict[str, go.Figure | None] = {}
    found["quality-days"] = days_figure(tables, summary["quality"], texts)
    for part in summary["seasonality"]:
        found[f"season-{part['series']}"] = season(table_of(tables, "seasonality"), part["series"], texts)
    found |= draw_horizons(tables, summary["horizons"], texts)
    found["anomaly-check"] = check_figure(tables, texts)
    states = bool(summary["process"]) and summary["process"]["case_kind"] == "day_states"
    found["follows"] = follows(table_of(tables, "directly_follows"), states, texts)
    found["paths"] = paths(table_of(tables, "paths"), states, texts)
    for target in TARGETS:
        about = summary["targets"].get(target)
        found[f"experiments-{target}"] = experiments_figure(summary["experiments"].get(target), texts)
        found[f"trials-{target}"] = trials_figure(
            table_of(tables, "trials", target), summary["search"].get(target, []), texts
        )
        if about:
            found[f"ap-{target}"] = average_precision(about["models"], texts)
            found[f"reliability-{target}"] = reliability_figure(about["reliability"], texts)
        if target in summary["by_anchor"]:
            found[f"anchors-{target}"] = by_anchor(summary["by_anchor"][target]["rows"], texts)
    found |= draw_why(tables, summary, texts)
    found |= draw_attribution(tables, summary["attribution"], texts)
    found |= draw_groups(tables, summary["group"], texts)
    if summary["joint"]:
        found["joint"] = joint_figure(summary["joint"]["rows"], texts)
    found |= draw_comparison(summary["comparison"], texts)
    found |= draw_subgroups(summary["subgroups"], texts)
    found |= draw_profiles(tables, summary["profiles"], texts) | draw_rfm(summary["rfm"], texts)
    found |= draw_backtest(tables, texts)
    if summary["simulated"]:
        found |= draw_simulated(tables, summary["simulated"], texts)
    return {name: figure for name, figure in found.items() if figure is not None}


# --- exploration ----------------------------------------------------------------------------------
def season(table: pd.DataFrame, series: str, texts: Texts) -> go.Figure:
    """Daily usage with its trend, its weekly season and the remainder, one above the other."""
    part = table[table["series"] == series].sort_values("day", kind="stable")
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.5, 0.25, 0.25])
    days = [str(day)[:10] for day in part["day"]]

    def line(column: str, row: int, colour: str, width: float) -> None:
        style = {"color": colour, "width": width}
        name = texts.plain(f"figures.{column}")
        values = short(part[column])
        figure.add_scatter(x=days, y=values, mode="lines", line=style, name=name, showlegend=row == 1, row=row, col=1)

    line("observed", 1, GREY, 1.2)
    line("trend", 1, BLUE, 2.4)
    line("seasonal", 2, BLUE, 1.4)
    line("remainder", 3, GREY, 1.2)
    for row, title in enumerate(("per_day", "seasonal", "remainder"), start=1):
        figure.update_yaxes(title_text=texts.plain(f"figures.{title}"), nticks=4, row=row, col=1)
    figure.update_xaxes(type="date", tickformat="%y-%m-%d", hoverformat="%Y-%m-%d", nticks=4, tickangle=0)
    return finish(figure, 380, legend=True)


def follows(table: pd.DataFrame, states: bool, texts: Texts) -> go.Figure | None:
    """Directly-follows graph as a heatmap: of what follows a step (row), the share of each next step (column)."""
    if table.empty:
        return None
    edges = table.assign(
        source=table["source"].fillna("\0start"), target=table["target"].fillna("\0end"), n=table["n"].astype(float)
    )
    flow = edges.groupby("source")["n"].sum().add(edges.groupby("target")["n"].sum(), fill_value=0)
    order = flow.sort_index().sort_values(ascending=False, kind="stable").index
    names = [name for name in order if not name.startswith("\0")][:NODES_SHOWN]
    rows, columns = ["\0start", *names], [*names, "\0end"]
    counts = edges.pivot_table(index="source", columns="target", values="n", aggfunc="sum")
    shares = counts.div(counts.sum(axis=1), axis=0).reindex(index=rows, columns=columns)
    counts = counts.reindex(index=rows, columns=columns)
    ends = {"\0start": texts.plain("figures.start"), "\0end": texts.plain("figures.end")}
    labels = {name: _step_name(name, states, texts, 1) for name in names} | ends
    figure = go.Figure(
        go.Heatmap(
            z=[short(row) for row in shares.to_numpy()],
            customdata=[short(row) for row in counts.to_numpy()],
            text=[[f"{v:.0%}" if v >= 0.1 else "" for v in row] for row in shares.fillna(0).to_numpy()],
            texttemplate="%{text}",
            textfont={"size": 11},
            colorscale=BLUES,
            zmin=0,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate="%{y} → %{x}<br>%{z:.1%} · %{customdata:,.0f}<extra></extra>",
            showscale=False,
        )
    )
    figure.update_xaxes(ticks([labels[c] for c in columns]), tickangle=-40, showgrid=False)
    figure.update_yaxes(ticks([labels[r] for r in rows]), autorange="reversed", showgrid=False)
    figure.update_layout(
        xaxis_title_text=texts.plain("figures.next_step"), yaxis_title_text=texts.plain("figures.step")
    )
    return finish(figure, 260 + 32 * len(rows))


def paths(table: pd.DataFrame, states: bool, texts: Texts) -> go.Figure | None:
    """Sankey of the main paths: position by position, where the cases go."""
    if table.empty:
        return None
    links = table.assign(target=table["target"].fillna("\0end"))
    links = links.sort_values(["n", "step", "source", "target"], ascending=[False, True, True, True], kind="stable")
    links = links.head(LINKS_SHOWN).sort_values(["step", "source", "target"], kind="stable")
    weight = links[links["source"] != "other"].groupby("source")["n"].sum().sort_values(ascending=False, kind="stable")
    palette = (BLUE, ORANGE, GREEN, SKY, RED, "#CC79A7", "#B8A500")
    colours = {name: palette[i] if i < len(palette) else GREY for i, name in enumerate(weight.index)}
    ends = {"\0end": texts.plain("figures.end"), "other": texts.plain("figures.other")}
    sources = list(zip(links["step"], links["source"], strict=True))
    targets = list(zip(links["step"] + 1, links["target"], strict=True))
    nodes = sorted({*sources, *targets})
    place = {node: i for i, node in enumerate(nodes)}
    figure = go.Figure(
        go.Sankey(
            arrangement="snap",
            node={
                "label": [ends.get(name) or _step_name(name, states, texts) for _, name in nodes],
                "color": [LIGHT if name in ends else colours.get(name, GREY) for _, name in nodes],
                "align": "left",
                "pad": 14,
                "thickness": 12,
                "line": {"width": 0},
                "hovertemplate": "%{label}<br>%{value:,.0f}<extra></extra>",
            },
            link={
                "source": [place[n] for n in sources],
                "target": [place[n] for n in targets],
                "value": [int(n) for n in links["n"]],
                "color": [faint(colours.get(name, GREY)) for name in links["source"]],
                "hovertemplate": "%{source.label} → %{target.label}<br>%{value:,.0f}<extra></extra>",
            },
        )
    )
    return finish(figure, 460)


def _step_name(name: str, states: bool, texts: Texts, lines: int = 2) -> str:
    """The name of a step: an event's name as it is, a day state in the report's language."""
    return safe(texts.words.get(f"states.{name}", name) if states else name, lines)


# --- models ---------------------------------------------------------------------------------------
def average_precision(models: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """AP of every model on test with its interval, and the base rate, which is the AP of chance."""
    models = [m for m in models if m["ap"] is not None]
    if not models:
        return None
    figure = go.Figure()
    groups = [("used", BLUE, 14, "diamond"), *((kind, colour, 9, "circle") for kind, colour in KIND_COLOURS.items())]
    for group, colour, size, symbol in groups:
        rows = [(y, m) for y, m in enumerate(models) if (group == "used" if m["used"] else group == m["kind"])]
        bounds = [bounds_of(m["ap"], m["intervals"]["ap"]["low"], m["intervals"]["ap"]["high"]) for _, m in rows]
        figure.add_scatter(
            x=[m["ap"] for _, m in rows],
            y=[y for y, _ in rows],
            mode="markers",
            name=texts.plain("figures.observed_share") if group == "used" else texts.plain(f"kinds.{group}"),
            marker={"color": colour, "size": size, "symbol": symbol},
            error_x=error_bars(bounds),
            text=[f"{safe(m['name'])}: {m['ap']:.3f}" for _, m in rows],
            hovertemplate="%{text}<extra></extra>",
        )
    rate = next((m["base_rate"] for m in models if m["base_rate"] is not None), None)
    if rate is not None:
        note = texts.plain("figures.base_rate", rate=f"{rate:.2f}")
        figure.add_vline(x=rate, line={"color": RED, "dash": "dot", "width": 1.5})
        figure.add_annotation(
            x=rate, y=-0.9, text=note, showarrow=False, font={"color": RED, "size": 11}, xanchor="left"
        )
    names = [f"<b>{safe(m['name'])}</b>" if m["used"] else safe(m["name"]) for m in models]
    figure.update_yaxes(ticks(names), range=[len(models) - 0.4, -1.4], showgrid=False)
    figure.update_xaxes(title_text=texts.plain("figures.ap_test"), rangemode="tozero")
    return finish(figure, 120 + 32 * len(models), legend=True)


def by_anchor(rows: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """AP of the used model minus AP of the best baseline, test anchor by test anchor."""
    rows = [r for r in rows if r["difference"] is not None]
    if not rows:
        return None
    figure = go.Figure(
        go.Bar(
            x=list(range(len(rows))),
            y=[r["difference"] for r in rows],
            marker_color=[BLUE if r["difference"] > 0 else ORANGE for r in rows],
            customdata=[[r["anchor_day"], r["windows"]] for r in rows],
            hovertemplate="%{customdata[0]}: %{y:+.4f} · n = %{customdata[1]:,}<extra></extra>",
            width=0.6,
        )
    )
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_xaxes(
        ticks([r["anchor_day"] for r in rows]), tickangle=-40, title_text=texts.plain("figures.anchor_day")
    )
    figure.update_yaxes(title_text=texts.plain("figures.difference_ap"), tickformat="+.3f")
    return finish(figure, 300)
