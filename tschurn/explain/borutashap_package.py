"""training windows and what happened → SELECTION, by the PyPI package BorutaShap: the oracle of our own.

BorutaShap 1.0.17 (MIT) is dormant and needs `scipy.stats.binom_test` and `numpy.NaN`, both since
removed. They are lent to it while it is imported and runs, and taken away again. It fits its own
global random state and silences all warnings on import: both are put back as well.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

import lightgbm
import numpy as np
import pandas as pd
import scipy.stats

from tschurn.errors import MissingExtraError
from tschurn.explain.boruta_shap import is_classification

PACKAGE = "BorutaShap"
# The package's own choice where it offers one is LightGBM's default of 100 trees and 31 leaves.
MODEL = {"deterministic": True, "force_row_wise": True, "verbose": -1}


def select_with_package(
    matrix: np.ndarray,
    columns: list[str],
    y: np.ndarray,
    users: np.ndarray,
    *,
    trials: int,
    seed: int,
    sample: bool = False,
    threads: int = 1,
) -> pd.DataFrame:
    """As `boruta_shap.select`, with the package's algorithm and LightGBM as its model.

    The package takes rows for exchangeable, so it gets one window per user, drawn once by the seed.
    sample: importances from the SHAP values of a tenth of the rows or so (those whose isolation scores are
    distributed as all are) instead of all; the package's own way to save time.
    Its tests divide by the columns still in the race, one-sided, at 0.05. A column that it both
    accepted and, in another trial, rejected counts as accepted, as in the package.
    Raises MissingExtraError if the package is not installed.
    """
    rows = _one_window_per_user(users, np.random.default_rng(seed))
    values = np.asarray(matrix, dtype=np.float32)[rows]
    y = np.asarray(y, dtype=np.float64)[rows]
    names = [f"c{i}" for i in range(len(columns))]  # LightGBM refuses some characters in names
    classification = is_classification(y)
    estimator = lightgbm.LGBMClassifier if classification else lightgbm.LGBMRegressor
    with lent_names() as package:
        race = package.BorutaShap(
            model=estimator(n_jobs=threads, random_state=seed, **MODEL),
            importance_measure="shap",  # its default, "Shap", is a value that it does not know
            classification=classification,
        )
        race.fit(
            pd.DataFrame(values, columns=names), y, n_trials=trials, random_state=seed, train_or_test="train",
            sample=sample, normalize=False, verbose=False,
        )  # fmt: skip
    decisions = dict.fromkeys(race.accepted, "accepted") | dict.fromkeys(race.rejected, "rejected")
    # The first row of each history is the package's padding; null where a column had left the race.
    own = race.history_x[names].to_numpy(dtype=float)[1:]
    took_part = np.isfinite(own)
    best = np.nanmax(race.history_shadow[1:], axis=1, keepdims=True)
    took = np.maximum(took_part.sum(axis=0), 1)
    return pd.DataFrame(
        {
            "column": columns,
            "decision": [decisions.get(name, "tentative") for name in names],
            "hits": race.hits.astype(np.int32),
            "trials": took_part.sum(axis=0).astype(np.int32),
            "importance": np.where(took_part, own, 0.0).sum(axis=0) / took,
            "shadow_max": np.where(took_part, best, 0.0).sum(axis=0) / took,
        }
    )


@contextlib.contextmanager
def lent_names() -> Iterator[ModuleType]:
    """The package, silent, with the names it misses in SciPy and NumPy; all is put back on the way out."""
    random_state = np.random.get_state()
    modules = {(scipy.stats, "binom_test"): _binom_test, (np, "NaN"): np.nan}
    lent = {place: value for place, value in modules.items() if not _has(*place)}
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        for (module, name), value in lent.items():
            setattr(module, name, value)
        try:
            yield _load()
        finally:
            for module, name in lent:
                delattr(module, name)
            np.random.set_state(random_state)


def _load() -> ModuleType:
    try:
        return sys.modules.get(PACKAGE) or importlib.import_module(PACKAGE)
    except ImportError as error:
        raise MissingExtraError(
            f'`selector = "borutashap"` needs the package {PACKAGE}, which cannot be imported ({error}); '
            'install it with `pip install tschurn[borutashap]`, or use `selector = "native"`'
        ) from None


def _has(module: ModuleType, name: str) -> bool:
    return name in vars(module)


def _binom_test(x: float, n: float, p: float = 0.5, alternative: str = "two-sided") -> float:
    """What SciPy's binom_test returned until 1.12."""
    return float(scipy.stats.binomtest(int(x), int(n), p, alternative=alternative).pvalue)


def _one_window_per_user(users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shuffled = rng.permutation(len(users))
    return np.sort(shuffled[np.unique(users[shuffled], return_index=True)[1]])
