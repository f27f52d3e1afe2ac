"""weights, and windows that have days in common → log-odds, each beginning that windows share computed once.

Explanations ask a network about the same days in all their combinations: of the 128 that seven days have, the first
day takes only two values, the first two take four. As a tree of beginnings they cost 254 steps instead of 896.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tschurn.models.forward import Weights, gru_step, head, lstm_step


@dataclass(frozen=True)
class Beginnings:
    """The distinct beginnings of windows, day by day.

    parent: of each beginning of a day, the one of the day before that it goes on from; day: the day that it adds;
    place: which beginning each window has, [n] a day.
    """

    parent: list[np.ndarray]
    day: list[np.ndarray]
    place: list[np.ndarray]

    @classmethod
    def of(cls, days: np.ndarray) -> Beginnings:
        """Which day each window has [n × days], days that are alike by the same number → Beginnings."""
        many = int(days.max(initial=0)) + 1
        found = cls([], [], [])
        before = np.zeros(len(days), dtype=np.int64)
        for which in days.T:
            pairs, before = np.unique(before * many + which, return_inverse=True)
            found.parent.append(pairs // many)
            found.day.append(pairs % many)
            found.place.append(before)
        return found


@np.errstate(over="ignore", invalid="ignore")  # as forward
def forward_shared(
    architecture: str, weights: Weights, values: np.ndarray, days: np.ndarray, past: np.ndarray | None
) -> np.ndarray:
    """Distinct days [u × channels], which of them each window has [n × days], history → as `forward` [n × targets]."""
    begun = Beginnings.of(days)
    if architecture == "gru":
        return head(weights, _gru(weights, values, begun)[-1][begun.place[-1]], past)
    if architecture == "bilstm":
        ended = Beginnings.of(days[:, ::-1])
        last = [
            _lstm(weights, name, [values] * days.shape[1], b.day, b.parent)[b.place[-1]]
            for name, b in (("forward_lstm", begun), ("backward_lstm", ended))
        ]
        return head(weights, np.concatenate(last, axis=1), past)
    states = _gru(weights, values, begun)
    onward = _lstm(weights, "forward_lstm", states, [np.arange(len(s)) for s in states], begun.parent)
    # backwards each whole window is its own beginning: what the first layer says of a day depends on those before it
    back = [np.arange(len(states[-1]))]
    for parent in begun.parent[:0:-1]:
        back.append(parent[back[-1]])
    alone = [np.arange(len(states[-1]))] * len(states)
    backward = _lstm(weights, "backward_lstm", states[::-1], back, alone)
    return head(weights, np.concatenate([onward, backward], axis=1)[begun.place[-1]], past)


def _gru(weights: Weights, values: np.ndarray, begun: Beginnings) -> list[np.ndarray]:
    """→ the states after each day [beginnings × units]."""
    kernel, recurrent, (bias, after) = (weights[f"gru/gru_cell/{k}"] for k in ("kernel", "recurrent_kernel", "bias"))
    told = values @ kernel + bias
    states = [np.zeros((1, len(recurrent)), dtype=np.float32)]
    for parent, day in zip(begun.parent, begun.day, strict=True):
        now, state = told[day], states[-1][parent]
        states.append(gru_step(now, state, recurrent, after, np.empty_like(now), np.empty_like(state)))
    return states[1:]


def _lstm(
    weights: Weights, direction: str, inputs: list[np.ndarray], day: list[np.ndarray], parent: list[np.ndarray]
) -> np.ndarray:
    """Step by step the inputs [any × channels], which of them each sequence takes, and from which sequence it goes on
    → the last states."""
    path = f"bilstm/{direction}/lstm_cell"
    kernel, recurrent, bias = (weights[f"{path}/{k}"] for k in ("kernel", "recurrent_kernel", "bias"))
    units = len(recurrent)
    state, memory = (np.zeros((max(1, len(parent[0])), units), dtype=np.float32) for _ in range(2))
    told_of, told = None, np.empty(0)
    for x, which, before in zip(inputs, day, parent, strict=True):
        if told_of is not x:
            told_of, told = x, x @ kernel + bias
        now = told[which]
        state, memory = state[before], memory[before]
        lstm_step(now, state, memory, recurrent, np.empty_like(now))
    return state
