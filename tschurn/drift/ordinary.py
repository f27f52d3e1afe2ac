"""a figure at each anchor of a run, and the same now → how far the anchors lead one to expect it, and the chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

STEADY = 10
LEAST_FREEDOM = 3  # where a run has few anchors, its weeks may differ more than they seem to


@dataclass(frozen=True)
class Ordinary:
    """The ordinary movement of a figure: its centre, the standard deviation of a difference from it, and how surely
    that is known."""

    centre: float
    spread: float
    freedom: int

    @property
    def limit(self) -> float:
        """The largest difference from the centre, to either side, of 95 % of such weeks."""
        return float(stats.t.ppf(0.975, self.freedom) * self.spread)

    @property
    def upper(self) -> float:
        """What 95 % of such weeks are below."""
        return float(self.centre + stats.t.ppf(0.95, self.freedom) * self.spread)

    def chance(self, now: float, side: int = 0) -> float:
        """Chance of a difference as large as now's among such weeks: above (side 1), below (-1), or to either side."""
        if self.spread == 0:
            return 1.0 if now == self.centre or (now - self.centre) * side < 0 else 0.0
        t = (now - self.centre) / self.spread
        return float(stats.t.sf(t * side, self.freedom) if side else 2 * stats.t.sf(abs(t), self.freedom))


def spans(days: pd.Series, span: int) -> np.ndarray:
    """Anchor days [n], days that a window looks at → spans [n], 0 the newest: anchors of one share days, so that they
    are no more than one when it comes to how much anchors differ."""
    stamps = pd.to_datetime(days)
    return ((stamps.max() - stamps).dt.days // span).to_numpy()


def apart(days: pd.Series, span: int) -> np.ndarray:
    """Anchor days [n] → whether each is the last of its span, [n] bool: anchors that have few days in common."""
    stamps = pd.to_datetime(days)
    return (stamps == stamps.groupby(spans(days, span)).transform("max")).to_numpy()


def ordinary(
    values: np.ndarray, errors: np.ndarray, now_errors: np.ndarray, right: float | None = None, steady: bool = False
) -> Ordinary | None:
    """A figure at K anchors and its sampling errors there [K], and its sampling errors at the m anchors of now, whose
    mean is judged [m] → Ordinary; None without a value.

    Student's prediction interval: the K differ among themselves by their own sampling and by what weeks bring, and so
    will the next; by less than the sampling error on either side they cannot. right: the value that is known to be
    right, in place of the K values' mean. steady: a figure that weeks move by little, so that its sampling error tells
    about as much as STEADY weeks more would (a variance moderated as by Smyth 2004).
    """
    known = np.isfinite(values) & np.isfinite(errors)
    values, errors = values[known], errors[known]
    now_errors = now_errors[np.isfinite(now_errors)]
    if not len(values) or not len(now_errors):
        return None
    k = len(values)
    between = values.var(ddof=1) if k > 1 else 0.0
    sampling, freedom = float((errors**2).mean()), k - 1
    if steady:
        between = (freedom * between + STEADY * sampling) / (freedom + STEADY)
        freedom += STEADY
    variance = max(between, sampling, float((now_errors**2).mean()))
    share = 1 / len(now_errors) + (1 / k if right is None else 0.0)
    centre = float(values.mean()) if right is None else right
    return Ordinary(centre, float(np.sqrt(variance * share)), max(freedom, LEAST_FREEDOM))
