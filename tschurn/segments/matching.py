"""p_churn + segments → pairs, MATCHING: to each user of the priority group another user as likely to churn.

Matching on the risk that one has without being chosen (Hansen 2008, Biometrika 95, 481-488: a prognostic score) leaves
differences that this risk does not account for. One to one, without replacement, on the log-odds of p_churn, within
a caliper of 0.2 of their standard deviation (Austin 2011, Pharmaceutical Statistics 10, 150-161).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import logit

CALIPER = 0.2  # in standard deviations of the log-odds, of the two groups pooled
LOWEST_P = 1e-6  # the log-odds are taken of no less, and of no more than 1 - LOWEST_P


def match_group(p_churn: pd.Series, segments: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """p_churn and segment of each user_id (index of both) → pairs, MATCHING.

    pairs: columns user_id (of the priority group) and other_id, one row each. As many pairs as the caliper allows, and
    of all such matchings one with the least sum of distances. The order of the rows does not matter; who of
    several users with the same p_churn is taken is decided by a hash of the id, since ids often follow age.
    The caliper is null, and nobody is matched, where one of the groups has fewer than two users.
    """
    segments = segments.reindex(p_churn.index)
    odds = logit(p_churn.to_numpy(dtype=np.float64).clip(LOWEST_P, 1.0 - LOWEST_P))
    chosen = (segments == "priority").to_numpy()
    caliper = _caliper(odds[chosen], odds[~chosen])
    hashed = pd.util.hash_array(p_churn.index.to_numpy(), categorize=False)
    order = np.lexsort((p_churn.index.to_numpy(), hashed, odds))
    of_group, outside = order[chosen[order]], order[~chosen[order]]
    first, second = match_sorted(odds[order], chosen[order], caliper)
    one, other = of_group[first], outside[second]
    pairs = pd.DataFrame({"user_id": p_churn.index[one], "other_id": p_churn.index[other]})
    found = {
        "users": int(chosen.sum()),
        "matched": len(one),
        "caliper": caliper,
        "p_churn_priority": p_churn.iloc[one].mean(),
        "p_churn_matched": p_churn.iloc[other].mean(),
        "distance": np.abs(odds[one] - odds[other]).max() if len(one) else np.nan,
    }
    return pairs, pd.DataFrame(found, index=[0])


def _caliper(a: np.ndarray, b: np.ndarray) -> float:
    """0.2 of the standard deviation of the log-odds, pooled as in Austin (2011); NaN without two users in each."""
    if min(len(a), len(b)) < 2:
        return np.nan
    return float(CALIPER * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2.0))


def match_sorted(x: np.ndarray, in_group: np.ndarray, caliper: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers x, ascending, and who of them is in the group → positions within the group, and among the others.

    The most pairs no further apart than the caliper, with the least sum of distances. On a line such pairs need not
    cross, so that the best way to match the first i of the group within the first j others follows from shorter ones,
    as in the alignment of two sequences (Needleman and Wunsch 1970, J. Mol. Biol. 48, 443-453): one step for each
    of the group, over the others that it can have.
    """
    a, b = x[in_group], x[~in_group]
    if np.isnan(caliper) or not len(a) or not len(b):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    low, high = _reach(a, b, in_group, caliper)
    pair = -(len(a) + 1.0) * max(caliper, 1.0)  # worth more than all distances together
    best = np.zeros(len(b) + 1)  # so far, of the first j others; the sum of distances + pair for each pair
    known, steps = 0, []
    for i in range(len(a)):
        best[known + 1 : high[i] + 1] = best[known]
        known = max(known, high[i])
        before = best[low[i] + 1 : high[i] + 1].copy()
        taken = best[low[i] : high[i]] + (np.abs(b[low[i] : high[i]] - a[i]) + pair)
        now = np.minimum.accumulate(np.minimum(before, taken))
        best[low[i] + 1 : high[i] + 1] = now
        steps.append((np.packbits(now < before), np.packbits(taken == now)))
    return _traced(steps, low, high)


def _reach(a: np.ndarray, b: np.ndarray, in_group: np.ndarray, caliper: float) -> tuple[np.ndarray, np.ndarray]:
    """→ for each of the group the others low ≤ j < high that it can have: within the caliper, and no further than the
    one that it would get if all of the group went to the same side, each to the nearest that is free.

    Nobody passes one who is free, nor one whose partner comes from the other side: swapping would shorten both ways.
    """
    i = np.arange(len(a))
    after = np.flatnonzero(in_group) - i  # how many others stand before each of the group
    upwards = i + np.maximum.accumulate(after - i)
    downwards = i + np.minimum.accumulate((after - 1 - i)[::-1])[::-1]
    low = np.maximum(downwards, np.searchsorted(b, a - caliper, side="left"))
    high = np.minimum(upwards + 1, np.searchsorted(b, a + caliper, side="right"))
    low = low.clip(0, len(b))
    return low, np.maximum(high, low)


def _traced(
    steps: list[tuple[np.ndarray, np.ndarray]], low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What was better at each step (as bits) → the pairs, from the last of the group back to the first."""
    pairs, end = [], int(high.max())
    for i in range(len(steps) - 1, -1, -1):
        place = min(end, int(high[i])) - int(low[i]) - 1
        if place < 0:
            continue
        better, taken = (np.unpackbits(bits, count=place + 1) for bits in steps[i])
        if better[place]:
            end = int(low[i] + np.flatnonzero(taken)[-1])
            pairs.append((i, end))
    found = np.array(pairs[::-1], dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
