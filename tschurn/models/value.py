"""windows and MONEY → EXPECTED_VALUES, VALUE_MODEL: what stickers a user who stays is worth in the outcome.

Most users have none, and a few have a lot. So the mean is learned by trees under a Tweedie deviance (Jørgensen 1987),
of which the power between 1 and 2 stands for a sum of a random number of amounts, zero among them; the powers are tried
on validation. What belongs to `p_churn` stays there: learned from, and measured on, are windows of users who stay.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tschurn.booster_text import checked
from tschurn.contracts import EXPECTED_VALUES, VALUE_MODEL, Progress, Windows, silent
from tschurn.errors import ModelError
from tschurn.models.blocks import Blocks
from tschurn.models.stored import read_text
from tschurn.models.views import VIEWS

POWERS = (1.2, 1.5, 1.8)
JUDGED = 1.5  # the power of the deviance by which powers are compared, and D2 is told
ROUNDS, STOP_AFTER, LEARNING_RATE = 400, 20, 0.05
_SETTINGS = {"objective": "tweedie", "num_leaves": 15, "min_data_in_leaf": 50, "feature_fraction": 0.6,
             "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0, "max_bin": 127, "verbose": -1,
             "deterministic": True, "force_row_wise": True, "learning_rate": LEARNING_RATE}  # fmt: skip
_TREES, _NOTE = "value.txt", "value.json"


@dataclass(frozen=True)
class Expected:
    """A fit of the value in units of its mean."""

    booster: Any
    unit: float

    def __call__(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Positions of windows → what is expected of each [n], if the user stays."""
        return self.unit * self.booster.predict(_flat(windows, rows)) if len(rows) else np.zeros(0)


def load_expected(folder: Path) -> Expected | None:
    """The folder that `expected_values` filled → its refit; None where nothing was learned. Raises ModelError."""
    import lightgbm as lgb

    if not (folder / _NOTE).exists():
        return None
    try:
        unit = float(json.loads((folder / _NOTE).read_text(encoding="utf-8"))["unit"])
        return Expected(lgb.Booster(model_str=checked(read_text(folder / _TREES))), unit)
    except (OSError, ValueError, KeyError, TypeError, lgb.basic.LightGBMError) as error:
        raise ModelError(
            f"{folder}: cannot be read ({type(error).__name__}: {error}); run the experiment again"
        ) from None


def expected_values(
    windows: Windows, money: pd.DataFrame, outcome_days: int, seed: int, threads: int, progress: Progress = silent,
    folder: Path | None = None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Windows, their MONEY row by row → the tables "expected_values" and "value_model"; both empty where nobody who
    stays has ever had a sticker of value in training.

    Values below 0 (refunds) count as 0. The evaluated fit learns from training windows (and then from those of
    validation too), the refit from all closed ones; both only from users who stay. Test is not used to choose.
    folder: where the refit is left, for `load_expected`.
    """
    blocks = Blocks.of(windows, "churn")
    stays = blocks.y == 0
    value = np.maximum(money["value_next"].fillna(0).to_numpy(np.float64), 0)
    train, validation, test = (rows[stays[rows]] for rows in (blocks.train, blocks.validation, blocks.test))
    keys = windows.index[["user_id", "anchor_day"]]
    empty = {"expected_values": keys.iloc[:0].assign(fit="", expected=0.0)[list(EXPECTED_VALUES.columns)],
             "value_model": judged(np.zeros(0), {})}  # fmt: skip
    if not value[train].any() or not value[validation].any():
        return empty
    unit = float(value[train].mean())  # so that settings mean the same in won and in cents
    fit = _Fit(windows, value, unit, seed, threads)
    progress("value", 0, 3, "what those who stay are worth")
    power, rounds = fit.chosen(train, validation)
    progress("value", 1, 3, "what those who stay are worth")
    evaluated = fit.learned(np.sort(np.concatenate([train, validation])), power, rounds)
    expected = evaluated(windows, blocks.test_period)
    progress("value", 2, 3, "what those who stay are worth")
    learnable = blocks.learnable[stays[blocks.learnable]]
    anchors = windows.index["anchor"].to_numpy()
    newest = np.flatnonzero(anchors == anchors.max())
    refit = fit.learned(learnable, power, rounds)
    scored = refit(windows, newest)
    if folder is not None:
        (folder / _TREES).write_text(refit.booster.model_to_string(), encoding="utf-8")
        (folder / _NOTE).write_text(json.dumps({"unit": unit, "power": power, "rounds": rounds}), encoding="utf-8")
    progress("value", 1, 1)
    fits = (("evaluated", blocks.test_period, expected), ("refit", newest, scored))
    parts = [keys.iloc[rows].assign(fit=name, expected=values) for name, rows, values in fits]
    lately = money["value_28"].fillna(0).to_numpy(np.float64)[test] * outcome_days / 28
    at = np.searchsorted(blocks.test_period, test)
    told = {"model": expected[at], "last_28_days": np.maximum(lately, 0), "mean": np.full(len(test), unit)}
    return {
        "expected_values": pd.concat(parts, ignore_index=True)[list(EXPECTED_VALUES.columns)],
        "value_model": judged(value[test], told),
    }


def judged(value: np.ndarray, expected: dict[str, np.ndarray]) -> pd.DataFrame:
    """What was [n], and what was expected by each way of expecting → VALUE_MODEL; empty without windows."""
    rows = [{"by": by, **_judged(value, guess)} for by, guess in expected.items()] if len(value) else []
    return pd.DataFrame(rows, columns=list(VALUE_MODEL.columns))


def _judged(value: np.ndarray, expected: np.ndarray) -> dict[str, Any]:
    from scipy.stats import spearmanr
    from sklearn.metrics import d2_tweedie_score

    varied = np.ptp(value) > 0 and np.ptp(expected) > 0
    tenth = np.argsort(-expected, kind="stable")[: max(1, round(len(value) / 10))]
    return {
        "windows": len(value), "mean": value.mean(), "expected": expected.mean(),
        "error": np.abs(value - expected).mean(),
        "spearman": float(spearmanr(value, expected).statistic) if varied else None,
        "top_decile": value[tenth].sum() / value.sum() if value.sum() > 0 and np.ptp(expected) > 0 else None,
        # a value that was expected to be 0 and was not is infinitely wrong
        "d2": d2_tweedie_score(value, expected, power=JUDGED) if expected.min() > 0 and value.sum() > 0 else None,
    }  # fmt: skip


class _Fit:
    """Fits of the value in units of its mean; the matrix of all windows is never held, only that of the rows asked."""

    def __init__(self, windows: Windows, value: np.ndarray, unit: float, seed: int, threads: int) -> None:
        self.windows, self.value, self.unit = windows, value / unit, unit
        self.settings = {**_SETTINGS, "seed": seed, "num_threads": threads}

    def chosen(self, train: np.ndarray, validation: np.ndarray) -> tuple[float, int]:
        """→ the power and the rounds with the least deviance on validation."""
        import lightgbm as lgb
        from sklearn.metrics import mean_tweedie_deviance

        data = self._data(train)
        against = self._data(validation, reference=data)
        flat = _flat(self.windows, validation)
        found = []
        for power in POWERS:
            settings = {**self.settings, "tweedie_variance_power": power}
            booster = lgb.train(settings, data, ROUNDS, valid_sets=[against],
                                callbacks=[lgb.early_stopping(STOP_AFTER, verbose=False)])  # fmt: skip
            rounds = max(1, booster.best_iteration)
            guess = np.maximum(booster.predict(flat, num_iteration=rounds), 1e-9)
            found.append((mean_tweedie_deviance(self.value[validation], guess, power=JUDGED), power, rounds))
        _, power, rounds = min(found)
        return power, rounds

    def learned(self, rows: np.ndarray, power: float, rounds: int) -> Expected:
        """Fit on `rows`."""
        import lightgbm as lgb

        booster = lgb.train({**self.settings, "tweedie_variance_power": power}, self._data(rows), rounds)
        return Expected(booster, self.unit)

    def _data(self, rows: np.ndarray, reference: Any = None) -> Any:
        import lightgbm as lgb

        return lgb.Dataset(_flat(self.windows, rows), self.value[rows], params=self.settings, reference=reference,
                           free_raw_data=False)  # fmt: skip


def _flat(windows: Windows, rows: np.ndarray) -> np.ndarray:
    return VIEWS["flat"](windows, rows).astype(np.float32)
