"""PRIORITY, THRESHOLDS, LIST_STABILITY, FIRMNESS, PLANE → what the report says of the groups, and their figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tschurn.contracts import SEGMENTS
from tschurn.report.theme import BLUES, GREY, INK, PAPER, SEGMENT_COLOURS, VEIL, finish, safe, short
from tschurn.report.values import Tables, first, number, records, table_of
from tschurn.report.words import brief, share, whole

if TYPE_CHECKING:
    from tschurn.config import Experiment
    from tschurn.report.words import Texts

DOTS_SHOWN = 2500
FEWEST_WINDOWS = 20  # of which a rate in a cell is told
RULES = ("value", "quantile", "capacity", "knee", "mixture")
MEANS = ("p_churn", "p_sticker", "priority", "value_at_risk")


def groups_summary(tables: Tables, experiment: Experiment) -> dict[str, Any]:
    """Tables → scored users, what ranks and cuts them and what would, the segments with their money, how steady the
    list is, and the cells of the plane."""
    scored, rule = table_of(tables, "priority"), experiment.segments
    threshold = first(table_of(tables, "threshold"))
    rules = table_of(tables, "thresholds")
    rules = records(rules.sort_values("method", key=lambda names: names.map(RULES.index), kind="stable"))
    asked = next((row for row in rules if row["method"] == rule.threshold), {})
    sizes = scored["segment"].eq("priority").sum()
    return {
        "scored": len(scored),
        "unscored": len(table_of(tables, "unscored")),
        "anchor_day": scored["anchor_day"].max() if len(scored) else None,
        "means": _segments(scored, table_of(tables, "money")),
        "threshold": threshold or None,
        "score": threshold.get("score", "priority"),
        "score_asked": rule.score,
        "worth": rule.worth,
        "rule_asked": rule.threshold,
        "rule_note": asked.get("note") if asked else None,
        "rules": rules,
        "size": None if scored.empty else "nobody" if not sizes else "everybody" if sizes == len(scored) else "some",
        "stability": _stability(
            table_of(tables, "list_stability").sort_values(["kind", "anchor_day", "other"], kind="stable")
        ),
        "firm": _firm(table_of(tables, "firmness"), scored),
        "cells": records(table_of(tables, "plane").sort_values(["sticker_from", "churn_from"], kind="stable")),
        "fewest_windows": FEWEST_WINDOWS,
    }


def _segments(scored: pd.DataFrame, money: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Per segment and for all: users, their share, means, and their value of the last 28 days (null: not known)."""
    keys = ["user_id", "anchor_day"]
    value = scored[keys].merge(money[[*keys, "value_28"]], on=keys, how="left")["value_28"] if len(money) else np.nan
    scored = scored.assign(value_28=np.asarray(value, dtype="float64"))
    whole_value = scored["value_28"].sum(min_count=1)
    found = {}
    for segment in (*SEGMENTS, "all"):
        part = scored if segment == "all" else scored[scored["segment"] == segment]
        total = part["value_28"].sum(min_count=1)
        found[segment] = {
            "users": len(part),
            "share": len(part) / len(scored) if len(scored) else None,
            **{p: pd.to_numeric(part[p]).astype("float64").mean() for p in MEANS},
            "value_28": total,
            "value_share": total / whole_value if whole_value > 0 else None,
        }
    return found


def _stability(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By what was compared ('seed', 'anchor', and 'now': the last week against the list): the lists, their size, mean
    Jaccard with its ends, chance, mean correlation, and days between them; without what was not compared."""
    weeks = table[table["kind"] == "anchor"]
    parts = {"seed": table[table["kind"] == "seed"], "anchor": weeks.iloc[:-1], "now": weeks.iloc[-1:]}
    return {name: _compared(part) for name, part in parts.items() if len(part)}


def _compared(part: pd.DataFrame) -> dict[str, Any]:
    known = part["jaccard"].dropna()
    later = pd.to_datetime(part["other"], errors="coerce", format="%Y-%m-%d")
    gaps = (later - pd.to_datetime(part["anchor_day"])).dt.days
    return {
        "lists": len(part),
        "compared": len(known),
        **{column: part[column].iloc[-1] for column in ("anchor_day", "users", "group", "other_group", "both")},
        "jaccard": known.mean(),
        "low": known.min(),
        "high": known.max(),
        "chance": part["chance"].mean(),
        "correlation": part["correlation"].mean(),
        "days": gaps.median(),
    }


def _firm(table: pd.DataFrame, scored: pd.DataFrame) -> dict[str, int] | None:
    """How many of the group are on all lists, on some, or on this one only for want of others; and how many outside
    the group are on another. Null where there is no other list."""
    if table.empty or table["firm"].isna().all():
        return None
    group = table["user_id"].isin(scored.loc[scored["segment"] == "priority", "user_id"])
    return {
        "group": int(group.sum()),
        "firm": int((group & (table["firm"] == "firm")).sum()),
        "swing": int((group & (table["firm"] == "swing")).sum()),
        "unknown": int((group & table["firm"].isna()).sum()),
        "swing_outside": int((~group & (table["firm"] == "swing")).sum()),
        "lists": int(table["lists"].max()),
    }


# --- figures --------------------------------------------------------------------------------------
def draw_groups(tables: Tables, group: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure | None]:
    """The group's part of the summary, and PRIORITY → its figures by id."""
    scored = table_of(tables, "priority")
    return {
        "priorities": priorities(scored, group["rules"], group["score"], texts),
        "plane": plane(scored, group["threshold"], texts),
        "cells": cells(group["cells"], texts),
    }


def priorities(scored: pd.DataFrame, rules: Sequence[Mapping[str, Any]], score: str, texts: Texts) -> go.Figure | None:
    """Histogram of the log of the score that ranks, by segment, with the threshold of each rule."""
    values = scored["value_at_risk"] if score == "value_at_risk" else np.exp(scored["log_priority"].astype(float))
    values = pd.to_numeric(values).astype(float)
    positive = values > 0
    logs, segments = np.log(values[positive]), scored["segment"][positive]
    if logs.empty:
        return None
    edges = np.histogram_bin_edges(logs, bins=min(40, max(5, round(2 * math.sqrt(len(logs))))))
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    figure = go.Figure()
    for segment in SEGMENTS:
        figure.add_bar(
            x=short(middles),
            y=[int(n) for n in np.histogram(logs[segments == segment], edges)[0]],
            width=float(width) * 0.94,
            marker_color=SEGMENT_COLOURS[segment],
            name=texts.plain(f"segments.{segment}"),
            hovertemplate="%{y:,}<extra>" + texts.plain(f"segments.{segment}") + "</extra>",
        )
    _mark(figure, rules, (float(edges[0]), float(edges[-1])), texts)
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title_text=texts.plain(f"groups.log_{score}"))
    figure.update_yaxes(title_text=texts.plain("figures.users"))
    return finish(figure, 420, legend=True)


def _mark(figure: go.Figure, rules: Sequence[Mapping[str, Any]], ends: tuple[float, float], texts: Texts) -> None:
    """Lines at the rules' thresholds, their names one below the other; that of the rule that cuts is the strong one."""
    cuts = [(math.log(value), row) for row in rules if (value := number(row["threshold"], 0.0)) > 0]
    for place, (x, row) in enumerate(sorted(cuts, key=lambda cut: (-cut[0], cut[1]["method"]))):
        colour = INK if row["chosen"] else GREY
        figure.add_vline(x=x, line={"color": colour, "width": 2 if row["chosen"] else 1, "dash": "dot"})
        name = texts.plain(f"groups.rule_{row['method']}")
        figure.add_annotation(
            x=x,
            y=1 - 0.075 * place,
            yref="paper",
            text=f"<b>{name}</b>" if row["chosen"] else name,
            showarrow=False,
            xanchor="left" if x < sum(ends) / 2 else "right",
            yanchor="top",
            font={"size": 11, "color": INK},
            bgcolor=VEIL,
        )


def plane(scored: pd.DataFrame, threshold: Mapping[str, Any] | None, texts: Texts) -> go.Figure | None:
    """Users by p(churn) and p(sticker), coloured by segment; where the priority ranks, with the line on which their
    product is the threshold."""
    scored = scored[scored["p_sticker"].notna()]
    if scored.empty:
        return None
    figure = go.Figure()
    cut = number((threshold or {}).get("threshold"), 0.0)
    if 0 < cut < 1 and threshold.get("score") == "priority":
        x = np.geomspace(cut, 1, 60)
        line = {"color": INK, "dash": "dot", "width": 1.5}
        name = texts.plain("figures.threshold")
        figure.add_scatter(x=short(x), y=short(cut / x), mode="lines", line=line, name=name, hoverinfo="skip")
    for segment in reversed(SEGMENTS):
        part = scored[scored["segment"] == segment].sort_values("rank", kind="stable")
        part = part.iloc[:: max(1, math.ceil(len(part) / DOTS_SHOWN))]
        figure.add_scatter(
            x=short(part["p_churn"]),
            y=short(part["p_sticker"].astype(float)),
            mode="markers",
            marker={
                "color": SEGMENT_COLOURS[segment],
                "size": 6,
                "opacity": 0.75,
                "line": {"width": 0.5, "color": PAPER},
            },
            name=texts.plain(f"segments.{segment}"),
            text=[safe(user) for user in part["user_id"]],
            hovertemplate="%{text}<br>%{x:.3f} × %{y:.3f}<extra></extra>",
        )
    top = min(1.0, 1.05 * float(scored["p_sticker"].max()))
    figure.update_xaxes(title_text=texts.plain("figures.p_churn"), range=[0, 1])
    figure.update_yaxes(title_text=texts.plain("figures.p_sticker"), range=[0, top])
    return finish(figure, 420, legend=True)


def cells(rows: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """The plane in cells: who is there now and with what money, and what became of those who stood there in the test
    weeks; the darker, the more of the money (of the users, where no money is known)."""
    if not rows:
        return None
    table = pd.DataFrame(rows)
    edges = [sorted({*table[f"{t}_from"], *table[f"{t}_to"]}) for t in ("churn", "sticker")]
    at = [np.searchsorted(edge, table[f"{t}_from"]) for t, edge in zip(("churn", "sticker"), edges, strict=True)]
    amount = table["value_28"].astype(float).clip(lower=0)
    amount = (table["users"].astype(float) if amount.isna().all() else amount).fillna(0)
    # of the share the root: one rich cell would leave all others white
    shade = np.sqrt(amount / amount.sum()) if amount.sum() > 0 else amount
    z = np.zeros((len(edges[1]) - 1, len(edges[0]) - 1))
    z[at[1], at[0]] = shade
    darkest = max(float(shade.max()), 1e-9)
    figure = go.Figure(
        go.Heatmap(z=[short(row) for row in z], colorscale=BLUES, zmin=0, zmax=darkest, showscale=False, xgap=3, ygap=3,
                   hoverinfo="skip")
    )  # fmt: skip
    for x, y, dark, row in zip(*at, shade, rows, strict=True):
        colour = PAPER if dark > 0.8 * darkest else INK
        text = _cell(row, texts)
        figure.add_annotation(x=int(x), y=int(y), text=text, showarrow=False, font={"size": 12, "color": colour})
    names = [[brief(float(f"{edge:.3g}")) for edge in one] for one in edges]
    places = [[i - 0.5 for i in range(len(one))] for one in edges]
    for update, one, name, title in zip((figure.update_xaxes, figure.update_yaxes), places, names, ("churn", "sticker"),
                                        strict=True):  # fmt: skip
        update(tickvals=one, ticktext=name, range=[one[0], one[-1]], showgrid=False,
               title_text=texts.plain(f"figures.p_{title}"))  # fmt: skip
    return finish(figure, 120 + 96 * (len(edges[1]) - 1))


def _cell(row: Mapping[str, Any], texts: Texts) -> str:
    """The lines that stand in a cell."""
    lines = [texts.plain("groups.cell_users", users=whole(row["users"]))]
    if number(row["value_28"], None) is not None:
        lines.append(texts.plain("groups.cell_value", value=brief(row["value_28"])))
    if row["windows"] >= FEWEST_WINDOWS:
        rates = {name: share(number(row[name], None)) for name in ("churned", "sticker")}
        lines += [texts.plain(f"groups.cell_{name}", share=rate) for name, rate in rates.items()]
    else:
        lines.append(texts.plain("groups.cell_few"))
    return "<br>".join(lines)
