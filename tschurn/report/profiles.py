"""DIVERGENCE, ECDF, RULES → what the report says of how the segments live: their events, their spread, their rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go

from tschurn.contracts import SEGMENTS
from tschurn.report.theme import GREEN, GREY, INK, SEGMENT_COLOURS, finish, safe, short, ticks
from tschurn.report.values import Tables, number, parsed, records, table_of

if TYPE_CHECKING:
    from tschurn.config import Experiment
    from tschurn.report.words import Texts

SIDES, VARIABLES = ("own", "received"), ("ratio", "p_churn", "value_28")
KINDS_SHOWN = 8
MOST_SHOWN, FAR = 0.98, 1.5  # of the users; the others, where they are so far off, would press these to the edge
WEAK_AUC = 0.6


def profiles_summary(tables: Tables, experiment: Experiment) -> dict[str, Any]:
    """Tables → "mixes" by side, "spread" by variable, "rules" by segment; each without what is not in the run."""
    language = experiment.experiment.language
    mixes = {side: found for side in SIDES if (found := _mixes(table_of(tables, "divergence"), side))}
    features = table_of(tables, "features").set_index("feature")
    labels = features[f"label_{language}"].to_dict()
    spread = {v: found for v in VARIABLES if (found := _spread(table_of(tables, "ecdf"), v, labels))}
    rules = table_of(tables, "rules")
    told = {segment: _rules(part, features, labels) for segment, part in rules.groupby("segment", sort=False)}
    return {"mixes": mixes, "spread": spread, "rules": told, "observe_days": experiment.windows.observe_days}


def _mixes(table: pd.DataFrame, side: str) -> dict[str, Any] | None:
    """→ by segment its divergence, what chance would make of it, and the kinds of event it has more and less of.

    `other` are those that are folded together. code: 'beyond' chance, or 'within' it. shown: the kinds with the largest
    contributions in any of these segments.
    None where there is one kind of event only: no mix differs then.
    """
    table = table[table["side"] == side]
    if table["event"].nunique() < 2:
        return None
    segments = {}
    for segment in SEGMENTS:
        part = table[table["segment"] == segment]
        if part.empty:
            continue
        rows = records(part[["event", "share", "everybody", "contribution"]])
        total, chance = (round(float(n), 12) for n in (part["contribution"].sum(), part["chance"].iloc[0]))
        segments[segment] = {
            "divergence": max(0.0, total), "chance": chance, "users": part["users"].iloc[0],
            "code": "beyond" if total > chance else "within", "more": rows[0], "less": rows[-1], "rows": rows,
        }  # fmt: skip
    told = table[table["segment"] != "rest"] if len(segments) > 1 else table
    largest = told.assign(size=told["contribution"].abs()).groupby("event", sort=True)["size"].max()
    shown = set(largest.sort_values(ascending=False, kind="stable").index[:KINDS_SHOWN])
    lead = table[table["segment"] == next(iter(segments))]
    return {"segments": segments, "kinds": len(largest), "shown": [event for event in lead["event"] if event in shown]}


def _spread(table: pd.DataFrame, variable: str, labels: Mapping[str, str]) -> dict[str, Any] | None:
    """→ by segment its users and the value that half of them do not exceed; until: the value up to which is drawn."""
    table = table[table["variable"] == variable].sort_values("x", kind="stable")
    if table.empty:
        return None
    segments = {}
    for segment in (*SEGMENTS, "all"):
        part = table[table["segment"] == segment]
        if len(part):
            half = part.loc[part["share"] >= 0.5, "x"].iloc[0]
            segments[segment] = {"users": part["users"].iloc[0], "half": half}
    whole = table[table["segment"] == "all"]
    most, last = whole.loc[whole["share"] >= MOST_SHOWN, "x"].iloc[0], whole["x"].iloc[-1]
    ends = {end: labels.get(name := whole[end].iloc[0], name) for end in ("numerator", "denominator")}
    return {
        "segments": segments,
        "until": last if last <= FAR * most else max(most, 0.0),
        "same": whole["x"].nunique() == 1,
        **ends,
    }


def _rules(part: pd.DataFrame, features: pd.DataFrame, labels: Mapping[str, str]) -> dict[str, Any]:
    """→ the share of the segment among all, the rules for it (whose interval lies above that), the others, how good.

    code: 'none' (no such rule), 'weak' (users that the trees have not seen are told apart hardly better than by
    chance), 'unknown' (too few to tell), or 'good'.
    """
    rows = records(part.drop(columns=["segment", "auc"]))
    for row in rows:
        row["conditions"] = _conditions(parsed(row["conditions"], []), features, labels)
    auc, users, members = number(part["auc"].iloc[0], None), part["users"].sum(), part["members"].sum()
    rules = [row for row in rows if row["low"] > members / users]
    code = "unknown" if auc is None else "weak" if auc < WEAK_AUC else "good"
    return {"auc": auc, "users": users, "members": members, "share": members / users, "code": code if rules else "none",
            "rules": rules, "others": [row for row in rows if row not in rules]}  # fmt: skip


def _conditions(
    conditions: Sequence[Sequence[Any]], features: pd.DataFrame, labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Conditions of a leaf → one for each variable: its label, over which days it counts, and a code with its numbers.

    code: 'at_most', 'or_more' (a whole number), 'above', 'is', 'range' (whole numbers), 'between', or 'yes' and 'no'
    (a fact); span: 'observation', 'summed' (people, day by day), or 'itself' where the label says it.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, sign, value in conditions:
        found.setdefault(name, {})[sign] = value
    told = []
    for name, signs in found.items():
        about = features.loc[name] if name in features.index else {}
        low, high, only = signs.get(">"), signs.get("<="), signs.get("=")
        whole = isinstance(next(iter(signs.values())), int)
        low = low + 1 if whole and low is not None else low
        if only is not None:
            is_fact = about.get("measure") == "fact" and only in (0, 1)
            code = ("yes" if only else "no") if is_fact else "is"
        elif low is None or high is None:
            code = "at_most" if low is None else "or_more" if whole else "above"
        else:
            code = "range" if whole else "between"
        daily = about.get("kind") == "daily"
        span = ("summed" if about.get("measure") == "actors" else "observation") if daily else "itself"
        told.append({"label": labels.get(name, name), "span": span, "code": code,
                     "low": low, "high": high if only is None else only})  # fmt: skip
    return told


# --- figures --------------------------------------------------------------------------------------
def draw_profiles(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure | None]:
    """Contributions of the events by side, and the distribution functions by variable: id → figure."""
    found: dict[str, go.Figure | None] = {f"mix-{side}": _mix(part, texts) for side, part in summary["mixes"].items()}
    table = table_of(tables, "ecdf")
    for variable, about in summary["spread"].items():
        if not about["same"]:
            found[f"spread-{variable}"] = _curves(table[table["variable"] == variable], variable, about, texts)
    return found


def _mix(part: Mapping[str, Any], texts: Texts) -> go.Figure:
    """Bars of what each kind of event adds to the divergence of each segment; the rest, which is most users, apart."""
    told = {s: about for s, about in part["segments"].items() if s != "rest" or len(part["segments"]) == 1}
    figure = go.Figure()
    for segment, about in told.items():
        by_event = {row["event"]: row for row in about["rows"]}
        rows = [by_event[event] for event in part["shown"]]
        figure.add_bar(
            x=short([row["contribution"] for row in rows]),
            y=list(range(len(rows))),
            orientation="h",
            marker_color=SEGMENT_COLOURS.get(segment, GREEN),
            name=str(texts.name("segments", segment)),
            text=[f"{row['share']:.1%} : {row['everybody']:.1%}" for row in rows],
            textposition="none",
            hovertemplate="%{text}<br>%{x:+.4f}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.update_layout(barmode="group", bargap=0.3)
    names = [texts.plain("figures.other") if event == "other" else safe(event) for event in part["shown"]]
    figure.update_yaxes(ticks(names), autorange="reversed", showgrid=False)
    figure.update_xaxes(title_text=texts.plain("profiles.contribution"), nticks=5, tickangle=0)
    return finish(figure, 130 + (14 + 13 * len(told)) * len(part["shown"]), legend=True)


def _curves(table: pd.DataFrame, variable: str, about: Mapping[str, Any], texts: Texts) -> go.Figure:
    """Steps: the share of each segment's users with at most x."""
    figure = go.Figure()
    for segment in about["segments"]:
        part = table[table["segment"] == segment].sort_values("x", kind="stable")
        whole = segment == "all"
        colour = INK if whole else GREY if segment == "rest" else SEGMENT_COLOURS.get(segment, GREEN)
        start = min(0.0, part["x"].iloc[0])
        figure.add_scatter(
            x=short([start, *part["x"], max(about["until"], part["x"].iloc[-1])]),
            y=short([0.0, *part["share"], 1.0], 4),
            mode="lines",
            line={"shape": "hv", "color": colour, "width": 1.2 if whole else 2, "dash": "dot" if whole else "solid"},
            name=str(texts.name("segments", segment)),
            hovertemplate="≤ %{x:,.4~g}: %{y:.1%}<extra></extra>",
        )
    low = min(0.0, float(table["x"].min()))
    figure.update_xaxes(
        title_text=texts.plain(f"profiles.axis_{variable}"),
        range=[low, about["until"] + 0.02 * (about["until"] - low)],
        nticks=6,
        tickangle=0,
    )
    figure.update_yaxes(title_text=texts.plain("profiles.share_of_users"), range=[0, 1.02], tickformat=".0%")
    return finish(figure, 330, legend=True)
