"""The network that reads whole lives: pieces, clocks, what it may learn from; and that it never looks ahead."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from tschurn.config import WindowShape
from tschurn.features.lives import Lives
from tschurn.features.windows import WindowSet
from tschurn.models import causal
from tschurn.models.blocks import Blocks
from tschurn.models.causal import LEAD, PIECE, CausalNetwork, clocks, learnable_days
from tschurn.models.evaluation import auc
from tschurn.models.graphs import Hyperparameters, graph
from tschurn.models.networks import Network, make_network

USERS, DAYS, SHAPE = 60, 150, WindowShape()
BOTH = ("churn", "sticker")


def make_windows(seed: int = 0) -> WindowSet:
    """Users who act in spells. A spell ends for good nine days after a day with event b (longer than a window back),
    and a sticker comes on the day after an event c."""
    random = np.random.default_rng(seed)
    panel = np.zeros((USERS, DAYS, 3), dtype=np.float32)
    stickers = np.zeros((USERS, DAYS), dtype=np.float32)
    for user in range(USERS):
        day = int(random.integers(0, 30))
        while day < DAYS:
            length = int(random.integers(15, 50))
            spell = np.arange(day, min(DAYS, day + length))
            panel[user, spell, 0] = random.poisson(1.5, len(spell))
            if day + length - 9 < DAYS:
                panel[user, day + length - 9, 1] = 1
            gifts = spell[random.random(len(spell)) < 0.03]
            panel[user, gifts, 2] = 1
            stickers[user, np.minimum(gifts + 1, DAYS - 1)] = 1
            day += length + int(random.integers(9, 20))
    lives = Lives(panel[:, :, 0] > 0, stickers, SHAPE, 2)
    outcomes = {t: lives.outcome(t, np.arange(USERS)) for t in BOTH}
    anchors = np.arange(6, DAYS, 7)
    user, anchor = (a.ravel() for a in np.meshgrid(np.arange(USERS), anchors, indexing="ij"))
    eligible = np.array([lives.active[u, a - 6 : a + 1].any() for u, a in zip(user, anchor, strict=True)])
    user, anchor = user[eligible], anchor[eligible]
    closed = anchor + 7 < DAYS
    days = [datetime.date(2024, 1, 3) + datetime.timedelta(days=int(a)) for a in anchor]
    index = pd.DataFrame({"user_id": user, "user": user.astype(np.int32), "anchor": anchor.astype(np.int32),
                          "anchor_day": days, "closed": closed})  # fmt: skip
    for target, label in zip(BOTH, ("churned", "sticker"), strict=True):
        index[label] = pd.array(np.where(closed, outcomes[target][user, anchor], 0), dtype="Int8")
    last = anchors[anchors + 7 < DAYS]
    split = np.select(
        [~closed, anchor >= last[-4], anchor >= last[-5], anchor >= last[-8], anchor >= last[-9]],
        ["open", "test", "purged", np.where(user % 2, "validation", "calibration"), "purged"], "train",
    )  # fmt: skip
    features = pd.DataFrame(
        {"feature": ["own:a:count", "own:b:count", "own:c:count"], "kind": "daily", "side": "own", "measure": "count"}
    )
    return WindowSet(index.assign(split=split), features, panel, np.zeros((len(index), 0), np.float32), 7, lives)


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    return make_windows()


@pytest.fixture(scope="module")
def fitted(windows: WindowSet) -> CausalNetwork:
    return fit(windows)


def fit(windows: WindowSet, targets: tuple[str, ...] = BOTH, epochs: int = 25, **changes) -> CausalNetwork:
    blocks = Blocks.of(windows, targets[0])
    settings = Hyperparameters("causal_gru", **{"units": 24, "dropout": 0.1, "learning_rate": 0.01} | changes)
    network = make_network("causal_gru", settings, 1, epochs, targets)
    network.fit(windows, *blocks.pair(blocks.train), blocks.pair(blocks.validation))
    return network


def of_test(windows: WindowSet, network: CausalNetwork) -> tuple[np.ndarray, np.ndarray]:
    blocks = Blocks.of(windows, network.targets[0])
    return blocks.y[blocks.test], network.log_odds(windows, blocks.test)


def test_finds_what_no_window_shows(windows: WindowSet, fitted: CausalNetwork) -> None:
    """What ends a spell lies nine days back, two days before the window begins."""
    blocks = Blocks.of(windows, "churn")
    window = make_network("gru", Hyperparameters(units=24, learning_rate=0.01), 1, 25, ("churn",))
    window.fit(windows, *blocks.pair(blocks.train), blocks.pair(blocks.validation))
    y, found = of_test(windows, fitted)
    assert auc(y, found) > 0.98
    assert auc(y, window.log_odds(windows, blocks.test)) < 0.96


def test_the_other_target_is_learned_along(windows: WindowSet) -> None:
    y, found = of_test(windows, fit(windows, ("sticker", "churn")))
    assert auc(y, found) > 0.7


@pytest.mark.parametrize("scaling", ["none", "standard", "minmax", "piecewise"])
def test_learns_under_every_scaling(windows: WindowSet, scaling: str) -> None:
    # unscaled counts and clocks are learned from slowly
    assert auc(*of_test(windows, fit(windows, scaling=scaling))) > (0.8 if scaling == "none" else 0.85)


def test_same_seed_same_network_and_it_survives_saving(
    windows: WindowSet, fitted: CausalNetwork, tmp_path: Path
) -> None:
    _, found = of_test(windows, fitted)
    np.testing.assert_array_equal(found, of_test(windows, fit(windows))[1])
    fitted.save(tmp_path)
    loaded = Network.load(tmp_path)
    np.testing.assert_array_equal(found, of_test(windows, loaded)[1])
    assert loaded.get_params() == fitted.get_params()


def test_never_looks_past_the_anchor(windows: WindowSet, fitted: CausalNetwork) -> None:
    """Everything after an anchor is turned upside down: neither in bulk nor one by one does a log-odds move."""
    anchor = 90
    rows = np.flatnonzero(windows.index["anchor"] == anchor)
    panel, lives = windows._panel.copy(), windows.lives
    panel[:, anchor + 1 :] = 9 - panel[:, anchor + 1 :]
    active, stickers = lives.active.copy(), lives.stickers.copy()
    active[:, anchor + 1 :] = ~active[:, anchor + 1 :]
    stickers[:, anchor + 1 :] += 5
    other = WindowSet(windows.index, windows.features, panel, windows._history, 7, Lives(active, stickers, SHAPE, 2))
    np.testing.assert_array_equal(fitted.log_odds(other, rows), fitted.log_odds(windows, rows))
    np.testing.assert_array_equal(fitted.log_odds(other, rows[:5]), fitted.log_odds(windows, rows[:5]))
    assert np.any(fitted.log_odds(other, rows + 3) != fitted.log_odds(windows, rows + 3))


def test_training_never_looks_past_its_last_outcome(windows: WindowSet) -> None:
    blocks = Blocks.of(windows, "churn")
    last = windows.index["anchor"].to_numpy()[blocks.train].max() + SHAPE.outcome_days
    panel, lives = windows._panel.copy(), windows.lives
    active, stickers = lives.active.copy(), lives.stickers.copy()
    panel[:, last + 1 :], active[:, last + 1 :], stickers[:, last + 1 :] = 7, False, 3
    other = WindowSet(windows.index, windows.features, panel, windows._history, 7, Lives(active, stickers, SHAPE, 2))
    found = []
    for one in (windows, other):
        network = make_network("n", Hyperparameters("causal_gru", units=8, scaling="piecewise"), 1, 2, BOTH)
        network.fit(one, *blocks.pair(blocks.train))
        found.append(network.log_odds(windows, blocks.train))
    np.testing.assert_array_equal(*found)


def test_numpy_scores_as_keras_does(windows: WindowSet, fitted: CausalNetwork) -> None:
    """Keras reads a whole piece for each window; we read every piece once, and no further than is asked."""
    rows = np.random.default_rng(0).permutation(len(windows))
    trained = graph(fitted.hyperparameters, fitted._shape).model
    for variable in trained.trainable_variables:
        variable.assign(fitted._weights[variable.path])
    first, user = windows.lives.first, windows.index["user"].to_numpy()
    since = windows.index["anchor"].to_numpy() - first[user]
    number = np.maximum(0, (since - LEAD) // (PIECE - LEAD))
    users, days, answers = fitted._days_of(np.stack([user, number], axis=1), first)
    at = np.arange(len(windows)), since - number * (PIECE - LEAD)
    assert answers[at].all() and number.max() > 0
    of_keras = np.array(trained.predict_on_batch(fitted._read(windows, users, days)))[at][:, 0]
    np.testing.assert_allclose(fitted.log_odds(windows, rows), of_keras[rows], atol=2e-5)
    few = rows[:12]
    np.testing.assert_allclose([fitted.log_odds(windows, row)[0] for row in few[:, None]], of_keras[few], atol=2e-5)
    assert fitted.log_odds(windows, rows[:0]).shape == (0,)


def test_the_labels_given_are_the_labels_learned(windows: WindowSet) -> None:
    """Turned labels at the anchors turn what comes out there, though the days between keep theirs."""
    blocks = Blocks.of(windows, "churn")
    network = CausalNetwork("n", Hyperparameters("causal_gru"), 1, 1, ("churn",))
    labels = network._labels(windows, blocks.train, 1 - blocks.y[blocks.train])
    index = windows.index.iloc[blocks.train]
    np.testing.assert_array_equal(labels[index["user"], index["anchor"], 0], 1 - blocks.y[blocks.train])
    truth = windows.lives.outcome("churn", np.arange(USERS))
    between = learnable_days(windows, blocks.train) & (truth >= 0)
    between[index["user"], index["anchor"]] = False
    assert between.sum() > len(index)
    np.testing.assert_array_equal(labels[between, 0], truth[between])


def test_days_to_learn_from_against_a_loop(windows: WindowSet) -> None:
    random = np.random.default_rng(3)
    for rows in (windows.rows("train"), windows.rows("train", "validation"),
                 np.sort(random.choice(len(windows), 200, replace=False)), np.array([5])):  # fmt: skip
        expected = np.zeros((USERS, DAYS), dtype=bool)
        for user, part in windows.index.reset_index(drop=True).groupby("user"):
            before, was_given = -99, False
            for position, row in part.sort_values("anchor").iterrows():
                if position in rows:
                    joined = was_given and row["anchor"] - before <= SHAPE.stride_days
                    expected[user, (before + 1 if joined else row["anchor"]) : row["anchor"] + 1] = True
                before, was_given = row["anchor"], position in rows
        np.testing.assert_array_equal(learnable_days(windows, rows), expected)


@pytest.mark.parametrize("kind", ["time", "random", "user"])
def test_no_label_of_another_block_is_learned(windows: WindowSet, kind: str) -> None:
    """Of no day that is learned from does the outcome reach past the anchor of a window that is not."""
    random = np.random.default_rng(0)
    rows = {"time": windows.rows("train"), "user": np.flatnonzero(windows.index["user"] % 3 > 0),
            "random": np.sort(random.choice(len(windows), len(windows) // 2, replace=False))}[kind]  # fmt: skip
    learned = learnable_days(windows, rows)
    others = windows.index.iloc[np.setdiff1d(np.arange(len(windows)), rows)]
    assert not learned[others["user"], others["anchor"]].any()
    given = windows.index.iloc[rows]
    for user in given["user"].unique():
        last = given.loc[given["user"] == user, "anchor"].max()
        assert not learned[user, last + 1 :].any()
    if kind == "user":
        assert not learned[others["user"].unique()].any()


@given(some.arrays(np.bool_, st.tuples(st.integers(1, 3), st.integers(1, 20))), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_clocks_against_a_loop(active: np.ndarray, seed: int) -> None:
    stickers = np.random.default_rng(seed).poisson(0.3, active.shape).astype(np.float32)
    found = clocks(active, stickers)
    for user, (acts, gifts) in enumerate(zip(active, stickers > 0, strict=True)):
        first = int(np.argmax(acts))
        for day in range(len(acts)):
            tenure = max(0, day - first)

            def since(happened: np.ndarray, day: int = day, tenure: int = tenure) -> int:
                before = np.flatnonzero(happened[: day + 1])
                return day - before[-1] if len(before) else tenure + 1

            expected = [since(acts), since(gifts), tenure, acts[: day + 1].sum(), gifts[: day + 1].sum(),
                        acts[: day + 1].sum() / (tenure + 1), acts[day]]  # fmt: skip
            np.testing.assert_allclose(found[user, day], expected, rtol=1e-6)


def test_every_day_is_answered_by_one_piece_that_has_read_what_leads_to_it() -> None:
    since = np.arange(1000)
    number = causal._piece_of(since)
    position = since - number * causal._STEP
    assert ((position >= 0) & (position < causal.PIECE)).all()
    assert (position[number > 0] >= causal.LEAD).all()
    assert (np.diff(number) >= 0).all()


def test_a_life_that_begins_late_is_read_from_its_first_day(windows: WindowSet, fitted: CausalNetwork) -> None:
    """What others of the log did before a user came changes nothing: there are no days before the first."""
    first = windows.lives.first
    panel = windows._panel.copy()
    for user in range(USERS):
        panel[user, : first[user]] = 5
    other = WindowSet(windows.index, windows.features, panel, windows._history, 7, windows.lives)
    rows = np.arange(len(windows))
    np.testing.assert_array_equal(fitted.log_odds(other, rows), fitted.log_odds(windows, rows))


@pytest.mark.parametrize("rows", [1, 2])
def test_one_window_is_enough_to_fit(windows: WindowSet, rows: int) -> None:
    network = make_network("n", Hyperparameters("causal_gru", units=4, scaling="piecewise"), 1, 2, BOTH)
    network.fit(windows, np.arange(rows), np.ones(rows))
    assert np.isfinite(network.log_odds(windows, np.arange(len(windows)))).all()


def test_what_is_not_a_number_counts_as_not_known(windows: WindowSet) -> None:
    panel = windows._panel.copy()
    panel[::3, ::5, 0], panel[1::3, ::5, 1] = np.nan, np.inf
    other = WindowSet(windows.index, windows.features, panel, windows._history, 7, windows.lives)
    for scaling in ("log1p_standard", "none"):
        assert np.isfinite(of_test(other, fit(other, epochs=2, scaling=scaling))[1]).all()


_ON_JAX = """
import numpy as np
from test_causal import fit, make_windows, of_test
from tschurn.models.evaluation import auc
import keras
assert keras.backend.backend() == "jax"
print(auc(*of_test(make_windows(), fit(make_windows(), epochs=12))))
"""


@pytest.mark.slow
def test_the_same_code_runs_on_jax() -> None:
    pytest.importorskip("jax", reason="the extra `jax` is not installed")
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", _ON_JAX], capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(here), "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) > 0.85
