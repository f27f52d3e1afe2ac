"""Event log → STEPS: cases (sessions or lives in day states), step by step, each with what came before and after it.

All of it is one expression over all users: a step costs a row in the engine, nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from tschurn.exploration import lifecycle
from tschurn.exploration.followed_by import Blocks, followed_by

if TYPE_CHECKING:
    from datetime import date

    import ibis.expr.types as ir

    from tschurn.config import Targets

SESSION_GAP_MINUTES = 30
SHARED_LIMIT = 0.5  # above this share, the steps inside a session have no order to speak of
DAY_SECONDS = 86_400


@ibis.udf.scalar.builtin(name="md5")
def md5(text: str) -> str: ...


@dataclass(frozen=True)
class Cases:
    """What a case is and the table of its steps, an expression that is best cached before it is used more than once.

    steps: user_id, case (0, 1, … of the user), position in the case (0, 1, …), step (a name), previous and next (the
    steps before and after it in the case, null where there is none), gap (whole seconds since the beginning of
    previous), block (null: in none) and churned (what followed that block; null: no group). kind, reason,
    shared_share: as in PROCESS_SUMMARY.
    """

    steps: ibis.Table
    kind: str
    reason: str
    shared_share: float


def find_cases(event_log: ibis.Table, only_days: bool, last_day: date, targets: Targets, blocks: Blocks) -> Cases:
    """EVENT_LOG → sessions, or day states where the log's times do not order what happens in a session."""
    instants = session_instants(event_log)
    shared = instants.rows.sum(where=instants.rows > 1)
    totals = instants.agg(rows=instants.rows.sum(), shared=shared).to_pyarrow().to_pylist()[0]
    shared_share = int(totals["shared"] or 0) / int(totals["rows"] or 1)
    groups = followed_by(event_log, blocks, targets.churn)
    if not only_days and shared_share <= SHARED_LIMIT:
        return Cases(_grouped(sessions(instants), blocks, groups), "session", "sessions_ok", shared_share)
    steps = lives(lifecycle.day_states(lifecycle.user_days(event_log, targets), last_day))
    reason = "only_days" if only_days else "shared_timestamps"
    return Cases(_grouped(steps, blocks, groups), "day_states", reason, shared_share)


def session_instants(event_log: ibis.Table) -> ibis.Table:
    """EVENT_LOG → user_id, event_time, day, rows, step: what a user did at one instant, as one step of a session.

    rows: own events at that instant; step: the most frequent name among them, ties by name.
    """
    own = event_log.filter(lifecycle.is_own(event_log))
    named = own.group_by("user_id", "event_time", "day", "event_name").agg(n=own.count())
    instant = ibis.window(group_by=["user_id", "event_time"])
    first = ibis.window(group_by=["user_id", "event_time"], order_by=[named.n.desc(), named.event_name])
    ranked = named.mutate(rank=ibis.row_number().over(first), rows=named.n.sum().over(instant).cast("int64"))
    return ranked.filter(ranked.rank == 0).select("user_id", "event_time", "day", "rows", step="event_name")


def sessions(instants: ibis.Table) -> ibis.Table:
    """The table of `session_instants` → steps of sessions, without groups; after a gap of more than 30 minutes a new
    one."""
    life = ibis.window(group_by="user_id", order_by="event_time")
    before = instants.event_time.lag().over(life)
    starts = before.isnull() | (instants.event_time > before + ibis.interval(minutes=SESSION_GAP_MINUTES))
    marked = instants.mutate(starts=starts.ifelse(1, 0))
    until_now = ibis.window(group_by="user_id", order_by="event_time", preceding=None, following=0)
    steps = marked.select(
        "user_id",
        "step",
        case=marked.starts.sum().over(until_now).cast("int64") - 1,
        seconds=_seconds(marked.event_time),
        day=lifecycle.day_number(marked.day),
        order="event_time",
    )
    days = ibis.window(group_by=["user_id", "case"])
    return _linked(steps.mutate(day=steps.day.min().over(days)))


def lives(states: ibis.Table) -> ibis.Table:
    """The table of `day_states` → steps of lives, without groups."""
    steps = states.select("user_id", step="state", case=ibis.literal(0, "int64"), seconds=states.day * DAY_SECONDS,
                          day="day", order="day")  # fmt: skip
    return _linked(steps)


def user_sample(table: ibis.Table, share: float) -> ibis.Table:
    """The rows of a share of the users, chosen by the MD5 of their id: no engine's own hash, no seed."""
    if share >= 1:
        return table
    digits = 6
    limit = format(int(share * 16**digits), f"0{digits}x")
    return table.filter(md5(table.user_id.cast("string")).substr(0, digits) < limit)


def _seconds(time: ir.TimestampValue) -> ir.IntegerValue:
    """An instant → whole seconds since 1970 (engines give fractions, and would round them)."""
    return time.epoch_seconds().cast("float64").floor().cast("int64")


def _linked(steps: ibis.Table) -> ibis.Table:
    """user_id, case, step, seconds, day, order → each step with its position, what is before and what after it."""
    case = ibis.window(group_by=["user_id", "case"], order_by="order")
    return steps.select(
        "user_id", "case", "step", "day",
        position=ibis.row_number().over(case).cast("int64"),
        previous=steps.step.lag().over(case),
        next=steps.step.lead().over(case),
        gap=steps.seconds - steps.seconds.lag().over(case),
    )  # fmt: skip


def _grouped(steps: ibis.Table, blocks: Blocks, groups: ibis.Table) -> ibis.Table:
    """Steps with a day → the same with block and churned instead."""
    steps = steps.mutate(block=blocks.of(steps.day)).drop("day")
    if not blocks.count:
        return steps.mutate(churned=ibis.null("boolean"))
    known = groups.select("churned", user="user_id", of="block")
    return steps.left_join(known, (steps.user_id == known.user) & (steps.block == known.of)).drop("user", "of")
