"""The paired bootstrap of two models: against plain arithmetic, and what it must find and not find."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tschurn.models import evaluation as ev
from tschurn.models.paired import differences, drawn_users

RANDOM = np.random.default_rng(0)
USERS, ANCHORS = 150, 6
USER, ANCHOR = np.repeat(np.arange(USERS), ANCHORS), np.tile(np.arange(ANCHORS), USERS)
TRUTH = RANDOM.beta(1, 2, USERS * ANCHORS)
Y = (RANDOM.random(len(TRUTH)) < TRUTH).astype(float)


def noisy(scale: float, seed: int) -> np.ndarray:
    return np.clip(TRUTH + np.random.default_rng(seed).normal(0, scale, len(TRUTH)), 0.001, 0.999)


def test_the_point_is_plain_average_precision_of_either_side() -> None:
    a, b = noisy(0.3, 1), noisy(0.05, 2)
    found = differences(Y, USER, ANCHOR, {"used": (a, b)}, ev.resampled, 7)["used"]["ap"]
    assert found["a"] == pytest.approx(average_precision_score(Y, a))
    assert found["b"] == pytest.approx(average_precision_score(Y, b))
    assert found["difference"] == pytest.approx(found["b"] - found["a"])


def test_better_is_found_and_turns_round_with_the_sides() -> None:
    a, b = noisy(0.5, 1), noisy(0.05, 2)
    one = differences(Y, USER, ANCHOR, {"x": (a, b)}, ev.resampled, 7)["x"]["ap"]
    other = differences(Y, USER, ANCHOR, {"x": (b, a)}, ev.resampled, 7)["x"]["ap"]
    assert one["low"] > 0
    assert (other["low"], other["high"]) == pytest.approx((-one["high"], -one["low"]))


def test_equal_models_differ_by_nothing_and_equal_noise_by_no_more_than_noise() -> None:
    a, b = noisy(0.2, 1), noisy(0.2, 2)
    same = differences(Y, USER, ANCHOR, {"x": (a, a)}, ev.metrics, 7)["x"]
    assert all(row["difference"] == row["low"] == row["high"] == 0 for row in same.values())
    like = differences(Y, USER, ANCHOR, {"x": (a, b)}, ev.resampled, 7)["x"]["ap"]
    assert like["low"] < 0 < like["high"]


def test_paired_is_narrower_than_unpaired() -> None:
    """The weeks are good or bad for both: that is what pairing is for."""
    a = noisy(0.2, 1)
    b = np.clip(a + np.random.default_rng(3).normal(0, 0.02, len(a)), 0.001, 0.999)
    found = differences(Y, USER, ANCHOR, {"x": (a, b)}, ev.resampled, 7)["x"]["ap"]
    alone = ev.interval(ev.resampled(Y, a, ev.two_way_weights(USER, ANCHOR, 7))["ap"])
    assert found["high"] - found["low"] < 0.3 * (alone[1] - alone[0])


def test_anchors_are_drawn_as_well_as_users() -> None:
    """A model that is better in one week only: with the weeks kept as they are, the interval would be far narrower."""
    a, b = noisy(0.3, 1), noisy(0.3, 1)
    b[ANCHOR == 0] = TRUTH[ANCHOR == 0]
    both = differences(Y, USER, ANCHOR, {"x": (a, b)}, ev.resampled, 7)["x"]["ap"]
    users = differences(Y, USER, np.zeros_like(ANCHOR), {"x": (a, b)}, ev.resampled, 7)["x"]["ap"]
    assert both["high"] - both["low"] > 1.3 * (users["high"] - users["low"])


def test_one_class_gives_null_and_no_interval() -> None:
    found = differences(np.zeros(12), np.arange(12), np.zeros(12), {"x": (TRUTH[:12], TRUTH[:12])}, ev.resampled, 7)
    assert found["x"]["ap"] == dict.fromkeys(("a", "b", "difference", "low", "high"))


def test_of_many_windows_whole_users_are_drawn() -> None:
    assert (drawn_users(USER, 1) == np.arange(len(USER))).all()
    rows = drawn_users(USER, 1, most=200)
    assert 200 - ANCHORS < len(rows) <= 200
    assert (np.bincount(USER[rows])[np.unique(USER[rows])] == ANCHORS).all()
    assert len(np.intersect1d(rows, drawn_users(USER, 2, most=200))) < 200
