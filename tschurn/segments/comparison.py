"""PROFILE + segments + pairs → COMPARISON: in what the priority group differs, variable by variable.

One row per user, since several windows of one user are not independent. What enters the score is
marked as circular: the groups differ in it because they were cut by it. The other variables are
seen by the models too, so a difference describes the group; it does not prove a cause. Beside users of the
same p_churn it shows what else than the risk sets the group apart.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from tschurn.contracts import COMPARISON
from tschurn.errors import ContractError

CONFIDENCE = 0.95
ROUNDING = 1e-12  # of the largest value: differences of pairs that differ by less are the same
VERSUS = ("others", "other_churners", "matched")


class Moments(NamedTuple):
    """Of each variable in one group: users with a value, mean, variance (n - 1), least and largest value."""

    n: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    low: np.ndarray
    high: np.ndarray


def compare(profile: pd.DataFrame, segments: pd.Series, circular: Collection[str], pairs: pd.DataFrame) -> pd.DataFrame:
    """PROFILE + segment of each user_id (index) + pairs (`match_group`) → COMPARISON.

    The priority group against everybody else, against the other churners, and (`matched`) those of the group who have
    a partner against their partners; rows in the order of the profile's columns. A value that is missing or
    infinite is left out of its variable, and with it the pair.

    q: Benjamini-Hochberg over the variables of one `versus` that are not circular, of the larger of
    the t test's p and the rank test's p: a difference is a finding when both tests say so. The usual
    variable here is a skewed or rare count and the priority group is small; there each of the two
    alone errs far too often (tests/segments/test_comparison.py measures it), in different cases.
    The larger p is valid where either is (Berger 1982, Technometrics 24, 295-300). Without a
    t test's p there is no q. Circular variables have a p and no q, since they are no findings.

    Raises ContractError when a user of `segments` has no row in the profile.
    """
    missing = len(segments.index.difference(profile["user_id"]))
    if missing:
        raise ContractError(f"profile: {missing} of {len(segments)} scored users have no row")
    values = profile.set_index("user_id").reindex(segments.index)
    matrix = values.to_numpy(dtype=np.float64, na_value=np.nan)
    matrix = np.where(np.isfinite(matrix), matrix, np.nan)
    group = segments.to_numpy()
    of_group = matrix[group == "priority"]
    one, other = (matrix[segments.index.get_indexer(pairs[side])] for side in ("user_id", "other_id"))
    found = {
        "others": compare_groups(of_group, matrix[group != "priority"]),
        "other_churners": compare_groups(of_group, matrix[group == "other_churners"]),
        "matched": compare_pairs(one, other),
    }
    head = {"variable": list(values.columns), "circular": np.isin(list(values.columns), list(circular))}
    parts = []
    for versus in VERSUS:
        statistics = found[versus]
        cautious = np.maximum(statistics["p"], statistics["rank_p"])
        q = benjamini_hochberg(np.where(head["circular"], np.nan, cautious))
        parts.append(pd.DataFrame({"versus": versus, **head, **statistics, "q": q}))
    table = pd.concat(parts, ignore_index=True).astype({"versus": "str", "variable": "str"})
    return table[list(COMPARISON.columns)]


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
    found = _blank(first, second)
    for name, value in _welch(_take(first, both_vary), _take(second, both_vary)).items():
        found[name][both_vary] = value
    for name, value in _hedges(_take(first, one_varies), _take(second, one_varies)).items():
        found[name][one_varies] = value
    found["rank_p"][enough & together] = _rank_p(a[:, enough & together], b[:, enough & together])
    return _finite(found)


@np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore")
def compare_pairs(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """[pairs × variables] of the group and of their partners → the statistics of COMPARISON, one value per variable.

    Partners are alike in what they were matched by, so the tests are those of pairs (Austin 2011, Statistics in
    Medicine 30, 1292-1301): the t test of the differences, its interval, Wilcoxon's signed ranks (equal pairs left
    out). If the group were no different, either partner could as well be the one in it: the differences are then
    symmetric about zero, however skewed the variable. Only pairs with both values count. NaN: no such statistic;
    all need two pairs, the t test differences that differ, the rank test one that is not zero.
    """
    whole = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(whole, a, np.nan), np.where(whole, b, np.nan)
    first, second, gap = _moments(a), _moments(b), _moments(a - b)
    found = _blank(first, second)
    size = np.fmax(np.fmax(-first.low, first.high), np.fmax(-second.low, second.high))
    varies = (gap.n >= 2) & (gap.high - gap.low > ROUNDING * size)
    differs = (gap.n >= 2) & ((gap.high > 0) | (gap.low < 0))
    spread = (gap.n >= 2) & ((first.high > first.low) | (second.high > second.low))
    for name, value in _paired_t(_take(gap, varies)).items():
        found[name][varies] = value
    effect = _paired_g(_take(first, spread), _take(second, spread), gap.variance[spread])
    for name, value in effect.items():
        found[name][spread] = value
    found["rank_p"][differs] = _signed_rank_p((a - b)[:, differs])
    return _finite(found)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """p → q: the false discovery rate at which each would be a finding; NaN stays and does not count.

    Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57, 289-300.
    """
    known = np.isfinite(p)
    q = np.full(len(p), np.nan)
    q[known] = stats.false_discovery_control(p[known]) if known.any() else q[known]
    return q


def _blank(a: Moments, b: Moments) -> dict[str, np.ndarray]:
    """Sizes, means and their difference; every other statistic still unknown."""
    rest = ("difference_low", "difference_high", "t", "df", "p", "hedges_g", "g_low", "g_high", "rank_p")
    return {
        "n_priority": a.n,
        "n_versus": b.n,
        "mean_priority": a.mean,
        "mean_versus": b.mean,
        "difference": a.mean - b.mean,
        **{name: np.full(len(a.n), np.nan) for name in rest},
    }


def _finite(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k: v if k.startswith("n_") else np.where(np.isfinite(v), v, np.nan) for k, v in found.items()}


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


def _paired_t(gap: Moments) -> dict[str, np.ndarray]:
    """Student's t test that the mean of the pairs' differences is zero, and the interval of the mean."""
    df = gap.n - 1.0
    error = np.sqrt(gap.variance / gap.n)
    t = gap.mean / error
    margin = stats.t.isf((1.0 - CONFIDENCE) / 2.0, df) * error
    return {
        "difference_low": gap.mean - margin,
        "difference_high": gap.mean + margin,
        "t": t,
        "df": df,
        "p": 2.0 * stats.t.sf(np.abs(t), df),
    }


def _paired_g(a: Moments, b: Moments, gap_variance: np.ndarray) -> dict[str, np.ndarray]:
    """Difference of means in the standard deviation of the two sides pooled (not that of the differences), as for two
    groups, so that the effects can be held side by side.

    Its variance: Bonett (2008), Psychological Methods 13, 99-109, for two measurements; corrected for small samples by
    the degrees of freedom of that standard deviation (Cousineau and Goulet-Pelletier 2021, 2 (n - 1) / (1 + r²)).
    """
    pooled = (a.variance + b.variance) / 2.0
    covariance = (a.variance + b.variance - gap_variance) / 2.0
    squared_error = (a.variance**2 + b.variance**2 + 2.0 * covariance**2) / (8.0 * pooled**2 * (a.n - 1))
    uncorrected = (a.mean - b.mean) / np.sqrt(pooled)
    g = (1.0 - 3.0 / (2.0 / squared_error - 1.0)) * uncorrected
    error = np.sqrt(g**2 * squared_error + gap_variance / (pooled * (a.n - 1)))
    margin = stats.norm.isf((1.0 - CONFIDENCE) / 2.0) * error
    return {"hedges_g": g, "g_low": g - margin, "g_high": g + margin}


def _signed_rank_p(gaps: np.ndarray) -> np.ndarray:
    """Wilcoxon's two-sided p of [pairs × variables], corrected for ties; normal approximation at every size."""
    p = np.full(gaps.shape[1], np.nan)
    whole = np.isfinite(gaps).all(axis=0)
    for columns, policy in ((whole, "propagate"), (~whole, "omit")):
        if columns.any():
            p[columns] = stats.wilcoxon(gaps[:, columns], axis=0, method="asymptotic", nan_policy=policy).pvalue
    return p
