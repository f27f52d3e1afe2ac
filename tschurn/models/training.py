"""windows and one target → fitted, calibrated, evaluated models, and who is used.

Models are chosen on validation only; test is looked at once, after everything is decided.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tschurn.config import Experiment
from tschurn.contracts import LABELS, Progress, Windows
from tschurn.errors import ConfigError, did_you_mean
from tschurn.models import tuning
from tschurn.models.baselines import Average, make_baselines
from tschurn.models.calibration import Calibration, fit_calibration
from tschurn.models.evaluation import average_precision
from tschurn.models.networks import ARCHITECTURES, Hyperparameters, Network, prepare_keras
from tschurn.models.scaling import SCALINGS


@dataclass
class Blocks:
    """Positions of a target's windows by split, and all labels (0 for open windows)."""

    train: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    test: np.ndarray
    closed: np.ndarray
    learnable: np.ndarray  # closed, and not excluded
    y: np.ndarray

    @classmethod
    def of(cls, windows: Windows, target: str) -> Blocks:
        """WINDOWS → its blocks for this target."""
        index = windows.index
        places = {s: np.flatnonzero(index["split"] == s) for s in ("train", "validation", "calibration", "test")}
        y = index[LABELS[target]].fillna(0).to_numpy(np.float64)
        learnable = np.flatnonzero(index["closed"] & (index["split"] != "excluded"))
        return cls(**places, closed=np.flatnonzero(index["closed"]), learnable=learnable, y=y)

    def pair(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions → (positions, labels)."""
        return rows, self.y[rows]


@dataclass
class Trained:
    """What training leaves. Log-odds are of the evaluated fits, uncalibrated, for every window."""

    models: dict[str, Any]
    validation_ap: dict[str, float]
    used: str
    best_network: str
    best_baseline: str
    log_odds: pd.DataFrame
    calibrations: dict[str, Calibration]
    experiments: list[dict[str, Any]]
    trials: list[dict[str, Any]]


def train(
    windows: Windows, target: str, experiment: Experiment, threads: int, folder: Path, progress: Progress
) -> Trained:
    """Fit everything for one target; `folder` takes keras-tuner's files and the evaluated used model."""
    prepare_keras(threads)
    seed, search = experiment.experiment.seed, experiment.search
    blocks = Blocks.of(windows, target)
    baselines = make_baselines(windows, seed, threads)
    names = [*ARCHITECTURES, *(model.name for model in baselines)]
    _refuse_unknown(experiment.models.use, [*names, "average"] if "lightgbm_history" in names else names)
    # and two more steps after training: test, and the refit
    total = len(ARCHITECTURES) * len(SCALINGS) + search.trials + 2 * len(names) + 3
    steps = _Steps(progress, f"models.{target}", total)

    networks, experiments, trials = _networks(windows, blocks, experiment, folder, steps)
    candidates: dict[str, Any] = {model.name: model for model in [*networks, *baselines]}
    validation = blocks.pair(blocks.validation)
    validation_ap = {}
    for name, model in candidates.items():
        model.fit(windows, *blocks.pair(blocks.train), validation)
        validation_ap[name] = average_precision(validation[1], model.log_odds(windows, validation[0]))
        steps.done(f"{name}: AP {validation_ap[name]:.3f} on validation")
    best_network, best_baseline = (
        _best({name: ap for name, ap in validation_ap.items() if candidates[name].kind == kind})
        for kind in ("network", "baseline")
    )
    if "lightgbm_history" in candidates:
        average = Average([candidates[best_network], candidates["lightgbm_history"]])
        candidates["average"] = average
        validation_ap["average"] = average_precision(validation[1], average.log_odds(windows, validation[0]))
    used = _best(validation_ap) if experiment.models.use == "auto" else experiment.models.use

    chosen_and_train = np.sort(np.concatenate([blocks.train, blocks.validation]))
    everything = np.arange(len(windows.index))
    log_odds = {}
    for name, model in candidates.items():
        if model.kind != "average":  # its members are fitted by now
            model.fit(windows, *blocks.pair(chosen_and_train))
        log_odds[name] = model.log_odds(windows, everything)
        steps.done(f"{name}: fitted on training and validation")
    (folder / "evaluated").mkdir()
    candidates[used].save(folder / "evaluated")
    calibrations = {
        n: fit_calibration(v[blocks.calibration], blocks.y[blocks.calibration]) for n, v in log_odds.items()
    }
    return Trained(
        candidates,
        validation_ap,
        used,
        best_network,
        best_baseline,
        pd.DataFrame(log_odds),
        calibrations,
        experiments,
        trials,
    )


def _networks(
    windows: Windows, blocks: Blocks, experiment: Experiment, folder: Path, steps: _Steps
) -> tuple[list[Network], list[dict[str, Any]], list[dict[str, Any]]]:
    """Experiment and search → the three networks, unfitted, the winner with its tuned hyperparameters."""
    seed, search = experiment.experiment.seed, experiment.search
    sample = blocks.pair(tuning.sample_of_users(windows, blocks.train, search.sample_users, seed))
    validation = blocks.pair(blocks.validation)
    rows = tuning.experiment(windows, sample, validation, seed, search.trial_epochs, steps.done)
    scalings = tuning.best_scalings(rows)
    winner = next(row for row in rows if row["chosen"])
    tuned, trials = tuning.search(
        windows, sample, validation, Hyperparameters(winner["architecture"], winner["scaling"]), winner["ap"],
        trials=search.trials, seconds=search.seconds, epochs=search.trial_epochs, seed=seed, folder=folder,
        done=steps.done,
    )  # fmt: skip
    settings = {a: tuned if a == winner["architecture"] else Hyperparameters(a, scalings[a]) for a in ARCHITECTURES}
    (folder / "hyperparameters.json").write_text(json.dumps({a: asdict(h) for a, h in settings.items()}))
    return [Network(a, h, seed, search.epochs) for a, h in settings.items()], rows, trials


class _Steps:
    """Counts units of work for the progress bar."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._progress, self._stage, self._total, self._count = progress, stage, total, 0

    def done(self, note: str) -> None:
        self._count = min(self._count + 1, self._total)
        self._progress(self._stage, self._count, self._total, note)


def _best(scores: dict[str, float]) -> str:
    return max(scores, key=lambda name: (np.nan_to_num(scores[name]), name))


def _refuse_unknown(wanted: str, names: list[str]) -> None:
    if wanted not in ("auto", *names):
        raise ConfigError(
            f"key `models.use` = {wanted!r}: no such model in this run, which has auto, {', '.join(names)}"
            + did_you_mean(wanted, names)
        )
