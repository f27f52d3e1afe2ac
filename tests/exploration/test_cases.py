"""Sessions and lives, with their groups, against slow loops."""

from datetime import timedelta

import ibis
import pandas as pd
import pytest
from exploration.process_oracle import (
    FIRST,
    ROWS,
    fetched,
    frame_of,
    random_events,
    slow_groups,
    slow_sessions,
    slow_steps,
)
from exploration.test_lifecycle import slow_states
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.exploration.cases import find_cases, session_instants, user_sample
from tschurn.exploration.followed_by import Blocks

LAST = FIRST + timedelta(days=45)
BLOCKS = Blocks(FIRST, FIRST + timedelta(days=38), 7, 7)
NOBODY = Blocks(FIRST, None, 7, 7)


def as_lists(rows):
    found = {}
    for row in rows:
        found.setdefault((row["user_id"], row["case"]), []).append(row["step"])
    return list(found.values())


def slow_lives(frame, last_day):
    """A log → user → [its life in day states], each with the first moment of its day."""
    own = frame[frame["user_id"] == frame["actor_id"]]
    days = pd.DataFrame({"user_id": own["user_id"], "day": pd.to_datetime(own["event_time"].dt.date)})
    days = days.drop_duplicates().assign(active=True, sticker=False)
    lives = slow_states(days, last_day)
    users = sorted(days["user_id"].unique())
    return {int(u): [[(pd.Timestamp(d), s) for d, s in life]] for u, life in zip(users, lives, strict=True)}


@settings(derandomize=True, deadline=None, max_examples=50)
@given(rows=ROWS, observe=st.integers(1, 9), outcome=st.integers(1, 9), lives=st.booleans())
def test_steps_equal_the_slow_version(to_log, experiment, rows, observe, outcome, lives):
    frame = frame_of(rows)
    blocks = Blocks(FIRST, FIRST + timedelta(days=38), observe, outcome)
    groups = slow_groups(frame, blocks)
    cases = find_cases(to_log(frame), lives, LAST, experiment().targets, blocks)
    if cases.kind == "day_states":
        slow = slow_steps(slow_lives(frame, LAST), groups, blocks, lives=True)
    else:
        slow = slow_steps(slow_sessions(frame), groups, blocks, lives=False)
    assert fetched(cases.steps) == slow


def test_the_most_frequent_name_of_an_instant_wins_ties_by_name(to_log, experiment):
    rows = [(1, 0, 0, True, n) for n in "cbbca"] + [(1, 0, 1, True, n) for n in "zzy"] + [(1, 0, 2, True, "q")]
    steps = session_instants(to_log(frame_of(rows))).order_by("event_time").to_pyarrow().to_pylist()
    assert [(row["step"], row["rows"]) for row in steps] == [("b", 5), ("z", 3), ("q", 1)]


def test_sessions_where_times_tell(to_log, experiment):
    rows = [
        (1, 0, 0, True, "a"),
        (1, 0, 0, True, "b"),
        (1, 0, 60, True, "c"),
        (1, 0, 120, True, "d"),
        (2, 0, 0, False, "e"),
    ]
    cases = find_cases(to_log(frame_of(rows)), False, LAST, experiment().targets, NOBODY)
    assert (cases.kind, cases.reason, cases.shared_share) == ("session", "sessions_ok", 0.5)  # half is not most


def test_day_states_where_most_rows_share_their_instant(to_log, experiment):
    rows = [
        (1, 0, 0, True, "a"),
        (1, 0, 0, True, "b"),
        (1, 0, 60, True, "c"),
        (2, 0, 0, True, "d"),
        (2, 0, 0, True, "d"),
    ]
    cases = find_cases(to_log(frame_of(rows)), False, LAST, experiment().targets, NOBODY)
    assert (cases.kind, cases.reason, cases.shared_share) == ("day_states", "shared_timestamps", 0.8)
    assert as_lists(fetched(cases.steps)) == [["new", "quiet", "dormant"]] * 2


def test_day_states_where_the_log_has_only_days(to_log, experiment):
    rows = [(1, day, 0, True, "a") for day in (0, 3)]
    cases = find_cases(to_log(frame_of(rows)), True, LAST, experiment().targets, NOBODY)
    assert (cases.kind, cases.reason, cases.shared_share) == ("day_states", "only_days", 0.0)
    assert as_lists(fetched(cases.steps)) == [["new", "quiet", "active", "quiet", "dormant"]]


@pytest.mark.parametrize("only_days", [False, True])
def test_row_order_changes_nothing(to_log, experiment, only_days):
    events = random_events(2000, 10, 30, 6, grid="60s")
    first, second = (
        find_cases(to_log(e), only_days, LAST, experiment().targets, BLOCKS)
        for e in (events, events.sample(frac=1, random_state=2))
    )
    assert first.shared_share == second.shared_share
    assert fetched(first.steps) == fetched(second.steps)


def test_a_sample_takes_whole_users_and_grows_with_its_share():
    table = ibis.memtable(pd.DataFrame({"user_id": [i // 3 for i in range(3000)], "n": range(3000)}))
    before = set()
    for share in (0.0, 0.1, 0.5, 1.0):
        users = user_sample(table, share).to_pyarrow()["user_id"].to_pylist()
        assert len(users) == 3 * len(set(users))
        assert before <= set(users)
        assert abs(len(set(users)) / 1000 - share) < 0.06
        before = set(users)


def test_a_log_without_own_events(to_log, experiment):
    for only_days in (False, True):
        cases = find_cases(to_log(frame_of([(1, 0, 0, False, "a")])), only_days, LAST, experiment().targets, BLOCKS)
        assert fetched(cases.steps) == []
