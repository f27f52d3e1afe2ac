"""Event log → day states: what each day of a user's life was, equal days in a row taken as one step.

A life begins with the user's first own-active day and ends with the log. Own-active is a day with an
own event that counts as activity (`[targets.churn] events`; all own events by default).

    new        the first own-active day
    sticker    a later day with a sticker event of the configured side, own-active or not
    active     own-active, the last own-active day at most 7 days before
    returned   own-active, the last own-active day more than 7 days before
    quiet      not own-active, the last own-active day at most 7 days before
    dormant    not own-active, the last own-active day more than 7 days before
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from tschurn.config import ChurnTarget, StickerTarget, Targets

STATES = ("new", "active", "sticker", "returned", "quiet", "dormant")
QUIET_DAYS = 7  # days after the last own-active day in which silence is still usual
_EPOCH = date(1970, 1, 1)


def is_own(event_log: ibis.Table) -> ir.BooleanValue:
    """EVENT_LOG → whether a row is the user's own event."""
    return event_log.actor_id == event_log.user_id


def is_activity(event_log: ibis.Table, churn: ChurnTarget) -> ir.BooleanValue:
    """EVENT_LOG → whether a row is an own event that counts as activity."""
    own = is_own(event_log)
    return own if churn.events is None else own & event_log.event_name.isin(churn.events)


def is_sticker(event_log: ibis.Table, sticker: StickerTarget) -> ir.BooleanValue:
    """EVENT_LOG → whether a row is a sticker event of the configured side."""
    side = is_own(event_log) if sticker.side == "own" else ~is_own(event_log)
    return side & event_log.event_name.isin(sticker.events)


def user_days(event_log: ibis.Table, targets: Targets) -> ibis.Table:
    """EVENT_LOG → the days on which something counts: user_id, day, active and sticker (booleans).

    One row per user and day that is own-active or has a sticker event, still in the engine.
    """
    active = is_activity(event_log, targets.churn)
    sticker = is_sticker(event_log, targets.sticker) if targets.sticker else active & ~active
    rows = event_log.select("user_id", "day", active=active, sticker=sticker)
    rows = rows.filter(rows.active | rows.sticker)
    return rows.group_by("user_id", "day").agg(active=rows.active.max(), sticker=rows.sticker.max())


def day_states(days: ibis.Table, last_day: date) -> ibis.Table:
    """The table of `user_days` and the log's last day → user_id, day, state: the steps of all lives.

    day: days from 1970 to the first day of the step; state: one of STATES, never the same twice in a row of a user.
    Users who were never own-active have no life. Only days with events are visited, in the engine: what is silent
    between them follows from their distances.
    """
    numbered = days.mutate(day=day_number(days.day))
    by_day = {"group_by": "user_id", "order_by": "day"}
    own = numbered.day.max(where=numbered.active)
    seen = numbered.mutate(
        acted=own.over(ibis.window(**by_day, preceding=None, following=0)),
        acted_before=own.over(ibis.window(**by_day, preceding=(None, 1))),
        next_day=numbered.day.lead().over(ibis.window(**by_day)).coalesce(number_of(last_day) + 1),
    )
    lives = seen.filter(seen.acted.notnull())  # a sticker received before the first own act belongs to no life
    state = ibis.cases(
        (lives.active & lives.acted_before.isnull(), "new"),
        (lives.sticker, "sticker"),
        (lives.day - lives.acted_before <= QUIET_DAYS, "active"),
        else_="returned",
    )
    quiet_from, dormant_from = lives.day + 1, ibis.greatest(lives.day + 1, lives.acted + QUIET_DAYS + 1)
    quiet = lives.filter(quiet_from < ibis.least(lives.next_day, dormant_from))
    dormant = lives.filter(dormant_from < lives.next_day)
    steps = ibis.union(
        lives.select("user_id", "day", state=state),
        quiet.select("user_id", day=quiet_from, state=ibis.literal("quiet")),
        dormant.select("user_id", day=dormant_from, state=ibis.literal("dormant")),
    )
    steps = steps.mutate(previous=steps.state.lag().over(ibis.window(**by_day)))
    return steps.filter(steps.previous.isnull() | (steps.previous != steps.state)).drop("previous")


def day_number(day: ir.DateValue) -> ir.IntegerValue:
    """A day → days since 1970."""
    return day.delta(ibis.date(_EPOCH), unit="day").cast("int64")


def number_of(day: date) -> int:
    """A day → days since 1970."""
    return (day - _EPOCH).days
