"""a model's settings before the search → the space of those that the Bayesian search may try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tschurn.models.graphs import Hyperparameters

if TYPE_CHECKING:
    import keras_tuner as kt


def network_space(start: Hyperparameters) -> kt.HyperParameters:
    """→ the space around `start`; its architecture and scaling were chosen before and stay.

    Few widths, since each has a graph of its own to compile; all else is free.
    """
    import keras_tuner as kt

    space = kt.HyperParameters()
    for name, values in (
        ("units", [32, 64, 96]),
        ("dropout", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ("input_dropout", [0.0, 0.1, 0.2, 0.3, 0.5]),
        ("batch_size", [256, 512, 1024]),
    ):
        space.Choice(name, sorted({*values, getattr(start, name)}), default=getattr(start, name))
    space.Float("learning_rate", 5e-4, 1e-2, sampling="log", default=start.learning_rate)
    return space


def boosting_space(start: Mapping[str, Any]) -> kt.HyperParameters:
    """→ the space around `start`, LightGBM's parameters; rounds are found by stopping early, in every trial."""
    import keras_tuner as kt

    space = kt.HyperParameters()
    for name, values in (
        ("num_leaves", [3, 5, 7, 15, 31, 63]),
        ("min_data_in_leaf", [15, 30, 60, 100, 200, 400]),
        ("feature_fraction", [0.1, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ("bagging_fraction", [0.5, 0.65, 0.8, 1.0]),
        ("lambda_l2", [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]),
    ):
        space.Choice(name, sorted({*values, start[name]}), default=start[name])
    return space
