"""training and validation windows → scaling and architecture by experiment, hyperparameters by Bayesian search.

Experiment and search see a stated sample of the users and few epochs; what they choose is fitted on
everything afterwards.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.models.networks import ARCHITECTURES, Hyperparameters, Network, score
from tschurn.models.scaling import SCALINGS
from tschurn.models.search_space import search_space

Rows = tuple[np.ndarray, np.ndarray]  # positions of windows, their labels
Report = Callable[[str], None]  # one unit of work is done


def experiment(
    windows: Windows, train: Rows, validation: Rows, seed: int, epochs: int, done: Report
) -> list[dict[str, Any]]:
    """Every scaling with every architecture, default hyperparameters → EXPERIMENTS rows without target.

    The best AP on validation is `chosen`.
    """
    rows = []
    for architecture in ARCHITECTURES:
        for scaling in SCALINGS:
            network = Network(architecture, Hyperparameters(architecture, scaling), seed, epochs)
            network.fit(windows, *train, validation)
            rows.append(
                {"scaling": scaling, "architecture": architecture, **_finite(score(network, windows, *validation)),
                 "epochs": network.epochs, "chosen": False}
            )  # fmt: skip
            done(f"{architecture}, {scaling}")
    max(rows, key=lambda row: row["ap"])["chosen"] = True
    return rows


def best_scalings(rows: list[dict[str, Any]]) -> dict[str, str]:
    """EXPERIMENTS rows → for each architecture the scaling with the best AP."""
    ranked = sorted(rows, key=lambda row: row["ap"])
    return {row["architecture"]: row["scaling"] for row in ranked}


def search(
    windows: Windows, train: Rows, validation: Rows, start: Hyperparameters, start_ap: float, *,
    trials: int, seconds: float | None, epochs: int, seed: int, folder: Path, done: Report,
) -> tuple[Hyperparameters, list[dict[str, Any]]]:  # fmt: skip
    """Bayesian search (Gaussian process, upper confidence bound) by keras-tuner around `start`.

    → the best hyperparameters (`start` itself if no trial beats its AP of the experiment), and
    TRIALS rows without target. Each trial's randomness follows from seed and trial number alone.
    """
    import keras_tuner as kt

    has_history = windows.history(train[0][:1]).shape[1] > 0
    found: list[dict[str, Any]] = []
    until = time.monotonic() + (seconds or np.inf)

    class Search(kt.BayesianOptimization):
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
            values = trial.hyperparameters.values
            try:
                hyperparameters = replace(start, **values)
                network = Network("trial", hyperparameters, seed, epochs)
                network.fit(windows, *train, validation)
                scores = _finite(score(network, windows, *validation))
            except Exception as error:  # keras-tuner would swallow it and go on
                raise kt.errors.FatalError(f"trial {trial.trial_id}: {error}") from error
            found.append(
                {"trial": len(found), "hyperparameters": json.dumps(values, sort_keys=True), "ap": scores["ap"],
                 "epochs": network.epochs, "chosen": False}
            )  # fmt: skip
            done(f"trial {len(found)} of {trials}: AP {scores['ap']:.3f}")
            if time.monotonic() > until:
                self.oracle.max_trials = len(found)
            return {"ap": scores["ap"]}

    tuner = Search(
        objective=kt.Objective("ap", "max"), max_trials=trials, seed=seed,
        hyperparameters=search_space(start, has_history),
        # its own default, three per dimension, would leave 15 trials all random
        num_initial_points=max(3, trials // 3),
        directory=str(folder), project_name="trials", overwrite=True,
    )  # fmt: skip
    tuner.search(verbose=0)
    best = max(found, key=lambda row: row["ap"])
    if best["ap"] <= start_ap:
        return start, found
    best["chosen"] = True
    return replace(start, **json.loads(best["hyperparameters"])), found


def sample_of_users(windows: Windows, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The windows of `rows` that belong to a random share of the users."""
    users = windows.index["user"].to_numpy()
    random = np.random.default_rng([seed, 5])
    drawn = random.random(int(users.max()) + 1) < share
    sample = rows[drawn[users[rows]]]
    return sample if len(sample) else rows


def _finite(scores: dict[str, float]) -> dict[str, float]:
    """A network that diverged scores worst instead of not at all."""
    worst = {"ap": 0.0, "auc": 0.0, "log_loss": 99.0}
    return {name: value if np.isfinite(value) else worst[name] for name, value in scores.items()}
