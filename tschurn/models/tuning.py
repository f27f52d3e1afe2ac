"""a model and its windows → the settings that a search found for it, and how its trials went.

Trials see a stated sample of the users, and networks few epochs; what is chosen is fitted on everything afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.disk import read_sealed, write_sealed
from tschurn.models.boosting import STEP, TREE_SIZES, Boosting, fit_rounds
from tschurn.models.evaluation import auc, average_precision, log_loss
from tschurn.models.graphs import Hyperparameters
from tschurn.models.networks import make_network, prepare_networks
from tschurn.models.search import Evaluate, Trial, Watch, best_of, search, trial_seed
from tschurn.models.search_space import boosting_space, network_space

if TYPE_CHECKING:
    import keras_tuner as kt

Rows = tuple[np.ndarray, np.ndarray]  # positions of windows, their labels
Report = Callable[[str], None]  # one unit of work is done

REPEATS = 2  # fits of the best trial under other seeds: was it good, or lucky?
_AT_ONCE = 4  # trials at most: those of a batch know nothing of each other


@dataclass(frozen=True)
class Budget:
    """What a search may spend. folder: where its trials are kept until the stage is complete."""

    trials: int
    seconds: float | None
    seed: int
    folder: Path
    workers: int = 1


@dataclass(frozen=True)
class NetworkTrial:
    """Hyperparameters → how a network with them does on validation."""

    windows: Windows
    train: Rows
    validation: Rows
    start: Hyperparameters
    epochs: int
    targets: tuple[str, ...]

    def __call__(self, values: dict[str, Any], seed: int, watch: Watch) -> dict[str, float]:
        network = make_network("trial", replace(self.start, **values), seed, self.epochs, self.targets)
        network.fit(self.windows, *self.train, self.validation, watch=watch)
        return scores(self.validation[1], network.log_odds(self.windows, self.validation[0])) | {
            "epochs": network.epochs
        }


class BoostingTrial:
    """LightGBM's parameters → how it does on validation. All trials share one binned data set."""

    def __init__(self, model: Boosting, windows: Windows, train: Rows, validation: Rows) -> None:
        self._parameters = model.parameters
        self._data = model.data(windows, *train)
        self._held = model.data(windows, *validation, reference=self._data)
        self._y = validation[1]

    def __call__(self, values: dict[str, Any], seed: int, watch: Watch) -> dict[str, float]:
        booster = fit_rounds({**self._parameters, **values, "seed": seed}, self._data, self._held, watch)
        found = booster.predict(self._held.get_data(), raw_score=True, num_iteration=booster.best_iteration)
        return scores(self._y, found) | {"epochs": -(-booster.best_iteration // STEP)}


def steps(trials: int, boosting: int) -> int:
    """→ how many units of work a network's search and those of so many boosting models report, at most."""
    finalists = 2  # the first trial and the best
    return (1 + boosting) * (trials + REPEATS + finalists) + boosting * 2 * len(TREE_SIZES)


def tune_network(
    trial: NetworkTrial, whole: Rows, epochs: int, budget: Budget, done: Report
) -> tuple[Hyperparameters, list[dict[str, Any]]]:
    """Search around where `trial` starts → the best hyperparameters, and TRIALS rows without target.

    whole, epochs: all training windows, and how long a final fit may take.
    """
    start = trial.start
    rows = tune(start.architecture, network_space(start), trial, budget, done)
    at_length = replace(trial, train=whole, epochs=epochs)
    found = settle(rows, lambda values: at_length(values, budget.seed, Watch())["ap"], budget.folder, done)
    return replace(start, **found), rows


def tune_boosting(
    model: Boosting, windows: Windows, train: Rows, whole: Rows, validation: Rows, budget: Budget, done: Report
) -> list[dict[str, Any]]:
    """Search around LightGBM's parameters; `model` takes the best → TRIALS rows without target."""
    space, evaluate = boosting_space(model.parameters), BoostingTrial(model, windows, train, validation)
    # LightGBM's own threads serve a trial better than a second process
    rows = tune(model.name, space, evaluate, replace(budget, workers=1), done)
    after = []
    for number, size in enumerate(TREE_SIZES, budget.trials):
        values = json.loads(rows[0]["hyperparameters"]) | size
        compute = partial(evaluate, values, trial_seed(budget.seed, 11, number), Watch())
        result = kept(budget.folder / model.name / f"size_{number}.json", compute) | {"stopped": False}
        after.append(_row(model.name, number, 0, values, result, False))
        done(f"{model.name}, {size['num_leaves']} leaves: AP {result['ap']:.3f}")
    at_length = BoostingTrial(model, windows, whole, validation)
    model.tuned(settle(rows, lambda values: at_length(values, budget.seed, Watch())["ap"], budget.folder, done, after))
    return rows + after


def settle(
    rows: list[dict[str, Any]], whole_ap: Callable[[dict[str, Any]], float], folder: Path, done: Report,
    after: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:  # fmt: skip
    """TRIALS rows → the values that do best on validation once all training windows are learned from: of the best
    trial, of the first, which are those from before the search, or of what was tried `after` it; marks the chosen.

    What a sample of the users likes best in a few epochs need not be what everybody likes.
    """
    best = next(row for row in rows if row["chosen"])
    finalists = [rows[0], *([best] if best is not rows[0] else []), *after]
    if len(finalists) == 1:
        return json.loads(best["hyperparameters"])

    def at_length(row: dict[str, Any]) -> float:
        compute = partial(whole_ap, json.loads(row["hyperparameters"]))
        ap = kept(folder / row["model"] / f"whole_{row['trial']}.json", lambda: {"ap": compute()})["ap"]
        done(f"{row['model']}, trial {row['trial'] + 1} on all training windows: AP {ap:.3f}")
        return ap

    taken = max(finalists, key=at_length)
    for row in finalists:
        row["chosen"] = row is taken
    return json.loads(taken["hyperparameters"])


def tune(
    name: str, space: kt.HyperParameters, evaluate: Evaluate, budget: Budget, done: Report
) -> list[dict[str, Any]]:
    """Search, then fit the best trial, `chosen`, again under other seeds → TRIALS rows without target."""

    def told(trial: Trial) -> None:
        done(f"{name}, trial {trial.number + 1} of {budget.trials}: AP {trial.ap:.3f}")

    folder = budget.folder / name
    trials = search(
        space, evaluate, trials=budget.trials, seconds=budget.seconds, seed=budget.seed, folder=folder,
        workers=budget.workers, prepare=partial(prepare_networks, 1), done=told,
    )  # fmt: skip
    best = best_of(trials)
    rows = [_row(name, t.number, 0, t.values, vars(t), t is best) for t in trials]
    for repeat in range(1, REPEATS + 1):
        seed = trial_seed(budget.seed, 11, best.number, repeat)
        again = kept(folder / f"again_{best.number}_{repeat}.json", partial(evaluate, best.values, seed, Watch()))
        rows.append(_row(name, best.number, repeat, best.values, {**again, "stopped": False}, False))
        done(f"{name}, best trial under another seed: AP {again['ap']:.3f}")
    return rows


def kept(file: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `compute` gives; what it gave before it was interrupted is not computed again."""
    value = read_sealed(file)
    if value is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_sealed(file, value := compute())
    return value


def scores(y: np.ndarray, log_odds: np.ndarray) -> dict[str, float]:
    """→ AP, AUC and log loss."""
    return {"ap": average_precision(y, log_odds), "auc": auc(y, log_odds), "log_loss": log_loss(y, log_odds)}


def sample_of_users(windows: Windows, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The windows of `rows` that belong to a random share of the users."""
    users = windows.index["user"].to_numpy()
    random = np.random.default_rng([seed, 5])
    drawn = random.random(int(users.max()) + 1) < share
    sample = rows[drawn[users[rows]]]
    return sample if len(sample) else rows


def workers_of(threads: int) -> int:
    """How many trials of a network to run at once."""
    return min(threads, _AT_ONCE)


def _row(name: str, number: int, repeat: int, values: dict[str, Any], result: dict[str, Any], chosen: bool) -> dict:
    return {"model": name, "trial": number, "repeat": repeat, "hyperparameters": json.dumps(values, sort_keys=True),
            "ap": result["ap"], "log_loss": result["log_loss"], "epochs": result["epochs"],
            "stopped": result["stopped"], "chosen": chosen}  # fmt: skip
