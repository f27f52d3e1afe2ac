"""a network's weights and its input → log-odds, in plain NumPy: for a few windows at a time.

Keras takes a hundred milliseconds to begin; this takes less than one for a user. In bulk Keras is faster.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit

Weights = Mapping[str, np.ndarray]  # by Keras's paths, such as gru/gru_cell/kernel


def forward(architecture: str, weights: Weights, inputs: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Inputs as of the Keras graph (graphs.py), n of them → log-odds [n × targets]; of causal_gru the last day's."""
    days, past = inputs if isinstance(inputs, list) else (inputs, None)
    if architecture == "causal_gru":
        state = np.concatenate([_gru(weights, days)[:, -1], days[:, -1]], axis=1)
    elif architecture == "gru":
        state = _gru(weights, days)[:, -1]
    else:
        state = _bilstm(weights, _gru(weights, days) if architecture == "gru_bilstm" else days)
    if past is not None:
        state = np.concatenate([state, _dense(weights, "history", past)], axis=1)
    return _linear(weights, "log_odds", _dense(weights, "dense", state))


def _gru(weights: Weights, x: np.ndarray) -> np.ndarray:
    """[n × days × channels] → states [n × days × units]; the GRU of Cho et al. 2014, reset after the product."""
    kernel, recurrent, (bias, after) = (weights[f"gru/gru_cell/{k}"] for k in ("kernel", "recurrent_kernel", "bias"))
    units = recurrent.shape[0]
    told = x @ kernel + bias
    states = np.empty((*x.shape[:2], units), dtype=np.float32)
    state = np.zeros((len(x), units), dtype=np.float32)
    for day in range(x.shape[1]):
        kept = state @ recurrent + after
        gates = expit(told[:, day, : 2 * units] + kept[:, : 2 * units])
        update, reset = gates[:, :units], gates[:, units:]
        new = np.tanh(told[:, day, 2 * units :] + reset * kept[:, 2 * units :])
        state = new + update * (state - new)
        states[:, day] = state
    return states


def _bilstm(weights: Weights, x: np.ndarray) -> np.ndarray:
    """[n × days × channels] → the last states of both directions [n × 2 · units]."""
    return np.concatenate([_lstm(weights, "forward_lstm", x), _lstm(weights, "backward_lstm", x[:, ::-1])], axis=1)


def _lstm(weights: Weights, direction: str, x: np.ndarray) -> np.ndarray:
    path = f"bilstm/{direction}/lstm_cell"
    kernel, recurrent, bias = (weights[f"{path}/{k}"] for k in ("kernel", "recurrent_kernel", "bias"))
    units = recurrent.shape[0]
    told = x @ kernel + bias
    state = memory = np.zeros((len(x), units), dtype=np.float32)
    for day in range(x.shape[1]):
        both = told[:, day] + state @ recurrent
        let_in, keep, let_out = (expit(both[:, k * units : (k + 1) * units]) for k in (0, 1, 3))
        memory = keep * memory + let_in * np.tanh(both[:, 2 * units : 3 * units])
        state = let_out * np.tanh(memory)
    return state


def _linear(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def _dense(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return np.maximum(_linear(weights, name, x), 0)
