"""USER_DAYS → CENSUS: on every day of the log, how many users are new, current, returned, at risk, dormant.

States of all users by day, of which each user has one; `lifecycle` tells a user's own days as steps of a process.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from tschurn.contracts import CENSUS, CURRENT_DAYS, DORMANT_DAYS


def census(user_days: pd.DataFrame, first_day: date, last_day: date) -> pd.DataFrame:
    """USER_DAYS, the first and last day of the log → CENSUS, a row for every day; empty without an own-active day.

    An act opens a recent time, then one at risk, then a dormant one, until the next act; each state is counted where
    it begins and where it ends, and added up over the days.
    """
    start = np.datetime64(first_day, "D")
    days = int((np.datetime64(last_day, "D") - start).astype(int)) + 1
    acts = user_days[user_days["active"]]
    user = pd.factorize(acts["user_id"])[0]
    day = (acts["day"].to_numpy().astype("datetime64[D]") - start).astype(np.int64)
    if not len(user):
        return _empty()
    order = np.lexsort((day, user))
    user, day = user[order], day[order]
    begins = np.append(True, user[1:] != user[:-1])  # each user's first act
    before = np.where(begins, day, np.roll(day, 1))
    until = np.where(np.roll(begins, -1), days, np.roll(day, -1))  # the next act, or the end of the log
    back = day - before > DORMANT_DAYS + 1  # dormant for a day at least
    cold, asleep = day + CURRENT_DAYS + 1, day + DORMANT_DAYS + 1

    joined, came_back = (_tally(day[which], days) for which in (begins, back))
    new, returned = (_counted(day[which], cold[which], days) for which in (begins, back))
    recent = _counted(day, np.minimum(cold, until), days)
    slept = asleep < until
    return pd.DataFrame(
        {
            "day": (start + np.arange(days)).astype("datetime64[s]"),
            "known": joined.cumsum(),
            "new": new,
            "current": recent - new - returned,
            "returned": returned,
            "at_risk": _counted(np.minimum(cold, until), np.minimum(asleep, until), days),
            "dormant": _counted(np.minimum(asleep, until), until, days),
            "joined": joined,
            "came_back": came_back,
            "fell_dormant": _tally(asleep[slept], days),
        }
    )


def _counted(first: np.ndarray, until: np.ndarray, days: int) -> np.ndarray:
    """Spells from a day to the day before another → how many cover each day [days]."""
    return (_tally(first, days) - _tally(until, days)).cumsum()


def _tally(day: np.ndarray, days: int) -> np.ndarray:
    """Days → how many on each day of the log [days]; what lies after the log is not counted."""
    return np.bincount(day[day < days], minlength=days)


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="int64") for name in CENSUS.columns}).astype({"day": "datetime64[s]"})
