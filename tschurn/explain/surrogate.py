"""flattened windows and a model's log-odds → Surrogate: trees that imitate it, and how well they do.

The surrogate is fitted to the model's uncalibrated log-odds, so its exact TreeSHAP values (Lundberg
et al. 2020) are in the same unit. It is never used without its fidelity, measured on users whom the
imitation had not seen, at test anchors, nor without saying for which windows it stands (`reliable`).
No outcome enters: what is imitated are the model's answers.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import lightgbm
import numpy as np
import pandas as pd
from scipy import stats

from tschurn.contracts import RELIABLE_R2
from tschurn.explain.reasons import by_feature

# Half the trees at twice the rate cost half as much as 200 at 0.1: on real logs, for 0.001 to 0.005 of R².
FOLDS = 5
TREES = 100
# How many columns beyond the selected ones a surrogate is tried with; on real logs, more added nothing.
ADDED = (4, 8, 16, 32, 64)
# Share of what is left unexplained that more columns must explain to be worth having, once enough is explained.
WORTH = 0.2
# R² that is wanted on the earlier windows by which columns are chosen: later ones are repeated a little less well.
AIM = RELIABLE_R2 + 0.05
PARAMETERS = {
    "objective": "regression",
    "learning_rate": 0.2,
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
    few users, no columns, or log-odds that do not vary. windows, users: the held-out ones; spread: the
    standard deviation of the model's log-odds on them.
    """

    columns: list[str]
    base: float
    booster: lightgbm.Booster | None
    windows: int
    users: int
    spread: float
    r2: float | None
    spearman: float | None
    top_decile_overlap: float | None

    def predict(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """[n × p] values of `columns` → imitated log-odds [n]."""
        if self.booster is None:
            return np.full(len(matrix), self.base)
        return self.booster.predict(np.asarray(matrix, dtype=np.float32), num_threads=threads)

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

    fit_rows, held_rows: boolean masks [n]; the windows to learn from, and those to measure on. Fidelity by
    cross-fitting over 5 folds of users: each fold's held windows are predicted by trees that were
    fitted on the other folds' users only. The surrogate itself is fitted on all fit_rows.

    The masks may overlap: a window is then learned from, but never by the trees that it is measured with.
    Windows at the anchors of test belong among fit_rows: the model's answers on them hold no outcome,
    and the windows to be explained are later ones still.
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
        spread=float(log_odds[held_rows].std()) if held_rows.any() else 0.0,
        **asdict(agreement),
    )


def reliable(
    surrogate: Surrogate,
    matrix: np.ndarray,
    log_odds: np.ndarray,
    threads: int = 1,
    *,
    features: pd.Series | None = None,
) -> np.ndarray:
    """[n × p] values of its columns and the model's log-odds [n] → whether the surrogate stands for the model [n] bool.

    features: the feature of each column [p], whose columns are one reason; without them each is one of its own.
    What the reasons of a window leave out is the distance between surrogate and model there. A window is
    reliable if that is small on two scales:
    - its square is at most (1 - RELIABLE_R2) · spread², as in each window of a surrogate just at the bar: the
      bar for the whole is asked of each window;
    - it is at most the strongest reason, for or against: something left out would else come before it.
    Where the whole is under the bar, or could not be measured, no window is: trees that repeat the model badly
    come near it in some windows by chance.
    """
    pushes, base = surrogate.contributions(matrix, threads)
    return holds(surrogate, pushes, base, log_odds, features)


def holds(
    surrogate: Surrogate, pushes: np.ndarray, base: float, log_odds: np.ndarray, features: pd.Series | None = None
) -> np.ndarray:
    """As `reliable`, from the contributions [n × p] and their base."""
    if surrogate.r2 is None or surrogate.r2 < RELIABLE_R2:
        return np.zeros(len(pushes), dtype=bool)
    left_out = np.abs(base + pushes.sum(axis=1) - np.asarray(log_odds, dtype=np.float64))
    by_reason = pushes if features is None else by_feature(pushes, features)
    strongest = np.abs(by_reason).max(axis=1, initial=0.0)
    return (left_out <= math.sqrt(1 - RELIABLE_R2) * surrogate.spread) & (left_out <= strongest)


def choose_columns(
    matrix: np.ndarray,
    columns: list[str],
    selected: list[str],
    log_odds: np.ndarray,
    users: np.ndarray,
    held_rows: np.ndarray,
    *,
    seed: int,
    threads: int = 1,
) -> list[str]:
    """[n × p] values, p names, the names selected of them, log-odds [n], users [n] → the names to fit a surrogate on.

    Columns are selected for what they say of the outcome, but a model may use others too. Trees that lack those
    cannot repeat it, or they repeat it by what correlates with them and give reasons that are not the model's. So
    the columns that trees on all of them gain most from are added, twice as many each time, as long as the
    surrogate is under AIM or they explain a fifth of what is left unexplained; the best is taken. R² is
    cross-fitted by user on held_rows [n], a mask of windows *before* test: those of validation. Nothing is chosen
    on test.
    """
    place = {column: i for i, column in enumerate(columns)}
    matrix, log_odds = np.asarray(matrix, dtype=np.float32), np.asarray(log_odds, dtype=np.float64)
    everywhere = np.ones(len(matrix), dtype=bool)

    def r2(chosen: list[str]) -> float | None:
        part = matrix[:, [place[column] for column in chosen]]
        imitated = _cross_fitted(part, log_odds, users, everywhere, held_rows, seed, threads)
        measured = held_rows & np.isfinite(imitated)
        return fidelity(log_odds[measured], imitated[measured]).r2

    chosen, best = selected, r2(selected)
    booster = None if best is None else _fit(matrix, log_odds, seed, threads)
    if booster is None:
        return selected
    gain, taken = booster.feature_importance("gain"), set(selected)
    others = [columns[i] for i in np.argsort(-gain, kind="stable") if gain[i] > 0 and columns[i] not in taken]
    for more in sorted({min(more, len(others)) for more in ADDED} - {0}):
        wider = selected + others[:more]
        found = r2(wider)
        worth = 1 - found <= (1 - WORTH) * (1 - best)
        if worth or (best < AIM and found > best):
            chosen, best = wider, found
        elif best >= AIM:
            break
    return chosen


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
