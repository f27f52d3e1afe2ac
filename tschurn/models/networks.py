"""hyperparameters and windows → a trained recurrent network (GRU, BiLSTM, GRU-BiLSTM) in Keras.

The daily window goes through the recurrent layers; history, where there is any, joins as a vector
through a dense layer. The output is one log-odds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.models.evaluation import average_precision, log_loss
from tschurn.models.scaling import Scaling, window_scalings

if TYPE_CHECKING:
    import keras

ARCHITECTURES = ("gru", "bilstm", "gru_bilstm")
PATIENCE = 2  # epochs without a better validation log loss before training stops
_PREDICT_BLOCK = 4096


@dataclass(frozen=True)
class Hyperparameters:
    """What the experiment and the search choose. Batch size in windows, learning rate of Adam."""

    architecture: str = "gru"
    scaling: str = "log1p_standard"
    units: int = 48
    history_units: int = 32
    dense_units: int = 32
    dropout: float = 0.2
    learning_rate: float = 3e-3
    batch_size: int = 512


class Network:
    """A network behind the interface that all models share: fit, log_odds, save, load."""

    kind = "network"

    def __init__(self, name: str, hyperparameters: Hyperparameters, seed: int, epochs: int) -> None:
        self.name = name
        self.hyperparameters = hyperparameters
        self.seed = seed
        self.epochs = epochs  # at most, until `fit` with validation has found how many
        self._scalings: tuple[Scaling, Scaling] | None = None
        self._weights: list[np.ndarray] = []
        self._shape: tuple[int, int, int] = (0, 0, 0)

    def fit(
        self,
        windows: Windows,
        rows: np.ndarray,
        y: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> None:
        """Train from scratch on the windows `rows` with labels y (0/1).

        With validation (rows, labels): stop by its log loss, keep the best epoch, and remember how
        many epochs that took. Without: train for just that many.
        """
        sample = windows.batch(rows[:1])
        self._shape = (sample.shape[1], sample.shape[2], windows.history(rows[:1]).shape[1])
        self._scalings = window_scalings(self.hyperparameters.scaling, windows, rows)
        model, start = _compiled(self.hyperparameters, self._shape, self.seed)
        _restore(model, start, self.hyperparameters.learning_rate)
        random = np.random.default_rng([self.seed, 2])
        best, best_epoch, best_weights = np.inf, 0, None
        for epoch in range(1, self.epochs + 1):
            self._train_epoch(model, windows, rows, y, random)
            if progress:
                progress(epoch, self.epochs)
            if validation is None:
                continue
            loss = log_loss(validation[1], self._predict(model, windows, validation[0]))
            if loss < best:
                best, best_epoch, best_weights = loss, epoch, model.get_weights()
            elif epoch - best_epoch >= PATIENCE:
                break
        if validation is None or best_weights is None:  # never a finite loss: keep the last epoch
            self._weights = model.get_weights()
        else:
            self._weights, self.epochs = best_weights, best_epoch

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → uncalibrated log-odds [n], float64."""
        model, _ = _compiled(self.hyperparameters, self._shape, self.seed)
        model.set_weights(self._weights)
        return self._predict(model, windows, rows)

    def save(self, folder: Path) -> None:
        """Write model.json and weights.npz (arrays only, so that reading never unpickles)."""
        daily, history = self._scalings
        note = {"type": "network", "name": self.name, "seed": self.seed, "epochs": self.epochs, "shape": self._shape,
                "hyperparameters": asdict(self.hyperparameters), "daily": daily.to_dict(),
                "history": history.to_dict()}  # fmt: skip
        (folder / "model.json").write_text(json.dumps(note))
        np.savez(folder / "weights.npz", *self._weights)

    @classmethod
    def load(cls, folder: Path) -> Network:
        """The inverse of `save`."""
        note = json.loads((folder / "model.json").read_text())
        network = cls(note["name"], Hyperparameters(**note["hyperparameters"]), note["seed"], note["epochs"])
        network._shape = tuple(note["shape"])
        network._scalings = (Scaling.from_dict(note["daily"]), Scaling.from_dict(note["history"]))
        with np.load(folder / "weights.npz", allow_pickle=False) as stored:
            network._weights = [stored[f"arr_{i}"] for i in range(len(stored.files))]
        return network

    def _inputs(self, windows: Windows, rows: np.ndarray) -> list[np.ndarray]:
        daily, history = self._scalings
        inputs = [daily(windows.batch(rows))]
        return [*inputs, history(windows.history(rows))] if self._shape[2] else inputs

    def _train_epoch(
        self, model: keras.Model, windows: Windows, rows: np.ndarray, y: np.ndarray, random: np.random.Generator
    ) -> None:
        size = min(self.hyperparameters.batch_size, len(rows))
        order = random.permutation(len(rows))
        # the few windows beyond the last whole batch wait for another epoch: one shape, one graph
        for chosen in order[: len(rows) // size * size].reshape(-1, size):
            model.train_on_batch(self._inputs(windows, rows[chosen]), y[chosen, None].astype(np.float32))

    def _predict(self, model: keras.Model, windows: Windows, rows: np.ndarray) -> np.ndarray:
        found = np.empty(len(rows))
        for start in range(0, len(rows), _PREDICT_BLOCK):
            block = rows[start : start + _PREDICT_BLOCK]
            padded = np.resize(block, _PREDICT_BLOCK)  # repeats rows up to the one shape that is compiled
            found[start : start + len(block)] = model.predict_on_batch(self._inputs(windows, padded))[: len(block), 0]
        return found


def score(network: Network, windows: Windows, rows: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """→ AP, AUC and log loss of a fitted network on some windows."""
    from tschurn.models.evaluation import auc

    log_odds = network.log_odds(windows, rows)
    return {"ap": average_precision(y, log_odds), "auc": auc(y, log_odds), "log_loss": log_loss(y, log_odds)}


def prepare_keras(threads: int) -> None:
    """Give TensorFlow its threads, on the CPU only: the same seed gives the same network there."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _compiled(
    hyperparameters: Hyperparameters, shape: tuple[int, int, int], seed: int
) -> tuple[keras.Model, list[np.ndarray]]:
    """A compiled network and the values of all its variables at birth.

    Compiling takes longer than an epoch, so one graph serves every fit of the same structure:
    scaling, learning rate and batch size do not enter it.
    """
    structure = replace(hyperparameters, scaling="none", learning_rate=1e-3, batch_size=1)
    return _compile(structure, shape, seed)


@lru_cache(maxsize=8)
def _compile(h: Hyperparameters, shape: tuple[int, int, int], seed: int) -> tuple[keras.Model, list[np.ndarray]]:
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    days, daily, history = shape
    window = keras.Input((days, daily))
    inputs = [window]
    state = {
        "gru": lambda x: layers.GRU(h.units)(x),
        "bilstm": lambda x: layers.Bidirectional(layers.LSTM(h.units))(x),
        "gru_bilstm": lambda x: layers.Bidirectional(layers.LSTM(h.units))(
            layers.GRU(h.units, return_sequences=True)(x)
        ),
    }[h.architecture](window)
    if history:
        past = keras.Input((history,))
        inputs.append(past)
        state = layers.Concatenate()([state, layers.Dense(h.history_units, activation="relu")(past)])
    state = layers.Dropout(h.dropout)(state)
    state = layers.Dense(h.dense_units, activation="relu")(state)
    model = keras.Model(inputs, layers.Dense(1)(layers.Dropout(h.dropout)(state)))
    optimizer = keras.optimizers.Adam(h.learning_rate, clipnorm=1.0)
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    optimizer.build(model.trainable_variables)
    return model, [v.numpy().copy() for v in _variables(model)]


def _variables(model: keras.Model) -> list[Any]:
    """Weights, dropout's random state, and the optimizer's state."""
    return [*model.variables, *model.optimizer.variables]


def _restore(model: keras.Model, values: list[np.ndarray], learning_rate: float) -> None:
    """Make a network as it was at birth, without compiling it again."""
    for variable, value in zip(_variables(model), values, strict=True):
        variable.assign(value)
    model.optimizer.learning_rate = learning_rate
