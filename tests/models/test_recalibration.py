"""Recalibration recovers what was planted, leaves alone what is right, and does not learn from a few."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from tschurn.errors import TooShortError
from tschurn.models import recalibration
from tschurn.models.calibration import Calibration
from tschurn.models.recalibration import LEAST, LEAST_FOR_SLOPE, ranking_change, recalibrate
from tschurn.models.venn_abers import Intervals, fit_intervals

GRID = np.linspace(-8, 8, 400)
RIGHT = {
    "platt": Calibration("platt", (1.0,), (0.0,)),
    "beta": Calibration("beta", (1.0, 1.0), (0.0,)),
    "isotonic": Calibration("isotonic", tuple(GRID.tolist()), tuple(expit(GRID).tolist())),
}
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def drawn(seed: int, users: int = 1000, anchors: int = 4, level: float = 0.0, slope: float = 1.0) -> Drawn:
    """Log-odds, outcomes, users, anchors: the truth is σ(slope · t + level)."""
    random = np.random.default_rng(seed)
    user, anchor = np.repeat(np.arange(users), anchors), np.tile(np.arange(anchors), users)
    t = random.normal(0, 1.2, users)[user] + random.normal(-0.8, 0.8, len(user))
    return t, (random.random(len(t)) < expit(slope * t + level)).astype(float), user, anchor


@cache
def learned() -> Intervals:
    return fit_intervals(*drawn(99, users=300), 1)


@pytest.mark.parametrize("method", RIGHT)
@pytest.mark.parametrize(
    ("level", "slope", "choice"), [(0.0, 1.0, "keep"), (0.8, 1.0, "level"), (-0.8, 1.0, "level"), (0.3, 0.5, "slope")]
)
def test_what_was_planted_is_recovered(method: str, level: float, slope: float, choice: str) -> None:
    t, *rest = drawn(1, level=level, slope=slope)
    found = recalibrate(t, *rest, RIGHT[method], learned(), 7)
    assert found.choice == choice and found.calibration.method == method
    truth, p = expit(slope * t + level), found.calibration(t)
    assert np.abs(p - truth).mean() < 0.02
    assert found.moved == pytest.approx((slope, level), abs=0.1)
    assert np.abs(p - truth).mean() <= np.abs(RIGHT[method](t) - truth).mean() + 1e-12
    tried = {one["method"]: one for one in found.tried}
    assert tried[choice]["log_loss"] <= tried["keep"]["log_loss"]
    assert abs(tried[choice]["p_mean"] - found.rate) <= abs(tried["keep"]["p_mean"] - found.rate) + 1e-9


def test_what_is_right_is_kept_as_it_is() -> None:
    kept = 0
    for seed in range(30):
        found = recalibrate(*drawn(seed, users=300), RIGHT["platt"], learned(), seed)
        if found.choice == "keep":
            kept += 1
            assert found.calibration == RIGHT["platt"] and found.intervals == learned() and found.moved == (1.0, 0.0)
    assert kept >= 27


def test_of_few_only_the_level_is_learned() -> None:
    t, y, user, anchor = drawn(3, users=2000, anchors=1, level=-3.5, slope=0.3)
    assert LEAST <= y.sum() < LEAST_FOR_SLOPE
    found = recalibrate(t, y, user, anchor, RIGHT["platt"], learned(), 7)
    assert found.choice == "level" and found.moved[0] == 1.0
    assert [one["method"] for one in found.tried] == ["keep", "level"]
    assert found.calibration(t).mean() == pytest.approx(y.mean(), rel=0.01)


@pytest.mark.parametrize("rare", [0, 1])
def test_of_too_few_nothing_is_learned(rare: int) -> None:
    t, _, user, anchor = drawn(3, users=500, anchors=1)
    y = np.full(500, 1.0 - rare)
    y[: LEAST - 1] = rare
    with pytest.raises(TooShortError, match=f"at least {LEAST} of each") as told:
        recalibrate(t, y, user, anchor, RIGHT["platt"], learned(), 7)
    assert f"{LEAST - 1}" in str(told.value) and "\n" not in str(told.value)
    y[LEAST - 1] = rare
    recalibrate(t, y, user, anchor, RIGHT["platt"], learned(), 7)


def test_one_user_is_not_many() -> None:
    t, y, *_ = drawn(1, users=500)
    with pytest.raises(TooShortError, match="1 users"):
        recalibrate(t, y, np.zeros(len(t)), np.zeros(len(t)), RIGHT["platt"], learned(), 7)


def test_users_of_many_windows_count_once() -> None:
    """The same windows fifty times over say no more: were they taken for different users', they would move it."""
    t, y, user, anchor = drawn(8, users=120, anchors=1, level=0.25)
    assert recalibrate(t, y, user, anchor, RIGHT["platt"], learned(), 7).choice == "keep"
    many = [np.tile(values, 50) for values in (t, y, user)]
    assert recalibrate(*many, np.repeat(np.arange(50), 120), RIGHT["platt"], learned(), 7).choice == "keep"
    strangers = np.arange(len(many[0]))
    assert recalibrate(*many[:2], strangers, strangers % 50, RIGHT["platt"], learned(), 7).choice != "keep"


def test_a_single_odd_week_of_several_moves_less_than_all_of_them() -> None:
    t, y, user, anchor = drawn(1, users=800, anchors=4)
    odd = np.where(anchor == 0, expit(t + 2.0), expit(t))
    y = (np.random.default_rng(5).random(len(t)) < odd).astype(float)
    assert recalibrate(t, y, user, anchor, RIGHT["platt"], learned(), 7).choice == "keep"
    assert recalibrate(t, y, user, user * 0, RIGHT["platt"], learned(), 7).choice != "keep"


@pytest.mark.parametrize("step", ["level", "slope"])
def test_each_step_is_the_regression_it_says(step: str) -> None:
    t, y, *_ = drawn(4, level=0.4, slope=0.7)
    slope, level = recalibration._fit(step, t, y, np.ones((1, len(y))))[0]
    if step == "slope":
        oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(t[:, None], y)
        assert (slope, level) == pytest.approx((oracle.coef_[0, 0], oracle.intercept_[0]), rel=1e-4)
    else:
        assert slope == 1 and expit(t + level).mean() == pytest.approx(y.mean(), abs=1e-9)


def test_a_ranking_that_has_turned_round_is_flattened_not_turned() -> None:
    t, *rest = drawn(4, slope=-1.0)
    found = recalibrate(t, *rest, RIGHT["platt"], learned(), 7)
    p = found.calibration(np.linspace(-3, 3, 9))
    assert found.moved[0] == 0 and np.ptp(p) == 0 and p[0] == pytest.approx(rest[0].mean(), abs=1e-6)


@pytest.mark.parametrize("method", RIGHT)
def test_the_map_is_the_old_one_moved_in_log_odds(method: str) -> None:
    t = np.linspace(-5, 5, 41)
    moved = recalibration._moved(RIGHT[method], np.array([0.6, -0.4]))
    np.testing.assert_allclose(logit(moved(t)), 0.6 * logit(RIGHT[method](t)) - 0.4, atol=2e-3)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999), users=st.integers(60, 300), level=st.floats(-2, 2), slope=st.floats(-1, 2),
    method=st.sampled_from(sorted(RIGHT)),
)  # fmt: skip
def test_whatever_is_planted_p_rises_and_lies_in_its_interval(
    seed: int, users: int, level: float, slope: float, method: str
) -> None:
    t, y, user, anchor = drawn(seed, users=users, level=level, slope=slope)
    try:
        found = recalibrate(t, y, user, anchor, RIGHT[method], learned(), seed)
    except TooShortError:
        assert min(y.sum(), len(y) - y.sum()) < LEAST
        return
    grid = np.sort(np.append(t, [-50, 50, -np.inf, np.inf]))
    p = found.calibration(grid)
    low, high = found.intervals(grid, p)
    assert (np.diff(p) >= -1e-9).all() and ((p >= 0) & (p <= 1)).all()
    assert (low <= p).all() and (p <= high).all()
    assert (np.diff(low) >= -1e-9).all() and (np.diff(high) >= -1e-9).all()
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert Calibration.from_dict(stored["calibration"]) == found.calibration
    assert Intervals.from_dict(stored["intervals"]) == found.intervals
    order = np.random.default_rng(seed).permutation(len(t))
    again = recalibrate(t[order], y[order], user[order], anchor[order], RIGHT[method], learned(), seed)
    assert again.choice == found.choice and again.moved == pytest.approx(found.moved, abs=1e-6)


@pytest.mark.parametrize(("level", "slope"), [(0.8, 1.0), (0.3, 0.5)])
def test_moved_intervals_hold_the_truth(level: float, slope: float) -> None:
    held = []
    for seed in range(12):
        t, *rest = drawn(seed, users=600, level=level, slope=slope)
        found = recalibrate(t, *rest, RIGHT["platt"], learned(), seed)
        low, high = found.intervals(t, found.calibration(t))
        truth = expit(slope * t + level)
        held.append(((low <= truth) & (truth <= high)).mean())
        before = np.subtract(*learned()(t, RIGHT["platt"](t))[::-1])
        assert (high - low).mean() < before.mean() + 0.1
    assert np.mean(held) > 0.9


def test_ranking_then_and_now_with_an_interval_of_the_difference() -> None:
    then, now = drawn(1, users=300), drawn(2, users=300, slope=0.2)
    sides = [(y, t, user, anchor) for t, y, user, anchor in (then, now)]
    found = ranking_change(*sides, 7)
    for name, metric in (("auc", roc_auc_score), ("ap", average_precision_score)):
        values = found[name]
        assert values["then"] == pytest.approx(metric(then[1], then[0]))
        assert values["now"] == pytest.approx(metric(now[1], now[0]))
        assert values["low"] < values["difference"] < values["high"] < 0
    same = ranking_change(sides[0], sides[0], 7)["auc"]
    assert same["difference"] == 0 and same["low"] < 0 < same["high"]


def test_without_both_outcomes_no_ranking() -> None:
    t, y, user, anchor = drawn(1, users=50)
    found = ranking_change((y, t, user, anchor), (np.zeros(200), t, user, anchor), 7)
    assert found["auc"] == {"then": pytest.approx(roc_auc_score(y, t)), "now": None, "difference": None, "low": None,
                            "high": None}  # fmt: skip


def test_what_the_new_windows_cannot_tell_is_in_the_interval() -> None:
    """Of a run that knew exactly, what is left is the error of the level: 1.96 / √Σp(1 − p) to either side."""
    p = expit(GRID)
    exact = Intervals(tuple(GRID), tuple(p), tuple(GRID), tuple(p))
    t, *rest = drawn(2, users=900, anchors=1, level=0.9)
    found = recalibrate(t, *rest, RIGHT["platt"], exact, 7)
    assert found.choice == "level"
    now = found.calibration(t)
    error = 1.96 / np.sqrt((now * (1 - now)).sum())
    low, high = (np.array(ends) for ends in (found.intervals.low_p, found.intervals.high_p))
    inside = np.abs(GRID) < 3
    for ends, side in ((low, -1), (high, 1)):
        moved = (logit(ends) - GRID - found.moved[1])[inside]
        np.testing.assert_allclose(moved, side * error, rtol=0.3)
