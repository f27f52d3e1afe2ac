"""flattened windows and a model's log-odds → Surrogate: trees that imitate it, and how well they do.

The surrogate is fitted to the model's uncalibrated log-odds, so its exact TreeSHAP values (Lundberg
et al. 2020) are in the same unit. It is never used without its fidelity, measured on users whom the
imitation had not seen, at test anchors.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import lightgbm
import numpy as np
from scipy import stats

FOLDS = 5
TREES = 200
PARAMETERS = {
    "objective": "regression",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.7,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


@dataclass(frozen=True)
class Surrogate:
    """A fitted surrogate.

    booster is None when there is nothing to imitate (no columns, or constant log-odds); `base` is
    then the mean log-odds. Fidelity is None where it cannot be measured: no held-out windows, too
    few users, no columns, or log-odds that do not vary. windows, users: the held-out ones.
    """

    columns: list[str]
    base: float
    booster: lightgbm.Booster | None
    windows: int
    users: int
    r2: float | None
    spearman: float | None
    top_decile_overlap: float | None

    def contributions(self, matrix: np.ndarray, threads: int = 1) -> tuple[np.ndarray, float]:
        """[n × p] values of `columns` → SHAP values [n × p] in log-odds, and the base they add to."""
        if self.booster is None:
            return np.zeros((len(matrix), len(self.columns))), self.base
        found = self.booster.predict(np.asarray(matrix, dtype=np.float32), pred_contrib=True, num_threads=threads)
        return found[:, :-1], float(found[0, -1]) if len(found) else self.base


@dataclass(frozen=True)
class Fidelity:
    """How well a list of imitated log-odds agrees with the model's; None where that cannot be said."""

    r2: float | None = None
    spearman: float | None = None
    top_decile_overlap: float | None = None


def fit_surrogate(
    matrix: np.ndarray,
    columns: list[str],
    log_odds: np.ndarray,
    users: np.ndarray,
    fit_rows: np.ndarray,
    held_rows: np.ndarray,
    *,
    seed: int,
    threads: int = 1,
) -> Surrogate:
    """[n × p] values, p names, the model's uncalibrated log-odds [n], user of each row [n] → Surrogate.

    fit_rows, held_rows: boolean masks [n]; windows closed before test, and test windows. Fidelity by
    cross-fitting over 5 folds of users: each fold's held windows are predicted by trees that were
    fitted on the other folds' users only. The surrogate itself is fitted on all fit_rows.
    """
    matrix = np.asarray(matrix, dtype=np.float32)
    log_odds = np.asarray(log_odds, dtype=np.float64)
    imitated = _cross_fitted(matrix, log_odds, users, fit_rows, held_rows, seed, threads)
    measured = held_rows & np.isfinite(imitated)
    agreement = fidelity(log_odds[measured], imitated[measured]) if matrix.shape[1] else Fidelity()
    return Surrogate(
        columns=list(columns),
        base=float(log_odds[fit_rows].mean()) if fit_rows.any() else 0.0,
        booster=_fit(matrix[fit_rows], log_odds[fit_rows], seed, threads),
        windows=int(held_rows.sum()),
        users=len(np.unique(users[held_rows])),
        **asdict(agreement),
    )


def fidelity(model: np.ndarray, imitated: np.ndarray) -> Fidelity:
    """The model's log-odds [n] and the imitated ones [n] → R², Spearman, top-decile overlap.

    Overlap: share of the top 10 % of the model's list that is in the top 10 % of the imitated list.
    Windows which the model holds equal may stand in its list in any order; that of the imitation is taken.
    """
    if len(model) < 2 or np.ptp(model) == 0:
        return Fidelity()
    top = max(1, round(len(model) / 10))
    best, best_imitated = np.lexsort((-imitated, -model))[:top], np.argsort(-imitated, kind="stable")[:top]
    return Fidelity(
        r2=float(1 - ((model - imitated) ** 2).sum() / ((model - model.mean()) ** 2).sum()),
        spearman=float(stats.spearmanr(model, imitated).statistic) if np.ptp(imitated) > 0 else None,
        top_decile_overlap=len(np.intersect1d(best, best_imitated)) / top,
    )


def _cross_fitted(
    matrix: np.ndarray,
    log_odds: np.ndarray,
    users: np.ndarray,
    fit_rows: np.ndarray,
    held_rows: np.ndarray,
    seed: int,
    threads: int,
) -> np.ndarray:
    """Imitated log-odds [n] of the held rows, each by trees that have not seen its user; NaN elsewhere."""
    imitated = np.full(len(matrix), np.nan)
    everyone, user = np.unique(users, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(everyone)) % FOLDS)[user]
    for k in range(FOLDS):
        fit, held = fit_rows & (fold != k), held_rows & (fold == k)
        if fit.any() and held.any():
            booster = _fit(matrix[fit], log_odds[fit], seed, threads)
            flat = log_odds[fit].mean()
            imitated[held] = flat if booster is None else booster.predict(matrix[held], num_threads=threads)
    return imitated


def _fit(matrix: np.ndarray, log_odds: np.ndarray, seed: int, threads: int) -> lightgbm.Booster | None:
    """The trees; None where there is nothing to imitate."""
    if matrix.shape[1] == 0 or len(log_odds) < 2 or np.ptp(log_odds) == 0:
        return None
    parameters = PARAMETERS | {"num_threads": threads, "seed": seed}
    return lightgbm.train(parameters, lightgbm.Dataset(matrix, log_odds, params=parameters), num_boost_round=TREES)
