"""an architecture and its scaling → the hyperparameters that the Bayesian search may try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tschurn.models.networks import Hyperparameters

if TYPE_CHECKING:
    import keras_tuner as kt


def search_space(start: Hyperparameters, has_history: bool) -> kt.HyperParameters:
    """→ the space around `start`; its architecture and scaling were chosen before and stay."""
    import keras_tuner as kt

    space = kt.HyperParameters()
    space.Choice("units", [16, 32, 48, 64, 96], default=start.units)
    if has_history:
        space.Choice("history_units", [16, 32, 64, 96], default=start.history_units)
    space.Choice("dense_units", [16, 32, 64], default=start.dense_units)
    space.Float("dropout", 0.0, 0.5, step=0.1, default=start.dropout)
    space.Float("learning_rate", 5e-4, 1e-2, sampling="log", default=start.learning_rate)
    space.Choice("batch_size", [256, 512, 1024], default=start.batch_size)
    return space
