"""listed users and what happened to them → what contact changed, as assigned, and what could have been seen.

Who was to be contacted was drawn at random within each week's list, so the difference between the assigned and the
held-out is due to the assignment ("intention to treat"), whoever was in fact reached.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_confint, proportion_effectsize

LEVEL, POWER = 0.95, 0.8


def difference(
    y: np.ndarray, assigned: np.ndarray, week: np.ndarray, user: np.ndarray, level: float = LEVEL
) -> dict[str, Any]:
    """Outcomes (0, 1) of listed users, whether assigned, week, user → rates of both arms and their difference.

    Weeks are weighted by n₁n₀ / (n₁ + n₀) (Mantel-Haenszel); weeks without both arms say nothing and are left out. The
    interval is Newcombe's (1998, method 10) on Wilson's limits of the weighted rates, each arm counting as
    1 / Σ(w² / n) windows; with one week that is Newcombe's own. Where users return, their windows are not
    independent: the windows count as fewer by the design effect (variance clustered by user over that of
    independent windows), at least 1. All null with a reason in `why` where no week has both arms.
    """
    assigned = assigned.astype(bool)
    _, week = np.unique(week, return_inverse=True)
    weeks = int(week.max()) + 1 if len(week) else 0
    n1, n0 = (np.bincount(week[rows], minlength=weeks) for rows in (assigned, ~assigned))
    both = (n1 > 0) & (n0 > 0)
    used = both[week] if weeks else np.zeros(0, dtype=bool)
    counts = {"assigned": int(assigned.sum()), "held_out": int((~assigned).sum()), "weeks": int(both.sum())}
    if not both.any():
        why = "nobody_assigned" if counts["held_out"] else "nobody_held_out"
        empty = dict.fromkeys(("rate_assigned", "rate_held_out", "difference", "low", "high", "design_effect"))
        return counts | empty | {"why": why if len(y) else "nobody", "effective": None}
    weight = np.where(both, n1 * n0 / np.maximum(n1 + n0, 1), 0)
    weight = weight / weight.sum()
    rates, sizes = [], []
    influence = np.zeros(len(y))
    for rows, n, sign in ((assigned & used, n1, 1), (~assigned & used, n0, -1)):
        by_week = np.bincount(week[rows], weights=y[rows], minlength=weeks) / np.maximum(n, 1)
        rates.append(float(weight @ by_week))
        sizes.append(1 / float((weight[both] ** 2 / n[both]).sum()))
        influence[rows] = sign * (weight / np.maximum(n, 1))[week[rows]] * (y[rows] - by_week[week[rows]])
    deff = _design_effect(influence[used], user[used])
    low, high = newcombe(rates[0], sizes[0] / deff, rates[1], sizes[1] / deff, level)
    return counts | {
        "rate_assigned": rates[0],
        "rate_held_out": rates[1],
        "difference": rates[0] - rates[1],
        "low": low,
        "high": high,
        "design_effect": deff,
        "why": None,
        "effective": [sizes[0] / deff, sizes[1] / deff],
    }


def newcombe(p1: float, n1: float, p0: float, n0: float, level: float = LEVEL) -> tuple[float, float]:
    """Two rates and their numbers of windows, not necessarily whole → interval of p1 − p0 (Newcombe 1998, no. 10)."""
    (l1, u1), (l0, u0) = wilson(p1, n1, level), wilson(p0, n0, level)
    d = p1 - p0
    return d - float(np.hypot(p1 - l1, u0 - p0)), d + float(np.hypot(u1 - p1, p0 - l0))


def wilson(p: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """A rate of n windows, not necessarily whole → its Wilson interval."""
    low, high = proportion_confint(p * n, n, alpha=1 - level, method="wilson")
    return max(0.0, min(float(low), p)), min(1.0, max(float(high), p))


def rate(y: np.ndarray, user: np.ndarray, level: float = LEVEL) -> tuple[float, float, float] | None:
    """Outcomes and users → their rate with Wilson's interval, counting windows of returning users as fewer."""
    if not len(y):
        return None
    p = float(np.mean(y))
    return p, *wilson(p, len(y) / _design_effect(y - p, user), level)


def detectable(base: float, n1: float, n0: float) -> float | None:
    """The rate without contact and the windows of both arms → the smallest fall of the rate that a test at 5 % finds
    with 80 % power (Cohen's h, normal approximation); null where even a fall to 0 would be missed."""
    if not 0 < base < 1 or min(n1, n0) <= 0:
        return None
    h = NormalIndPower().solve_power(nobs1=n0, ratio=n1 / n0, alpha=1 - LEVEL, power=POWER)
    angle = 2 * np.arcsin(np.sqrt(base)) - float(h)
    return None if angle < 0 else base - float(np.sin(angle / 2) ** 2)


def weeks_needed(base: float, kept: float, n1: float, n0: float) -> int | None:
    """The rate without contact, the share of leavers that assigning keeps, and both arms of a week, returning users
    discounted → in how many such weeks a test at 5 % finds it with 80 % power."""
    if not 0 < base < 1 or min(n1, n0) <= 0:
        return None
    h = proportion_effectsize(base, base * (1 - kept))
    found = NormalIndPower().solve_power(effect_size=h, nobs1=None, ratio=n1 / n0, alpha=1 - LEVEL, power=POWER)
    return int(np.ceil(np.asarray(found).item() / n0))


def _design_effect(influence: np.ndarray, user: np.ndarray) -> float:
    """Influences of windows and their users → variance by users over that of independent windows, at least 1."""
    alone = float((influence**2).sum())
    together = pd.Series(influence).groupby(user).sum().to_numpy()
    if len(together) < 2 or len(together) == len(influence) or alone == 0:
        return 1.0
    return max(1.0, float((together**2).sum()) / alone)
