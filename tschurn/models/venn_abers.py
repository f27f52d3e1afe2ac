"""log-odds and labels of windows that the model has not seen → an interval of each user's probability.

It is an interval of the share of windows *with this score* in which the target happens, as far as the calibration
windows can tell it. It does not cover that another model would have given the user another score, how far a single
coming week lies from the mean of such weeks, and what moves this user alone and no model sees.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tschurn.models.calibration import bounded
from tschurn.models.evaluation import two_way_weights
from tschurn.models.stored import finite

ERROR = 0.025  # on each side
GROUPS = 200  # of scores, in the bootstrap
REPLICATES = 200
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Intervals:
    """Two rising steps over log-odds: `low_p` of the last `low_x` not above, `high_p` of the first `high_x` not below;
    beyond the scores of the calibration windows as at the nearest of them."""

    low_x: tuple[float, ...]
    low_p: tuple[float, ...]
    high_x: tuple[float, ...]
    high_p: tuple[float, ...]

    def __call__(self, log_odds: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-odds [n], infinite ones too, and calibrated probabilities p [n] → low ≤ p and high ≥ p, [n] each."""
        log_odds = bounded(log_odds)
        low = np.array(self.low_p)[np.maximum(np.searchsorted(self.low_x, log_odds, side="right"), 1) - 1]
        last = len(self.high_x) - 1
        high = np.array(self.high_p)[np.minimum(np.searchsorted(self.high_x, log_odds, side="left"), last)]
        return np.minimum(low, p), np.maximum(high, p)

    def to_dict(self) -> dict[str, list[float]]:
        """→ plain values."""
        return {name: list(steps) for name, steps in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Intervals:
        """The inverse of `to_dict`. Raises ValueError, KeyError or TypeError."""
        found = {name: finite(steps) for name, steps in values.items()}
        for x, p in (("low_x", "low_p"), ("high_x", "high_p")):
            rises = (np.diff(found[x]) >= 0).all() and (np.diff([0, *found[p], 1]) >= -_ROUNDING).all()
            if not len(found[x]) == len(found[p]) > 0 or not rises:
                raise ValueError(f"`{p}` does not rise over `{x}` from 0 to 1")
        return cls(**{name: tuple(steps.tolist()) for name, steps in found.items()})


def fit_intervals(log_odds: np.ndarray, y: np.ndarray, user: np.ndarray, anchor: np.ndarray, seed: int) -> Intervals:
    """Log-odds, labels, users and anchors of the calibration windows, [n] each, n ≥ 1 → Intervals.

    Venn-Abers (Vovk & Petej 2014) gives p0 and p1, of which one is calibrated without any assumption but that windows
    are exchangeable; apart they are only by what one window more would change. How far chance may have moved the
    calibration windows is for the bootstrap to say: users and anchors are drawn anew, both, and the interval reaches
    from the 2.5th percentile of p0 to the 97.5th of p1 (on scores in groups of equal size), at least from p0 to p1.
    Where weeks are alike this is wider than 95 % asks for: each draw moves users and anchors at once.
    """
    log_odds = bounded(log_odds)
    x = np.unique(log_odds)
    p0, p1 = venn_abers(log_odds, y)
    edges = np.unique(np.quantile(log_odds, np.arange(1, GROUPS) / GROUPS))
    group = np.searchsorted(edges, log_odds, side="right")
    drawn = np.array([
        _of_groups(*(np.bincount(group, values, len(edges) + 1) for values in (w, w * y)))
        for w in two_way_weights(user, anchor, seed, REPLICATES)
    ])  # fmt: skip
    low, high = np.quantile(drawn[:, 0], ERROR, axis=0), np.quantile(drawn[:, 1], 1 - ERROR, axis=0)
    place = np.searchsorted(edges, x, side="right")
    low, high = np.minimum(p0, low[place]), np.maximum(p1, high[place])
    begins, ends = np.append(True, low[1:] > low[:-1]), np.append(high[1:] > high[:-1], True)
    return Intervals(*(tuple(part.tolist()) for part in (x[begins], low[begins], x[ends], high[ends])))


def venn_abers(log_odds: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds [n] and labels [n] → p0, p1 at the distinct log-odds, rising.

    p0 and p1 are what isotonic regression of the windows says of one more at this place, labelled 0 and 1. Between
    two places p0 is that of the lower one and p1 that of the upper one, p0 below the lowest is 0 and p1 above the
    highest 1: there the window more stands alone, being below or above all that it could be pooled with.
    """
    place = np.unique(log_odds, return_inverse=True)[1]
    return _pair(np.bincount(place), np.bincount(place, y))


def _pair(n: np.ndarray, happened: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows and positives by place → p0, p1."""
    return 1 - _with_one_more(n[::-1], (n - happened)[::-1])[::-1], _with_one_more(n, happened)


def _of_groups(n: np.ndarray, happened: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows and positives by group, some of them empty → p0, p1 of every group."""
    there = n > 0
    p0, p1 = _pair(n[there], happened[there])
    before = np.cumsum(there)  # groups with windows up to here
    return np.append(0.0, p0)[before], np.append(p1, 1.0)[before - there]


def _with_one_more(n: np.ndarray, happened: np.ndarray) -> np.ndarray:
    """Windows and positives by place → isotonic regression at each place with a positive added there, [places].

    That is the slope, over the added window, of the greatest convex minorant of the cumulative sums: the line from
    below that touches the sums left of the place (moved by the added window) and those right of it. Both points
    of touch move right as the place does, so that one pass with a pointer on either hull finds all, exactly, in whole
    numbers (as Vovk, Petej & Fedorova 2015 do it with a stack).
    """
    w, s = ([0, *np.cumsum(values).astype(np.int64).tolist()] for values in (n, happened))
    after = _hulls_to_the_right(w, s)
    hull: list[int] = []  # of the sums left of the place
    touch, right = 0, 1
    found = np.empty(len(n))

    def rises(a: int, b: int, c: int, d: int) -> bool:
        """Whether the line from a (moved) to b is steeper than that from c (moved) to d."""
        return (s[b] - s[a] + 1) * (w[d] - w[c] + 1) > (s[d] - s[c] + 1) * (w[b] - w[a] + 1)

    for i in range(1, len(w)):
        while len(hull) > 1 and _not_below(w, s, hull[-2], hull[-1], i - 1):
            hull.pop()
        hull.append(i - 1)
        touch, right = min(touch, len(hull) - 1), max(right, i)
        moved = True
        while moved:
            moved = False
            while after[right] and not rises(hull[touch], after[right], hull[touch], right):
                right, moved = after[right], True
            while touch + 1 < len(hull) and not rises(hull[touch], right, hull[touch + 1], right):
                touch, moved = touch + 1, True
        found[i - 1] = (s[right] - s[hull[touch]] + 1) / (w[right] - w[hull[touch]] + 1)
    return found


def _hulls_to_the_right(w: list[int], s: list[int]) -> list[int]:
    """Cumulative sums → for each point, the next one on the lower hull of those from it on; 0 after the last."""
    after = [0] * len(w)
    for i in range(len(w) - 2, -1, -1):
        k = i + 1
        while after[k] and _not_below(w, s, i, k, after[k]):
            k = after[k]
        after[i] = k
    return after


def _not_below(w: list[int], s: list[int], i: int, j: int, k: int) -> bool:
    """Whether point j lies on or above the line from i to k."""
    return (s[j] - s[i]) * (w[k] - w[i]) >= (s[k] - s[i]) * (w[j] - w[i])
