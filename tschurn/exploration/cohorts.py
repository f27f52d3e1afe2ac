"""USER_DAYS → COHORTS: of those who first came in the same weeks, how many are there so many weeks later.

Classic retention asks who is active in a period, rolling retention who is active in it or later (a user who skips a
period has not gone). Intervals: Wilson (1927), "Probable Inference", JASA 22.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from tschurn.contracts import COHORT_WEEKS, COHORTS, MIXED_DAYS, MOST_PERIODS

WEEK = 7


def cohorts(user_days: pd.DataFrame, first_day: date, last_day: date) -> pd.DataFrame:
    """USER_DAYS, the first and last day of the log → COHORTS; empty without a whole week or an own-active day in one.

    Periods are the shortest of COHORT_WEEKS of which the log holds no more than MOST_PERIODS.
    """
    from statsmodels.stats.proportion import proportion_confint

    start = np.datetime64(first_day, "D")
    length = int((np.datetime64(last_day, "D") - start).astype(int)) + 1
    days = next((w * WEEK for w in COHORT_WEEKS if length // (w * WEEK) <= MOST_PERIODS), COHORT_WEEKS[-1] * WEEK)
    periods = length // days
    acts = user_days[user_days["active"]]
    user, users = pd.factorize(acts["user_id"])
    period = (acts["day"].to_numpy().astype("datetime64[D]") - start).astype(np.int64) // days
    user, period = user[period < periods], period[period < periods]
    if not len(user):
        return _empty()
    first, last = np.full(len(users), periods), np.full(len(users), -1)
    np.minimum.at(first, user, period)
    np.maximum.at(last, user, period)
    seen = last >= 0
    once = np.unique(user * periods + period)  # a user counts once in a period
    active = _counts(first[once // periods], once % periods, periods)
    # who is last seen at an age was still there at every age before
    still = _counts(first[seen], last[seen], periods)[:, ::-1].cumsum(axis=1)[:, ::-1]
    cohort, age = np.nonzero((np.add.outer(np.arange(periods), np.arange(periods)) < periods) & (still[:, :1] > 0))
    size = still[cohort, 0]
    found = {"classic": active[cohort, age], "rolling": still[cohort, age]}
    shares = {}
    for name, n in found.items():
        low, high = proportion_confint(n, size, method="wilson")
        shares |= {name: n / size, f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(
        {
            "cohort": (start + cohort * days).astype("datetime64[s]"), "period_days": days, "age": age,
            "mixed": cohort * days < MIXED_DAYS, "users": size, "active": found["classic"], "still": found["rolling"],
            **shares,
        },
    )[list(COHORTS.columns)]  # fmt: skip


def _counts(cohort: np.ndarray, period: np.ndarray, periods: int) -> np.ndarray:
    """Cohorts and periods [n] → how many by cohort and age [periods × periods]."""
    return np.bincount(cohort * periods + period - cohort, minlength=periods**2).reshape(periods, periods)


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="float64") for name in COHORTS.columns}).astype(
        {"cohort": "datetime64[s]", "mixed": "bool"}
    )
