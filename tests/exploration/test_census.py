"""States of users by day against a plain slow version, user by user and day by day."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tschurn.contracts import CENSUS, CURRENT_DAYS, DORMANT_DAYS
from tschurn.exploration.census import census

FIRST = date(2024, 1, 1)
STATES = ("new", "current", "returned", "at_risk", "dormant")


def user_days(acts: list[set[int]], last: int) -> pd.DataFrame:
    rows = [(f"u{u}", FIRST + timedelta(days=d), True) for u, days in enumerate(acts) for d in days]
    rows += [(f"u{u}", FIRST + timedelta(days=last), False) for u, days in enumerate(acts) if last not in days]
    frame = pd.DataFrame(rows, columns=["user_id", "day", "active"]).astype({"active": "bool"})
    return frame.sample(frac=1, random_state=1)


def state(days: set[int], day: int) -> str | None:
    """What a user is on a day, by the words of the contract."""
    past = sorted(d for d in days if d <= day)
    if not past:
        return None
    if day - past[0] <= CURRENT_DAYS:
        return "new"
    if day - past[-1] > DORMANT_DAYS:
        return "dormant"
    if day - past[-1] > CURRENT_DAYS:
        return "at_risk"
    slept = [b for a, b in pairwise(past) if any(d - a > DORMANT_DAYS for d in range(a + 1, b))]
    return "returned" if any(day - b <= CURRENT_DAYS for b in slept) else "current"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 99), max_size=8), max_size=8), st.integers(0, 99))
@example([{0, 29, 58}, {0, 28}, {0, 30}, {1, 31, 33}], 99)
def test_states_are_those_of_a_slow_version(acts: list[set[int]], last: int) -> None:
    acts = [{d for d in days if d <= last} for days in acts]
    found = census(user_days(acts, last), FIRST, FIRST + timedelta(days=last))
    CENSUS.check(found)
    if not any(acts):
        assert found.empty
        return
    assert [d.date() for d in found["day"]] == [FIRST + timedelta(days=d) for d in range(last + 1)]
    before: list[str | None] = [None] * len(acts)
    for day, row in enumerate(found.to_dict("records")):
        now = [state(days, day) for days in acts]
        counts = Counter(now)
        assert {s: row[s] for s in STATES} == {s: counts[s] for s in STATES}, day
        assert row["known"] == sum(counts[s] for s in STATES)
        turned = [(a, b) for a, b in zip(before, now, strict=True) if a != b]
        assert row["joined"] == sum(b == "new" for _, b in turned)
        assert row["fell_dormant"] == sum(b == "dormant" for _, b in turned)
        assert row["came_back"] == sum(b == "returned" for _, b in turned)
        assert all(a == "dormant" for a, b in turned if b == "returned")
        before = now


def test_a_log_of_one_day_knows_only_new_users() -> None:
    found = census(user_days([{0}, {0}], 0), FIRST, FIRST)
    assert found[["known", *STATES]].to_numpy().tolist() == [[2, 2, 0, 0, 0, 0]]


def test_nobody_who_acts_is_no_table() -> None:
    found = census(user_days([set()], 5), FIRST, FIRST + timedelta(days=5))
    assert found.empty and CENSUS.check(found).num_rows == 0
