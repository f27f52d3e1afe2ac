"""Every model behind the one interface: it learns, it repeats itself, it survives being saved."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shap
from synthetic import lives_of

from tschurn.features.windows import WindowSet
from tschurn.models import baselines as b
from tschurn.models import forward, networks
from tschurn.models.blocks import Blocks
from tschurn.models.direct import Direct
from tschurn.models.evaluation import auc
from tschurn.models.graphs import WINDOW_ARCHITECTURES, Hyperparameters, graph
from tschurn.models.networks import make_network
from tschurn.models.saved import load_plain
from tschurn.models.scaling import (
    QUANTILES,
    SCALINGS,
    Piecewise,
    fit_piecewise,
    fit_scaling,
    signed_log1p,
    window_scalings,
)

DAYS, USERS, DAILY, HISTORY = 40, 90, 3, 2


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    """Churn depends on the order of acts (late acts protect) and on one history column."""
    random = np.random.default_rng(0)
    panel = random.poisson(0.7, (USERS, DAYS, DAILY)).astype(np.float32)
    user, anchor = (a.ravel() for a in np.meshgrid(np.arange(USERS), np.arange(6, DAYS), indexing="ij"))
    history = random.normal(size=(len(user), HISTORY)).astype(np.float32)
    late = panel[user[:, None], anchor[:, None] + np.arange(-1, 1), 0].sum(1)
    index = pd.DataFrame(
        {"user_id": user, "user": user.astype(np.int32), "anchor": anchor.astype(np.int32), "anchor_day": anchor,
         "churned": (2.0 - 1.5 * late + 1.5 * history[:, 0] + random.logistic(size=len(user)) * 0.5 > 0).astype(int)}
    )  # fmt: skip
    features = pd.DataFrame(
        {"feature": ["own:a:count", "own:b:count", "received:c:count", "history:x", "history:y"],
         "kind": ["daily"] * 3 + ["history"] * 2,
         "side": ["own", "own", "received", None, None], "measure": ["count"] * 3 + ["x", "y"],
         "label_en": list("abcde"), "label_ko": list("abcde")}
    )  # fmt: skip
    return WindowSet(index, features, panel, history, 7, lives_of(panel))


@pytest.fixture(scope="module")
def parts(windows: WindowSet) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    y = windows.index["churned"].to_numpy(float)
    order = np.random.default_rng(1).permutation(len(windows))
    return {k: (r, y[r]) for k, r in zip(("train", "validation", "test"), np.array_split(order, 3), strict=True)}


def make(name: str):
    if name in WINDOW_ARCHITECTURES:
        settings = Hyperparameters(name, units=12, batch_size=64, learning_rate=0.01)
        return make_network(name, settings, 1, 6, ("churn",))
    return {
        "most_frequent": b.MostFrequent,
        "recency": lambda: b.Logistic("recency", "recency"),
        "logistic_recency": lambda: b.Logistic("logistic_recency", "recency_and_active_days"),
        "logistic_history": lambda: b.Logistic("logistic_history", "history"),
        "lightgbm_7days": lambda: b.Boosting("lightgbm_7days", "days", 1, 1),
        "lightgbm_history": lambda: b.Boosting("lightgbm_history", "flat", 1, 1),
    }[name]()


FLOOR = {"most_frequent": 0.5, "recency": 0.5, "logistic_recency": 0.5, "logistic_history": 0.75, "lightgbm_7days": 0.7,
         "lightgbm_history": 0.85, "gru": 0.85, "bilstm": 0.85, "gru_bilstm": 0.85}  # fmt: skip


@pytest.mark.parametrize("name", FLOOR)
def test_a_model_learns_repeats_itself_and_survives_saving(
    windows: WindowSet, parts: dict, name: str, tmp_path: Path
) -> None:
    model, again = make(name), make(name)
    for one in (model, again):
        one.fit(windows, *parts["train"], parts["validation"])
        one.fit(windows, *parts["train"])  # the second fit keeps what the first chose
    rows, y = parts["test"]
    found = model.log_odds(windows, rows)
    assert np.isfinite(found).all()
    assert auc(y, found) >= FLOOR[name]
    np.testing.assert_array_equal(found, again.log_odds(windows, rows))
    model.save(tmp_path)
    loaded = load_plain(tmp_path)
    np.testing.assert_allclose(loaded.log_odds(windows, rows), found, rtol=1e-6, atol=1e-6)
    assert not [f for f in tmp_path.iterdir() if f.suffix in {".pkl", ".pickle", ".joblib", ".keras"}]


@pytest.mark.parametrize("name", WINDOW_ARCHITECTURES)
@pytest.mark.parametrize("scaling", ["standard", "piecewise"])
def test_numpy_scores_as_keras_does(
    windows: WindowSet, parts: dict, name: str, scaling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One window, several blocks of them, on one thread and on several."""
    model = make_network(name, Hyperparameters(name, scaling, units=8), 1, 1, ("churn",))
    model.fit(windows, *parts["train"])
    rows = parts["test"][0]
    trained = graph(model.hyperparameters, model._shape).model
    for variable in trained.trainable_variables:
        variable.assign(model._weights[variable.path])
    of_keras = np.array(trained.predict_on_batch(model._inputs(windows, rows)))[:, 0]
    assert len(rows) > networks._SCORED_AT_ONCE
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(forward, "_threads", threads)
        found.append(model.log_odds(windows, rows))
    np.testing.assert_array_equal(*found)
    one_by_one = [model.log_odds(windows, row)[0] for row in rows[:9, None]]
    np.testing.assert_allclose(found[0], of_keras, atol=1e-5)
    np.testing.assert_allclose(one_by_one, of_keras[:9], atol=1e-5)
    assert model.log_odds(windows, rows[:0]).shape == (0,)
    no, yes = model.predict_proba(windows, rows).T
    np.testing.assert_allclose(np.log(yes / no), model.log_odds(windows, rows), atol=1e-6)


def test_days_before_a_users_first_are_masked(windows: WindowSet, parts: dict) -> None:
    """A channel of its own tells them from days of the user's; what was done to the user then is still seen."""
    active = windows.lives.active.copy()
    active[::2, :10] = False  # every other user begins on day 10 or later
    late = WindowSet(windows.index, windows.features, windows._panel, windows._history, 7,
                     replace(windows.lives, active=active))  # fmt: skip
    network = make_network("gru_bilstm", Hyperparameters("gru_bilstm", units=8, batch_size=64), 1, 2, ("churn",))
    network.fit(late, *parts["train"])
    rows = np.arange(len(late))
    user, anchor = (late.index[c].to_numpy() for c in ("user", "anchor"))
    days = anchor[:, None] + np.arange(-6, 1)
    masked = networks.masked(late, rows, network._daily)
    np.testing.assert_array_equal(masked[:, :, -1], days >= late.lives.first[user][:, None])
    np.testing.assert_array_equal(masked[:, :, :-1], network._daily(late.batch(rows)))
    begins_later = (days < late.lives.first[user][:, None]) != (days < windows.lives.first[user][:, None])
    changed = network.log_odds(windows, rows) != network.log_odds(late, rows)
    assert changed.any() and not changed.all()
    np.testing.assert_array_equal(changed, begins_later.any(axis=1))


@pytest.mark.parametrize("validated", [True, False])
def test_training_that_diverges_at_once_answers_the_same_for_everybody(
    windows: WindowSet, parts: dict, validated: bool
) -> None:
    network = make_network("gru", Hyperparameters("gru", units=8, learning_rate=np.inf), 1, 3, ("churn",))
    network.fit(windows, *parts["train"], parts["validation"] if validated else None)
    assert all((weights == 0).all() for weights in network._weights.values())
    assert (network.log_odds(windows, parts["test"][0]) == 0).all()


def test_training_that_diverges_keeps_the_last_epoch_that_did_not(
    windows: WindowSet, parts: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Hyperparameters("gru", units=8, batch_size=64)
    short = make_network("gru", settings, 1, 2, ("churn",))
    short.fit(windows, *parts["train"])
    finite = iter([True, True, False])
    monkeypatch.setattr(networks.Averaged, "is_finite", lambda self: next(finite))
    diverging = make_network("gru", settings, 1, 9, ("churn",))
    diverging.fit(windows, *parts["train"])
    for path, weights in short._weights.items():
        np.testing.assert_array_equal(diverging._weights[path], weights)


def test_log_odds_that_overflow_count_as_zero(windows: WindowSet, parts: dict) -> None:
    network = make_network("gru", Hyperparameters("gru", units=8), 1, 1, ("churn",))
    network.fit(windows, *parts["train"])
    network._weights = {path: weights * np.float32(1e30) for path, weights in network._weights.items()}
    assert np.isfinite(network.log_odds(windows, parts["test"][0])).all()


def test_a_trunk_that_learns_another_target_along_is_another_network(windows: WindowSet, parts: dict) -> None:
    both = WindowSet(windows.index.assign(sticker=pd.array(windows.index["anchor"] % 2, dtype="Int8")),
                     windows.features, windows._panel, windows._history, 7, windows.lives)  # fmt: skip
    settings = Hyperparameters("gru", units=8, learning_rate=0.01, batch_size=64)
    found = {}
    for targets in (("churn",), ("churn", "sticker"), ("sticker", "churn")):
        network = make_network("gru", settings, 1, 4, targets)
        y = both.index["sticker" if targets[0] == "sticker" else "churned"].to_numpy(float)
        network.fit(both, parts["train"][0], y[parts["train"][0]])
        found[targets] = network.log_odds(both, parts["test"][0])
    y = parts["test"][1]
    assert auc(y, found["churn", "sticker"]) > 0.8
    assert auc(y, found["churn", "sticker"]) > auc(y, found["sticker", "churn"]) + 0.2
    assert not np.array_equal(found["churn",], found["churn", "sticker"])


def test_stopping_early_keeps_the_best_epoch(windows: WindowSet, parts: dict) -> None:
    """With labels that mean nothing, validation gets worse soon; the network must not run to the end."""
    random = np.random.default_rng(0)
    rows = parts["train"][0]
    settings = Hyperparameters(units=48, learning_rate=0.02, dropout=0, batch_size=32)
    model = make_network("gru", settings, 1, 30, ("churn",))
    model.fit(windows, rows, random.integers(0, 2, len(rows)).astype(float), parts["validation"])
    assert model.epochs < 10


def test_an_average_is_the_mean_of_its_members(windows: WindowSet, parts: dict, tmp_path: Path) -> None:
    members = [make("logistic_history"), make("lightgbm_history")]
    average = b.Average(members)
    average.fit(windows, *parts["train"], parts["validation"])
    rows = parts["test"][0]
    found = average.log_odds(windows, rows)
    np.testing.assert_allclose(found, (members[0].log_odds(windows, rows) + members[1].log_odds(windows, rows)) / 2)
    average.save(tmp_path)
    np.testing.assert_allclose(load_plain(tmp_path).log_odds(windows, rows), found)


@pytest.mark.parametrize("name", ["logistic_recency", "logistic_history", "lightgbm_7days", "lightgbm_history"])
def test_direct_contributions_add_up_to_the_model(windows: WindowSet, parts: dict, name: str) -> None:
    model = make(name)
    model.fit(windows, *parts["train"])
    direct = Direct(model, windows)
    rows = parts["test"][0][:50]
    rest = model.log_odds(windows, rows) - direct.contributions(rows).sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-6)
    assert direct.values(rows).shape == direct.contributions(rows).shape == (50, len(direct.columns))


def test_logistic_contributions_are_those_of_shap(windows: WindowSet, parts: dict) -> None:
    model = make("logistic_history")
    rows = parts["train"][0]
    model.fit(windows, *parts["train"])
    logged = signed_log1p(b.VIEWS["history"](windows, rows).astype(float))
    oracle = shap.LinearExplainer(
        (model._coefficients / model._scale, model._intercept), shap.maskers.Independent(logged, max_samples=len(rows))
    )
    np.testing.assert_allclose(model.contributions(windows, rows), oracle.shap_values(logged), atol=1e-6)


@pytest.mark.parametrize("kind", SCALINGS)
def test_scalings_against_plain_numpy(windows: WindowSet, kind: str) -> None:
    rows = np.arange(500)
    values = windows.batch(rows).reshape(-1, DAILY).astype(float)
    logged = signed_log1p(values) if kind in ("log1p_standard", "piecewise") else values
    expected = {
        "none": values,
        "minmax": (values - values.min(0)) / np.ptp(values, axis=0),
    }.get(kind, (logged - logged.mean(0)) / logged.std(0))
    daily, _ = window_scalings(kind, windows, rows)
    np.testing.assert_allclose(daily(windows.batch(rows)).reshape(-1, DAILY), expected, atol=1e-5)


def test_piecewise_encoding_against_a_loop() -> None:
    random = np.random.default_rng(0)
    learned = np.stack([random.gamma(1, size=400), random.integers(0, 3, 400), np.full(400, 7.0)], axis=1)
    encoding = fit_piecewise(learned)
    values = np.concatenate([learned[:50], [[-1, 5, 7], [99, 1.5, 0], [np.nan, np.inf, -np.inf]]])
    expected = []
    for row in values:
        filled = []
        for k in (0, 1):  # the third is constant: it has no quantiles
            edges = np.unique(np.quantile(learned[:, k], np.arange(QUANTILES + 1) / QUANTILES))
            for low, high in pairwise(edges):
                filled.append(0.5 if np.isnan(row[k]) else min(1, max(0, (row[k] - low) / (high - low))))
        expected.append(filled)
    found = encoding(values)
    np.testing.assert_allclose(found, np.array(expected) - 0.5, atol=1e-4)
    np.testing.assert_array_equal(Piecewise.from_dict(json.loads(json.dumps(encoding.to_dict())))(values), found)


def test_scaling_takes_what_is_not_a_number_for_the_mean() -> None:
    values = np.array([[1.0, 5], [np.nan, 7], [3, np.inf], [5, -np.inf]])
    scaling = fit_scaling("standard", iter([values[:2], values[2:]]), 2)
    np.testing.assert_allclose(scaling.shift, [3, 6])
    found = scaling(values)
    assert np.isfinite(found).all() and found[1, 0] == 0 and found[2, 1] > 10 and found[3, 1] < -10


def test_a_constant_column_becomes_nothing() -> None:
    scaling = fit_scaling("standard", iter([np.full((9, 1), 7.3)]), 1)
    assert np.allclose(scaling(np.full((2, 1), 7.3)), 0)


def test_no_history_is_no_columns() -> None:
    scaling = fit_scaling("log1p_standard", iter([np.zeros((5, 0))]), 0)
    assert scaling(np.zeros((3, 0))).shape == (3, 0)


def test_excluded_windows_are_measured_but_nothing_is_learned_from_them(windows: WindowSet) -> None:
    split = np.resize(["train", "validation", "calibration", "test", "purged", "excluded"], len(windows))
    index = windows.index.assign(closed=windows.index["anchor"] < DAYS - 7, split=split)
    index.loc[~index["closed"], "split"] = "open"
    divided = WindowSet(index, windows.features, windows._panel, windows._history, 7, windows.lives)
    blocks = Blocks.of(divided, "churn")
    excluded = np.flatnonzero(index["split"] == "excluded")
    for learned in (blocks.train, blocks.validation, blocks.calibration, blocks.test, blocks.learnable):
        assert not np.intersect1d(learned, excluded).size
    assert np.isin(excluded, blocks.closed).all() and len(blocks.learnable) == len(blocks.closed) - len(excluded)
