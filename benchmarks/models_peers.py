"""training windows → networks as others make them: Keras's defaults, plain keras-tuner, PyTorch by hand.

All have the layers of tschurn's window network without history. The looks at validation, after each epoch, count.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.models.evaluation import average_precision
from tschurn.models.graphs import Hyperparameters
from tschurn.models.networks import masked
from tschurn.models.scaling import window_scalings

if TYPE_CHECKING:
    import keras
    import keras_tuner as kt

Rows = tuple[np.ndarray, np.ndarray]  # positions of windows, their labels
Look = tuple[float, float, float]  # wall and CPU seconds so far, AP on validation


class Clock:
    """→ wall and CPU seconds since it was made; of CPU also those of child processes that have ended."""

    def __init__(self) -> None:
        self._began = (time.perf_counter(), sum(os.times()[:4]))

    def __call__(self) -> tuple[float, float]:
        return time.perf_counter() - self._began[0], sum(os.times()[:4]) - self._began[1]


@dataclass(frozen=True)
class Data:
    """Windows, and those of them to learn from and to be judged on."""

    windows: Windows
    train: Rows
    validation: Rows

    @cached_property
    def scaled(self) -> tuple[np.ndarray, np.ndarray]:
        """→ inputs [n × days × channels] of training and validation, log1p and standardised, in memory."""
        daily, _ = window_scalings("log1p_standard", self.windows, self.train[0])
        return tuple(masked(self.windows, rows, daily) for rows, _ in (self.train, self.validation))


def keras_layers(h: Hyperparameters, days: int, daily: int) -> keras.Model:
    """→ the network, not compiled."""
    import keras
    from keras import layers

    recurrent = {
        "gru": lambda: [layers.GRU(h.units)],
        "gru_bilstm": lambda: [
            layers.GRU(h.units, return_sequences=True),
            layers.Bidirectional(layers.LSTM(h.units)),
        ],
    }[h.architecture]()
    return keras.Sequential(
        [keras.Input((days, daily)), layers.SpatialDropout1D(h.input_dropout), *recurrent, layers.Dropout(h.dropout),
         layers.Dense(h.dense_units, activation="relu"), layers.Dropout(h.dropout), layers.Dense(1)]
    )  # fmt: skip


def keras_defaults(data: Data, h: Hyperparameters, epochs: int, seed: int) -> tuple[list[Look], int]:
    """`model.fit` with Keras's defaults (batches of 32, Adam 1e-3) → its looks at validation, weights to learn."""
    import keras

    clock = Clock()
    keras.utils.set_random_seed(seed)
    (x, held), y = data.scaled, data.train[1]
    model = keras_layers(h, *x.shape[1:])
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    looks: list[Look] = []

    def look(epoch: int, logs: dict[str, float]) -> None:
        ap = average_precision(data.validation[1], model.predict(held, batch_size=len(held), verbose=0)[:, 0])
        looks.append((*clock(), ap))

    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=look)])
    return looks, model.count_params()


def torch_by_hand(data: Data, h: Hyperparameters, epochs: int, seed: int) -> tuple[list[Look], int]:
    """A PyTorch loop with the batches, learning rate and averaged weights of h → looks, weights to learn."""
    import torch
    from torch.optim.swa_utils import AveragedModel

    clock = Clock()
    torch.manual_seed(seed)
    x, held = (torch.from_numpy(part) for part in data.scaled)
    y = torch.from_numpy(data.train[1].astype(np.float32))
    model = torch_layers(h, x.shape[2])
    averaged = AveragedModel(model, avg_fn=lambda old, new, n: old + (new - old) * max(0.01, 9 / (10 + n)))
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=h.learning_rate)
    loss = torch.nn.BCEWithLogitsLoss()
    looks: list[Look] = []
    for _ in range(epochs):
        model.train()
        for chosen in torch.randperm(len(x)).split(h.batch_size):
            optimizer.zero_grad()
            loss(model(x[chosen])[:, 0], y[chosen]).backward()
            optimizer.step()
            averaged.update_parameters(model)
        averaged.eval()
        with torch.inference_mode():
            ap = average_precision(data.validation[1], averaged(held)[:, 0].numpy())
        looks.append((*clock(), ap))
    return looks, sum(p.numel() for p in learned)


def torch_layers(h: Hyperparameters, daily: int) -> Any:
    """→ the network as a torch.nn.Module."""
    from torch import cat, nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(daily, h.units, batch_first=True)
            both = h.architecture == "gru_bilstm"
            self.lstm = nn.LSTM(h.units, h.units, batch_first=True, bidirectional=True) if both else None
            for name, bias in self.lstm.named_parameters() if both else ():
                if name.startswith("bias_hh"):  # a second bias, which Keras does not have
                    nn.init.zeros_(bias).requires_grad_(False)
            self.head = nn.Sequential(
                nn.Dropout(h.dropout), nn.Linear(h.units * (1 + both), h.dense_units), nn.ReLU(),
                nn.Dropout(h.dropout), nn.Linear(h.dense_units, 1),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            states, last = self.gru(x)
            if self.lstm is None:
                return self.head(last[0])
            _, (last, _) = self.lstm(states)
            return self.head(cat([last[0], last[1]], dim=1))

    return Network()


def plain_search(
    data: Data, start: Hyperparameters, space: kt.HyperParameters, *, epochs: int, trials: int, seed: int,
    folder: Path, batch_size: int | None = None,
) -> list[Look]:  # fmt: skip
    """keras-tuner as its guide has it: a hypermodel, `model.fit`, the best epoch counts → after each trial, its AP.

    batch_size: of all trials; if not given, the space's.
    """
    import keras
    import keras_tuner as kt

    clock = Clock()
    keras.utils.set_random_seed(seed)
    (x, held), y = data.scaled, data.train[1]
    looks: list[Look] = []

    class Hypermodel(kt.HyperModel):
        def build(self, hp: kt.HyperParameters) -> keras.Model:
            h = replace(start, **hp.values)
            model = keras_layers(h, *x.shape[1:])
            optimizer = keras.optimizers.Adam(h.learning_rate)
            model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
            return model

        def fit(self, hp: kt.HyperParameters, model: keras.Model, callbacks: list[Any], **given: Any) -> Any:
            def look(epoch: int, logs: dict[str, float]) -> None:
                found = model.predict(held, batch_size=len(held), verbose=0)[:, 0]
                logs["ap"] = average_precision(data.validation[1], found)

            seen = keras.callbacks.LambdaCallback(on_epoch_end=look)  # before those that read it
            size = batch_size or hp.get("batch_size")
            history = model.fit(x, y, batch_size=size, callbacks=[seen, *callbacks], **given)
            looks.append((*clock(), max(history.history["ap"])))
            return history

    kt.BayesianOptimization(
        Hypermodel(), objective=kt.Objective("ap", "max"), max_trials=trials, seed=seed, hyperparameters=space,
        tune_new_entries=False, directory=folder, project_name="plain", overwrite=True,
    ).search(epochs=epochs, verbose=0)  # fmt: skip
    return looks
