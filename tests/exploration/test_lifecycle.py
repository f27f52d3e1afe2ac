"""Day states against a slow version that walks through every day of every user."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.exploration.lifecycle import STATES, day_states, user_days

SCHEMA = {"user_id": "int64", "day": "date", "active": "boolean", "sticker": "boolean"}

START = date(2024, 2, 20)  # a leap day lies inside
CODES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 44), st.booleans(), st.booleans()), max_size=40
)  # user, day, active, sticker


def frame_of(rows):
    """Rows of `user_days`: one per user and day, neither flag → no row."""
    frame = pd.DataFrame(rows, columns=["user_id", "day", "active", "sticker"]).astype(
        {"user_id": "int64", "day": "int64", "active": "bool", "sticker": "bool"}
    )
    frame = frame[frame["active"] | frame["sticker"]].groupby(["user_id", "day"], as_index=False).max()
    return frame.assign(day=pd.Timestamp(START) + pd.to_timedelta(frame["day"], unit="D"))


def slow_states(frame, last_day):
    """The definition, word by word: user by user, day by day."""
    lives = []
    for _, rows in frame.groupby("user_id"):
        active = {d.date() for d in rows.loc[rows["active"], "day"]}
        sticker = {d.date() for d in rows.loc[rows["sticker"], "day"]}
        if not active:
            continue
        day, last_own, life = min(active), None, []
        while day <= last_day:
            near = last_own is not None and (day - last_own).days <= 7
            if last_own is None:
                state = "new"
            elif day in sticker:
                state = "sticker"
            elif day in active:
                state = "active" if near else "returned"
            else:
                state = "quiet" if near else "dormant"
            if not life or life[-1][1] != state:
                life.append((day, state))
            last_own = day if day in active else last_own
            day += timedelta(days=1)
        lives.append(life)
    return lives


def states_of(frame, last_day):
    """The rows of `user_days`, through the engine → the steps of all lives, in order."""
    table = ibis.memtable(frame.assign(day=frame["day"].dt.date), schema=SCHEMA)
    found = day_states(table, last_day).to_pyarrow().to_pandas().sort_values(["user_id", "day"], ignore_index=True)
    return found.assign(day=pd.to_datetime(found["day"], unit="D"))


def as_lives(states):
    return [
        [(d.date(), s) for d, s in zip(life["day"], life["state"], strict=True)]
        for _, life in states.groupby("user_id")
    ]


@settings(derandomize=True, deadline=None, max_examples=80)
@given(rows=CODES, silence=st.integers(0, 20))
def test_equals_the_slow_version(rows, silence):
    frame = frame_of(rows)
    last_day = (frame["day"].max().date() if len(frame) else START) + timedelta(days=silence)
    assert as_lives(states_of(frame, last_day)) == slow_states(frame, last_day)


def test_a_life_told_day_by_day():
    own = [0, 1, 8, 16, 25]  # +1: active; +7: active; +8 and +9: returned
    frame = frame_of([(7, d, True, False) for d in own] + [(7, 30, False, True)])
    states = states_of(frame, START + timedelta(days=40))
    assert list(states["state"]) == [
        "new", "active", "quiet", "active", "quiet", "returned", "quiet", "dormant", "returned",
        "quiet", "sticker", "quiet", "dormant",
    ]  # fmt: skip
    assert list((states["day"] - pd.Timestamp(START)).dt.days) == [0, 1, 2, 8, 9, 16, 17, 24, 25, 26, 30, 31, 33]


def test_the_order_of_the_rows_changes_nothing():
    rng = np.random.default_rng(3)
    rows = zip(*(rng.integers(0, top, 300) for top in (9, 60, 2, 2)), strict=True)
    frame = frame_of([(int(u), int(d), bool(a), bool(s)) for u, d, a, s in rows])
    last = START + timedelta(days=70)
    pd.testing.assert_frame_equal(states_of(frame, last), states_of(frame.sample(frac=1, random_state=1), last))


def test_no_own_act_no_life():
    states = states_of(frame_of([(1, 3, False, True)]), START + timedelta(days=9))
    assert states.empty and list(states.columns) == ["user_id", "day", "state"]


@pytest.fixture
def two_sided_log(to_log):
    rows = [
        (1, 1, "2024-03-01 10:00", "post"),
        (1, 1, "2024-03-01 12:00", "like"),
        (1, 2, "2024-03-02 10:00", "gift"),
        (1, 1, "2024-03-03 10:00", "gift"),
        (1, 1, "2024-03-03 11:00", "like"),
        (2, 2, "2024-03-01 10:00", "like"),
        (2, 1, "2024-03-04 10:00", "like"),
    ]
    return to_log(pd.DataFrame(rows, columns=["user_id", "actor_id", "event_time", "event_name"]))


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ({}, {(1, 1, True, False), (1, 3, True, False), (2, 1, True, False)}),
        ({"churn": {"events": ["post"]}}, {(1, 1, True, False)}),
        (
            {"sticker": {"events": ["gift"]}},
            {(1, 1, True, False), (1, 2, False, True), (1, 3, True, False), (2, 1, True, False)},
        ),
        (
            {"sticker": {"events": ["gift"], "side": "own"}},
            {(1, 1, True, False), (1, 3, True, True), (2, 1, True, False)},
        ),
        (
            {"churn": {"events": ["like"]}, "sticker": {"events": ["gift"], "side": "own"}},
            {(1, 1, True, False), (1, 3, True, True), (2, 1, True, False)},
        ),
    ],
)
def test_user_days_follow_the_targets(two_sided_log, experiment, targets, expected):
    days = user_days(two_sided_log, experiment(**targets).targets).to_pyarrow().to_pylist()
    assert {(r["user_id"], r["day"].day, r["active"], r["sticker"]) for r in days} == expected
    assert len(days) == len(expected)


def test_the_states_are_the_documented_words():
    from tschurn.exploration import lifecycle

    assert all(f"\n    {state} " in lifecycle.__doc__ for state in STATES)
