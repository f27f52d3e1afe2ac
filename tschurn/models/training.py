"""windows and one target → fitted, calibrated, evaluated models, and who is used.

Models are chosen on validation only; test is looked at once, after everything is decided.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tschurn.config import Experiment
from tschurn.contracts import LABELS, Progress, Windows
from tschurn.errors import ConfigError, did_you_mean
from tschurn.models import automl, experiments, tuning
from tschurn.models.baselines import Average, make_baselines
from tschurn.models.blocks import Blocks
from tschurn.models.boosting import Boosting
from tschurn.models.calibration import Calibration, fit_calibration, level_between
from tschurn.models.evaluation import average_precision, resampled, two_way_weights
from tschurn.models.graphs import Hyperparameters
from tschurn.models.networks import Network, architectures, make_network, prepare_networks
from tschurn.models.saved import save_model


@dataclass
class Trained:
    """What training leaves. log_odds are of the evaluated fits, uncalibrated, for every window; held those that
    calibrations are learned on: of the calibration windows, by fits on training alone, at the level of the former."""

    models: dict[str, Any]
    validation_ap: dict[str, float]
    used: str
    best_network: str
    best_baseline: str
    log_odds: pd.DataFrame
    held: dict[str, np.ndarray]
    calibrations: dict[str, Calibration]
    experiments: list[dict[str, Any]]
    trials: list[dict[str, Any]]


def train(
    windows: Windows, target: str, experiment: Experiment, threads: int, folder: Path, unfinished: Path,
    progress: Progress,
) -> Trained:  # fmt: skip
    """Fit everything for one target; `folder` takes the settings and the evaluated used model.

    unfinished: where experiments and searches keep what has ended, so that a killed run goes on there.
    """
    prepare_networks(threads)
    seed, search = experiment.experiment.seed, experiment.search
    blocks = Blocks.of(windows, target)
    baselines = make_baselines(windows, seed, threads, experiment.models.automl)
    targets = {a: learned_by(a, target, windows, experiment) for a in architectures(windows)}
    names = [*targets, *(model.name for model in baselines)]
    _refuse_unknown(experiment.models.use, [*names, "average"] if "lightgbm_history" in names else names)
    boosting = sum(isinstance(m, Boosting) and m.name != automl.NAME for m in baselines)
    searches = tuning.steps(search.trials, boosting)
    # and two more steps after training: test, and the refit
    total = experiments.fits(len(experiments.cells_of(windows, targets)), search.seeds) + searches + 2 * len(names) + 3
    steps = _Steps(progress, f"models.{target}", total)

    networks, cells, trials = _tuned(windows, blocks, targets, experiment, threads, baselines, unfinished, steps)
    settings = {m.name: asdict(m.hyperparameters) for m in networks}
    (folder / "hyperparameters.json").write_text(json.dumps(settings))
    candidates: dict[str, Any] = {model.name: model for model in [*networks, *baselines]}
    validation = blocks.pair(blocks.validation)
    promised: dict[str, np.ndarray] = {}  # log-odds on validation
    held: dict[str, np.ndarray] = {}  # and on the calibration half, by models that have seen none of its weeks
    validation_ap = {}
    for name, model in candidates.items():
        model.fit(windows, *blocks.pair(blocks.train), validation)
        promised[name], held[name] = (model.log_odds(windows, b) for b in (blocks.validation, blocks.calibration))
        validation_ap[name] = average_precision(validation[1], promised[name])
        steps.done(f"{name}: AP {validation_ap[name]:.3f} on validation")
    best_network, best_baseline = (
        _best({name: ap for name, ap in validation_ap.items() if candidates[name].kind == kind})
        for kind in ("network", "baseline")
    )
    if "lightgbm_history" in candidates:
        average = Average([candidates[best_network], candidates["lightgbm_history"]])
        candidates["average"] = average
        for known in (promised, held):
            known["average"] = np.mean([known[member.name] for member in average.members], axis=0)
        validation_ap["average"] = average_precision(validation[1], promised["average"])
    used = experiment.models.use
    if used == "auto":
        index = windows.index.iloc[validation[0]]
        weights = two_way_weights(index["user"].to_numpy(), index["anchor"].to_numpy(), seed)
        used = best_or_average(validation_ap, promised, validation[1], weights)

    chosen_and_train = np.sort(np.concatenate([blocks.train, blocks.validation]))
    everything = np.arange(len(windows.index))
    log_odds = {}
    for name, model in candidates.items():
        if model.kind != "average":  # its members are fitted by now
            model.fit(windows, *blocks.pair(chosen_and_train))
        log_odds[name] = model.log_odds(windows, everything)
        held[name] = held[name] + level_between(held[name], log_odds[name][blocks.calibration])
        steps.done(f"{name}: fitted on training and validation")
    save_model(candidates[used], folder / "evaluated", windows)
    users = windows.index["user"].to_numpy()[blocks.calibration]
    calibrations = {n: fit_calibration(v, blocks.y[blocks.calibration], users, seed) for n, v in held.items()}
    (folder / "evaluated" / "calibration.json").write_text(json.dumps(calibrations[used].to_dict()))
    return Trained(
        candidates,
        validation_ap,
        used,
        best_network,
        best_baseline,
        pd.DataFrame(log_odds),
        held,
        calibrations,
        cells,
        trials,
    )


def _tuned(
    windows: Windows, blocks: Blocks, targets: Mapping[str, tuple[str, ...]], experiment: Experiment, threads: int,
    baselines: list[Any], unfinished: Path, steps: _Steps,
) -> tuple[list[Network], list[dict[str, Any]], list[dict[str, Any]]]:  # fmt: skip
    """Experiment and searches → the networks, unfitted, the winner with its tuned hyperparameters; LightGBM
    takes what its own searches found."""
    seed, search = experiment.experiment.seed, experiment.search
    sample = blocks.pair(tuning.sample_of_users(windows, blocks.train, search.sample_users, seed))
    whole, validation = blocks.pair(blocks.train), blocks.pair(blocks.validation)
    rows = experiments.experiment(
        windows, sample, validation, targets, seed=seed, seeds=search.seeds, epochs=search.trial_epochs,
        folder=unfinished / "experiment", done=steps.done,
    )  # fmt: skip
    scalings = experiments.best_scalings(rows)
    settings = {a: Hyperparameters(a, scalings[a]) for a in targets}
    winner = next(row["architecture"] for row in rows if row["chosen"])
    budget = tuning.Budget(search.trials, search.seconds, seed, unfinished, tuning.workers_of(threads))
    trial = tuning.NetworkTrial(windows, sample, validation, settings[winner], search.trial_epochs, targets[winner])
    settings[winner], trials = tuning.tune_network(trial, whole, search.epochs, budget, steps.done)
    for model in baselines:
        if model.name == automl.NAME:
            automl.tune_by_flaml(model, windows, sample, validation, search.trials, search.seconds)
        elif isinstance(model, Boosting):
            trials += tuning.tune_boosting(model, windows, sample, whole, validation, budget, steps.done)
    return [make_network(a, h, seed, search.epochs, targets[a]) for a, h in settings.items()], rows, trials


def learned_by(architecture: str, target: str, windows: Windows, experiment: Experiment) -> tuple[str, ...]:
    """The target first, and those that the network's trunk learns along with it."""
    shared = architecture == "causal_gru" or experiment.models.trunk == "shared"
    others = [t for t, label in LABELS.items() if t != target and windows.index[label].notna().any()]
    return (target, *others) if shared else (target,)


class _Steps:
    """Counts units of work for the progress bar."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._progress, self._stage, self._total, self._count = progress, stage, total, 0

    def done(self, note: str) -> None:
        self._count = min(self._count + 1, self._total)
        self._progress(self._stage, self._count, self._total, note)


def best_or_average(ap: dict[str, float], log_odds: dict[str, np.ndarray], y: np.ndarray, weights: np.ndarray) -> str:
    """→ the model with the best AP on validation, or the average where that is at most one standard error behind it.

    The best of many on a small validation is partly the luckiest; two models of different kinds seldom are lucky at
    once (the rule of one standard error: Breiman et al. 1984). weights: bootstrap replicates, as for `resampled`.
    """
    best = _best(ap)
    if best == "average" or "average" not in ap:
        return best
    replicates = (resampled(y, log_odds[name], weights)["ap"] for name in (best, "average"))
    behind = np.subtract(*replicates)
    return "average" if ap[best] - ap["average"] <= np.nanstd(behind) else best


def _best(scores: dict[str, float]) -> str:
    return max(scores, key=lambda name: (np.nan_to_num(scores[name]), name))


def _refuse_unknown(wanted: str, names: list[str]) -> None:
    if wanted not in ("auto", *names):
        raise ConfigError(
            f"key `models.use` = {wanted!r}: no such model in this run, which has auto, {', '.join(names)}"
            + did_you_mean(wanted, names)
        )
