"""The users of the list one by one → what the page can search, sort and open: one compact block of data.

It is columnar, ids and sentences are in it once, and it holds as many users as fit into BUDGET: the best of the list,
and of each segment its best. Both languages share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tschurn.contracts import SEGMENTS
from tschurn.report.capacity import ranked
from tschurn.report.render import compact, packed
from tschurn.report.theme import BLUE, GREEN, GREY, LIGHT, ORANGE, RED, SKY, finish, short
from tschurn.report.values import Tables, plain, table_of
from tschurn.report.words import LANGUAGES

if TYPE_CHECKING:
    from tschurn.config import Experiment
    from tschurn.report.words import Texts

USERS_SHOWN = 1_000  # the page holds so many at most; all are in scores.csv
OF_SEGMENT = 0.1  # of these are the best of each segment, wherever they stand in the list
BUDGET = 680_000  # bytes of the block as it stands in the page: packed and in base64
DAYS_SHOWN, ANCHORS_SHOWN = 56, 16
TARGETS = ("churn", "sticker")
LEARNED_FROM = ("train", "validation", "calibration")
NUMBERS = (
    *(f"p_{target}{end}" for target in TARGETS for end in ("", "_low", "_high")),
    *("priority", "value_at_risk", "value_28"),
)
COLOURS = {"churn": RED, "sticker": GREEN}


def shown(priority: pd.DataFrame, most: int = USERS_SHOWN) -> list[Any]:
    """PRIORITY → ids of the users whom the page shows one by one, by rank: the best of each segment and of all."""
    ordered = priority.sort_values("rank", kind="stable")
    if len(ordered) <= most:
        return ordered["user_id"].tolist()
    of_segment = ordered.groupby("segment").cumcount() < int(OF_SEGMENT * most)
    first = np.flatnonzero(~of_segment)[: most - int(of_segment.sum())]
    chosen = of_segment.to_numpy(copy=True)
    chosen[first] = True
    return ordered["user_id"][chosen].tolist()


def users_data(tables: Tables, experiment: Experiment) -> dict[str, Any]:
    """Tables → the data block "users"; as many users as BUDGET holds, an empty one without any.

    Columns are lists in the order of `id`. call: the place among those who may be called. past: days from `first` on,
    acts and stickers per day; probabilities at past anchors (places of days in `anchors`), and for each whether the
    model had learned from it ('1') or not ('0'). reasons: per user feature, sentence (places in their lists) and
    contribution, one after another; null where nobody was explained.
    """
    people = ranked(tables)
    count = min(len(people), USERS_SHOWN)
    while True:
        data = _block(tables, people[people["user_id"].isin(shown(people, count))], experiment)
        size = len(packed(compact(data)))
        if size <= BUDGET or not count:
            return data | {"scored": len(people)}
        count = int(count * max(0.8, min(0.95, BUDGET / size)))


def _block(tables: Tables, people: pd.DataFrame, experiment: Experiment) -> dict[str, Any]:
    ids = people["user_id"]
    firm = table_of(tables, "firmness").set_index("user_id")["firm"]
    return {
        "first": int((people["rank"].to_numpy() == np.arange(1, len(people) + 1)).cumprod().sum()),
        "score": "value_at_risk" if experiment.segments.ranks_by != "priority" else "priority",
        "anchor": str(people["anchor_day"].iloc[0]) if len(people) else None,
        "id": ids.tolist(),
        "rank": people["rank"].tolist(),
        "segments": list(SEGMENTS),
        "segment": [SEGMENTS.index(code) for code in people["segment"]],
        **{name: short(people[name], 4) for name in NUMBERS},
        "recency": [None if pd.isna(days) else int(days) for days in people["recency"]],
        "call": [None if pd.isna(place) else int(place) for place in people["call"]],
        "holdout": people["holdout"].tolist(),
        "action": plain(people["action"]),
        "firm": plain(ids.map(firm)),
        "reasons": _reasons(tables, ids),
        "days": {t: found for t in TARGETS if (found := _days(tables, ids, t))},
        "unusual": _unusual(tables, ids),
        "past": _past(tables, people) if len(people) else None,
    }


def _places(ids: pd.Series) -> pd.Series:
    """Users → their places in the block, by id."""
    return pd.Series(np.arange(len(ids)), index=ids.to_numpy())


def _of(frame: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    """The rows of these users, with their `place` in the block."""
    some = frame[frame["user_id"].isin(ids)]
    return some.assign(place=some["user_id"].map(_places(ids)).astype("int64"))


def _reasons(tables: Tables, ids: pd.Series) -> dict[str, Any]:
    rows = _of(table_of(tables, "reasons"), ids).sort_values(["target", "place", "rank"], kind="stable")
    told = pd.MultiIndex.from_frame(rows[[f"sentence_{one}" for one in LANGUAGES]].astype(str))
    rows["sentence"], sentences = pd.factorize(told)
    rows["feature"], features = pd.factorize(rows["feature"].astype(str))
    labels = table_of(tables, "features").set_index("feature")
    found: dict[str, Any] = {
        "features": list(features),
        "labels": {one: [str(labels[f"label_{one}"].get(f, f)) for f in features] for one in LANGUAGES},
        "sentences": {one: [pair[i] for pair in sentences] for i, one in enumerate(LANGUAGES)},
    }
    for target, part in rows.groupby("target"):
        told = {"rows": [None] * len(ids), "reliable": [None] * len(ids)}
        for place, some in part.groupby("place"):
            columns = (some["feature"].tolist(), some["sentence"].tolist(), short(some["contribution"], 3))
            told["rows"][place] = [value for row in zip(*columns, strict=True) for value in row]
            told["reliable"][place] = bool(some["reliable"].all())
        found[target] = told
    return found


def _days(tables: Tables, ids: pd.Series, target: str) -> dict[str, Any] | None:
    """What each day of the observation, and what came before, adds to the probability; null where nobody was asked."""
    players = table_of(tables, "players", target)
    players = players[players["game"] == "days"]
    attribution = table_of(tables, "attribution", target)
    rows = _of(attribution[attribution["game"] == "days"], ids)
    if rows.empty or players.empty:
        return None
    wide = rows.pivot_table(index="place", columns="player", values="probability").reindex(columns=players["player"])
    found: list[Any] = [None] * len(ids)
    for place, values in zip(wide.index, wide.to_numpy(), strict=True):
        found[place] = short(values, 3)
    return {"labels": {one: players[f"label_{one}"].tolist() for one in LANGUAGES}, "rows": found}


def _unusual(tables: Tables, ids: pd.Series) -> list[list[Any] | None]:
    """Per user measure, direction, once in how many weeks, value of the week, and what was expected."""
    found: list[list[Any] | None] = [None] * len(ids)
    rows = _of(table_of(tables, "anomaly"), ids)
    numbers = zip(*(short(rows[name], 3) for name in ("times", "value", "expected")), strict=True)
    for place, measure, direction, some in zip(rows["place"], rows["measure"], rows["direction"], numbers, strict=True):
        found[place] = [measure, direction, *some]
    return found


def _span(tables: Tables, anchor: Any) -> tuple[Any, int]:
    """→ first of the days shown, and their number: up to the anchor, from the log's first day on at the earliest."""
    first, days = anchor - timedelta(days=DAYS_SHOWN - 1), table_of(tables, "platform_days")["day"]
    first = max(first, days.min()) if len(days) else first
    return first, (anchor - first).days + 1


def _offsets(days: pd.Series, first: Any) -> np.ndarray:
    return (pd.to_datetime(days) - pd.Timestamp(first)).dt.days.to_numpy(np.int64)


def _past(tables: Tables, people: pd.DataFrame) -> dict[str, Any]:
    ids, anchor = people["user_id"], people["anchor_day"].iloc[0]
    first, length = _span(tables, anchor)
    rows = _of(table_of(tables, "user_days"), ids)
    at = _offsets(rows["day"], first)
    inside = (at >= 0) & (at < length)
    rows, at = rows[inside], at[inside]
    found: dict[str, Any] = {"first": str(first), "length": length}
    for name in ("own", "received", "stickers"):
        grid = np.zeros((len(ids), length), np.int64)
        grid[rows["place"], at] = rows[name]
        found[name] = grid.tolist()
    return found | _scores(_of(table_of(tables, "predictions"), ids), len(ids), first, length)


def _scores(predictions: pd.DataFrame, users: int, first: Any, length: int) -> dict[str, Any]:
    """Probabilities at the anchors of the days shown, every second or third of them where they are many."""
    at = _offsets(predictions["anchor_day"], first)
    known = np.unique(at[(at >= 0) & (at < length)])
    anchors = known[::-1][:: -(-len(known) // ANCHORS_SHOWN) or 1][::-1]
    inside = np.isin(at, anchors)
    predictions, column = predictions[inside], np.searchsorted(anchors, at[inside])
    learned = np.zeros((users, len(anchors)), np.int64)
    learned[predictions["place"], column] = predictions["split"].isin(LEARNED_FROM)
    found: dict[str, Any] = {"anchors": anchors.tolist(), "learned": ["".join(map(str, row)) for row in learned]}
    for target in TARGETS:
        own = (predictions["target"] == target).to_numpy()
        if own.any():
            grid = np.full((users, len(anchors)), np.nan)
            grid[predictions["place"][own], column[own]] = predictions["p"][own]
            found[target] = [[None if np.isnan(p) else p for p in row] for row in grid.round(3).tolist()]
    return found


# --- the figure of one user -----------------------------------------------------------------------
def timeline_figure(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> go.Figure | None:
    """What the page fills with a user's days and probabilities; null where nobody was scored.

    Traces, by their `meta`: own, received, stickers (bars per day), and by target the probabilities at past anchors
    ("churn") and the newest one ("churn-now"), whose x are set too.
    """
    people = table_of(tables, "priority")
    if people.empty:
        return None
    setting, anchor = summary["setting"], people["anchor_day"].iloc[0]
    first, length = _span(tables, anchor)
    days = [str(first + timedelta(days=i)) for i in range(length)]
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.3, 0.3, 0.4])
    for name, row, colour in _bars(setting["sticker_side"]):
        figure.add_bar(
            x=days, y=[0] * length, row=row, col=1, name=texts.plain(f"users.{name}"), meta=name,
            marker={"color": colour, "line": {"width": 0}}, hovertemplate="%{x|%Y-%m-%d}: %{y:,}<extra></extra>",
        )  # fmt: skip
    for target in (t for t in TARGETS if summary["targets"][t]):
        _probabilities(figure, target, str(anchor), texts)
    half = timedelta(hours=12)
    for end, start, colour, name in (
        (str(anchor), anchor - timedelta(days=setting["observe_days"] - 1), SKY, "observed"),
        (str(anchor + timedelta(days=setting["outcome_days"])), anchor + timedelta(days=1), GREY, "coming"),
    ):
        figure.add_vrect(
            x0=str(pd.Timestamp(start) - half), x1=str(pd.Timestamp(end) + half), fillcolor=colour, opacity=0.16,
            line_width=0, layer="below", name=texts.plain(f"users.{name}"),
        )  # fmt: skip
    for row, name in ((1, "own"), (2, "received")):
        figure.update_yaxes(title_text=texts.plain(f"users.axis_{name}"), rangemode="tozero", nticks=3, row=row, col=1)
    figure.update_yaxes(title_text=texts.plain("users.axis_p"), tickformat=".0%", range=[-0.03, 1.03], row=3, col=1)
    last = str(anchor + timedelta(days=setting["outcome_days"] + 1))
    figure.update_xaxes(
        type="date", range=[str(pd.Timestamp(first) - half), last], tickformat="%m-%d", nticks=8, tickangle=0
    )
    return finish(figure, 400, legend=True).update_layout(barmode="overlay", margin_t=60, bargap=0.15)


def _bars(side: str | None) -> Sequence[tuple[str, int, str]]:
    """Name, panel and colour; stickers stand on the acts of their side, which they are part of."""
    bars = [("own", 1, BLUE), ("received", 2, SKY)]
    return bars if side is None else [*bars, ("stickers", 1 if side == "own" else 2, ORANGE)]


def _probabilities(figure: go.Figure, target: str, anchor: str, texts: Texts) -> None:
    colour, name = COLOURS[target], texts.plain(f"columns.p_{target}")
    figure.add_scatter(
        x=[], y=[], row=3, col=1, meta=target, name=name, mode="lines+markers", connectgaps=False,
        line={"color": colour, "width": 1.6}, marker={"size": 8, "symbol": [], "color": colour},
        hovertemplate="%{x|%Y-%m-%d}: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    bars = {"type": "data", "symmetric": False, "array": [0], "arrayminus": [0], "color": LIGHT, "thickness": 3}
    figure.add_scatter(
        x=[anchor], y=[None], row=3, col=1, meta=f"{target}-now", name=texts.plain("users.newest", p=name),
        mode="markers", marker={"size": 11, "symbol": "diamond", "color": colour}, error_y=bars,
        hovertemplate="%{x|%Y-%m-%d}: %{y:.1%}<extra></extra>",
    )  # fmt: skip
