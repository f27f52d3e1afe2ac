"""training and validation windows → LightGBM with the settings that FLAML finds: AutoML as a baseline, an extra."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.errors import MissingExtraError
from tschurn.models.boosting import Boosting
from tschurn.models.views import VIEWS

NAME = "flaml"
Rows = tuple[np.ndarray, np.ndarray]  # positions of windows, their labels


def tune_by_flaml(
    model: Boosting, windows: Windows, train: Rows, validation: Rows, trials: int, seconds: float | None
) -> None:
    """`model` takes what FLAML's search finds (cost-frugal, Wu, Wang and Huang 2021) by validation's log loss.

    Of FLAML's learners only LightGBM, whose models are stored as text. Without `seconds` the same seed gives the
    same settings. Raises MissingExtraError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts of FLAML that are not used here
        try:
            from flaml.automl import AutoML
        except ImportError:
            raise MissingExtraError(
                "key `models.automl`: FLAML is not installed; pip install 'tschurn[automl]', or remove the key"
            ) from None
        (rows, y), (held, held_y) = train, validation
        view = VIEWS[model.view]
        found = AutoML()
        found.fit(
            view(windows, rows), y.astype(int), X_val=view(windows, held), y_val=held_y.astype(int),
            task="classification", metric="log_loss", estimator_list=["lgbm"], eval_method="holdout",
            max_iter=trials, time_budget=seconds or -1, seed=model.parameters["seed"],
            n_jobs=model.parameters["num_threads"], retrain_full=False, early_stop=False, verbose=0,
        )  # fmt: skip
    settings, rounds = _lightgbm(found.best_config)
    model.tuned(settings, rounds)


def _lightgbm(config: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """FLAML's names → LightGBM's own, and the rounds."""
    settings = {
        "num_leaves": int(config["num_leaves"]),
        "min_data_in_leaf": int(config["min_child_samples"]),
        "learning_rate": float(config["learning_rate"]),
        "max_bin": (1 << int(config["log_max_bin"])) - 1,
        "feature_fraction": float(config["colsample_bytree"]),
        "bagging_fraction": 1.0,
        "lambda_l1": float(config["reg_alpha"]),
        "lambda_l2": float(config["reg_lambda"]),
    }
    return settings, int(config["n_estimators"])
