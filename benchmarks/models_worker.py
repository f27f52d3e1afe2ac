"""one engine, one task, one fresh process → what training, searching or scoring took, as a line of JSON.

    python benchmarks/models_worker.py '{"work": "training", "engine": "torch", "stage": "…", "experiment": "…", …}'

The process keeps to as many cores as it is told. Imports are not timed; building and compiling the network is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import models_peers as peers
import numpy as np

from tschurn import config, workers
from tschurn.models.blocks import Blocks
from tschurn.models.evaluation import average_precision
from tschurn.models.graphs import Hyperparameters, graph
from tschurn.models.networks import Network, WindowNetwork, make_network, prepare_networks
from tschurn.models.search import Trial, search
from tschurn.models.search_space import network_space
from tschurn.models.tuning import NetworkTrial, sample_of_users
from tschurn.runs import StageFolder

TARGETS = ("churn",)
BLOCK = 4096  # windows that `model.predict` is given at a time
ONES, FEW = 300, 30  # calls for a single window: ours, Keras's


@dataclass(frozen=True)
class Task:
    """What to do. users: share of them whose training windows count."""

    work: str
    engine: str
    stage: str
    experiment: str
    folder: str
    threads: int
    seed: int
    users: float
    epochs: int
    architecture: str = "gru"
    scaling: str = "log1p_standard"
    trials: int = 0

    @property
    def hyperparameters(self) -> Hyperparameters:
        return Hyperparameters(self.architecture, self.scaling, units=64)

    def data(self) -> peers.Data:
        windows = workers.open_windows(StageFolder(Path(self.stage)), config.load(Path(self.experiment)))
        blocks = Blocks.of(windows, "churn")
        train = sample_of_users(windows, blocks.train, self.users, self.seed)
        return peers.Data(windows, blocks.pair(train), blocks.pair(blocks.validation))


# --- training -------------------------------------------------------------------------------------
def training(task: Task) -> dict[str, Any]:
    """Train → looks: wall and CPU seconds and validation AP after each epoch."""
    data, h = task.data(), task.hyperparameters
    fit = {"keras": peers.keras_defaults, "torch": peers.torch_by_hand}.get(task.engine, _fit)
    looks, weights = fit(data, h, task.epochs, task.seed)
    return {"looks": looks, "weights": weights, "windows": len(data.train[0]), "held": len(data.validation[0])}


class Watched(WindowNetwork):
    """Notes what `fit` sees of validation; it decides by that when to stop, as it always does."""

    def __init__(self, *given: Any, clock: peers.Clock, y: np.ndarray) -> None:
        super().__init__(*given)
        self.clock, self.y = clock, y
        self.looks: list[peers.Look] = []

    def _answer(self, *given: Any) -> np.ndarray:
        found = super()._answer(*given)
        self.looks.append((*self.clock(), average_precision(self.y, found)))
        return found


def _fit(data: peers.Data, h: Hyperparameters, epochs: int, seed: int) -> tuple[list[peers.Look], int]:
    network = Watched("benchmark", h, seed, epochs, TARGETS, clock=peers.Clock(), y=data.validation[1])
    network.fit(data.windows, *data.train, data.validation)
    return network.looks, sum(weights.size for weights in network._weights.values())


# --- search ---------------------------------------------------------------------------------------
def searching(task: Task) -> dict[str, Any]:
    """Search → looks: wall seconds and AP after each trial; wall and CPU seconds in all."""
    data, start, folder = task.data(), task.hyperparameters, Path(task.folder)
    space = network_space(start)
    clock, looks = peers.Clock(), []
    if task.engine.startswith("keras_tuner"):
        size = 32 if task.engine == "keras_tuner_32" else None
        looks = peers.plain_search(
            data, start, space, epochs=task.epochs, trials=task.trials, seed=task.seed, folder=folder, batch_size=size
        )
    else:
        at_once = task.threads if task.engine == "tschurn_at_once" else 1
        evaluate = NetworkTrial(data.windows, data.train, data.validation, start, task.epochs, TARGETS)

        def done(trial: Trial) -> None:
            looks.append((*clock(), trial.ap))

        search(
            space, evaluate, trials=task.trials, seed=task.seed, folder=folder / "search", workers=at_once,
            prepare=partial(prepare_networks, 1), done=done,
        )  # fmt: skip
    wall, cpu = clock()
    return {"looks": looks, "wall": wall, "cpu": cpu, "windows": len(data.train[0]), "held": len(data.validation[0])}


# --- scoring --------------------------------------------------------------------------------------
def scoring(task: Task) -> dict[str, Any]:
    """Train a little, save, load → windows per second in bulk and milliseconds for one, beside `model.predict`.

    apart: how far the ways to score are from one another at most, in log-odds.
    """
    data, folder = task.data(), Path(task.folder)
    fitted = make_network("benchmark", task.hyperparameters, task.seed, task.epochs, TARGETS)
    fitted.fit(data.windows, *data.train)
    fitted.save(folder)
    loading = peers.Clock()
    network = Network.load(folder)
    loaded = loading()[0]
    every = np.arange(len(data.windows.index))
    ones = np.random.default_rng(task.seed).choice(every, ONES)[:, None]
    found = [network.log_odds(data.windows, row)[0] for row in ones]
    one = [1000 * _seconds(partial(network.log_odds, data.windows, row)) for row in ones]
    first = _seconds(partial(network.log_odds, data.windows, every))
    right = network.log_odds(data.windows, every)
    bulk = _seconds(partial(network.log_odds, data.windows, every), 3)
    result = {
        "windows": len(every), "load": loaded, "first": first, "per_second": len(every) / bulk,
        "one": float(np.median(one)), "one_95": float(np.quantile(one, 0.95)),
        "apart": float(np.abs(right[ones[:, 0]] - found).max()),
    }  # fmt: skip
    return result | (_by_predict(network, data, right) if isinstance(network, WindowNetwork) else {})


def _by_predict(network: WindowNetwork, data: peers.Data, right: np.ndarray) -> dict[str, float]:
    """The same network, gathering and scaling, through Keras's `model.predict`."""
    model = graph(network.hyperparameters, network._shape).model
    for variable in model.trainable_variables:
        variable.assign(network._weights[variable.path])
    every = np.arange(len(right))

    def predict(rows: np.ndarray, size: int) -> np.ndarray:
        blocks = (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
        parts = [model.predict(network._inputs(data.windows, b), batch_size=size, verbose=0)[:, 0] for b in blocks]
        return np.concatenate(parts)

    predict(every, 32)
    apart = float(np.abs(predict(every, BLOCK) - right).max())
    in_bulk = {size: len(every) / _seconds(partial(predict, every, size), 3) for size in (32, BLOCK)}
    predict(every[:1], 1)
    one = 1000 * _seconds(partial(predict, every[:1], 1), FEW)
    return {"predict_32": in_bulk[32], "predict_block": in_bulk[BLOCK], "predict_one": one, "predict_apart": apart}


def _seconds(work: Callable[[], Any], times: int = 1) -> float:
    """→ the median of so many calls."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return float(np.median(took))


WORK = {"training": training, "search": searching, "scoring": scoring}


def main(task: Task) -> dict[str, Any]:
    """Task → what it took."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.threads])  # all libraries size their pools by it
    try:
        if task.engine == "torch":
            import torch

            torch.set_num_threads(task.threads)
        else:
            import keras
            import keras_tuner  # noqa: F401

            if keras.backend.backend() == "jax":
                import jax  # noqa: F401
            if task.engine.startswith("tschurn"):
                prepare_networks(task.threads)
    except ImportError as error:
        return {"missing": str(error.name or error)}
    return WORK[task.work](task)


if __name__ == "__main__":
    print(json.dumps(main(Task(**json.loads(sys.argv[1])))))
