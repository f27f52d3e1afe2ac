"""USER_DAYS → SURVIVAL: how long users stay from their first own-active day until they are gone.

Kaplan and Meier (1958), "Nonparametric Estimation from Incomplete Observations", JASA 53, as in statsmodels.
Only silence tells that somebody is gone, so whoever left in the log's last GONE_DAYS cannot be told from those who
stay. All are therefore followed to the day before these: whether a user acted after it, the log knows of everybody.
(Censoring each user at the last act instead would count those who have just left as staying.)
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from tschurn.contracts import GONE_DAYS, SURVIVAL

LEAST_AT_RISK = 20  # the curve ends where fewer users are left
_Z = 1.959963984540054  # two-sided 95 %


def survival(user_days: pd.DataFrame, last_day: date, gone_days: int = GONE_DAYS) -> pd.DataFrame:
    """USER_DAYS, the last day of the log → SURVIVAL; empty with fewer than 20 users to follow, without the halves
    where one has fewer."""
    acts = user_days[user_days["active"]]
    day = acts["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
    life = pd.Series(day).groupby(pd.factorize(acts["user_id"])[0]).agg(["min", "max"])
    followed_to = np.datetime64(last_day, "D").astype(np.int64) - gone_days
    life = life[life["min"] <= followed_to]
    first, last = life["min"].to_numpy(), life["max"].to_numpy()
    gone = last < followed_to
    days = np.where(gone, last, followed_to) - first
    middle = np.median(first) if len(first) else 0
    members = {"all": np.ones(len(first), dtype=bool), "early": first <= middle, "late": first > middle}
    shown = members if min(m.sum() for m in members.values()) >= LEAST_AT_RISK else {"all": members["all"]}
    parts = [_curve(days[m], gone[m], first[m]).assign(group=name) for name, m in shown.items()
             if m.sum() >= LEAST_AT_RISK]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(SURVIVAL.columns)] if parts else _empty()


def _curve(days: np.ndarray, gone: np.ndarray, first: np.ndarray) -> pd.DataFrame:
    """Days followed [users], whether gone after them, first days → rows of SURVIVAL but for the group."""
    from statsmodels.duration.survfunc import SurvfuncRight

    at_risk = len(days) - np.searchsorted(np.sort(days), np.arange(days.max() + 1))  # at the start of each day
    end = np.flatnonzero(at_risk >= LEAST_AT_RISK)[-1] + 1
    with np.errstate(divide="ignore", invalid="ignore"):  # where the last one leaves there is no error to know
        fit = SurvfuncRight(days, gone.astype(int))
    by_day = pd.DataFrame({"share": fit.surv_prob, "error": fit.surv_prob_se}, index=fit.surv_times)
    by_day = by_day.reindex(np.arange(end), method="ffill").fillna({"share": 1.0})
    share, error = by_day["share"].to_numpy(), by_day["error"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # nobody or everybody is left: no interval
        log = np.log(share)
        width = np.exp(_Z * error / (share * np.abs(log)))
        low, high = (np.where((share > 0) & (share < 1), share**power, np.nan) for power in (width, 1 / width))
    since = np.datetime64(0, "D") + np.array([first.min(), first.max()])
    return pd.DataFrame(
        {
            "first_from": since.astype("datetime64[s]")[0], "first_to": since.astype("datetime64[s]")[1],
            "users": len(days), "day": np.arange(end), "at_risk": at_risk[:end],
            "gone": np.bincount(days[gone], minlength=end)[:end], "share": share, "low": low, "high": high,
        }
    )  # fmt: skip


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="float64") for name in SURVIVAL.columns}).astype(
        {"group": "str", "first_from": "datetime64[s]", "first_to": "datetime64[s]"}
    )
