"""SHAP values of test windows → IMPORTANCE and SHAP_SAMPLE (without target and model)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats


def importance(contributions: np.ndarray, matrix: np.ndarray, columns: list[str]) -> pd.DataFrame:
    """SHAP values [n × p], the values they belong to [n × p], p names → column, importance, direction, rank.

    importance: mean |SHAP| in log-odds. direction: Spearman correlation of value and SHAP value (+:
    more of it, higher target), null where one of them is constant. Best first.
    """
    table = pd.DataFrame({"column": columns})
    table["importance"] = np.abs(contributions).mean(axis=0) if len(matrix) else 0.0
    table["direction"] = _spearman(np.asarray(matrix, dtype=np.float64), contributions)
    table = table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return table.assign(rank=np.arange(1, len(table) + 1, dtype=np.int32))


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


def _spearman(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Spearman correlation column by column; NaN where either is constant."""
    if len(left) < 2 or left.shape[1] == 0:
        return np.full(left.shape[1], np.nan)
    ranks = [stats.rankdata(values, axis=0) for values in (left, right)]
    first, second = (r - r.mean(axis=0) for r in ranks)
    scale = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    varies = scale > 0
    return np.where(varies, (first * second).sum(axis=0) / np.where(varies, scale, 1.0), np.nan)
