"""Tables and summary → the report's Plotly figures by id; what comes from the log is escaped before it enters one.

Plotly renders a subset of HTML in every text and reads templates in hover texts, so names go through
`safe`, and stand at numeric positions with tick texts (equal or number-like names stay apart).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from tschurn.report.anomaly import check_figure
from tschurn.report.attribution import draw_attribution
from tschurn.report.backtest import draw_backtest
from tschurn.report.calibration import joint_figure, reliability_figure
from tschurn.report.capacity import capacity_figure
from tschurn.report.cohorts import draw_cohorts
from tschurn.report.comparison import draw_comparison
from tschurn.report.deciles import draw_deciles
from tschurn.report.groups import draw_groups
from tschurn.report.horizons import draw_horizons
from tschurn.report.process import draw_process
from tschurn.report.profiles import draw_profiles
from tschurn.report.quality import days_figure
from tschurn.report.rfm import draw_rfm
from tschurn.report.search import experiments_figure, trials_figure
from tschurn.report.simulated_figures import draw_simulated
from tschurn.report.subgroups import draw_subgroups
from tschurn.report.summary import TARGETS
from tschurn.report.theme import (
    BLUE,
    INK,
    KIND_COLOURS,
    ORANGE,
    RED,
    bounds_of,
    error_bars,
    finish,
    safe,
    ticks,
)
from tschurn.report.usage import draw_usage
from tschurn.report.users import timeline_figure
from tschurn.report.values import Tables, table_of
from tschurn.report.why_figures import draw_why

if TYPE_CHECKING:
    from tschurn.report.words import Texts


def draw(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure]:
    """All figures for which there is something to show: id → figure, in the order of the report."""
    found: dict[str, go.Figure | None] = {}
    found["quality-days"] = days_figure(tables, summary["quality"], texts)
    found |= draw_usage(tables, summary["usage"], texts)
    found |= draw_cohorts(tables, summary["staying"], texts)
    found |= draw_deciles(summary["deciles"], texts)
    found |= draw_horizons(tables, summary["horizons"], texts)
    found["anomaly-check"] = check_figure(tables, texts)
    found |= draw_process(tables, summary["process"], texts)
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
    found["capacity"] = capacity_figure(summary["capacity"], texts)
    found["user-timeline"] = timeline_figure(tables, summary, texts)
    if summary["simulated"]:
        found |= draw_simulated(tables, summary["simulated"], texts)
    return {name: figure for name, figure in found.items() if figure is not None}


# --- exploration ----------------------------------------------------------------------------------
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
