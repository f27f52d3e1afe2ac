"""The effect of contact: statsmodels as oracle, and simulations in which the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportion_effectsize

from tschurn.segments import effect

DAY = pd.Timestamp("2026-11-22").date()


def arms(a: int, n1: int, b: int, n0: int) -> tuple[np.ndarray, ...]:
    """a of n1 assigned, b of n0 held out → outcomes, assigned, week, user."""
    y = np.concatenate([np.arange(n1) < a, np.arange(n0) < b]).astype(float)
    return y, np.arange(n1 + n0) < n1, np.full(n1 + n0, DAY), np.arange(n1 + n0)


@pytest.mark.parametrize(("a", "n1", "b", "n0"), [(12, 36, 3, 4), (0, 20, 0, 5), (20, 20, 0, 5), (300, 900, 45, 100)])
def test_one_week_is_newcombe(a: int, n1: int, b: int, n0: int) -> None:
    found = effect.difference(*arms(a, n1, b, n0))
    low, high = confint_proportions_2indep(a, n1, b, n0, method="newcomb", compare="diff")
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-12)
    assert found["difference"] == pytest.approx(a / n1 - b / n0)
    assert found["design_effect"] == 1 and found["weeks"] == 1


def panel(users: int, weeks: int, held: float, change: float, seed: int, returning: float = 1.0) -> tuple:
    """Users who return, each with a rate of their own that lasts; contact lowers it by `change` of itself."""
    random = np.random.default_rng(seed)
    rate = random.beta(1.2, 1.8, users)
    week, user = np.nonzero(random.random((weeks, users)) < returning)
    level = np.clip(rate[user] + np.linspace(-0.1, 0.1, weeks)[week], 0.02, 0.98)
    assigned = random.random(len(user)) >= held
    y = (random.random(len(user)) < level * (1 - change * assigned)).astype(float)
    return y, assigned, week, user


def test_pooled_weeks_are_a_regression_with_weeks() -> None:
    """The estimate is that of least squares with a level for each week; weeks with one arm leave no trace."""
    y, assigned, week, user = panel(60, 5, 0.3, 0.3, 1, returning=0.6)
    levels = np.eye(5)[week]
    fitted = OLS(y, np.column_stack([assigned, levels])).fit()
    found = effect.difference(y, assigned, week, user)
    assert found["difference"] == pytest.approx(fitted.params[0], abs=1e-12)
    alone = (np.ones(9), np.ones(9, bool), np.full(9, 7), np.arange(9) + 100)
    more = effect.difference(*(np.concatenate(pair) for pair in zip((y, assigned, week, user), alone, strict=True)))
    assert more["difference"] == pytest.approx(found["difference"])
    assert (more["assigned"], more["weeks"]) == (found["assigned"] + 9, 5)


def test_windows_of_one_user_count_as_fewer() -> None:
    y, assigned, week, user = arms(12, 40, 9, 20)
    thrice = [np.tile(v, 3) for v in (y, assigned, week, user)]
    thrice[2] = np.repeat([1, 2, 3], len(y))
    once, again = effect.difference(y, assigned, week, user), effect.difference(*thrice)
    assert again["design_effect"] == pytest.approx(3)
    assert (again["low"], again["high"]) == pytest.approx((once["low"], once["high"]))


@pytest.mark.parametrize("change", [0.0, 0.4])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(change: float) -> None:
    """400 platforms, six weeks of forty, some held out; users return. With no effect that is the rate of findings."""
    covered, found = [], []
    for seed in range(400):
        y, assigned, week, user = panel(80, 6, 0.25, change, seed, returning=0.5)
        one = effect.difference(y, assigned, week, user)
        random = np.random.default_rng(seed)
        rate = random.beta(1.2, 1.8, 80)
        level = np.clip(rate[user] + np.linspace(-0.1, 0.1, 6)[week], 0.02, 0.98)
        truth = -change * level.mean()
        covered.append(one["low"] <= truth <= one["high"])
        found.append(one["low"] > 0 or one["high"] < 0)
    low, high = stats.binom(400, 0.95).ppf([0.001, 0.9999]) / 400
    assert low <= np.mean(covered) <= high + 0.02
    assert np.mean(found) <= 1 - low if change == 0 else np.mean(found) > 0.3


def test_nobody_to_compare_with_gives_no_number() -> None:
    y, assigned, week, user = arms(3, 10, 2, 5)
    for rows, why in (
        (assigned, "nobody_held_out"),
        (~assigned, "nobody_assigned"),
        (assigned & False, "nobody_held_out"),
    ):
        one = effect.difference(y[rows], assigned[rows], week[rows], user[rows])
        assert one["difference"] is one["low"] is one["high"] is one["effective"] is None
        assert one["why"] == ("nobody" if not rows.any() else why)


def test_rate_is_wilson() -> None:
    y = (np.arange(50) < 13).astype(float)
    assert effect.rate(y, np.arange(50)) == pytest.approx((0.26, *proportion_confint(13, 50, method="wilson")))
    assert effect.rate(np.zeros(0), np.zeros(0)) is None
    narrow, wide = effect.rate(y, np.arange(50)), effect.rate(y, np.arange(50) // 5)
    assert wide[2] - wide[1] > narrow[2] - narrow[1]


@pytest.mark.parametrize(("base", "n1", "n0"), [(0.5, 360, 40), (0.3, 3600, 400), (0.8, 36, 4)])
def test_what_can_be_detected_is_found_four_times_of_five(base: float, n1: int, n0: int) -> None:
    fall = effect.detectable(base, n1, n0)
    power = NormalIndPower().power(proportion_effectsize(base, base - fall), n0, 0.05, ratio=n1 / n0)
    assert power == pytest.approx(0.8, abs=1e-6) and 0 < fall < base


def test_four_held_out_of_forty_show_nothing_alone() -> None:
    assert effect.detectable(0.2, 36, 4) is None
    weeks = effect.weeks_needed(0.5, 0.25, 36, 4)
    assert weeks > 20
    fall = effect.detectable(0.5, 36 * weeks, 4 * weeks)
    assert fall <= 0.125 < effect.detectable(0.5, 36 * (weeks - 1), 4 * (weeks - 1))
    assert effect.weeks_needed(0.5, 0.25, 20, 20) < weeks
    assert effect.detectable(0.0, 36, 4) is effect.weeks_needed(1.0, 0.25, 36, 4) is None
