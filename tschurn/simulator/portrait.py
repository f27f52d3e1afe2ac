"""event log and its truth → WEEKLY_RHYTHM, USER_ACTIVITY, ENGAGEMENT_PATHS: what a simulated log looks like.

The log is grouped in the engine; only a few rows per quarter of an hour and one per user come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

from tschurn.contracts import ENGAGEMENT_PATHS

if TYPE_CHECKING:
    import ibis.expr.types as ir

PATHS = 10
LEAST_ACTIVE_DAYS = 3
_SIDES = ("own", "received")


def portrait(event_log: ir.Table, timezone: str, truth: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """EVENT_LOG, the experiment's time zone and TRUTH → "weekly_rhythm", "user_activity", "engagement_paths"."""
    activity = _user_activity(event_log)
    return {
        "weekly_rhythm": _weekly_rhythm(event_log, timezone),
        "user_activity": activity,
        "engagement_paths": _engagement_paths(event_log, activity, truth),
    }


def _weekly_rhythm(event_log: ir.Table, timezone: str) -> pd.DataFrame:
    """→ WEEKLY_RHYTHM, all 7 × 24 × 2 rows, those of empty hours with 0.

    The engine counts rows by quarter of an hour, of which none lies in two hours of any zone; the few
    quarters are then told in local time. So the engine need not know zones.
    """
    quarters = event_log.select(
        hour=event_log.event_time.truncate("h"),
        quarter=event_log.event_time.minute() // 15,
        side=ibis.ifelse(event_log.user_id == event_log.actor_id, *_SIDES),
    )
    counted = quarters.group_by("hour", "quarter", "side").agg(rows=quarters.count()).execute()
    begins = pd.to_datetime(counted["hour"], utc=True) + pd.to_timedelta(counted["quarter"] * 15, unit="min")
    local = begins.dt.tz_convert(timezone).dt
    table = counted.groupby([local.day_of_week.rename("weekday"), local.hour.rename("hour"), "side"])["rows"].sum()
    every = pd.MultiIndex.from_product([range(7), range(24), _SIDES], names=["weekday", "hour", "side"])
    return table.reindex(every, fill_value=0).reset_index().astype({"weekday": "int32", "hour": "int32"})


def _user_activity(event_log: ir.Table) -> pd.DataFrame:
    """→ USER_ACTIVITY, by user_id."""
    own = event_log.user_id == event_log.actor_id
    return (
        event_log.group_by("user_id")
        .agg(own_rows=own.sum(), received_rows=(~own).sum(), active_days=event_log.day.nunique(where=own))
        .order_by("user_id")
        .execute()
    )


def _engagement_paths(event_log: ir.Table, activity: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """→ ENGAGEMENT_PATHS of the chosen creators, by user_id and day."""
    chosen = _choose(activity, truth)
    paths = truth.loc[truth["user_id"].isin(chosen), ["user_id", "day", "engagement", "cause"]]
    acts = event_log.filter(event_log.user_id == event_log.actor_id, event_log.user_id.isin(chosen))
    days = acts.select("user_id", "day").distinct().execute()
    acted = pd.MultiIndex.from_arrays([days["user_id"], pd.to_datetime(days["day"])])
    here = pd.MultiIndex.from_arrays([paths["user_id"], pd.to_datetime(paths["day"])])
    paths = paths.assign(active=here.isin(acted))[list(ENGAGEMENT_PATHS.columns)]
    return paths.sort_values(["user_id", "day"], ignore_index=True)


def _choose(activity: pd.DataFrame, truth: pd.DataFrame) -> list:
    """USER_ACTIVITY and TRUTH → the ids of up to ten creators, by rising number of active days.

    The creators with enough active days, in that order, are cut into ten equal groups, and each group
    gives one: of all such choices one that shows the most different true causes, of these the one
    nearest to the middles of the groups.
    """
    creators = activity[(activity["active_days"] >= LEAST_ACTIVE_DAYS) & activity["user_id"].isin(truth["user_id"])]
    creators = creators.sort_values(["active_days", "user_id"])["user_id"].to_list()
    causes = truth.dropna(subset="cause").groupby("user_id")["cause"].agg(frozenset)
    # the best choice so far for each set of causes that can be shown: distance from the middles, ids
    best: dict[frozenset, tuple[int, list]] = {frozenset(): (0, [])}
    for group in np.array_split(np.arange(len(creators)), min(PATHS, len(creators)) or 1):
        candidates: dict[frozenset, tuple[int, object]] = {}
        for place, i in enumerate(group):
            shown, distance = causes.get(creators[i], frozenset()), abs(2 * place - len(group) + 1)
            if shown not in candidates or distance < candidates[shown][0]:
                candidates[shown] = distance, creators[i]
        longer: dict[frozenset, tuple[int, list]] = {}
        for before, (distance, ids) in best.items():
            for shown, (more, user) in candidates.items():
                both = before | shown
                if both not in longer or distance + more < longer[both][0]:
                    longer[both] = distance + more, [*ids, user]
        best = longer or best
    return min(best.items(), key=lambda item: (-len(item[0]), item[1][0]))[1][1]
