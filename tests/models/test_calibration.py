"""Calibrated probabilities mean what they say and keep the ranking."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from tschurn.models.calibration import Calibration, fit_calibration


def draw(n: int, seed: int = 0, slope: float = 2.0, shift: float = -1.0) -> tuple[np.ndarray, np.ndarray]:
    """Over-confident log-odds: the truth is σ(x / slope + shift)."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 2, n)
    return x, (random.random(n) < expit(x / slope + shift)).astype(float)


def test_method_follows_the_number_of_positives() -> None:
    assert fit_calibration(*draw(8000)).method == "isotonic"
    assert fit_calibration(*draw(800)).method == "platt"


@pytest.mark.parametrize("n", [2000, 40000])
def test_it_finds_the_true_probabilities(n: int) -> None:
    calibration = fit_calibration(*draw(n))
    x, _ = draw(5000, seed=1)
    assert np.abs(calibration(x) - expit(x / 2 - 1)).mean() < 0.03


def test_platt_equals_an_unpenalised_logistic_regression() -> None:
    x, y = draw(1500)
    oracle = LogisticRegression(C=np.inf, tol=1e-8).fit(x[:, None], y)
    got = fit_calibration(x, y)
    assert got.x[0] == pytest.approx(oracle.coef_[0, 0], rel=0.02)  # Platt's labels are smoothed a little
    assert got.p[0] == pytest.approx(oracle.intercept_[0], rel=0.02)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 4000),
    seed=st.integers(0, 99),
    rate=st.floats(0, 1),
    spread=st.sampled_from([0.0, 1e-3, 1.0, 50.0]),
)
def test_any_input_gives_ordered_finite_probabilities(n: int, seed: int, rate: float, spread: float) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(0, 1, n) * spread
    y = (random.random(n) < rate).astype(float)
    calibration = fit_calibration(x, y)
    p = calibration(np.sort(np.append(x, [-1000, 1000])))
    assert np.isfinite(p).all() and (p >= 0).all() and (p <= 1).all()
    assert (np.diff(p) >= -1e-12).all()
    stored = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    np.testing.assert_array_equal(stored(x), calibration(x))


def test_isotonic_steps_keep_the_order_within() -> None:
    x, y = draw(20000)
    inside = np.linspace(-1, 1, 200)
    assert (np.diff(fit_calibration(x, y)(inside)) > 0).all()
