"""How long users stay, against a plain slow Kaplan-Meier, and against lives whose end is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import GONE_DAYS, SURVIVAL
from tschurn.exploration.survival import LEAST_AT_RISK, survival

FIRST = date(2024, 1, 1)


def user_days(first: np.ndarray, last: np.ndarray) -> pd.DataFrame:
    """First and last own-active days → USER_DAYS's columns that are read; a received day follows that counts for
    nothing."""
    n = len(first)
    day = np.concatenate([first, last, last + 1])
    frame = pd.DataFrame({"user_id": np.tile(np.arange(n), 3), "day": [FIRST + timedelta(days=int(d)) for d in day],
                          "active": np.repeat([True, True, False], n)})  # fmt: skip
    return frame.drop_duplicates(["user_id", "day"]).sample(frac=1, random_state=2)


def slow(first: np.ndarray, last: np.ndarray, end: int, gone_days: int) -> pd.DataFrame:
    """Kaplan-Meier day by day, user by user, with Greenwood's error and log-log intervals."""
    lives = []
    for f, d in zip(first, last, strict=True):
        if f > end - gone_days:
            continue
        left = end - d > gone_days
        lives.append((d - f if left else end - gone_days - f, left))
    rows, share, greenwood = [], 1.0, 0.0
    for day in range(max(t for t, _ in lives) + 1):
        at_risk = sum(t >= day for t, _ in lives)
        gone = sum(t == day and left for t, left in lives)
        if at_risk < LEAST_AT_RISK:
            break
        share *= 1 - gone / at_risk
        greenwood += gone / (at_risk * (at_risk - gone)) if at_risk > gone else 0.0
        ends = (np.nan, np.nan)
        if 0 < share < 1:
            power = np.exp(1.959963984540054 * np.sqrt(greenwood) / abs(np.log(share)))
            ends = (share**power, share ** (1 / power))
        rows.append((day, at_risk, gone, share, *ends))
    return pd.DataFrame(rows, columns=["day", "at_risk", "gone", "share", "low", "high"])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([7, GONE_DAYS]))
def test_the_curve_is_that_of_a_slow_one(seed: int, gone_days: int) -> None:
    random = np.random.default_rng(seed)
    end = 120
    first = random.integers(0, end, 80)
    last = np.minimum(first + random.geometric(0.03, 80) - 1, end)
    found = survival(user_days(first, last), FIRST + timedelta(days=end), gone_days)
    SURVIVAL.check(found)
    part, theirs = found[found["group"] == "all"], slow(first, last, end, gone_days)
    np.testing.assert_array_equal(part[["day", "at_risk", "gone"]], theirs[["day", "at_risk", "gone"]])
    np.testing.assert_allclose(part[["share", "low", "high"]], theirs[["share", "low", "high"]], atol=1e-9)


def test_who_left_in_the_last_days_does_not_count_as_staying() -> None:
    """The curve is that of the lives as they were drawn, though the log ends in the midst of them."""
    random = np.random.default_rng(5)
    n, end = 20_000, 200
    first = random.integers(0, end + 1, n)
    life = random.geometric(0.02, n) - 1
    last = first + np.minimum(life, end - first)
    found = survival(user_days(first, last), FIRST + timedelta(days=end)).query("group == 'all'").set_index("day")
    for day in (0, 10, 40, 80, 120):
        truth = 0.98 ** (day + 1)
        assert found.loc[day, "share"] == pytest.approx(truth, abs=0.012)
        assert found.loc[day, "low"] - 0.01 < truth < found.loc[day, "high"] + 0.01


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(6)
    held = []
    for _ in range(150):
        first = random.integers(0, 60, 120)
        last = first + np.minimum(random.geometric(0.03, 120) - 1, 150 - first)
        row = survival(user_days(first, last), FIRST + timedelta(days=150)).query("group == 'all' and day == 30")
        held.append(row["low"].item() < 0.97**31 < row["high"].item())
    assert 0.9 <= np.mean(held) <= 0.99


def test_halves_are_by_first_day_and_each_its_own_curve() -> None:
    random = np.random.default_rng(7)
    early, late = random.integers(0, 30, 60), random.integers(40, 70, 60)
    first = np.concatenate([early, late])
    last = np.concatenate([early + 100, late + 5])  # the late ones leave soon
    found = survival(user_days(first, last), FIRST + timedelta(days=200))
    assert list(found["group"].unique()) == ["all", "early", "late"]
    for name, some in (("early", early), ("late", late)):
        part = found[found["group"] == name]
        assert part["users"].unique().tolist() == [60]
        bounds = [FIRST + timedelta(days=int(d)) for d in (some.min(), some.max())]
        assert [part["first_from"].iloc[0].date(), part["first_to"].iloc[0].date()] == bounds
    assert found.query("group == 'late' and day == 5")["share"].item() == 0
    assert found.query("group == 'early' and day == 90")["share"].item() == 1
    assert found.query("group == 'early' and day == 90")["low"].isna().item()


def test_users_of_the_middle_day_are_early() -> None:
    first = np.repeat([0, 5, 9], [25, 30, 25])
    found = survival(user_days(first, first + 2), FIRST + timedelta(days=90))
    assert found.groupby("group")["users"].first().to_dict() == {"all": 80, "early": 55, "late": 25}


def test_users_first_seen_too_late_say_nothing() -> None:
    first = np.repeat([0, 100], 30)
    found = survival(user_days(first, first + 2), FIRST + timedelta(days=100 + GONE_DAYS - 1))
    assert found["users"].unique().tolist() == [30]


def test_one_first_day_for_all_has_no_halves() -> None:
    found = survival(user_days(np.zeros(50, int), np.full(50, 9)), FIRST + timedelta(days=90))
    assert found["group"].unique().tolist() == ["all"]
    assert found["share"].tolist() == [1.0] * 9 + [0.0]


@pytest.mark.parametrize("users", [0, 1, LEAST_AT_RISK - 1])
def test_too_few_users_give_no_curve(users: int) -> None:
    found = survival(user_days(np.zeros(users, int), np.full(users, 3)), FIRST + timedelta(days=90))
    assert found.empty and SURVIVAL.check(found).num_rows == 0


def test_a_log_of_one_day_has_no_curve() -> None:
    assert survival(user_days(np.zeros(50, int), np.zeros(50, int)), FIRST).empty


def test_nobody_gone() -> None:
    found = survival(user_days(np.zeros(50, int), np.full(50, 80)), FIRST + timedelta(days=90))
    assert (found["share"] == 1).all() and found["low"].isna().all()
    assert found["day"].max() == 90 - GONE_DAYS
