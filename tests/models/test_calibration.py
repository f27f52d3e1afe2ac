"""Calibrated probabilities mean what they say and keep the ranking."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tschurn.models import calibration
from tschurn.models.calibration import METHODS, Calibration, fit_calibration


def draw(
    n: int, seed: int = 0, slope: float = 2.0, shift: float = -1.0, each: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Over-confident log-odds, labels, users of `each` windows, and a seed: the truth is σ(x / slope + shift)."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 2, n)
    return x, (random.random(n) < expit(x / slope + shift)).astype(float), np.arange(n) // each, seed


def bent(n: int, seed: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """As `draw`, the truth rising from `low` to `high` within a few tenths: no sigmoid and no beta map is like it."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 2, n)
    return x, (random.random(n) < low + (high - low) * expit(12 * x)).astype(float), np.arange(n), seed


def test_the_simplest_that_fits_is_chosen() -> None:
    """Where the truth is a logistic map, isotonic and beta are no worse by much: Platt's is taken all the same."""
    assert {fit_calibration(*draw(8000, seed)).method for seed in range(4)} == {"platt"}


@pytest.mark.parametrize("each", [1, 10])
def test_simpler_wins_within_one_standard_error_over_users(each: int) -> None:
    excess = np.random.default_rng(0).normal(0, 1, 400)
    excess = np.repeat((excess - excess.mean()) / excess.std(), each)  # one standard error of users' mean: 1 / 20
    user = np.repeat(np.arange(400), each)
    for distance, method in ((0.9, "platt"), (1.1, "beta")):
        losses = {"platt": excess + distance / 20, "beta": np.zeros(400 * each), "isotonic": np.full(400 * each, 0.3)}
        assert calibration._simplest(losses, user) == method


def test_beta_is_chosen_where_the_slopes_of_both_sides_differ() -> None:
    random = np.random.default_rng(1)
    x = random.normal(0, 3, 6000)
    truth = expit(-3 * np.logaddexp(0, -x) + 0.2 * np.logaddexp(0, x))
    y = (random.random(6000) < truth).astype(float)
    found = fit_calibration(x, y, np.arange(6000), 1)
    assert found.method == "beta"
    assert np.abs(found(x) - truth).mean() < 0.015
    assert found.x == pytest.approx((3, 0.2), rel=0.15)


def test_isotonic_needs_a_thousand_of_each_class() -> None:
    assert fit_calibration(*bent(8000, 0, 0.2, 0.8)).method == "isotonic"
    for low, high in ((0.01, 0.2), (0.8, 0.99)):
        found = fit_calibration(*bent(8000, 0, low, high))
        assert [one["method"] for one in found.tried] == ["platt", "beta"] and found.method != "isotonic"


def test_what_was_tried_is_the_log_loss_of_users_left_out() -> None:
    """Against a plain version: five folds of users, each method fitted without them."""
    x, y, user, seed = draw(600, 3, each=5)
    found = fit_calibration(x, y, user, seed)
    fold = np.random.default_rng([seed, 9]).permutation(120)[user] % 5
    p = np.empty(600)
    for k in range(5):
        p[fold == k] = calibration._fit("platt", x[fold != k], y[fold != k])(x[fold == k])
    assert found.tried[0]["log_loss"] == pytest.approx(-np.mean(np.log(np.where(y == 1, p, 1 - p))))
    assert all(len(set(fold[user == u])) == 1 for u in range(120))


def test_windows_of_one_user_are_never_on_both_sides() -> None:
    """Each user has a score and a label of their own, so that whoever knows their other windows knows all."""
    random = np.random.default_rng(0)
    of_user, label = random.normal(0, 1, 150), random.integers(0, 2, 150)
    x, y, user = np.repeat(of_user, 20), np.repeat(label, 20).astype(float), np.repeat(np.arange(150), 20)
    tried = {one["method"]: one["log_loss"] for one in fit_calibration(x, y, user, 0).tried}
    assert set(tried) == set(METHODS)
    assert tried["isotonic"] > tried["platt"] > np.log(2) - 0.01


@pytest.mark.parametrize("n", [2000, 40000])
def test_it_finds_the_true_probabilities(n: int) -> None:
    found = fit_calibration(*draw(n))
    x, *_ = draw(5000, seed=1)
    assert np.abs(found(x) - expit(x / 2 - 1)).mean() < 0.03


def test_platt_equals_an_unpenalised_logistic_regression() -> None:
    x, y, *_ = draw(1500)
    oracle = LogisticRegression(C=np.inf, tol=1e-8).fit(x[:, None], y)
    got = calibration._fit("platt", x, y)
    assert got.x[0] == pytest.approx(oracle.coef_[0, 0], rel=0.02)  # Platt's labels are smoothed a little
    assert got.p[0] == pytest.approx(oracle.intercept_[0], rel=0.02)


def test_beta_equals_a_logistic_regression_on_both_logarithms() -> None:
    x, y, *_ = draw(4000, slope=1.5)
    s = expit(x)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(np.stack([np.log(s), -np.log1p(-s)], 1), y)
    got = calibration._fit("beta", x, y)
    np.testing.assert_allclose([*got.x, *got.p], [*oracle.coef_[0], *oracle.intercept_], rtol=0.03)
    a, b, c = [*got.x, *got.p]
    np.testing.assert_allclose(logit(got(x)), a * np.log(s) - b * np.log1p(-s) + c, atol=1e-9)


def test_isotonic_is_that_of_scikit_learn_within_what_windows_can_tell() -> None:
    x, y, *_ = bent(5000, 2, 0.1, 0.9)
    edge = 1 / 5002
    oracle = IsotonicRegression(y_min=edge, y_max=1 - edge).fit(x, y)
    np.testing.assert_allclose(calibration._fit("isotonic", x, y)(x), oracle.predict(x), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 4000),
    seed=st.integers(0, 99),
    rate=st.floats(0, 1),
    spread=st.sampled_from([0.0, 1e-12, 1e-3, 1.0, 50.0, 1e6, np.inf]),
    users=st.sampled_from([1, 2, 7, 4000]),
)
def test_any_input_gives_ordered_finite_probabilities(
    n: int, seed: int, rate: float, spread: float, users: int
) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(0, 1, n) * spread
    y = (random.random(n) < rate).astype(float)
    found = fit_calibration(x, y, random.integers(0, users, n), seed)
    p = found(np.sort(np.append(x, [-1000, 1000, -np.inf, np.inf, 0])))
    assert np.isfinite(p).all() and (p >= 0).all() and (p <= 1).all()
    assert (np.diff(p) >= -1e-12).all()
    assert all(np.isfinite([one["log_loss"], one["ece"]]).all() for one in found.tried)
    stored = Calibration.from_dict(json.loads(json.dumps(found.to_dict())))
    assert stored == found
    np.testing.assert_array_equal(stored(x), found(x))


@pytest.mark.parametrize("method", METHODS)
def test_a_score_that_misleads_is_not_turned_round(method: str) -> None:
    x, y, *_ = draw(3000, slope=-1)
    p = calibration._fit(method, x, y)(np.linspace(-3, 3, 50))
    assert (np.diff(p) >= 0).all() and np.abs(p - y.mean()).max() < 0.1


def test_one_class_or_a_constant_gives_the_rate() -> None:
    user = np.arange(100)
    assert fit_calibration(np.linspace(-1, 1, 100), np.ones(100), user, 0)(np.zeros(1)) == pytest.approx(101 / 102)
    y = (user < 30).astype(float)
    found = fit_calibration(np.full(100, 0.7), y, user, 0)
    assert found(np.array([-5.0, 0.7, 5.0])) == pytest.approx(np.full(3, 0.3), abs=0.01) and found.tried == ()


def test_isotonic_steps_keep_the_order_within() -> None:
    x, y, *_ = draw(20000)
    inside = np.linspace(-1, 1, 200)
    assert (np.diff(calibration._fit("isotonic", x, y)(inside)) > 0).all()
