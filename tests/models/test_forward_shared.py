"""Windows that share days are answered as each alone would be."""

from __future__ import annotations

import numpy as np
import pytest

from tschurn.models.forward import forward
from tschurn.models.forward_shared import Beginnings, forward_shared

CHANNELS, UNITS, PAST = 5, 6, 3


def weights(architecture: str, past: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)

    def of(*shape: int) -> np.ndarray:
        return random.normal(0, 0.7, shape).astype(np.float32)

    found = {}
    if architecture != "bilstm":
        found |= {"gru/gru_cell/kernel": of(CHANNELS, 3 * UNITS), "gru/gru_cell/recurrent_kernel": of(UNITS, 3 * UNITS),
                  "gru/gru_cell/bias": of(2, 3 * UNITS)}  # fmt: skip
    if architecture != "gru":
        inputs = CHANNELS if architecture == "bilstm" else UNITS
        for direction in ("forward", "backward"):
            path = f"bilstm/{direction}_lstm/lstm_cell"
            found |= {f"{path}/kernel": of(inputs, 4 * UNITS), f"{path}/recurrent_kernel": of(UNITS, 4 * UNITS),
                      f"{path}/bias": of(4 * UNITS)}  # fmt: skip
    state = UNITS if architecture == "gru" else 2 * UNITS
    if past:
        found |= {"history/kernel": of(past, 4), "history/bias": of(4)}
        state += 4
    return found | {"dense/kernel": of(state, 4), "dense/bias": of(4), "log_odds/kernel": of(4, 1),
                    "log_odds/bias": of(1)}  # fmt: skip


@pytest.mark.parametrize("architecture", ["gru", "bilstm", "gru_bilstm"])
@pytest.mark.parametrize("past", [0, PAST])
def test_the_answers_are_those_of_the_windows_alone(architecture: str, past: int) -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(9, CHANNELS)).astype(np.float32)
    days = random.integers(0, 3, (200, 7)) + 3 * random.integers(0, 3, (200, 1))
    history = random.normal(size=(200, past)).astype(np.float32) if past else None
    given = weights(architecture, past)
    inputs = values[days] if history is None else [values[days], history]
    np.testing.assert_allclose(
        forward_shared(architecture, given, values, days, history), forward(architecture, given, inputs), atol=2e-5
    )


def test_each_beginning_is_computed_once() -> None:
    days = np.arange(128)[:, None] >> np.arange(7) & 1
    days = days + 2 * np.arange(7)  # two kinds of each day
    begun = Beginnings.of(days)
    assert [len(day) for day in begun.day] == [2, 4, 8, 16, 32, 64, 128]
    for row in (0, 77):
        at = begun.place[-1][row]
        for t in range(6, -1, -1):
            assert begun.day[t][at] == days[row, t]
            at = begun.parent[t][at]
