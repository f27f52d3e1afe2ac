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

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from datetime import date

    import ibis
    import ibis.expr.types as ir

    from tschurn.config import ChurnTarget, StickerTarget, Targets

STATES = ("new", "active", "sticker", "returned", "quiet", "dormant")
NEW, ACTIVE, STICKER, RETURNED, QUIET, DORMANT = range(len(STATES))
QUIET_DAYS = 7  # days after the last own-active day in which silence is still usual


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


def day_states(days: pd.DataFrame, last_day: date) -> pd.DataFrame:
    """The rows of `user_days`, in any order, and the log's last day → columns case, day, state.

    case: 0 … lives - 1 by user_id; day: the first day of the step; state: one of STATES, never the
    same twice in a row. Users who were never own-active have no life. Only days with events are
    visited: what is silent between them follows from their distances.
    """
    days = days.sort_values(["user_id", "day"], ignore_index=True)
    user = pd.factorize(days["user_id"])[0]
    day = days["day"].to_numpy("datetime64[D]").astype(np.int64)
    active, sticker = days["active"].to_numpy(bool), days["sticker"].to_numpy(bool)
    user_start = np.searchsorted(user, user)  # row at which the user of each row begins
    acted = np.maximum.accumulate(np.where(active, np.arange(len(day)), -1))  # newest own-active row so far
    acted_before = np.append(-1, acted)[: len(acted)]

    is_new = active & (acted_before < user_start)
    usual = day - day[acted_before] <= QUIET_DAYS  # read only where there is an own-active day before
    state = np.select([is_new, sticker, usual], [NEW, STICKER, ACTIVE], RETURNED)
    end = np.datetime64(last_day, "D").astype(np.int64) + 1
    ends = np.append(user[1:] != user[:-1], True)[: len(user)]
    next_day = np.where(ends, end, np.roll(day, -1))
    quiet_from, dormant_from = day + 1, np.maximum(day + 1, day[acted] + QUIET_DAYS + 1)

    lives = acted >= user_start  # a sticker received before the first own act belongs to no life
    is_quiet = lives & (quiet_from < np.minimum(next_day, dormant_from))
    is_dormant = lives & (dormant_from < next_day)
    steps = pd.DataFrame(
        {
            "case": np.concatenate([user[lives], user[is_quiet], user[is_dormant]]),
            "day": np.concatenate([day[lives], quiet_from[is_quiet], dormant_from[is_dormant]]),
            "state": np.concatenate([state[lives], np.full(is_quiet.sum(), QUIET), np.full(is_dormant.sum(), DORMANT)]),
        }
    ).sort_values(["case", "day"], ignore_index=True)
    return _collapsed(steps)


def _collapsed(steps: pd.DataFrame) -> pd.DataFrame:
    """Steps by case and day, with codes → equal states in a row as one step, cases renumbered, names and dates."""
    same = (steps["case"].diff() == 0) & (steps["state"].diff() == 0)
    steps = steps[~same]
    return pd.DataFrame(
        {
            "case": pd.factorize(steps["case"])[0],
            "day": steps["day"].to_numpy().astype("datetime64[D]").astype("datetime64[s]"),
            "state": np.array(STATES, dtype=object)[steps["state"].to_numpy(np.int64)],
        }
    ).astype({"state": "str"})
