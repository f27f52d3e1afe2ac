"""flattened training windows → COLLINEARITY: which columns repeat others, and what stands for them.

The variance inflation factor of a column is 1 / (1 - R²) of its regression on all the others
(Belsley, Kuh & Welsch 1980, Regression Diagnostics). All of them together are the diagonal of the
inverse correlation matrix, and taking a column out changes that inverse by a rank-one term (a Schur
complement). So one factorisation serves all rounds, where one regression per column and round is usual.
Removing the highest VIF again and again is then a Cholesky factorisation of that inverse with pivoting,
stopped at the limit: a removal costs as much as a row of the factor, not a pass over the whole matrix.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.linalg import lapack

# A column of which the columns before it leave less than this share of its variance unexplained is
# perfectly collinear: float32 rounding alone leaves about as much where the mean dwarfs the spread.
PERFECT = 1e-8
# VIFs closer than this (relative) are equal: which of two twins leads is rounding, not information.
TIE = 1e-9
# Columns that are eliminated at once: what all columns before them explain is one matrix product.
BLOCK = 64


def remove_collinear(matrix: np.ndarray, columns: list[str], limit: float = 10.0) -> pd.DataFrame:
    """[n × p] values and their p column names → COLLINEARITY, one row per column in the order given.

    First the constant columns go, then those that earlier columns determine, then one by one the
    column with the highest VIF (of equals the later one) until all are at most `limit`. Missing
    values count as the column's mean. `stands_for` is, among the kept columns, the one with the
    highest absolute correlation; `correlation` is signed.
    """
    correlation, varies = _correlations(matrix)
    independent, factor = _independent(correlation)
    members = np.flatnonzero(independent)
    worst, dropped_vif, kept_vif = _remove_by_vif(_inverse(factor[:, members]), limit)
    dropped, kept = members[worst], np.delete(members, worst)
    constant, perfect = np.flatnonzero(~varies), np.flatnonzero(varies & ~independent)

    table = pd.DataFrame({"column": columns, "kept": False, "reason": "kept"})
    vif, step = np.full(len(columns), np.nan), np.full(len(columns), np.nan)
    removed = np.concatenate([constant, perfect, dropped]).astype(int)
    vif[dropped], vif[kept] = dropped_vif, kept_vif
    step[removed] = np.arange(1, len(removed) + 1)
    table.loc[kept, "kept"] = True
    for reason, members in (("constant", constant), ("perfect", perfect), ("vif", dropped)):
        table.loc[members, "reason"] = reason
    table["vif"] = vif
    table["step"] = pd.array(step, dtype="Int32")
    return table.assign(**_stand_ins(correlation, varies, np.sort(removed), kept, columns))


def _correlations(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """→ correlation matrix [p × p] (float64; zero rows for constants) and which columns vary [p]."""
    values = np.array(matrix, dtype=np.float64)
    if len(values) == 0:
        return np.zeros((values.shape[1],) * 2), np.zeros(values.shape[1], dtype=bool)
    missing = np.isnan(values)
    if missing.any():
        found = np.maximum((~missing).sum(axis=0), 1)
        values = np.where(missing, np.where(missing, 0.0, values).sum(axis=0) / found, values)
    varies = values.max(axis=0) > values.min(axis=0)
    values -= values.mean(axis=0)
    values /= np.where(varies, np.sqrt(np.einsum("ij,ij->j", values, values)), 1.0)
    values[:, ~varies] = 0.0
    return values.T @ values, varies


def _independent(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """→ columns that those before them do not determine [p], and their Cholesky factor, a row for each [m × p].

    The pivot of a column is the share of its variance that the independent columns before it leave. A constant
    column has none to leave.
    """
    p = len(correlation)
    factor, found = np.zeros((p, p)), 0
    independent = np.zeros(p, dtype=bool)
    for start in range(0, p, BLOCK):
        before = found
        left = (
            correlation[start : start + BLOCK, start:]
            - factor[:before, start : start + BLOCK].T @ (factor[:before, start:])
        )
        for i, row in enumerate(left):
            row -= factor[before:found, start + i] @ factor[before:found, start:]
            if row[i] > PERFECT:
                factor[found, start + i :] = row[i:] / np.sqrt(row[i])
                independent[start + i] = True
                found += 1
    return independent, factor[:found]


def _inverse(factor: np.ndarray) -> np.ndarray:
    """The upper Cholesky factor of a matrix [m × m] → the inverse of that matrix."""
    if len(factor) == 0:
        return factor
    upper = np.triu(lapack.dpotri(factor, lower=0)[0])
    return upper + np.triu(upper, 1).T


def _remove_by_vif(inverse: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse correlations [m × m] → columns dropped in order, their VIFs then, VIFs of the others in column order.

    For the inverse P without column k: P - P[:, k] P[k, :] / P[k, k]. `factor` holds what the dropped have taken.
    """
    vif = np.diag(inverse).copy()
    factor, dropped, vifs = np.zeros_like(inverse), [], []
    alive = np.ones(len(inverse), dtype=bool)
    while alive.any() and (most := vif[alive].max()) > limit:
        worst = int(np.flatnonzero(alive & (vif >= most * (1 - TIE)))[-1])
        n = len(dropped)
        row = inverse[worst] - factor[:n, worst] @ factor[:n]
        factor[n] = row / np.sqrt(row[worst])
        dropped.append(worst)
        vifs.append(vif[worst])
        alive[worst] = False
        vif -= factor[n] ** 2
    return np.array(dropped, dtype=int), np.array(vifs), vif[alive]


def _stand_ins(
    correlation: np.ndarray, varies: np.ndarray, removed: np.ndarray, kept: np.ndarray, columns: list[str]
) -> dict[str, list]:
    """For each removed column that varies: the kept column with which it correlates most."""
    stands_for: list[str | None] = [None] * len(columns)
    strength = np.full(len(columns), np.nan)
    removed = removed[varies[removed]]
    if len(removed) and len(kept):
        among = correlation[np.ix_(removed, kept)]
        best = np.abs(among).argmax(axis=1)
        strength[removed] = among[np.arange(len(removed)), best]
        for column, partner in zip(removed, kept[best], strict=True):
            stands_for[column] = columns[partner]
    return {"stands_for": stands_for, "correlation": strength}
