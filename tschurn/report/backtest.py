"""BACKTEST, BACKTEST_SCORES, GAIN → whether the list would have paid: what finds most, how many calls pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go

from tschurn.contracts import SCORES_COMPARED
from tschurn.report.theme import BLUE, GREEN, GREY, INK, ORANGE, RED, SKY, faint, finish, short
from tschurn.report.values import Tables, first, number, records, table_of

if TYPE_CHECKING:
    from tschurn.config import Experiment
    from tschurn.report.words import Texts

DAYS = 28  # whose stickers stand for what is lost
CAUGHT = ("value", "users")
SIMPLE = ("p_churn", "p_churn_value_28", "recency", "stickers_7")  # what a list by one model, or by none, would be
RIVALS = (*SIMPLE, "value_at_risk", "lightgbm")
# Colour, width and dash of each score's curve.
LINES = {
    "priority": (BLUE, 3.5, "solid"),
    "value_at_risk": (RED, 1.8, "solid"),
    "p_churn": (ORANGE, 1.8, "solid"),
    "p_churn_value_28": (GREEN, 1.8, "solid"),
    "recency": (SKY, 1.8, "dash"),
    "stickers_7": (INK, 1.5, "dash"),
    "lightgbm": (GREY, 1.8, "solid"),
    "random": (GREY, 1.5, "dot"),
}


def backtest_summary(tables: Tables, experiment: Experiment) -> dict[str, Any]:
    """Tables → "caught": by what is caught (without what was not at risk) its scores, the best first, and the verdict
    on priority; "gain": the best size of the list, null without; "why": code of why there is nothing, null otherwise
    ('not_run', 'no_sticker', 'nothing' at risk).
    """
    lines = table_of(tables, "backtest_scores")
    caught = {what: _caught(part) for what in CAUGHT if len(part := lines[lines["caught"] == what])}
    why = None
    if not caught:
        with_sticker = (table_of(tables, "target_summary")["target"] == "sticker").any()
        why = "not_run" if "backtest_scores" not in tables else "nothing" if with_sticker else "no_sticker"
    return {
        "why": why,
        "days": DAYS,
        "score": experiment.segments.ranks_by,
        "exclusive": experiment.targets.exclusive,
        "caught": caught,
        "missing": [s for s in SCORES_COMPARED if caught and s not in set(lines["score"])],
        "costs": experiment.costs.model_dump() if experiment.costs else None,
        "gain": _gain(tables) if experiment.costs else None,
    }


def _caught(lines: pd.DataFrame) -> dict[str, Any]:
    """The scores for one thing that is caught: its rows by falling quality, and what they say of priority.

    versus: of the other RIVALS than the best, those that surely find more ("simpler" ones, and the other ones that
    priority finds "less" than), those that priority surely finds "more" than, and those it is "level" with.
    """
    rows = records(lines.sort_values("quality", ascending=False, na_position="last", kind="stable"))
    by_score = {row["score"]: row for row in rows}
    own = by_score["priority"]
    best = next((r for r in rows if number(r["quality"], None) is not None), None)
    told = {code: [r for r in rows if r["score"] in RIVALS and r is not best and _told(r) == code]
            for code in ("less", "more", "level")}  # fmt: skip
    simpler = [r for r in told["less"] if r["score"] in SIMPLE]
    told = {"simpler": simpler, **told, "less": [r for r in told["less"] if r not in simpler]}
    return {
        "windows": own["windows"], "anchors": own["anchors"], "at_risk": own["at_risk"],
        "rows": rows, "own": own, "best": best, "code": _verdict(best), "ahead": _ahead(best or {}), "versus": told,
        "chance": _against_chance(own),
        "switch": [s for s in ("p_churn_value_28", "value_at_risk") if _told(by_score.get(s, {})) == "less"],
    }  # fmt: skip


def _told(row: Mapping[str, Any]) -> str | None:
    """Whether priority finds surely 'more' than a score, 'less', or is 'level' with it; null without an interval."""
    low, high = (number(row.get(f"behind_{end}"), None) for end in ("low", "high"))
    if low is None or high is None:
        return None
    return "more" if low > 0 else "less" if high < 0 else "level"


def _ahead(row: Mapping[str, Any]) -> dict[str, float | None]:
    """By how much a score is ahead of priority, with the ends of the interval: "behind" with its sign turned."""
    value, low, high = (number(row.get(f"behind{end}"), None) for end in ("", "_high", "_low"))
    return {name: None if v is None else -v for name, v in (("value", value), ("low", low), ("high", high))}


def _verdict(best: Mapping[str, Any] | None) -> str:
    """Code: 'priority' wins, or a 'simpler' or an 'other' score does; 'level': what is best is not surely better than
    priority; 'unknown' without intervals, 'none' where no list can be better than another."""
    if best is None:
        return "none"
    if best["score"] == "priority":
        return "priority"
    told = _told(best)
    if told != "less":
        return "level" if told else "unknown"
    return "simpler" if best["score"] in SIMPLE else "other"


def _against_chance(own: Mapping[str, Any]) -> str | None:
    """'worse' than a random list, 'level' with it; null where it is better, or where nobody can tell."""
    low, high = (number(own[f"quality_{end}"], None) for end in ("low", "high"))
    if low is None or high is None or low > 0:
        return None
    return "worse" if high < 0 else "level"


def _gain(tables: Tables) -> dict[str, Any] | None:
    """The best row of GAIN and its code: 'nobody' to call, 'everybody', 'unsure' (may bring nothing), or 'pays'."""
    table = table_of(tables, "gain")
    best = first(table[table["best"].astype(bool)])
    if not best:
        return None
    low = number(best["gain_low"], None)
    if best["calls"] == 0:
        code = "nobody"
    elif low is not None and low <= 0:
        code = "unsure"
    else:
        code = "everybody" if best["calls"] == table["calls"].max() else "pays"
    return best | {"code": code, "most": table["calls"].max()}


# --- figures --------------------------------------------------------------------------------------
def draw_backtest(tables: Tables, texts: Texts) -> dict[str, go.Figure | None]:
    """→ the curves of the scores by what is caught, and the curve of the gain, by id."""
    curves = table_of(tables, "backtest")
    found = {f"backtest-{what}": _curves(curves[curves["caught"] == what], texts) for what in CAUGHT}
    return found | {"gain": _gain_curve(table_of(tables, "gain"), texts)}


def _curves(curves: pd.DataFrame, texts: Texts) -> go.Figure | None:
    """What share each score's list finds by the share of users called; priority with its band, drawn last."""
    if curves.empty:
        return None
    figure = go.Figure()
    own = curves[curves["score"] == "priority"]
    _band(figure, own["share"], own["found_low"], own["found_high"])
    for place, (score, (colour, width, dash)) in reversed(list(enumerate(LINES.items()))):
        part = curves[curves["score"] == score]
        if part.empty:
            continue
        name = texts.plain(f"scores_compared.{score}")
        figure.add_scatter(
            x=[0, *short(part["share"], 4)],
            y=[0, *short(part["found"], 4)],
            mode="lines",
            line={"color": colour, "width": width, "dash": dash},
            name=name,
            legendrank=place,
            customdata=[0, *short(part["calls"], 4)],
            hovertemplate="%{x:.1%} (%{customdata:,.0f}) → %{y:.1%}<extra>" + name + "</extra>",
        )
    figure.update_xaxes(title_text=texts.plain("backtest.called"), range=[0, 1.01], tickformat=".0%", dtick=0.2)
    figure.update_yaxes(title_text=texts.plain("backtest.found"), range=[0, 1.01], tickformat=".0%", dtick=0.2)
    return finish(figure, 460, legend=True).update_layout(margin_t=110, legend_entrywidth=150)


def _band(figure: go.Figure, x: pd.Series, low: pd.Series, high: pd.Series) -> None:
    """The interval of a curve, where there is one."""
    if low.isna().any() or high.isna().any():
        return
    around = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(x=short(x, 4), y=short(low, 4), **around)
    figure.add_scatter(x=short(x, 4), y=short(high, 4), fill="tonexty", fillcolor=faint(BLUE), **around)


def _gain_curve(table: pd.DataFrame, texts: Texts) -> go.Figure | None:
    """Gain a week by calls a week with its band; a dotted line at the best size, on the interval of that size."""
    if table.empty:
        return None
    figure = go.Figure()
    _band(figure, table["calls"], table["gain_low"], table["gain_high"])
    figure.add_scatter(
        x=short(table["calls"]),
        y=short(table["gain"]),
        mode="lines",
        line={"color": BLUE, "width": 2.5},
        showlegend=False,
        hovertemplate="%{x:,.0f} → %{y:,.4~g}<extra></extra>",
    )
    best = first(table[table["best"].astype(bool)])
    ends = [number(best[end], None) for end in ("best_low", "best_high")]
    if None not in ends:
        figure.add_vrect(x0=ends[0], x1=ends[1], fillcolor=ORANGE, opacity=0.15, line_width=0, layer="below")
    figure.add_vline(x=best["calls"], line={"color": ORANGE, "dash": "dot", "width": 1.5})
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_xaxes(title_text=texts.plain("backtest.calls"), rangemode="tozero")
    figure.update_yaxes(title_text=texts.plain("backtest.gain_axis"))
    return finish(figure, 340)
