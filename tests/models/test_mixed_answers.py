"""Networks answer for mixed lives, which share days, as they would for each of them alone."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import build, experiment, make_log

from tschurn.features.mixture import Mixed
from tschurn.features.windows import WindowSet
from tschurn.models.graphs import ARCHITECTURES, Hyperparameters
from tschurn.models.networks import Network, make_network

UNITS = 6


class Alone:
    """Mixed windows that do not tell what they have in common."""

    def __init__(self, mixed: Mixed) -> None:
        self.index, self.features, self.lives = mixed.index, mixed.features, mixed.lives
        self.batch, self.history, self.days, self.flat = mixed.batch, mixed.history, mixed.days, mixed.flat


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> WindowSet:
    log = {"post_events": ["post"], "reply_events": ["reply"], "path": "x.csv"}
    return build(make_log(users=30, days=180, seed=8), tmp_path_factory.mktemp("alone"), experiment(log=log), 180)[0]


def with_random_weights(windows: WindowSet, architecture: str, scaling: str) -> Network:
    """A network that has learned its scalings, and has weights of about the size of a trained one's."""
    settings = Hyperparameters(architecture, scaling)
    network = make_network(architecture, settings, 0, 1, ("churn",))
    rows = np.flatnonzero(windows.index["split"] == "train")
    network._learn(windows, rows, np.zeros(len(rows)))
    random = np.random.default_rng(2)

    def of(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    channels, past = network._shape.daily, network._shape.history
    weights = {}
    if architecture != "bilstm":
        gru = "gru/gru_cell"
        weights |= {f"{gru}/kernel": of(channels, 3 * UNITS), f"{gru}/recurrent_kernel": of(UNITS, 3 * UNITS),
                    f"{gru}/bias": of(2, 3 * UNITS)}  # fmt: skip
    if "bilstm" in architecture:
        inputs = channels if architecture == "bilstm" else UNITS
        for path in (f"bilstm/{d}_lstm/lstm_cell" for d in ("forward", "backward")):
            weights |= {f"{path}/kernel": of(inputs, 4 * UNITS), f"{path}/recurrent_kernel": of(UNITS, 4 * UNITS),
                        f"{path}/bias": of(4 * UNITS)}  # fmt: skip
    state = {"gru": UNITS, "causal_gru": UNITS + channels}.get(architecture, 2 * UNITS)
    if past:
        weights |= {"history/kernel": of(past, 4), "history/bias": of(4)}
        state += 4
    network._weights = weights | {"dense/kernel": of(state, 4), "dense/bias": of(4), "log_odds/kernel": of(4, 1),
                                  "log_odds/bias": of(1)}  # fmt: skip
    return network


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("scaling", ["standard", "piecewise"])
def test_shared_days_change_no_answer(windows: WindowSet, architecture: str, scaling: str) -> None:
    network = with_random_weights(windows, architecture, scaling)
    random = np.random.default_rng(3)
    some = random.choice(len(windows), 12)
    asked = np.arange(256)[:, None] >> np.arange(8) & 1
    rows, own = np.repeat(some, 256), np.tile(np.where(asked == 1, -1, 0), (12, 1))
    groups = windows.groups()
    for others in (np.repeat(random.choice(len(windows), 12), 256), np.full(len(rows), -1)):
        mixed = windows.mixed(groups, rows, others, own)
        every = random.permutation(len(rows))
        found, expected = network.log_odds(mixed, every), network.log_odds(Alone(mixed), every)
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(found, expected, atol=1e-4)
        whole = np.flatnonzero((own == -1).all(axis=1))
        np.testing.assert_allclose(network.log_odds(mixed, whole), network.log_odds(windows, some), atol=1e-4)
