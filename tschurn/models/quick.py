"""matrix and labels → log-odds by a small LightGBM with fixed settings: for questions about inputs, never used."""

from __future__ import annotations

import numpy as np
import pandas as pd

MOST_WINDOWS = 10_000  # to learn from, and to measure on: more come down to a sample of users
_ROUNDS = 60
_BOOSTING = {"objective": "binary", "learning_rate": 0.1, "num_leaves": 7, "min_data_in_leaf": 50, "lambda_l2": 1.0,
             "bagging_fraction": 0.8, "bagging_freq": 1, "max_bin": 31, "verbose": -1, "deterministic": True,
             "force_row_wise": True}  # fmt: skip


class Quick:
    """One matrix [n × columns] and a model of it for any labels; the matrix is binned once.

    columns_share: of the columns, drawn anew for each tree; with all of them two matrices differ by nothing but
    their columns.
    """

    def __init__(self, matrix: np.ndarray, seed: int, threads: int, columns_share: float = 1.0) -> None:
        import lightgbm as lgb

        self._parameters = {**_BOOSTING, "feature_fraction": columns_share, "seed": seed, "num_threads": threads}
        self._data = lgb.Dataset(matrix, np.zeros(len(matrix)), params=self._parameters).construct()

    def log_odds(self, y: np.ndarray, matrix: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
        """Labels of the matrix it was made with, and another matrix → the latter's log-odds.

        counted: the rows [n] bool that are learned from, all unless given.
        """
        import lightgbm as lgb

        data = self._data.set_label(y)
        if counted is not None and not counted.all():
            data = data.subset(np.flatnonzero(counted))
        booster = lgb.train(self._parameters, data, _ROUNDS)
        return booster.predict(matrix, raw_score=True, num_threads=self._parameters["num_threads"])


def sample_of_users(index: pd.DataFrame, rows: np.ndarray, seed: int) -> np.ndarray:
    """Positions of windows → those of users drawn at random up to MOST_WINDOWS, each with all of theirs."""
    ids, place, counts = np.unique(index["user"].to_numpy()[rows], return_inverse=True, return_counts=True)
    drawn = np.random.default_rng([seed, 9]).permutation(len(ids))
    kept = np.zeros(len(ids), dtype=bool)
    kept[drawn[: max(1, np.searchsorted(np.cumsum(counts[drawn]), MOST_WINDOWS, side="right"))]] = True
    return rows[kept[place]]
