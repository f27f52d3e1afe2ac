"""WINDOWS and NEXT_ACTS → RETURN_TIMES: how many of the churned come back, and when (is it churn or a holiday?).

Counted are silences, not windows: several windows of a user can lie in one silence and would count it more than
once, so the first churned one stands for it. The days until the next own act are right-censored by the end of the
log (Kaplan and Meier 1958). A user may have several silences; the intervals draw users, with all of theirs.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from tschurn.contracts import ALARM_DAYS, RETURN_TIMES

LEAST_AT_RISK = 20  # the curve ends where fewer silences are left
_REPLICATES = 200


def return_times(
    index: pd.DataFrame, next_acts: pd.DataFrame, last_day: date, outcome_days: int, seed: int
) -> pd.DataFrame:
    """WINDOWS, NEXT_ACTS in its order, the last day of the log → RETURN_TIMES, empty where too few churned.

    The curve begins at `outcome_days`, when all are silent by definition: with S the probability of silence until
    a day, share is 1 − S. false_alarms: 1 − S(day + ALARM_DAYS) / S(day), who would be back within ALARM_DAYS days
    if churn were called after `day` days instead; null where the curve ends before that.
    """
    silences = _silences(index, next_acts, last_day, outcome_days)
    user, users = pd.factorize(silences["user_id"])
    if len(silences) < LEAST_AT_RISK:
        return pd.DataFrame(columns=list(RETURN_TIMES.columns))
    spells = user, silences["days"].to_numpy(np.int64), silences["returned"].to_numpy(bool)
    at_risk, alive = (found[0] for found in _kaplan_meier(np.ones((1, len(users))), *spells))
    days = np.arange(outcome_days, np.flatnonzero(at_risk >= LEAST_AT_RISK)[-1] + 1)
    random = np.random.default_rng([seed, 10])
    draws = random.multinomial(len(users), np.full(len(users), 1 / len(users)), size=_REPLICATES).astype(float)
    low, high = np.percentile(1 - _kaplan_meier(draws, *spells)[1][:, days], [2.5, 97.5], axis=0)
    later = np.append(alive[: days[-1] + 1], np.full(ALARM_DAYS, np.nan))[days + ALARM_DAYS]
    with np.errstate(invalid="ignore", divide="ignore"):  # nobody left: nobody to call
        false_alarms = 1 - later / alive[days]
    return pd.DataFrame({"day": days, "at_risk": at_risk[days], "share": 1 - alive[days], "low": low, "high": high,
                         "false_alarms": false_alarms})  # fmt: skip


def _silences(index: pd.DataFrame, next_acts: pd.DataFrame, last_day: date, outcome_days: int) -> pd.DataFrame:
    """→ user_id, days from the anchor of a silence's first churned window to the next own act or, if not
    `returned`, to the end of the log."""
    churned = (index["churned"] == 1).fillna(False).to_numpy(bool) & (index["split"] != "excluded").to_numpy()
    found = next_acts[churned].sort_values(["user_id", "anchor_day"], kind="stable")
    anchor = found["anchor_day"].to_numpy().astype("datetime64[D]")
    until = found["next_act"].astype("float64").to_numpy()
    end = np.datetime64(last_day, "D")
    # windows of a user belong to one silence when their next act is on the same day, or none of them has any
    back = np.where(np.isnan(until), -1, anchor.astype(np.int64) + np.nan_to_num(until))
    days = np.where(np.isnan(until), (end - anchor).astype(np.int64), until)
    table = pd.DataFrame({"user_id": found["user_id"], "back": back, "days": days, "returned": ~np.isnan(until)})
    return table.drop_duplicates(["user_id", "back"])


def _kaplan_meier(
    weights: np.ndarray, user: np.ndarray, days: np.ndarray, returned: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of users [replicates × users] and spells → those at risk, and S, at the end of each day [replicates ×
    days]."""
    from scipy.sparse import csr_array

    shape = (weights.shape[1], days.max() + 1)
    over, back = (weights @ csr_array((kind.astype(float), (user, days)), shape) for kind in (days >= 0, returned))
    at_risk = weights @ np.bincount(user, minlength=shape[0])[:, None] - np.cumsum(over, axis=1) + over
    return at_risk, np.cumprod(1 - back / np.maximum(at_risk, 1), axis=1)
