"""SHAP values of test windows → DEPENDENCE: how the effect of a column depends on its value, and on which other."""

from __future__ import annotations

import numpy as np
import pandas as pd

CHUNK = 50  # windows of about equal value that are compared with each other, as in the package shap
# A partner must be so many standard errors stronger than a column of noise: many are tried, and the best is taken.
BEYOND_CHANCE = 5.0


def dependence(
    contributions: np.ndarray, matrix: np.ndarray, columns: list[str], top: int = 6, rows: int = 400, *, seed: int
) -> pd.DataFrame:
    """SHAP values [n × p], the values they belong to [n × p], p names → DEPENDENCE, without target and model.

    Of the `top` columns by mean |SHAP|, best first, `rows` windows at random, the same under each. Columns
    whose SHAP value is 0 in all windows have no row.
    """
    matrix, contributions = np.asarray(matrix, dtype=np.float64), np.asarray(contributions, dtype=np.float64)
    size = np.abs(contributions).mean(axis=0) if len(matrix) else np.zeros(len(columns))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(matrix))[:rows])
    best = [i for i in np.argsort(-size, kind="stable")[:top] if size[i] > 0]
    parts = [_of_column(i, rank, contributions, matrix, columns, chosen) for rank, i in enumerate(best, start=1)]
    empty = _of_column(0, 0, np.zeros((0, 1)), np.zeros((0, 1)), [""], np.zeros(0, dtype=int))
    return pd.concat(parts, ignore_index=True) if parts else empty


def _of_column(
    i: int, rank: int, contributions: np.ndarray, matrix: np.ndarray, columns: list[str], chosen: np.ndarray
) -> pd.DataFrame:
    strengths = interactions(i, contributions, matrix)
    j = int(strengths.argmax())
    there = bool(strengths[j] > _by_chance(len(matrix)))
    return pd.DataFrame(
        {
            "column": pd.Series([columns[i]] * len(chosen), dtype="str"),
            "rank": np.full(len(chosen), rank, dtype=np.int32),
            "partner": pd.Series([columns[j] if there else None] * len(chosen), dtype="str"),
            "interaction": np.full(len(chosen), strengths[j] if there else np.nan),
            "value": matrix[chosen, i],
            "shap": contributions[chosen, i],
            "partner_value": matrix[chosen, j] if there else np.full(len(chosen), np.nan),
        }
    )


def _by_chance(n: int) -> float:
    """The strength that the interaction with a column of noise stays under, on n windows."""
    size = _size(n)
    freedom = max(size - 1, 1)
    error = np.sqrt((1 - 2 / np.pi) / freedom / max(n / size, 1))
    return float(np.sqrt(2 / np.pi / freedom) + BEYOND_CHANCE * error)


def _size(n: int) -> int:
    return max(min(n // 10, CHUNK), 1)


def interactions(i: int, contributions: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Column i, SHAP values and values [n × p] → how strongly it interacts with each column [p], 0 to 1; 0 with itself.

    Where a column does not interact, equal values have equal SHAP values. So the windows are ordered by its
    value and cut into chunks of at most 50; within each, the correlation of its SHAP values with the other
    column says how much of their differences that one accounts for. The mean of |correlation| over the chunks:
    the order is that of `approximate_interactions` of the package shap (Lundberg et al. 2020). A chunk where
    either does not vary counts as 0; a missing value as the chunk's mean.
    """
    n, p = matrix.shape
    if n < 2:
        return np.zeros(p)
    order = np.argsort(matrix[:, i], kind="stable")
    size = _size(n)
    total = np.zeros(p)
    starts = range(0, n, size)
    for start in starts:
        rows = order[start : start + size]
        total += np.abs(_correlations(contributions[rows, i], matrix[rows]))
    total[i] = 0.0
    return total / len(starts)


def _correlations(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[n] and [n × p] → Pearson correlations [p]; 0 where either is constant."""
    missing = np.isnan(others)
    if missing.any():
        sums = np.where(missing, 0.0, others).sum(axis=0)
        others = np.where(missing, sums / np.maximum((~missing).sum(axis=0), 1), others)
    varies = (np.ptp(others, axis=0) > 0) & (np.ptp(one) > 0)
    one, others = one - one.mean(), others - others.mean(axis=0)
    scale = np.sqrt((one**2).sum() * (others**2).sum(axis=0))
    return np.where(varies & (scale > 0), one @ others / np.where(scale > 0, scale, 1.0), 0.0)
