"""PRIORITY, LIST, MONEY, BACKTEST → what a list of each size is expected to hold, and what such lists held before.

Called are the first users by rank who are neither held out nor resting. What is expected of them are sums over their
probabilities; what the test weeks showed is BACKTEST at the same share of users. The two are never mixed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tschurn.report.theme import BLUE, GREEN, GREY, INK, ORANGE, finish, short
from tschurn.report.values import Tables, first, table_of

if TYPE_CHECKING:
    from tschurn.config import Experiment
    from tschurn.report.words import Texts

EVERY = 200  # sizes up to this are all there, larger ones by two digits
DAYS = 28  # whose stickers stand for what is lost, as in BACKTEST
DIGITS = 6  # significant ones; sums over up to a million users are not known better
CAUGHT = ("value", "users")
# What a list holds, with its colour in the figure.
HELD = {"churners": BLUE, "stickers": ORANGE, "money": GREEN}


def ranked(tables: Tables) -> pd.DataFrame:
    """PRIORITY, LIST, MONEY → PRIORITY by rank with `holdout`, `resting`, `action`, `recency` (days), `value_28`, and
    `call`: the place among those who may be called, from 1; null for those held out and those who rest.

    LIST is joined by rank, since its ids may be pseudonyms and its segments are told in a language.
    """
    people = table_of(tables, "priority").sort_values("rank", kind="stable").reset_index(drop=True)
    marks = table_of(tables, "list").set_index("rank").reindex(people["rank"])
    money = table_of(tables, "money")
    money = money[money["anchor_day"].isin(people["anchor_day"])].set_index("user_id")
    known = {name: marks[name].eq(True).to_numpy(dtype=bool) for name in ("holdout", "resting")}
    called = ~(known["holdout"] | known["resting"])
    place = pd.Series(np.cumsum(called), dtype="Int64").where(called)
    for name in ("recency", "value_28"):
        known[name] = pd.to_numeric(people["user_id"].map(money[name])).astype("float64")
    return people.assign(action=marks["action"].to_numpy(), call=place, **known)


def capacity_summary(tables: Tables, experiment: Experiment) -> dict[str, Any]:
    """Tables → by size of the list (`sizes`, users called) what is expected of it, and what was measured.

    churners, stickers (users with one) and money (of the last 28 days, times p_churn) are sums over the users called,
    null without a sticker target; precision: churners by users called, and base that of all scored users; recall and
    the other *_share: of what is expected of `all` of them. start: the priority group less those who are left alone.
    measured: see `_measured`, null without a backtest. why: 'empty' (nobody was scored) or 'nobody' (all are left
    alone), null otherwise; then there are no sizes.
    """
    people = ranked(tables)
    called = people[people["call"].notna()]
    money = people["p_churn"] * people["value_28"]
    amounts = {"churners": people["p_churn"], "stickers": people["p_sticker"], "money": money}
    amounts = {name: None if one.isna().any() else one.to_numpy(np.float64) for name, one in amounts.items()}
    found: dict[str, Any] = {
        "why": None if len(called) else "nobody" if len(people) else "empty",
        "scored": len(people),
        "callable": len(called),
        "days": DAYS,
        "score": experiment.segments.ranks_by,
        "all": {name: None if one is None else float(one.sum()) for name, one in amounts.items()},
        "base": float(people["p_churn"].mean()) if len(people) else None,
        "sizes": [],
        "start": None,
        "measured": None,
    }
    if found["why"]:
        return found
    group = int((called["segment"] == "priority").sum())
    found["start"] = group or max(1, len(called) // 10)
    sizes = np.array(sizes_shown(len(called), found["start"]))
    for name, one in amounts.items():
        sums = None if one is None else np.cumsum(one[called.index])[sizes - 1]
        found[name] = None if sums is None else short(sums, DIGITS)
        found[_share_of(name)] = _ratio(sums, found["all"][name])
    found["precision"] = _ratio(np.cumsum(amounts["churners"][called.index])[sizes - 1], sizes)
    found["measured"] = _measured(tables, found["score"], sizes / len(people))
    return found | {"sizes": sizes.tolist()}


def _share_of(name: str) -> str:
    return "recall" if name == "churners" else f"{name}_share"


def sizes_shown(most: int, start: int) -> list[int]:
    """Sizes of lists up to `most`: each up to EVERY, then by two digits; `start` and `most` are among them."""
    found, size = {*range(1, min(most, EVERY) + 1), start, most}, EVERY
    while size < most:
        found.add(size)
        size += 10 ** (int(math.log10(size)) - 1)
    return sorted(found)


def _ratio(values: np.ndarray | None, whole: Any) -> list[float | None] | None:
    if values is None or (np.ndim(whole) == 0 and not whole > 0):
        return None
    return short(values / whole, DIGITS)


def _measured(tables: Tables, score: str, shares: np.ndarray) -> dict[str, Any] | None:
    """BACKTEST of the score that ranks, at these shares of the users → by what is caught: the share of it found with
    its interval, its lift, and, of 'users', the precision: how many of those called were such users.

    Between two shares of BACKTEST what is found grows evenly, as there.
    """
    curves, lines = table_of(tables, "backtest"), table_of(tables, "backtest_scores")
    found: dict[str, Any] = {}
    for what in CAUGHT:
        curve = curves[(curves["score"] == score) & (curves["caught"] == what)].sort_values("share")
        about = first(lines[(lines["score"] == score) & (lines["caught"] == what)])
        if curve.empty or not about:
            continue
        at = {name: _at(curve, column, shares) for name, column in
              (("found", "found"), ("low", "found_low"), ("high", "found_high"))}  # fmt: skip
        found[what] = {name: None if one is None else short(one, DIGITS) for name, one in at.items()}
        found[what] |= {"lift": short(at["found"] / shares, DIGITS), "precision": None}
        if what == "users":
            such = at["found"] * about["at_risk"] / (shares * about["windows"])
            found[what]["precision"] = short(such, DIGITS)
        found |= {name: about[name] for name in ("anchors", "windows")}
    return found or None


def _at(curve: pd.DataFrame, column: str, shares: np.ndarray) -> np.ndarray | None:
    values = pd.to_numeric(curve[column]).to_numpy(np.float64)
    return None if np.isnan(values).any() else np.interp(shares, [0, *curve["share"]], [0, *values])


def capacity_figure(capacity: Mapping[str, Any], texts: Texts) -> go.Figure | None:
    """What share of all that is expected a list of each size holds, with what was measured of it as broken lines.

    The last trace, and the one shape, are the size chosen at the start: the page moves them.
    """
    if capacity["why"]:
        return None
    figure, sizes = go.Figure(), capacity["sizes"]
    start = sizes.index(capacity["start"])
    lines = {name: capacity[_share_of(name)] for name in HELD}
    for name, values in lines.items():
        if values:
            _line(figure, sizes, values, texts.plain(f"capacity.line_{name}"), HELD[name], "solid")
    for what, colour in (("value", GREEN), ("users", INK)):
        if capacity["measured"] and what in capacity["measured"]:
            name = texts.plain(f"capacity.measured_{what}")
            _line(figure, sizes, capacity["measured"][what]["found"], name, colour, "dot")
    figure.add_scatter(
        x=[sizes[start]] * sum(map(bool, lines.values())),
        y=[values[start] for values in lines.values() if values],
        mode="markers",
        marker={"size": 10, "color": [HELD[name] for name, values in lines.items() if values]},
        name=texts.plain("capacity.chosen"),
        hovertemplate="%{x:,}: %{y:.1%}<extra></extra>",
        showlegend=False,
    )
    figure.add_vline(x=sizes[start], line={"color": GREY, "width": 1.2, "dash": "dot"})
    figure.update_xaxes(title_text=texts.plain("capacity.called"), rangemode="tozero")
    figure.update_yaxes(title_text=texts.plain("capacity.share"), tickformat=".0%", range=[0, 1.02])
    return finish(figure, 400, legend=True).update_layout(margin_t=84, legend_entrywidth=200)


def _line(
    figure: go.Figure, sizes: Sequence[int], values: Sequence[float | None], name: str, colour: str, dash: str
) -> None:
    figure.add_scatter(
        x=[0, *sizes], y=[0, *short(values, 4)], mode="lines", name=name,
        line={"color": colour, "width": 2.4 if dash == "solid" else 1.8, "dash": dash},
        hovertemplate="%{x:,}: %{y:.1%}<extra>" + name + "</extra>",
    )  # fmt: skip
