"""The portrait of a small log against plain Python, row by row and choice by choice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import product
from unittest.mock import patch
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import CAUSES, ENGAGEMENT_PATHS, TRUTH, USER_ACTIVITY, WEEKLY_RHYTHM
from tschurn.events import engine
from tschurn.simulator import portrait as module
from tschurn.simulator.portrait import portrait

FIRST = datetime(2024, 3, 20, tzinfo=UTC)  # the fortnight after holds London's and Lord Howe's change of clocks


def event_rows(seed: int, zone: str, users: int = 12, rows: int = 400) -> pd.DataFrame:
    """EVENT_LOG of a few users; the first has received acts only."""
    random = np.random.default_rng(seed)
    user = random.integers(1, users + 1, rows)
    own = (random.random(rows) < 0.4) & (user > 1)
    seconds = random.integers(0, 20 * 86_400, rows)
    times = pd.Series([FIRST + timedelta(seconds=int(s)) for s in seconds]).astype("datetime64[us, UTC]")
    return pd.DataFrame(
        {
            "user_id": user,
            "actor_id": np.where(own, user, 1000 + user),
            "event_time": times,
            "day": [t.astimezone(ZoneInfo(zone)).date() for t in times],
            "event_name": "post",
            "value": 1.0,
        }
    )


def truth_rows(seed: int, users: list[int], days: int = 6, cause_rate: float = 0.2) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = [
        (user, date(2024, 3, 20) + timedelta(days=day), random.normal(), 0.1 + 0.8 * random.random(), 0.1,
         str(random.choice(CAUSES)) if random.random() < cause_rate else None, 0.2)
        for user in users for day in range(days)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(TRUTH.columns))


def as_table(rows: pd.DataFrame, session_zone: str = "UTC") -> ibis.Table:
    backend = engine.local(1)
    backend.raw_sql(f"SET TimeZone = '{session_zone}'")
    return backend.create_table("event_log", rows)


ZONES = ("Asia/Seoul", "Asia/Kolkata", "Asia/Kathmandu", "Europe/London", "Australia/Lord_Howe")


@pytest.mark.parametrize("session_zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("zone", ZONES)
def test_the_rhythm_counts_rows_by_local_weekday_hour_and_side(zone: str, session_zone: str) -> None:
    rows = event_rows(1, zone)
    found = portrait(as_table(rows, session_zone), zone, truth_rows(1, [2, 3]))["weekly_rhythm"]
    WEEKLY_RHYTHM.check(found)
    slow: Counter = Counter()
    for row in rows.itertuples():
        local = row.event_time.to_pydatetime().astimezone(ZoneInfo(zone))
        slow[(local.weekday(), local.hour, "own" if row.user_id == row.actor_id else "received")] += 1
    expected = {key: slow[key] for key in product(range(7), range(24), ("own", "received"))}
    assert {(r.weekday, r.hour, r.side): r.rows for r in found.itertuples()} == expected


def test_every_user_with_rows_and_days_with_an_own_act() -> None:
    rows = event_rows(2, "Asia/Seoul")
    found = portrait(as_table(rows), "Asia/Seoul", truth_rows(2, [2]))["user_activity"]
    USER_ACTIVITY.check(found)
    assert found["user_id"].tolist() == sorted(set(rows["user_id"]))
    for row in found.itertuples():
        mine = rows[rows["user_id"] == row.user_id]
        own = mine[mine["actor_id"] == row.user_id]
        assert (row.own_rows, row.received_rows) == (len(own), len(mine) - len(own))
        assert row.active_days == len(set(own["day"]))
    assert found.loc[found["user_id"] == 1, "active_days"].item() == 0


def activity_of(days: list[int]) -> pd.DataFrame:
    """EVENT_LOG in which user i acts twice on each of the first days[i] days, and has a received act on the sixth."""
    own = [(user, user, FIRST + timedelta(days=d)) for user, n in enumerate(days, 1) for d in range(n) for _ in "ab"]
    received = [(user, -1, FIRST + timedelta(days=5)) for user in range(1, len(days) + 1)]
    rows = pd.DataFrame(own + received, columns=["user_id", "actor_id", "event_time"])
    rows["event_time"] = rows["event_time"].astype("datetime64[us, UTC]")
    return rows.assign(day=rows["event_time"].dt.date, event_name="post", value=1.0)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    users=st.integers(1, 20),
    paths=st.sampled_from([3, 4, 10]),
    cause_rate=st.sampled_from([0.0, 0.03, 0.1]),
)
def test_creators_are_spread_and_show_as_many_causes_as_such_a_spread_can(
    seed: int, users: int, paths: int, cause_rate: float
) -> None:
    days = np.random.default_rng(seed).integers(1, 9, users).tolist()
    truth = truth_rows(seed, list(range(1, users + 1)), cause_rate=cause_rate)
    with patch.object(module, "PATHS", paths):  # few paths make large groups, small enough to try all choices
        found = portrait(as_table(activity_of(days)), "UTC", truth)["engagement_paths"]
    ENGAGEMENT_PATHS.check(found)

    eligible = sorted((n, user) for user, n in enumerate(days, 1) if n >= 3)
    shown = {user: set(mine["cause"].dropna()) for user, mine in truth.groupby("user_id")}
    groups = [[user for _, user in eligible][i.start : i.stop] for i in cuts(len(eligible), paths)]
    best = min(
        (-len(set().union(*(shown[u] for u in choice))), distance(choice, groups)) for choice in product(*groups)
    )
    chosen = [next(u for u in group if u in set(found["user_id"])) for group in groups]
    assert sorted(chosen) == sorted(found["user_id"].unique())
    assert (-len(set(found["cause"].dropna())), distance(chosen, groups)) == best


def cuts(n: int, paths: int) -> list[range]:
    """n places in so many runs (fewer with fewer places) of equal length, the longer ones first."""
    parts = min(paths, n)
    sizes = [n // parts + (i < n % parts) for i in range(parts)]
    return [range(sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(parts)]


def distance(choice: tuple | list, groups: list[list[int]]) -> float:
    return sum(abs(group.index(user) - (len(group) - 1) / 2) for user, group in zip(choice, groups, strict=True))


def test_ten_paths_of_many_creators() -> None:
    days = np.random.default_rng(0).integers(1, 9, 150).tolist()
    found = portrait(as_table(activity_of(days)), "UTC", truth_rows(0, list(range(1, 151)), cause_rate=0.05))
    chosen = found["engagement_paths"]["user_id"].unique()
    assert len(chosen) == 10
    assert set(found["engagement_paths"]["cause"].dropna()) == set(CAUSES)
    assert {3, 8} <= {days[user - 1] for user in chosen}


def test_a_path_has_all_days_of_the_truth_and_says_who_acted() -> None:
    truth = truth_rows(3, [1, 2])
    found = portrait(as_table(activity_of([3, 4])), "UTC", truth.sample(frac=1, random_state=0))["engagement_paths"]
    assert found["user_id"].tolist() == [1] * 6 + [2] * 6
    assert found["active"].tolist() == [True] * 3 + [False] * 3 + [True] * 4 + [False] * 2
    pd.testing.assert_frame_equal(found.drop(columns="active"), truth[["user_id", "day", "engagement", "cause"]])


def test_strings_as_ids() -> None:
    rows, truth = activity_of([3, 4]), truth_rows(3, [1, 2])
    named = rows.assign(user_id="u" + rows["user_id"].astype(str), actor_id="u" + rows["actor_id"].astype(str))
    found = portrait(as_table(named), "UTC", truth.assign(user_id="u" + truth["user_id"].astype(str)))
    ENGAGEMENT_PATHS.check(found["engagement_paths"])
    assert found["engagement_paths"]["active"].sum() == 7
    assert found["user_activity"]["own_rows"].tolist() == [6, 8]


def test_nobody_active_enough_gives_no_path() -> None:
    found = portrait(as_table(activity_of([1, 2])), "UTC", truth_rows(0, [1, 2]))
    assert ENGAGEMENT_PATHS.check(found["engagement_paths"]).num_rows == 0
    assert len(found["user_activity"]) == 2
    empty = portrait(as_table(activity_of([5])), "UTC", truth_rows(0, [1]).iloc[:0])
    assert ENGAGEMENT_PATHS.check(empty["engagement_paths"]).num_rows == 0
