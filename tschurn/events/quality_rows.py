"""EVENT_LOG → findings that need its rows: the clock, rows that repeat others, actors who are no people.

EVENT_LOG is grouped three times, the two larger ones in blocks of days so that memory stays bounded.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn import blocks
from tschurn.events import rhythm
from tschurn.events.quality_finding import LISTED, Finding, as_days, fetch, finding

DATE_ONLY_SHARE, DATE_ONLY_ROWS = 0.99, 50
SHIFTED_SHARE = 0.01
INSTANT_SHARE, INSTANT_ROWS = 0.01, 100
REPEATED_SHARE, REPEATED_GRAVE = 0.001, 0.5
RATE_HOUR, RATE_DAY, RATE_TIMES = 1_800, 43_200, 20.0  # an act every two seconds, for an hour or a day
TIRELESS_HOURS, TIRELESS_DAYS = 23, 5
BOT_SHARE_GRAVE = 0.05


def by_hour(event_log: ir.Table, days: pd.DataFrame) -> np.ndarray:
    """EVENT_LOG, PLATFORM_DAYS → rows per day and hour [days × 24]."""
    counted = fetch(event_log.group_by("day", "hour").agg(rows=event_log.count()))
    place = (as_days(counted["day"]) - np.datetime64(days["day"].iloc[0], "D")).astype(int)
    hours = np.zeros((len(days), 24))
    np.add.at(hours, (place, counted["hour"].to_numpy(dtype=int)), counted["rows"].to_numpy())
    return hours


def at_midnights(hours: np.ndarray) -> bool:
    """Whether all rows of a log lie in one hour, the next one included: summer time moves midnights of another zone."""
    overall = hours.sum(axis=0)
    most = int(overall.argmax())
    beside = max(overall[most - 1], overall[(most + 1) % 24])
    total = overall.sum()
    return bool(total >= DATE_ONLY_ROWS and overall[most] + beside >= DATE_ONLY_SHARE * total)


def clock(event_log: ir.Table, days: pd.DataFrame, hours: np.ndarray, dated: bool) -> list[Finding]:
    """What the hours of the day tell. dated: the log has dates only."""
    if dated:
        late = hours[:, 12:].sum()  # a midnight that falls into the afternoon belongs to the day after
        share = float(late / hours.sum())
        if share > SHIFTED_SHARE and at_midnights(hours):
            return [finding("shifted_days", "warning", rows=late, share=share)]
        return [finding("only_days", "info")]
    first, last = rhythm.core(days["rows"].to_numpy())
    day = days["day"].to_numpy()
    jumps = rhythm.clock_jumps(hours[first : last + 1])
    found = [finding("clock_jump", "warning", first=day[first + at], value=moved) for at, moved in jumps]
    return found + _same_instant(event_log, hours, day)


def _same_instant(event_log: ir.Table, hours: np.ndarray, day: np.ndarray) -> list[Finding]:
    """Times that many rows share; only the hours that hold so many rows are looked into. value: the hour."""
    limit = max(INSTANT_ROWS, INSTANT_SHARE * hours.sum())
    cells = np.argwhere(hours > limit)
    cells = cells[np.argsort(-hours[tuple(cells.T)], kind="stable")][: 2 * LISTED]
    if not len(cells):
        return []
    inside = ibis.or_(*((event_log.day == day[d]) & (event_log.hour == int(h)) for d, h in cells))
    times = event_log.filter(inside)
    shared = times.group_by("day", "hour", "event_time").agg(rows=times.count())
    shared = fetch(shared.filter(shared.rows > limit).group_by("day", "hour").agg(rows=shared.rows.max()))
    shared = shared.sort_values(["rows", "day"], ascending=[False, True]).drop_duplicates("day")
    return [
        finding("same_instant", "note", first=as_days([one.day])[0].item(), last=as_days([one.day])[0].item(),
                 rows=one.rows, share=float(one.rows / hours.sum()), value=one.hour)
        for one in shared.itertuples()
    ]  # fmt: skip


def repeats(event_log: ir.Table, days: pd.DataFrame, dated: bool) -> list[Finding]:
    """Rows that repeat another in user, actor, time, event and value.

    dated: the log has dates only. subject: the event that has most of them; value: its share of them.
    """
    keys = ["user_id", "actor_id", "event_time", "event_name", "value"]
    parts = []
    for block in _blocks(event_log, days):
        block = block if dated else _at_shared_times(block)
        equal = block.group_by(keys).agg(n=block.count())
        equal = equal.filter(equal.n > 1)
        parts.append(fetch(equal.group_by("event_name").agg(rows=(equal.n - 1).sum())))
    repeats = pd.concat(parts).groupby("event_name")["rows"].sum().sort_index().sort_values(kind="stable")
    rows = int(repeats.sum())
    if not rows:
        return []
    share = rows / int(days["rows"].sum())
    severity = "warning" if share > REPEATED_GRAVE else "note" if share > REPEATED_SHARE else "info"
    most = {"subject": repeats.index[-1], "value": float(repeats.iloc[-1] / rows)}
    return [finding("repeated_rows", severity, rows=rows, share=share, **most)]


def _at_shared_times(block: ir.Table) -> ir.Table:
    """The rows whose actor has another at the same time: few, where times are fine, and quicker found than repeats."""
    times = block.group_by("actor_id", "event_time").agg(n=block.count())
    return block.semi_join(times.filter(times.n > 1), ["actor_id", "event_time"])


def bots(event_log: ir.Table, days: pd.DataFrame, dated: bool) -> list[Finding]:
    """Actors who act faster than a hand can, far beyond this log's other actors, or around the clock for days.

    impossible_rate: value is the most rows in an hour. tireless: value is the days with a row in nearly
    every hour. rows: of those days.
    """
    parts = _blocks(event_log, days)
    least = RATE_DAY if dated else TIRELESS_HOURS * (TIRELESS_DAYS if len(parts) == 1 else 1)
    counted = pd.concat([fetch(_pace(part, least)) for part in parts])
    usual = counted[~counted["odd"]].groupby("size")["days"].sum().sort_index()
    odd = counted[counted["odd"]].drop(columns=["odd", "size"]).groupby("subject", as_index=False)
    odd = odd.agg({"days": "sum", "rows": "sum", "top": "max", "peak": "max", "tireless": "sum", "first": "min",
                   "last": "max"})  # fmt: skip
    if odd.empty or len(odd) > max(2, days["active_users"].max() / 2):  # where most are like that, none is an exception
        return []
    limit = RATE_TIMES * float(usual.index[np.searchsorted(usual.cumsum(), 0.99 * usual.sum())]) if len(usual) else 0.0
    fast = (odd["peak"] >= (RATE_DAY if dated else RATE_HOUR)) & (odd["top"] > limit)  # dates put a day into an hour
    tireless = ~fast & (odd["tireless"] >= TIRELESS_DAYS)
    total = int(days["rows"].sum())
    found = []
    for check, chosen, figure in (("impossible_rate", fast, "peak"), ("tireless", tireless, "tireless")):
        for one in odd[chosen].sort_values(["rows", "subject"], ascending=[False, True]).itertuples():
            share = one.rows / total
            severity = "warning" if share >= BOT_SHARE_GRAVE else "note"
            found.append(
                finding(check, severity, subject=one.subject, first=as_days([one.first])[0].item(),
                         last=as_days([one.last])[0].item(), rows=one.rows, share=share,
                         value=float(getattr(one, figure)))
            )  # fmt: skip
    return found


def _pace(log: ir.Table, least: int) -> ir.Table:
    """EVENT_LOG → how many actor-days have how many rows; days that no hand could fill by their actor instead.

    least: rows under which an actor is not looked at; most have less, and none of them is a machine.
    """
    busy = log.group_by("actor_id").agg(n=log.count())
    log = log.semi_join(busy.filter(busy.n >= least), "actor_id")
    hourly = log.group_by("actor_id", "day", "hour").agg(n=log.count())
    daily = hourly.group_by("actor_id", "day").agg(n=hourly.n.sum(), hours=hourly.count(), peak=hourly.n.max())
    odd = (daily.peak >= RATE_HOUR) | (daily.hours >= TIRELESS_HOURS)
    daily = daily.mutate(
        odd=odd,
        subject=ibis.ifelse(odd, daily.actor_id.cast("string"), ibis.null("string")),
        size=ibis.ifelse(odd, ibis.literal(0, "int64"), daily.n.cast("int64")),
    )
    return daily.group_by("odd", "subject", "size").agg(
        days=daily.count(), rows=daily.n.sum(), top=daily.n.max(), peak=daily.peak.max(),
        tireless=(daily.hours >= TIRELESS_HOURS).sum(), first=daily.day.min(), last=daily.day.max(),
    )  # fmt: skip


def _blocks(event_log: ir.Table, days: pd.DataFrame) -> list[ir.Table]:
    """The log, cut between days where it is long."""
    cuts = blocks.cut(days["day"].tolist(), days["rows"].tolist())
    return [blocks.within(event_log, first, last) for first, last in cuts]
