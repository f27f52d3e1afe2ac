"""PROFILE + segments → COMPARISON: in what the priority group differs, variable by variable.

One row per user, since several windows of one user are not independent. What enters the score is
marked as circular: the groups differ in it because they were cut by it. The other variables are
seen by the models too, so a difference describes the group; it does not prove a cause.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from tschurn.errors import ContractError

CONFIDENCE = 0.95
VERSUS = ("others", "other_churners")


class Moments(NamedTuple):
    """Of each variable in one group: users with a value, mean, variance (n - 1), least and largest value."""

    n: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    low: np.ndarray
    high: np.ndarray


def compare(profile: pd.DataFrame, segments: pd.Series, circular: Collection[str]) -> pd.DataFrame:
    """PROFILE + segment of each user_id (index) → COMPARISON.

    The priority group against everybody else, and against the other churners; rows in the order of
    the profile's columns. A value that is missing or infinite is left out of its variable.

    q: Benjamini-Hochberg over the variables of one `versus` that are not circular, of the larger of
    Welch's p and the rank test's p: a difference is a finding when both tests say so. The usual
    variable here is a skewed or rare count and the priority group is small; there each of the two
    alone errs far too often (tests/segments/test_comparison.py measures it), in different cases.
    The larger p is valid where either is (Berger 1982, Technometrics 24, 295-300). Without a
    Welch's p there is no q. Circular variables have a p and no q, since they are no findings.

    Raises ContractError when a user of `segments` has no row in the profile.
    """
    values = profile.set_index("user_id").reindex(segments.index)
    missing = len(segments.index.difference(profile["user_id"]))
    if missing:
        raise ContractError(f"profile: {missing} of {len(segments)} scored users have no row")
    matrix = values.to_numpy(dtype=np.float64, na_value=np.nan)
    matrix = np.where(np.isfinite(matrix), matrix, np.nan)
    group = segments.to_numpy()
    is_circular = np.isin(list(values.columns), list(circular))
    rows = {"others": group != "priority", "other_churners": group == "other_churners"}
    parts = []
    for versus in VERSUS:
        statistics = compare_groups(matrix[group == "priority"], matrix[rows[versus]])
        cautious = np.maximum(statistics["p"], statistics["rank_p"])
        q = benjamini_hochberg(np.where(is_circular, np.nan, cautious))
        head = {"versus": versus, "variable": list(values.columns), "circular": is_circular}
        parts.append(pd.DataFrame({**head, **statistics, "q": q}))
    table = pd.concat(parts, ignore_index=True).astype({"versus": "str", "variable": "str"})
    columns = list(table.columns)
    columns.insert(columns.index("p") + 1, columns.pop(columns.index("q")))
    return table[columns]


# Values near the largest and the smallest floats overflow and vanish in their squares: such a statistic
# is not known, and is left out at the end.
@np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore")
def compare_groups(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """[users × variables] of two groups → the statistics of COMPARISON, one value per variable.

    NaN in: left out of its variable. NaN out: no such statistic. Every statistic but the means needs
    two users in each group. Welch's t, its p and interval need variance in both groups: in a small
    group that happens to be constant, the error of the mean would be taken to be 0. The effect size
    and the rank test need variance in the two groups together.
    """
    first, second = _moments(a), _moments(b)
    enough = (first.n >= 2) & (second.n >= 2)
    both_vary = enough & (first.high > first.low) & (second.high > second.low)
    together = np.fmax(first.high, second.high) > np.fmin(first.low, second.low)
    one_varies = enough & ((first.high > first.low) | (second.high > second.low))
    blank = np.full(a.shape[1], np.nan)
    found = {
        "n_priority": first.n,
        "n_versus": second.n,
        "mean_priority": first.mean,
        "mean_versus": second.mean,
        "difference": first.mean - second.mean,
        **{name: blank.copy() for name in ("difference_low", "difference_high", "t", "df", "p")},
        **{name: blank.copy() for name in ("hedges_g", "g_low", "g_high", "rank_p")},
    }
    for name, value in _welch(_take(first, both_vary), _take(second, both_vary)).items():
        found[name][both_vary] = value
    for name, value in _hedges(_take(first, one_varies), _take(second, one_varies)).items():
        found[name][one_varies] = value
    found["rank_p"][enough & together] = _rank_p(a[:, enough & together], b[:, enough & together])
    return {k: v if k.startswith("n_") else np.where(np.isfinite(v), v, np.nan) for k, v in found.items()}


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """p → q: the false discovery rate at which each would be a finding; NaN stays and does not count.

    Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57, 289-300.
    """
    known = np.isfinite(p)
    q = np.full(len(p), np.nan)
    q[known] = stats.false_discovery_control(p[known]) if known.any() else q[known]
    return q


def _moments(values: np.ndarray) -> Moments:
    """[users × variables] → Moments; NaN where there are too few values."""
    present = np.isfinite(values)
    n = present.sum(axis=0)
    mean = np.where(present, values, 0.0).sum(axis=0) / n
    squares = np.where(present, values - mean, 0.0) ** 2
    variance = squares.sum(axis=0) / (n - 1)
    low = np.where(present, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(present, values, -np.inf).max(axis=0, initial=-np.inf)
    return Moments(n.astype(np.int64), mean, variance, low, high)


def _take(moments: Moments, which: np.ndarray) -> Moments:
    return Moments(*(part[which] for part in moments))


def _welch(a: Moments, b: Moments) -> dict[str, np.ndarray]:
    """Welch's t test for unequal variances and the interval of the difference of means.

    Welch (1947), Biometrika 34, 28-35. Only for variables that vary in both groups.
    """
    difference = a.mean - b.mean
    error_a, error_b = a.variance / a.n, b.variance / b.n
    error = np.sqrt(error_a + error_b)
    share = error_a / (error_a + error_b)
    df = 1.0 / (share**2 / (a.n - 1) + (1.0 - share) ** 2 / (b.n - 1))
    t = difference / error
    margin = stats.t.isf((1.0 - CONFIDENCE) / 2.0, df) * error
    return {
        "difference_low": difference - margin,
        "difference_high": difference + margin,
        "t": t,
        "df": df,
        "p": 2.0 * stats.t.sf(np.abs(t), df),
    }


def _hedges(a: Moments, b: Moments) -> dict[str, np.ndarray]:
    """Difference of means in pooled standard deviations, corrected for small samples, with its interval.

    Hedges and Olkin (1985), Statistical Methods for Meta-Analysis, ch. 5: large-sample variance.
    """
    n = a.n + b.n
    pooled = np.sqrt(((a.n - 1) * a.variance + (b.n - 1) * b.variance) / (n - 2))
    g = (1.0 - 3.0 / (4.0 * (n - 2) - 1.0)) * (a.mean - b.mean) / pooled
    error = np.sqrt(n / (a.n * b.n) + g**2 / (2.0 * (n - 3.94)))
    margin = stats.norm.isf((1.0 - CONFIDENCE) / 2.0) * error
    return {"hedges_g": g, "g_low": g - margin, "g_high": g + margin}


def _rank_p(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mann-Whitney's two-sided p, corrected for ties; normal approximation at every size, so that
    all variables are treated alike. Columns without missing values are ranked in one go."""
    p = np.full(a.shape[1], np.nan)
    whole = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
    for columns, policy in ((whole, "propagate"), (~whole, "omit")):
        if columns.any():
            result = stats.mannwhitneyu(a[:, columns], b[:, columns], axis=0, method="asymptotic", nan_policy=policy)
            p[columns] = result.pvalue
    return p
