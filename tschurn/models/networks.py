"""hyperparameters and windows → a trained recurrent network (GRU, BiLSTM, GRU-BiLSTM) in Keras.

The daily window goes through the recurrent layers; history, where there is any, joins as a vector
through a dense layer. The output is one log-odds per target. causal.py has the network that reads whole lives.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tschurn.contracts import LABELS, Windows
from tschurn.models.evaluation import calibrated_log_loss
from tschurn.models.forward import forward
from tschurn.models.graphs import ARCHITECTURES, WINDOW_ARCHITECTURES, Averaged, Hyperparameters, Shape, graph
from tschurn.models.model import Model
from tschurn.models.scaling import Piecewise, Scaling, fit_history_quantiles, window_scalings

if TYPE_CHECKING:
    import keras

PATIENCE = 2  # epochs without a better validation log loss before training stops
_PREDICT_BLOCK = 4096
_FEW = 16  # windows that NumPy scores sooner than Keras begins
Batch = tuple[Any, np.ndarray]  # inputs as the graph takes them, labels [n × ... × targets], less than 0 where unknown


class Network(Model):
    """What all networks share: fit with early stopping, save, load.

    targets: the one that it is asked about, and those that its trunk learns along with it. epochs: at most,
    until `fit` with validation has found how many.
    """

    kind = "network"

    def __init__(
        self, name: str, hyperparameters: Hyperparameters, seed: int, epochs: int, targets: tuple[str, ...] = ("churn",)
    ) -> None:
        self.name = name
        self.hyperparameters = hyperparameters
        self.seed = seed
        self.epochs = self._most_epochs = epochs
        self.targets = targets
        self._shape = Shape(0, 0, 0, 0)
        self._weights: dict[str, np.ndarray] = {}

    def get_params(self) -> dict[str, Any]:
        """→ what it was made with."""
        return {"name": self.name, "seed": self.seed, "epochs": self.epochs, "targets": self.targets,
                **asdict(self.hyperparameters)}  # fmt: skip

    def fit(
        self,
        windows: Windows,
        rows: np.ndarray,
        y: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        watch: Callable[[int, float], bool] | None = None,
    ) -> None:
        """Train from scratch on the windows `rows` with labels y (0/1).

        With validation (rows, labels): stop by the log loss that is left there after calibration, keep the best
        epoch, and remember how many epochs that took. Without: train for just that many. watch: told each epoch
        and that log loss, says whether to end now.
        """
        batches = self._learn(windows, rows, y)
        found = graph(self.hyperparameters, self._shape)
        found.begin(self.hyperparameters, self.seed)
        averaged = Averaged(found.model)
        random = np.random.default_rng([self.seed, 2])
        best, best_epoch, best_weights = np.inf, 0, None
        for epoch in range(1, (self.epochs if validation is None else self._most_epochs) + 1):
            for inputs, labels in batches(random):
                found.model.train_on_batch(inputs, labels)
                averaged.update()
            if validation is None:
                continue
            with averaged.in_place():
                loss = calibrated_log_loss(validation[1], self._predict(found.model, windows, validation[0]))
            if loss < best:
                best, best_epoch, best_weights = loss, epoch, averaged.by_path()
            if epoch - best_epoch >= PATIENCE or (watch is not None and watch(epoch, loss)):
                break
        if validation is None or best_weights is None:  # never a finite loss: keep the last epoch
            self._weights = averaged.by_path()
        else:
            self._weights, self.epochs = best_weights, best_epoch

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → uncalibrated log-odds [n], float64; a few of them without Keras."""
        if len(rows) <= _FEW:
            return self._predict_few(windows, rows)
        model = graph(self.hyperparameters, self._shape).model
        for variable in model.trainable_variables:
            variable.assign(self._weights[variable.path])
        return self._predict(model, windows, rows)

    def save(self, folder: Path) -> None:
        """Write model.json and weights.npz (arrays only, so that reading never unpickles)."""
        note = {"type": "network", "name": self.name, "seed": self.seed, "epochs": self.epochs,
                "targets": self.targets, "shape": asdict(self._shape), "hyperparameters": asdict(self.hyperparameters),
                "inputs": self._inputs_to_dict()}  # fmt: skip
        (folder / "model.json").write_text(json.dumps(note))
        np.savez(folder / "weights.npz", **self._weights)

    @classmethod
    def load(cls, folder: Path) -> Network:
        """The inverse of `save`: the network of the architecture that was saved."""
        note = json.loads((folder / "model.json").read_text())
        network = make_network(
            note["name"], Hyperparameters(**note["hyperparameters"]), note["seed"], note["epochs"],
            tuple(note["targets"]),
        )  # fmt: skip
        network._shape = Shape(**note["shape"])
        network._inputs_from_dict(note["inputs"])
        with np.load(folder / "weights.npz", allow_pickle=False) as stored:
            network._weights = {path: stored[path] for path in stored.files}
        return network

    @abstractmethod
    def _learn(
        self, windows: Windows, rows: np.ndarray, y: np.ndarray
    ) -> Callable[[np.random.Generator], Iterator[Batch]]:
        """Learn the scalings, know the shape → what gives the batches of an epoch."""

    @abstractmethod
    def _predict(self, model: keras.Model, windows: Windows, rows: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _predict_few(self, windows: Windows, rows: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _inputs_to_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def _inputs_from_dict(self, note: dict[str, Any]) -> None: ...


class WindowNetwork(Network):
    """A network that reads a window, and history beside it."""

    def _learn(
        self, windows: Windows, rows: np.ndarray, y: np.ndarray
    ) -> Callable[[np.random.Generator], Iterator[Batch]]:
        scaling = self.hyperparameters.scaling
        self._daily, self._history = window_scalings(scaling, windows, rows)
        self._quantiles = fit_history_quantiles(windows, rows) if scaling == "piecewise" else None
        days, past = windows.batch(rows[:1]), windows.history(rows[:1])
        history = past.shape[1] + (self._quantiles.columns if self._quantiles else 0)
        self._shape = Shape(*days.shape[1:], history, len(self.targets))
        others = [windows.index[LABELS[t]].fillna(-1).to_numpy(np.float32)[rows] for t in self.targets[1:]]
        labels = np.stack([y.astype(np.float32), *others], axis=1)
        size = min(self.hyperparameters.batch_size, len(rows))

        def batches(random: np.random.Generator) -> Iterator[Batch]:
            order = random.permutation(len(rows))
            # the few windows beyond the last whole batch wait for another epoch: one shape, one graph
            for chosen in order[: len(rows) // size * size].reshape(-1, size):
                yield self._inputs(windows, rows[chosen]), labels[chosen]

        return batches

    def _inputs(self, windows: Windows, rows: np.ndarray) -> Any:
        days, past = self._daily(windows.batch(rows)), windows.history(rows)
        if not past.shape[1]:
            return days
        if self._quantiles is None:
            return [days, self._history(past)]
        known = np.empty((len(rows), past.shape[1] + self._quantiles.columns), dtype=np.float32)
        known[:, : past.shape[1]] = self._history(past)
        self._quantiles.into(known[:, past.shape[1] :], past)
        return [days, known]

    def _predict(self, model: keras.Model, windows: Windows, rows: np.ndarray) -> np.ndarray:
        found = np.empty(len(rows))
        for start in range(0, len(rows), _PREDICT_BLOCK):
            block = rows[start : start + _PREDICT_BLOCK]
            padded = np.resize(block, _PREDICT_BLOCK)  # repeats rows up to the one shape that is compiled
            found[start : start + len(block)] = model.predict_on_batch(self._inputs(windows, padded))[: len(block), 0]
        return found

    def _predict_few(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        found = forward(self.hyperparameters.architecture, self._weights, self._inputs(windows, rows))
        return found[:, 0].astype(np.float64)

    def _inputs_to_dict(self) -> dict[str, Any]:
        quantiles = self._quantiles.to_dict() if self._quantiles else None
        return {"daily": self._daily.to_dict(), "history": self._history.to_dict(), "quantiles": quantiles}

    def _inputs_from_dict(self, note: dict[str, Any]) -> None:
        self._daily, self._history = Scaling.from_dict(note["daily"]), Scaling.from_dict(note["history"])
        self._quantiles = Piecewise.from_dict(note["quantiles"]) if note["quantiles"] else None


def architectures(windows: Windows) -> tuple[str, ...]:
    """→ the networks that these windows allow: one that reads whole lives only where history may be known."""
    has_history = (windows.features["kind"] == "history").any()
    return ARCHITECTURES if windows.lives is not None and has_history else WINDOW_ARCHITECTURES


def make_network(
    name: str, hyperparameters: Hyperparameters, seed: int, epochs: int, targets: tuple[str, ...]
) -> Network:
    """→ the network of this architecture, not fitted yet."""
    from tschurn.models.causal import CausalNetwork

    kind = CausalNetwork if hyperparameters.architecture == "causal_gru" else WindowNetwork
    return kind(name, hyperparameters, seed, epochs, targets)


def prepare_keras(threads: int) -> None:
    """Give TensorFlow its threads, on the CPU only: the same seed gives the same network there."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
