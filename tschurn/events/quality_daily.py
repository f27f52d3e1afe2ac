"""DAILY → findings about users and events over time: masses who stop, events that are new or gone."""

from __future__ import annotations

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn.config import Log
from tschurn.events import rhythm
from tschurn.events.quality_finding import Finding, as_days, fetch, finding

STOP_SHARE, STOP_TIMES, STOP_USERS, STOP_WEEKS_LEFT = 0.2, 5.0, 20, 4
SETTLED_DAYS = 28  # since a user's first act: newcomers stop at a rate of their own, and hide a course's end
EVENT_SHARE, EVENT_SHARE_GRAVE, EVENT_FLOOR = 0.01, 0.1, 0.001
EVENT_DAYS, EVENT_GAP, EVENT_GAP_MEANS, EVENT_GAP_LONGEST = 3, 21, 10.0, 3.0


def mass_stops(acts: ir.Table, first: date, last: date) -> list[Finding]:
    """Weeks in which a large part of the settled users acts for the last time though the log goes on: a course ends.

    first, last: of the living log. value: the users who stop; share: of those who are active in these weeks.
    """
    own = acts.filter((acts.side == "own") & acts.day.between(first, last))
    lives = own.group_by("user_id").agg(first=own.day.min(), last=own.day.max())
    lives = lives.mutate(settled=lives.first + ibis.interval(days=SETTLED_DAYS))
    weekly = own.select("user_id", week=own.day.truncate("W")).distinct().inner_join(lives, "user_id")
    weekly = weekly.filter(weekly.week >= weekly.settled)
    weekly = weekly.group_by("week").agg(
        users=weekly.count(), stops=(weekly.week == weekly["last"].truncate("W")).sum()
    )
    weeks = fetch(weekly).sort_values("week", ignore_index=True)
    weeks["week"] = as_days(weeks["week"])
    share = (weeks["stops"] / weeks["users"]).to_numpy()
    whole = (weeks["week"] <= np.datetime64(last, "D") - 7 * STOP_WEEKS_LEFT - 6).to_numpy()  # later ones may return
    if whole.sum() < STOP_WEEKS_LEFT:
        return []
    many = whole & (share >= max(STOP_SHARE, STOP_TIMES * float(np.median(share[whole]))))
    many &= (weeks["stops"] >= STOP_USERS).to_numpy()
    found = []
    for start, end in rhythm.runs(many):
        run = weeks.iloc[start : end + 1]
        stopped = int(run["stops"].sum())
        active = stopped - int(run["stops"].iloc[-1]) + int(run["users"].iloc[-1])  # who stopped before is not in it
        begin, close = (run["week"].iloc[i].date() for i in (0, -1))
        close = min(close + timedelta(days=6), last)
        found.append(finding("mass_stop", "warning", first=begin, last=close, share=stopped / active, value=stopped))
    return found


def absent(daily: ir.Table, log: Log) -> list[Finding]:
    """DAILY → the events that [log] names and nobody does: a slip of the pen makes a feature that is always 0."""
    pairs = daily.select("side", "event_name").distinct().to_pyarrow().to_pylist()
    there = {(row["side"], row["event_name"]) for row in pairs}
    keys = {"supporter_events": "received", "post_events": "own", "reply_events": "received"}
    return [
        finding("absent_event", "warning", subject=f"{event} ({key})")
        for key, side in keys.items()
        for event in getattr(log, key) or ()
        if (side, event) not in there
    ]


def event_types(acts: ir.Table, days: pd.DataFrame, first: date, last: date) -> list[Finding]:
    """Events that begin long after the log does, or end long before it, for how often they come.

    days: PLATFORM_DAYS; first, last: of the living log. share: of the rows while the event lived;
    first_day and last_day: its life.
    """
    total = int(days["rows"].sum())
    common = acts.group_by("event_name").agg(rows=acts.n.sum())
    common = common.filter(common.rows >= max(1, int(EVENT_FLOOR * total)))
    daily = acts.semi_join(common, "event_name")
    daily = fetch(daily.group_by("event_name", "day").agg(rows=daily.n.sum()))
    daily["day"] = as_days(daily["day"])
    daily = daily[(daily["day"] >= np.datetime64(first, "D")) & (daily["day"] <= np.datetime64(last, "D"))]
    daily = daily.sort_values(["event_name", "day"], ignore_index=True)
    lives = daily.assign(gap=daily.groupby("event_name")["day"].diff().dt.days.fillna(0)).groupby("event_name")
    lives = lives.agg(first=("day", "min"), last=("day", "max"), days=("day", "size"), rows=("rows", "sum"),
                      longest=("gap", "max")).reset_index()  # fmt: skip
    platform = np.concatenate([[0], np.cumsum(days["rows"].to_numpy())])
    origin = np.datetime64(days["day"].iloc[0], "D")
    begin, end = ((as_days(lives[side]) - origin).astype(int) for side in ("first", "last"))
    lives["share"] = lives["rows"] / (platform[end + 1] - platform[begin])
    mean = (end - begin + 1) / lives["days"]
    patience = np.maximum(EVENT_GAP, np.maximum(EVENT_GAP_MEANS * mean, EVENT_GAP_LONGEST * lives["longest"]))
    common_enough = (lives["share"] >= EVENT_SHARE) & (lives["days"] >= EVENT_DAYS)
    before = begin - (np.datetime64(first, "D") - origin).astype(int)
    after = (np.datetime64(last, "D") - origin).astype(int) - end
    found = []
    for check, gap in (("new_event", before), ("vanished_event", after)):
        chosen = lives[common_enough & (gap > patience)].sort_values(["share", "event_name"], ascending=[False, True])
        for one in chosen.itertuples():
            found.append(
                finding(check, "warning" if one.share >= EVENT_SHARE_GRAVE else "note", subject=one.event_name,
                         first=one.first.date(), last=one.last.date(), rows=one.rows, share=one.share)
            )  # fmt: skip
    return found
