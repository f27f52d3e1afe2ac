"""SHAP values of test windows → IMPORTANCE and SHAP_SAMPLE (without target and model)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95  # of the intervals
_EXACT = 1e-12  # of 1 - r²: the correlation is ±1, its interval a point


def importance(
    contributions: np.ndarray, matrix: np.ndarray, columns: list[str], users: np.ndarray | None = None
) -> pd.DataFrame:
    """SHAP values [n × p], the values they belong to [n × p], p names, user of each row [n] → IMPORTANCE.

    Without target and model, best first. importance: mean |SHAP| in log-odds. direction: Spearman correlation
    of value and SHAP value (+: more of it, higher target) among the windows whose value is known, null where
    one of the two is constant; direction_low, direction_high: its 95 % interval (`spearman_interval`). Without
    users each row counts as one of its own.
    """
    users = np.arange(len(matrix)) if users is None else users
    matrix, contributions = np.asarray(matrix, dtype=np.float64), np.asarray(contributions, dtype=np.float64)
    table = pd.DataFrame({"column": columns})
    table["importance"] = np.abs(contributions).mean(axis=0) if len(matrix) else 0.0
    known = ~np.isnan(matrix)
    directions = [
        spearman_interval(matrix[k, i], contributions[k, i], users[k]) for i, k in enumerate(known.T)
    ]  # fmt: skip
    found = np.array(directions, dtype=np.float64).reshape(-1, 3).T
    for name, values in zip(("direction", "direction_low", "direction_high"), found, strict=True):
        table[name] = values
    table = table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return table.assign(rank=np.arange(1, len(table) + 1, dtype=np.int32))


def spearman_interval(left: np.ndarray, right: np.ndarray, users: np.ndarray) -> tuple[float, float, float]:
    """Two variables [n] and the user of each row [n] → Spearman correlation and its 95 % interval; NaN for none.

    Rows of one user are not independent, so the standard error is the infinitesimal jackknife over users: each
    row's influence on the correlation, that of its value on all the ranks included, summed by user (Jaeckel 1972;
    with clusters, Liang & Zeger 1986). The interval is Student's on Fisher's z scale, with users - 1 degrees of
    freedom; where the correlation is ±1 it is that point. No correlation where either is constant, no interval
    with fewer than two users.
    """
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return np.nan, np.nan, np.nan
    x, y = _Ranked(left), _Ranked(right)
    scale = np.sqrt(x.variance * y.variance)
    r = float(np.clip((x.rank @ y.rank) / len(left) / scale, -1, 1))
    if 1 - r**2 < _EXACT:
        return (float(np.sign(r)),) * 3
    covariance = x.rank * y.rank + x.moves(y.rank) + y.moves(x.rank)
    spread = sum((v.rank**2 + 2 * v.moves(v.rank)) / v.variance for v in (x, y))
    influence = covariance / scale - r / 2 * spread
    _, user = np.unique(users, return_inverse=True)
    by_user = np.bincount(user, influence - influence.mean()) / len(left)
    count = len(by_user)
    if count < 2:
        return r, np.nan, np.nan
    error = np.sqrt((by_user**2).sum() * count / (count - 1))
    reach = stats.t.ppf((1 + LEVEL) / 2, count - 1) * error / (1 - r**2)
    return r, float(np.tanh(np.arctanh(r) - reach)), float(np.tanh(np.arctanh(r) + reach))


class _Ranked:
    """A variable [n] as centred mid-ranks, from -1/2 to 1/2."""

    def __init__(self, values: np.ndarray) -> None:
        n = len(values)
        self.rank = (stats.rankdata(values) - 0.5) / n - 0.5
        self.variance = float((self.rank**2).mean())
        _, self._value = np.unique(values, return_inverse=True)

    def moves(self, weights: np.ndarray) -> np.ndarray:
        """How mean(weights · rank) changes [n], up to a constant, as a row weighs more: it lifts the ranks above it."""
        tied = np.bincount(self._value, weights)
        above = tied[::-1].cumsum()[::-1] - tied / 2
        return above[self._value] / len(weights)


def sample(
    contributions: np.ndarray, matrix: np.ndarray, columns: list[str], top: int = 15, rows: int = 400, *, seed: int
) -> pd.DataFrame:
    """As `importance` → column, value, shap: `rows` windows at random by the `top` most important columns.

    Long: column by column, best first, the windows in the same order under each.
    """
    best = np.argsort(-np.abs(contributions).mean(axis=0), kind="stable")[:top] if len(matrix) else np.arange(0)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(matrix))[:rows])
    part = np.ix_(chosen, best)
    return pd.DataFrame(
        {
            "column": pd.Series(np.repeat(np.asarray(columns, dtype=object)[best], len(chosen)), dtype="str"),
            "value": np.asarray(matrix)[part].T.ravel().astype(np.float64),
            "shap": np.asarray(contributions)[part].T.ravel().astype(np.float64),
        }
    )
