"""EVENT_LOG, DAILY and what was counted on the way → QUALITY: what is wrong with the log, before it is used.

Only aggregates reach Python. This module judges the days and the counts; quality_daily what happens to
users and events over time, quality_rows what only the rows themselves tell.

A finding is a row of figures. Its words are in report/texts: each check of quality_finding.CHECKS has a
title, a sentence made from the columns, what it means for churn, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn.config import Log
from tschurn.contracts import PLATFORM_DAYS, Progress
from tschurn.events import quality_daily, quality_rows, rhythm
from tschurn.events.quality_finding import Finding, as_days, fetch, finding, table

SHORT_LOG = 42  # days that a split by time takes with windows of 7 + 7
MISSING_GRAVE = 0.01
FILTER_SHARE, FILTER_GRAVE = 0.05, 0.5


@dataclass(frozen=True)
class Checks:
    """Counts made while the raw log was parsed.

    null_*: rows whose cell is empty; null_actor and null_value only where the log has such a column.
    naive_rows: times without a zone that are no mere dates. unreadable_*: refused, not counted as null.
    """

    rows_read: int
    null_user: int
    null_actor: int
    null_time: int
    null_event: int
    null_value: int
    naive_rows: int
    date_only_rows: int
    unreadable_times: int
    unreadable_values: int


def platform_days(acts: ir.Table, first_day: date, last_day: date) -> pd.DataFrame:
    """DAILY → PLATFORM_DAYS, every day from the first to the last."""
    own = acts.side == "own"
    counted = fetch(
        acts.group_by("day").agg(
            rows=acts.n.sum(), own_rows=acts.n.sum(where=own), active_users=acts.user_id.nunique(where=own)
        )
    )
    calendar = np.arange(first_day, last_day + timedelta(days=1), dtype="datetime64[D]")
    frame = counted.assign(day=as_days(counted["day"])).set_index("day").reindex(calendar)
    frame = frame.fillna(0).astype("int64").reset_index(drop=True)
    frame.insert(0, "day", calendar.astype(object))
    frame["expected"], kinds = _judged(frame)
    flags = np.where(frame["rows"] == 0, "silent", "low").astype(object)
    frame["flag"] = pd.Series(np.where(kinds == "", None, flags), dtype=object)
    return frame[list(PLATFORM_DAYS.columns)]


def findings(
    event_log: ir.Table,
    acts: ir.Table,
    days: pd.DataFrame,
    checks: Checks,
    filters: pd.DataFrame,
    log: Log,
    now: datetime,
    progress: Progress,
) -> pd.DataFrame:
    """The log and what was counted of it → QUALITY.

    days: PLATFORM_DAYS of it. filters: FILTERS. now: an instant with a zone; nothing can have happened later.
    """
    latest = _latest(log, now)
    past = days[days["day"] <= latest]
    past = past if past["rows"].sum() else days  # a clock that is wrong throughout is told once
    kinds = _judged(past)[1]
    living = _living(past, kinds)
    hours = quality_rows.by_hour(event_log, days)
    dated = _dates_only(checks) or quality_rows.at_midnights(hours)
    parts: list[Callable[[], list[Finding]]] = [
        lambda: _span(days, checks) + _cells(checks) + _zones(checks, log) + _filtered(filters, checks),
        lambda: _outages(past, kinds) + _strays(days, past, latest),
        lambda: quality_daily.mass_stops(acts, *living),
        lambda: quality_daily.absent(acts, log),
        lambda: quality_daily.event_types(acts, days, *living),
        lambda: quality_rows.clock(event_log, days, hours, dated),
        lambda: quality_rows.repeats(event_log, days, dated),
        lambda: quality_rows.bots(event_log, days, dated),
    ]
    found: list[Finding] = []
    for place, part in enumerate(parts):
        progress("log", place, len(parts), "quality")
        found += part()
    progress("log", len(parts), len(parts), "quality")
    return table(found)


# --- what was counted while the log was parsed ----------------------------------------------------
def _span(days: pd.DataFrame, checks: Checks) -> list[Finding]:
    about = {"first": days["day"].iloc[0], "last": days["day"].iloc[-1], "value": len(days)}
    found = [finding("span", "info", rows=checks.rows_read, **about)]
    if len(days) < SHORT_LOG:
        found.append(finding("short_log", "warning", **about))
    return found


def _cells(checks: Checks) -> list[Finding]:
    """Cells that are empty or cannot be read."""
    names = [f"null_{role}" for role in ("user", "actor", "time", "event", "value")]
    found = []
    for name in (*names, "unreadable_times", "unreadable_values"):
        rows = getattr(checks, name)
        share = rows / checks.rows_read
        grave = share > MISSING_GRAVE and name != "null_value"  # a row without a value is still an event
        if rows:
            found.append(finding(name, "warning" if grave else "note", rows=rows, share=share))
    return found


def _zones(checks: Checks, log: Log) -> list[Finding]:
    """Times without a zone (the subject is the zone that was assumed), alone or beside times with one."""
    found = []
    read = checks.rows_read - checks.null_time - checks.unreadable_times
    dated = checks.date_only_rows
    if checks.naive_rows:
        mixed = checks.naive_rows + dated < read
        assumed = log.timezone if log.naive_time == "local" else "UTC"
        share = checks.naive_rows / checks.rows_read
        check, severity = ("mixed_zones", "warning") if mixed else ("naive_times", "note")
        found.append(finding(check, severity, subject=assumed, rows=checks.naive_rows, share=share))
    if 0 < dated < read:
        found.append(finding("mixed_dates", "note", rows=dated, share=dated / checks.rows_read))
    return found


def _filtered(filters: pd.DataFrame, checks: Checks) -> list[Finding]:
    """One finding for each filter; its value: the users removed."""
    found = []
    for row in filters.itertuples():
        share = row.rows_removed / checks.rows_read
        severity = "warning" if share > FILTER_GRAVE else "note" if share > FILTER_SHARE else "info"
        found.append(
            finding("filter", severity, subject=row.filter, rows=row.rows_removed, share=share,
                     value=row.users_removed)
        )  # fmt: skip
    return sorted(found, key=lambda f: -f["share"])


# --- days -----------------------------------------------------------------------------------------
def _judged(days: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """PLATFORM_DAYS → the rows expected; why a day is flagged: 'rows', 'own' (only own events fail), 'end' or ''."""
    first, last = rhythm.core(days["rows"].to_numpy())
    inside = slice(first, last + 1)
    level, kinds = np.zeros(len(days)), np.full(len(days), "", dtype="<U4")
    rows, own = days["rows"].to_numpy()[inside], days["own_rows"].to_numpy()[inside]
    level[inside], low = rhythm.far_below(rows)
    kinds[inside] = np.where(low, "rows", np.where(rhythm.far_below(own)[1], "own", ""))
    over = rhythm.collapse(days["active_users"].to_numpy()[inside])
    if over is not None:
        after = first + over
        weekday = np.arange(after, last + 1) % 7
        month = np.arange(max(first, after - 28), after)
        usual = np.array([np.median(days["rows"].to_numpy()[month[month % 7 == d]]) for d in range(7)])
        level[after : last + 1] = usual[weekday]
        kinds[after : last + 1] = "end"
    return level, kinds


def _outages(days: pd.DataFrame, kinds: np.ndarray) -> list[Finding]:
    """Unbroken runs of flagged days, the worst first; rows: those seen; value: their share of those to be expected."""
    rows, own, day = (days[column].to_numpy() for column in ("rows", "own_rows", "day"))
    own_level = rhythm.far_below(own)[0]
    nothing = (rows == 0) & (days["expected"].to_numpy() == 0)  # a free week-end does not part two silent weeks
    last_day = rhythm.core(rows)[1]
    found = []
    for kind, counted, level in (("rows", rows, days["expected"].to_numpy()), ("own", own, own_level),
                                 ("end", rows, days["expected"].to_numpy())):  # fmt: skip
        mine = kinds == kind
        for start, end in rhythm.runs(mine | nothing):
            inside = start + np.flatnonzero(mine[start : end + 1])
            if not len(inside):
                continue
            first, last = int(inside[0]), int(inside[-1])
            seen, usual = (part[first : last + 1].sum() for part in (counted, level))
            check = {"end": "platform_end", "own": "own_silent_days"}.get(kind)
            check = check or ("incomplete_end" if last == last_day else "low_days" if seen else "silent_days")
            value = float(seen / usual) if usual else None
            one = finding(check, "warning", first=day[first], last=day[last], rows=seen, value=value)
            found.append((float(seen - usual), one))
    return [one for _, one in sorted(found, key=lambda f: (f[0], f[1]["first_day"]))]


def _strays(days: pd.DataFrame, past: pd.DataFrame, latest: date) -> list[Finding]:
    """Rows in the future, and rows far before or after all others.

    past: the days to judge. latest: the last that can have happened. implausible_start ends, and
    implausible_end begins, with the day on which the log proper begins or ends.
    """
    day, rows = past["day"].to_numpy(), past["rows"].to_numpy()
    first, last = rhythm.core(rows)
    ahead = days[(days["day"] > latest) & (days["rows"] > 0)]
    parts = [
        ("future", ahead["rows"].sum(), *(ahead["day"].iloc[[0, -1]] if len(ahead) else (None, None))),
        ("implausible_start", rows[:first].sum(), day[0], day[first]),
        ("implausible_end", rows[last + 1 :].sum(), day[last], day[rows > 0][-1]),
    ]
    return [
        finding(check, "warning", first=since, last=until, rows=n, share=float(n / days["rows"].sum()))
        for check, n, since, until in parts
        if n
    ]


def _living(days: pd.DataFrame, kinds: np.ndarray) -> tuple[date, date]:
    """First and last day of the log proper, before the platform's end if it has one."""
    first, last = rhythm.core(days["rows"].to_numpy())
    over = np.flatnonzero(kinds == "end")
    return days["day"].iloc[first], days["day"].iloc[int(over[0]) - 1 if len(over) else last]


def _latest(log: Log, now: datetime) -> date:
    """The last day that can have happened: a day of grace for clocks and zones."""
    return (now + timedelta(days=1)).astimezone(log.zone).date()


def _dates_only(checks: Checks) -> bool:
    return checks.date_only_rows >= checks.rows_read - checks.null_time - checks.unreadable_times
