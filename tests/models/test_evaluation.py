"""Metrics against scikit-learn, weighted as the bootstrap weights them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tschurn.models import evaluation as ev


def sample(seed: int, n: int = 400, ties: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    p = random.random(n)
    p = np.round(p, 1) if ties else p
    y = (random.random(n) < 0.2 + 0.6 * p).astype(float)
    return y, p, random.integers(0, 4, n).astype(float)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.booleans())
def test_weighted_metrics_equal_scikit_learn(seed: int, ties: bool) -> None:
    y, p, w = sample(seed, ties=ties)
    got = {name: values[0] for name, values in ev.metrics(y, p, w[None]).items()}
    both, pooled = np.stack([1 - y, y], 1), np.stack([1 - p, p], 1)
    expected = {
        "base_rate": np.average(y, weights=w),
        "accuracy": sk.accuracy_score(y, p >= 0.5, sample_weight=w),
        "ap": sk.average_precision_score(y, p, sample_weight=w),
        "micro_ap": sk.average_precision_score(both, pooled, average="micro", sample_weight=w),
        "auc": sk.roc_auc_score(y, p, sample_weight=w),
        "brier": sk.brier_score_loss(y, p, sample_weight=w),
    }
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-9), name


def test_lift_is_the_rate_of_the_top_over_the_base_rate() -> None:
    y, p, _ = sample(1, n=1000, ties=False)
    top = np.argsort(-p)
    got = ev.metrics(y, p)
    for name, share in (("lift_10", 100), ("lift_20", 200)):
        assert got[name][0] == pytest.approx(y[top[:share]].mean() / y.mean())


def test_lift_of_a_constant_is_one() -> None:
    y, _, _ = sample(1)
    assert ev.metrics(y, np.full(len(y), 0.3))["lift_10"][0] == pytest.approx(1)


def test_log_loss_equals_scikit_learn() -> None:
    y, p, _ = sample(3, ties=False)
    p = np.clip(p, 0.01, 0.99)
    assert ev.log_loss(y, np.log(p / (1 - p))) == pytest.approx(sk.log_loss(y, p))


def test_ece_against_a_slow_version_and_the_perfect_model() -> None:
    random = np.random.default_rng(0)
    p = random.random(5000)
    y = (random.random(5000) < p).astype(float)
    order = np.argsort(p)
    slow = sum(abs(p[b].mean() - y[b].mean()) * len(b) / 5000 for b in np.array_split(order, 10))
    assert ev.metrics(y, p)["ece"][0] == pytest.approx(slow, abs=1e-3) == ev.expected_calibration_error(y, p)
    perfect = ev.ece_of_perfect_model(p, 0)
    assert 0.3 * perfect < slow < 3 * perfect  # p is the perfect model here
    assert ev.metrics(y, p**3)["ece"][0] > 5 * perfect


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.booleans())
def test_the_parts_of_the_brier_score_equal_slow_ones_and_add_up_to_it(seed: int, ties: bool) -> None:
    y, p, w = sample(seed, ties=ties)
    w[0] = 1
    got = {name: values[0] for name, values in ev.metrics(y, p, w[None]).items()}
    y, p = (np.repeat(values, w.astype(int)) for values in (y, p))  # a weight is that many windows
    edges = np.unique(np.quantile(sample(seed, ties=ties)[1], np.arange(1, 10) / 10))
    slow = dict.fromkeys(("reliability", "resolution", "within"), 0.0)
    for b in range(len(edges) + 1):
        here = [i for i in range(len(p)) if (edges <= p[i]).sum() == b]
        if not here:
            continue
        mean, rate = np.mean(p[here]), np.mean(y[here])
        slow["reliability"] += len(here) / len(p) * (mean - rate) ** 2
        slow["resolution"] += len(here) / len(p) * (rate - y.mean()) ** 2
        slow["within"] += sum((p[i] - mean) ** 2 - 2 * (p[i] - mean) * (y[i] - rate) for i in here) / len(p)
    slow["uncertainty"] = y.mean() * (1 - y.mean())
    for part, value in slow.items():
        assert got[f"brier_{part}"] == pytest.approx(value, abs=1e-12), part
    total = slow["reliability"] - slow["resolution"] + slow["uncertainty"] + slow["within"]
    assert got["brier"] == pytest.approx(total, abs=1e-12)


def test_what_the_parts_of_the_brier_score_mean() -> None:
    random = np.random.default_rng(2)
    p = np.round(random.random(20000), 1)
    y = (random.random(20000) < p).astype(float)
    right, wrong = (ev.metrics(y, q) for q in (p, np.clip(p + 0.2, 0, 1)))
    assert right["brier_reliability"][0] < 0.001 < 0.02 < wrong["brier_reliability"][0]
    assert wrong["brier_resolution"][0] == pytest.approx(right["brier_resolution"][0], abs=0.005)
    know_nothing = ev.metrics(y, np.full(20000, y.mean()))
    assert know_nothing["brier"][0] == pytest.approx(know_nothing["brier_uncertainty"][0])
    assert know_nothing["brier_resolution"][0] == pytest.approx(0)


def test_one_class_gives_no_number_that_is_not_one() -> None:
    got = ev.metrics(np.zeros(50), np.linspace(0, 1, 50))
    assert np.isnan(got["ap"][0]) and np.isnan(got["auc"][0]) and got["base_rate"][0] == 0
    assert ev.interval(np.full(300, np.nan)) == (None, None)


def test_resampling_users_and_anchors_covers_the_truth() -> None:
    """Users and weeks both carry noise: the two-way interval of the base rate covers what it should,
    and one that resamples users alone does not."""
    hits = alone = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        user, anchor = np.repeat(np.arange(80), 12), np.tile(np.arange(12), 80)
        odds = random.normal(0, 0.7, 80)[user] + random.normal(0, 0.7, 12)[anchor]
        y = (random.random(960) < 1 / (1 + np.exp(-odds))).astype(float)
        for groups, count in (((user, anchor), 1), ((user, np.zeros(960)), 0)):
            weights = ev.two_way_weights(*groups, seed, 200)
            low, high = np.percentile(weights @ y / weights.sum(1), [2.5, 97.5])
            inside = low <= 0.5 <= high
            hits, alone = hits + inside * count, alone + inside * (1 - count)
    assert hits >= 50 > alone


def test_reliability_bins_hold_everybody_once() -> None:
    y, p, _ = sample(5, n=777)
    rows = ev.reliability(y, p, p - 0.1, p + 0.2)
    assert sum(row["windows"] for row in rows) == 777
    assert all(row["low"] <= row["y_mean"] <= row["high"] for row in rows)
    assert [row["p_low"] for row in rows] == pytest.approx([row["p_mean"] - 0.1 for row in rows])
    assert [row["p_high"] for row in rows] == pytest.approx([row["p_mean"] + 0.2 for row in rows])
