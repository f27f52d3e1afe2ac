"""windows and the columns that explanations were left with → ABLATION: what those that were removed are worth.

Collinear columns, and those that carry no more than chance, are removed before a model is explained. Whether anything
went with them is asked here by retraining without them. The test labels are looked at once only, by the evaluation;
so fits learn from training windows, stop by the choosing half of validation, as before the choice of a model, and are
measured on the calibration half: other users in the same weeks, on whom nothing of this was chosen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tschurn.contracts import ABLATION, Lives, Progress, Windows, silent
from tschurn.models.blocks import Blocks
from tschurn.models.boosting import Boosting
from tschurn.models.causal import CausalNetwork
from tschurn.models.evaluation import interval, resampled, two_way_weights
from tschurn.models.graphs import Hyperparameters
from tschurn.models.model import Model
from tschurn.models.networks import make_network
from tschurn.models.training import learned_by

if TYPE_CHECKING:
    import pandas as pd

    from tschurn.config import Experiment

ALL = "all"
SEEDS = 2  # fits of each row: what a network reaches is partly luck, which the intervals have to know of
_BOOSTED = {"lightgbm_history": "flat", "lightgbm_7days": "days"}  # by preference, with what they see
Make = Callable[[int], Model]  # seed → a model with tuned settings, not fitted yet
METRICS = ("ap", "auc")
Scores = dict[str, np.ndarray]  # by metric: [fits × (1 + replicates)], the figure on the windows as they are first


class Without:
    """Windows of which only some flattened columns are left; satisfies contracts.Windows.

    What is removed is 0 in every window: a constant teaches nothing, and every model takes the matrices that it knows.
    What is no column stays to be seen: whether a day lies before the user's first act, and the clocks of causal_gru.
    Raises ValueError for a column that the windows do not have.
    """

    def __init__(self, windows: Windows, left: list[str]) -> None:
        self.index = windows.index
        self.features = windows.features
        self.lives: Lives = windows.lives
        self._windows = windows
        columns = windows.flat_columns()
        if unknown := sorted(set(left) - set(columns["column"])):
            raise ValueError(f"no such columns: {unknown[:5]}")
        stays = columns["column"].isin(left).to_numpy()
        daily = (columns["kind"] == "daily").to_numpy()
        width = int((windows.features["kind"] == "daily").sum())
        self._daily = stays[daily].reshape(-1, width)  # [days × daily features], as flat columns stand
        self._history = stays[~daily]

    @property
    def columns(self) -> int:
        """How many flattened columns are left."""
        return int(self._daily.sum() + self._history.sum())

    @property
    def features_left(self) -> tuple[int, ...]:
        """Daily features, by their place, of which any column is left: what models of whole lives see."""
        return tuple(np.flatnonzero(self._daily.any(axis=0)).tolist())

    def days(self, users: np.ndarray, days: np.ndarray) -> np.ndarray:
        """As of the windows; a life has no columns, so a feature is 0 when none of its columns is left."""
        return np.where(self._daily.any(axis=0), self._windows.days(users, days), np.float32(0))

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """As of the windows, 0 where the column of the day is not left."""
        return np.where(self._daily, self._windows.batch(rows), np.float32(0))

    def history(self, rows: np.ndarray) -> np.ndarray:
        """As of the windows, 0 in the columns that are not left."""
        return np.where(self._history, self._windows.history(rows), np.float32(0))

    def flat(self, rows: np.ndarray) -> np.ndarray:
        """As of the windows, 0 in the columns that are not left."""
        days = self.batch(rows)
        return np.concatenate([days.reshape(len(rows), days.shape[1] * days.shape[2]), self.history(rows)], axis=1)

    def flat_columns(self) -> pd.DataFrame:
        """As of the windows: all columns, those of which nothing is left among them."""
        return self._windows.flat_columns()


def tuned_models(
    windows: Windows, target: str, experiment: Experiment, folder: Path, best_network: str | None, threads: int
) -> dict[str, Make]:
    """A target's finished folder of models → LightGBM and the best network, if any, by name, as searches left them.

    LightGBM sees history where there is any. Rounds and epochs are found anew by each fit, as in training.
    """
    import pandas as pd

    trials = pd.read_parquet(folder / "trials.parquet")
    chosen = trials[trials["chosen"]].set_index("model")["hyperparameters"]
    boosted = next(name for name in _BOOSTED if name in chosen.index)

    def boosting(seed: int) -> Model:
        model = Boosting(boosted, _BOOSTED[boosted], seed, threads)
        model.tuned(json.loads(chosen[boosted]))
        return model

    if best_network is None:
        return {boosted: boosting}
    settings = Hyperparameters(**json.loads((folder / "hyperparameters.json").read_text())[best_network])
    targets = learned_by(best_network, target, windows, experiment)
    return {
        boosted: boosting,
        best_network: lambda seed: make_network(best_network, settings, seed, experiment.search.epochs, targets),
    }


def ablate(
    windows: Windows, target: str, left: Mapping[str, list[str]], models: Mapping[str, Make], seed: int,
    seeds: int = SEEDS, progress: Progress = silent,
) -> pd.DataFrame:  # fmt: skip
    """Windows, the columns that are left by name of the inputs, models by name → ABLATION.

    left: besides "all", such as {"independent": [...], "kept": [...]}. Each row is fitted under `seeds` seeds. Figures
    are the means over these; the bootstrap of the intervals draws users and anchors and, on either side of a
    difference, one of the fits. With two fits this is, in expectation, just the variance that the luck of fitting
    leaves in their mean. What a model sees twice is fitted once. Raises ValueError for columns that are unknown.
    """
    import pandas as pd

    blocks = Blocks.of(windows, target)
    index = windows.index.iloc[blocks.calibration]
    weights = two_way_weights(index["user"].to_numpy(), index["anchor"].to_numpy(), seed)
    weights = np.concatenate([np.ones_like(weights[:1]), weights])
    everything = {ALL: windows.flat_columns()["column"].tolist(), **left}
    rows: list[dict[str, Any]] = []
    for name, make in models.items():
        whole_lives = isinstance(make(seed), CausalNetwork)
        fitted: dict[tuple, Scores] = {}
        for inputs, columns in everything.items():
            progress("ablation", len(rows), len(models) * len(everything), f"{name}, inputs: {inputs}")
            some = Without(windows, columns)
            seen = some.features_left if whole_lives else tuple(sorted(columns))
            if seen not in fitted:
                fits = [_scores(make(seed + k), some, blocks, weights) for k in range(seeds)]
                fitted[seen] = {metric: np.stack([fit[metric] for fit in fits]) for metric in METRICS}
            with_all = next(iter(fitted.values()))
            rows.append(
                {"target": target, "model": name, "inputs": inputs, "columns": some.columns,
                 "daily_features": len(some.features_left) if whole_lives else None, "windows": len(index),
                 "base_rate": blocks.y[blocks.calibration].mean(),
                 **_figures(fitted[seen], None if inputs == ALL else with_all, seed)}
            )  # fmt: skip
    progress("ablation", 1, 1)
    return pd.DataFrame(rows, columns=list(ABLATION.columns)).astype({"daily_features": "Int32"})


def _scores(model: Model, windows: Windows, blocks: Blocks, weights: np.ndarray) -> Scores:
    """Fit on training, stop by validation → AP and AUC on the calibration half under each weighting."""
    model.fit(windows, *blocks.pair(blocks.train), blocks.pair(blocks.validation))
    rows, y = blocks.pair(blocks.calibration)
    return resampled(y, model.log_odds(windows, rows), weights)


def _figures(scores: Scores, with_all: Scores | None, seed: int) -> dict[str, float | None]:
    """Scores [seeds × (1 + replicates)] → means over the seeds, their intervals, and the same of what differs from
    the scores with all inputs; null where these are the ones."""
    found: dict[str, float | None] = {}
    for metric in METRICS:
        here, replicates = _drawn(scores[metric], seed, 0)
        found |= dict(zip((metric, f"{metric}_low", f"{metric}_high"), (here, *interval(replicates)), strict=True))
        behind: tuple[float | None, ...] = (None, None, None)
        if with_all is not None:
            # the same fits differ by nothing, whichever are drawn
            there, others = _drawn(with_all[metric], seed, 0 if with_all is scores else 1)
            behind = (here - there, *interval(replicates - others))
        names = (f"{metric}_difference", f"{metric}_difference_low", f"{metric}_difference_high")
        found |= dict(zip(names, behind, strict=True))
    return found


def _drawn(scores: np.ndarray, seed: int, side: int) -> tuple[float, np.ndarray]:
    """[seeds × (1 + replicates)] → the mean over the seeds, and each replicate by one of the fits."""
    replicates = scores.shape[1] - 1
    fit = np.random.default_rng([seed, 14, side]).integers(len(scores), size=replicates)
    return float(scores[:, 0].mean()), scores[fit, 1 + np.arange(replicates)]
