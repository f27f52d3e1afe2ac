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
from typing import Any

import numpy as np

from tschurn.contracts import LABELS, SharedDays, Windows
from tschurn.models.evaluation import calibrated_log_loss
from tschurn.models.forward import Weights, forward, in_blocks, use_threads
from tschurn.models.forward_shared import forward_shared
from tschurn.models.graphs import ARCHITECTURES, WINDOW_ARCHITECTURES, Averaged, Hyperparameters, Shape, graph
from tschurn.models.model import Model
from tschurn.models.scaling import Piecewise, Scaling, fit_history_quantiles, window_scalings
from tschurn.models.stored import network_of, read_note, read_weights, weight_shapes

PATIENCE = 2  # epochs without a better validation log loss before training stops
_SCORED_AT_ONCE = 512  # windows whose values stay in a core's cache
_SHARED_AT_ONCE = 4096  # of windows that share days
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
        watch: Callable[[int, float, bool], bool] | None = None,
    ) -> None:
        """Train from scratch on the windows `rows` with labels y (0/1).

        Training that diverges ends with the last epoch whose weights were finite; if there was none, with zeros, which
        answer the same for everybody.
        With validation (rows, labels): stop by the log loss that is left there after calibration, keep the best
        epoch, and remember how many epochs that took. Without: train for just that many. watch: told each epoch,
        that log loss and whether it is the last anyway, says whether to end now.
        """
        batches = self._learn(windows, rows, y)
        found = graph(self.hyperparameters, self._shape)
        found.begin(self.hyperparameters, self.seed)
        averaged = Averaged(found.model)
        random = np.random.default_rng([self.seed, 2])
        best, best_epoch, best_weights = np.inf, 0, None
        finite = {path: np.zeros_like(weights) for path, weights in averaged.by_path().items()}
        for epoch in range(1, (self.epochs if validation is None else self._most_epochs) + 1):
            for inputs, labels in batches(random):
                found.model.train_on_batch(inputs, labels)
                averaged.update()
            if not averaged.is_finite():
                break
            finite = averaged.by_path()
            if validation is None:
                continue
            loss = calibrated_log_loss(validation[1], self._answer(finite, windows, validation[0]))
            if loss < best:
                best, best_epoch, best_weights = loss, epoch, finite
            last = epoch == self._most_epochs or epoch - best_epoch >= PATIENCE
            if (watch is not None and watch(epoch, loss, last)) or last:
                break
        if validation is None or best_weights is None:  # never a finite loss: keep the last epoch
            self._weights = finite
        else:
            self._weights, self.epochs = best_weights, best_epoch

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → uncalibrated log-odds [n], float64; what overflows counts as 0."""
        found = self._answer(self._weights, windows, rows)
        return np.where(np.isfinite(found), found, 0.0)

    def save(self, folder: Path) -> None:
        """Write model.json and weights.npz (arrays only, so that reading never unpickles)."""
        note = {"type": "network", "name": self.name, "seed": self.seed, "epochs": self.epochs,
                "targets": self.targets, "shape": asdict(self._shape), "hyperparameters": asdict(self.hyperparameters),
                "inputs": self._inputs_to_dict()}  # fmt: skip
        (folder / "model.json").write_text(json.dumps(note))
        np.savez(folder / "weights.npz", **self._weights)

    @classmethod
    def load(cls, folder: Path) -> Network:
        """The inverse of `save`: the network of the architecture that was saved.

        Raises OSError, ValueError, KeyError, TypeError or zipfile.BadZipFile.
        """
        note = read_note(folder / "model.json")
        hyperparameters, shape = network_of(note)
        targets = tuple(note["targets"])
        if not set(targets) <= set(LABELS) or len(targets) != shape.targets:
            raise ValueError("its targets are not ours")
        network = make_network(note["name"], hyperparameters, note["seed"], note["epochs"], targets)
        network._shape = shape
        network._inputs_from_dict(note["inputs"])
        if network._channels() != shape.daily:
            raise ValueError(f"{network._channels()} channels a day expected, {shape.daily} found")
        network._weights = read_weights(folder / "weights.npz", weight_shapes(hyperparameters, shape))
        return network

    @abstractmethod
    def _learn(
        self, windows: Windows, rows: np.ndarray, y: np.ndarray
    ) -> Callable[[np.random.Generator], Iterator[Batch]]:
        """Learn the scalings, know the shape → what gives the batches of an epoch."""

    @abstractmethod
    def _answer(self, weights: Weights, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → the log-odds [n] float64 that a network with these weights gives."""

    @abstractmethod
    def _channels(self) -> int:
        """Of a day, as the graph takes it."""

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
        days, past = (values.shape[1] for values in (windows.batch(rows[:1]), windows.history(rows[:1])))
        history = past + (self._quantiles.columns if self._quantiles else 0)
        self._shape = Shape(days, self._channels(), history, len(self.targets))
        others = [windows.index[LABELS[t]].fillna(-1).to_numpy(np.float32)[rows] for t in self.targets[1:]]
        labels = np.stack([y.astype(np.float32), *others], axis=1)
        size = min(self.hyperparameters.batch_size, len(rows))

        def batches(random: np.random.Generator) -> Iterator[Batch]:
            order = random.permutation(len(rows))
            # the few windows beyond the last whole batch wait for another epoch: one shape, one graph
            for chosen in order[: len(rows) // size * size].reshape(-1, size):
                yield self._inputs(windows, rows[chosen]), labels[chosen]

        return batches

    def _channels(self) -> int:
        return self._daily.columns + 1

    def _inputs(self, windows: Windows, rows: np.ndarray) -> Any:
        days, past = masked(windows, rows, self._daily), self._past(windows.history(rows))
        return days if past is None else [days, past]

    def _past(self, past: np.ndarray) -> np.ndarray | None:
        """History as the graph takes it; None where there is none."""
        if not past.shape[1]:
            return None
        if self._quantiles is None:
            return self._history(past)
        known = np.empty((len(past), past.shape[1] + self._quantiles.columns), dtype=np.float32)
        known[:, : past.shape[1]] = self._history(past)
        self._quantiles.into(known[:, past.shape[1] :], past)
        return known

    def _answer(self, weights: Weights, windows: Windows, rows: np.ndarray) -> np.ndarray:
        architecture = self.hyperparameters.architecture

        def of(block: slice) -> np.ndarray:
            return forward(architecture, weights, self._inputs(windows, rows[block]))[:, 0]

        def of_shared(block: slice) -> np.ndarray:
            days, which = shared_days(windows, rows[block], self._daily)
            past = self._past(windows.history(rows[block]))
            return forward_shared(architecture, weights, days, which, past)[:, 0]

        if isinstance(windows, SharedDays):
            return np.concatenate([np.zeros(0), *in_blocks(of_shared, len(rows), _SHARED_AT_ONCE)])

        return np.concatenate([np.zeros(0), *in_blocks(of, len(rows), _SCORED_AT_ONCE)])

    def _inputs_to_dict(self) -> dict[str, Any]:
        quantiles = self._quantiles.to_dict() if self._quantiles else None
        return {"daily": self._daily.to_dict(), "history": self._history.to_dict(), "quantiles": quantiles}

    def _inputs_from_dict(self, note: dict[str, Any]) -> None:
        self._daily, self._history = Scaling.from_dict(note["daily"]), Scaling.from_dict(note["history"])
        self._quantiles = Piecewise.from_dict(note["quantiles"]) if note["quantiles"] else None


def masked(windows: Windows, rows: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Windows → their days, scaled, and a mask [n × days × (daily features + 1)].

    The mask, the last channel, tells days before the user's first act (0) from those on which the user was there and
    did nothing (1). What was done to the user on the former stays to be seen.
    """
    days = scaling(windows.batch(rows))
    user, anchor = (windows.index[c].to_numpy()[rows] for c in ("user", "anchor"))
    day = anchor[:, None] + np.arange(1 - days.shape[1], 1)
    begun = day >= windows.lives.first[user][:, None]
    return np.concatenate([days, begun[:, :, None]], axis=2, dtype=np.float32)


def shared_days(windows: SharedDays, rows: np.ndarray, scaling: Scaling) -> tuple[np.ndarray, np.ndarray]:
    """As `masked`, of windows that share days → the distinct days [u × (daily features + 1)], and which of them each
    window has [n × days]: each one up to twice, as before and after the first act."""
    values, which = windows.distinct_days(rows)
    user, anchor = (windows.index[c].to_numpy()[rows] for c in ("user", "anchor"))
    day = anchor[:, None] + np.arange(1 - which.shape[1], 1)
    begun = day >= windows.lives.first[user][:, None]
    both, which = np.unique(which * 2 + begun, return_inverse=True)
    scaled = scaling(values)[both // 2]
    return np.column_stack([scaled, (both % 2).astype(np.float32)]), which.reshape(day.shape)


def architectures(windows: Windows) -> tuple[str, ...]:
    """→ the networks that these windows allow: one that reads whole lives only where history may be known."""
    has_history = (windows.features["kind"] == "history").any()
    return ARCHITECTURES if has_history else WINDOW_ARCHITECTURES


def make_network(
    name: str, hyperparameters: Hyperparameters, seed: int, epochs: int, targets: tuple[str, ...]
) -> Network:
    """→ the network of this architecture, not fitted yet."""
    from tschurn.models.causal import CausalNetwork

    kind = CausalNetwork if hyperparameters.architecture == "causal_gru" else WindowNetwork
    return kind(name, hyperparameters, seed, epochs, targets)


def prepare_networks(threads: int) -> None:
    """Give scoring and TensorFlow their threads, the latter on the CPU only: there a seed gives the same network."""
    import keras

    use_threads(threads)

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
