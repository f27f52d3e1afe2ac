"""Retention of cohorts against a count by hand, user by user."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from tschurn.contracts import COHORTS, MIXED_DAYS, MOST_PERIODS
from tschurn.exploration.cohorts import cohorts

FIRST = date(2024, 1, 3)  # not a Monday: weeks count from the log's first day
lives = st.lists(st.lists(st.integers(0, 60), max_size=6), max_size=12)


def user_days(acts: list[list[int]], passive: int = 3) -> pd.DataFrame:
    """Own-active days of each user → USER_DAYS's columns that are read, with days on which nobody acted among them."""
    rows = [(f"u{u}", FIRST + timedelta(days=d), True) for u, days in enumerate(acts) for d in set(days)]
    rows += [(f"u{u}", FIRST + timedelta(days=passive + 60), False) for u in range(len(acts))]
    frame = pd.DataFrame(rows, columns=["user_id", "day", "active"]).astype({"active": "bool"})
    return frame.sample(frac=1, random_state=1)


def by_hand(acts: list[list[int]], days: int, length: int) -> dict:
    periods = length // days
    weeks = [sorted({d // days for d in one if d // days < periods}) for one in acts]
    weeks = [one for one in weeks if one]
    found = {}
    for start in sorted({one[0] for one in weeks}):
        cohort = [one for one in weeks if one[0] == start]
        for age in range(periods - start):
            active = sum(start + age in one for one in cohort)
            still = sum(one[-1] >= start + age for one in cohort)
            found[FIRST + timedelta(days=start * days), age] = (len(cohort), active, still)
    return found


@settings(max_examples=60, deadline=None)
@given(lives, st.integers(0, 13))
def test_counts_are_those_of_a_count_by_hand(acts: list[list[int]], extra: int) -> None:
    last = 60 + extra
    found = cohorts(user_days(acts), FIRST, FIRST + timedelta(days=last))
    COHORTS.check(found)
    expected = by_hand(acts, 7, last + 1)
    keys = zip([d.date() for d in found["cohort"]], found["age"], strict=True)
    counts = found[["users", "active", "still"]].itertuples(index=False, name=None)
    assert dict(zip(keys, counts, strict=True)) == expected
    assert (found["still"] >= found["active"]).all()
    for name, n in (("classic", "active"), ("rolling", "still")):
        assert np.allclose(found[name], found[n] / found["users"])
        low, high = proportion_confint(found[n], found["users"], method="wilson")
        np.testing.assert_allclose(found[[f"{name}_low", f"{name}_high"]], np.column_stack([low, high]), atol=1e-12)


def test_classic_and_rolling_meet_in_the_newest_period() -> None:
    random = np.random.default_rng(1)
    acts = random.integers(0, 56, (50, 6)).tolist()
    found = cohorts(user_days(acts), FIRST, FIRST + timedelta(days=55))
    newest = found.groupby("cohort").tail(1)
    assert (newest["classic"] == newest["rolling"]).all()
    assert (found["rolling"] > found["classic"]).any()


def test_cohorts_of_the_logs_first_weeks_are_mixed() -> None:
    found = cohorts(user_days([[7 * k] for k in range(8)]), FIRST, FIRST + timedelta(days=69))
    first = found[found["age"] == 0]
    assert list(first["mixed"]) == [7 * k < MIXED_DAYS for k in range(8)]


@pytest.mark.parametrize(
    ("days", "period"), [(7, 7), (182, 7), (188, 7), (189, 28), (711, 28), (755, 28), (756, 91), (3650, 364)]
)
def test_long_logs_fold_into_longer_periods(days: int, period: int) -> None:
    acts = [list(range(k % days, days, 11)) for k in range(0, 200)]
    rows = [(u, FIRST + timedelta(days=d), True) for u, one in enumerate(acts) for d in one]
    frame = pd.DataFrame(rows, columns=["user_id", "day", "active"])
    found = cohorts(frame, FIRST, FIRST + timedelta(days=days - 1))
    assert found["period_days"].unique().tolist() == [period]
    assert found["age"].max() < MOST_PERIODS and found["cohort"].nunique() <= MOST_PERIODS
    assert len(found) == len(by_hand([] if days < 7 else acts, period, days))


@pytest.mark.parametrize("acts", [[], [[]], [[60]]])
def test_nobody_in_a_whole_week_is_no_cohort(acts: list[list[int]]) -> None:
    found = cohorts(user_days(acts), FIRST, FIRST + timedelta(days=60))  # the last week is not whole
    assert found.empty and COHORTS.check(found).num_rows == 0


def test_a_log_of_one_day_has_no_cohort() -> None:
    assert cohorts(user_days([[0]]), FIRST, FIRST).empty
