"""Rows of a log → everything that the process map counts, by plain loops over users, instants, days and steps."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta

import numpy as np
import pandas as pd
from hypothesis import strategies as st

NOON = pd.Timestamp("2024-03-01 12:00", tz="UTC")
FIRST = date(2024, 3, 1)
COLUMNS = ["user_id", "actor_id", "event_time", "event_name"]
# user, day, seconds (few distinct ones, around the gap of 30 minutes), own or not, name
ROWS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 40),
        st.sampled_from([0, 1, 60, 1800, 1801, 1860, 3600, 3601, 5401, 43100]),
        st.booleans(),
        st.sampled_from("abcd"),
    ),
    min_size=1,
    max_size=40,
)


def frame_of(rows):
    """Rows of (user, day, seconds, own, name) → a log."""
    return pd.DataFrame(
        [(u, u if own else 50, NOON + timedelta(days=d, seconds=s), name) for u, d, s, own, name in rows],
        columns=COLUMNS,
    )


def random_events(n, users, days, names, seed=1, grid="1s"):
    """A log with frequent and rare names, busy and quiet users."""
    rng = np.random.default_rng(seed)
    user = rng.geometric(2 / users, n) % users + 1
    weights = np.arange(names, 0, -1)
    time = NOON + pd.to_timedelta(rng.integers(0, days * 86400, n), unit="s")
    return pd.DataFrame(
        {
            "user_id": user,
            "actor_id": np.where(rng.random(n) < 0.8, user, 9999),
            "event_time": time.floor(grid),
            "event_name": rng.choice([f"event {i:02}" for i in range(names)], n, p=weights / weights.sum()),
        }
    )


def slow_block(day, blocks):
    """A day → its block, counted back one by one."""
    if blocks.until is None:
        return None
    number, last = 0, blocks.until - timedelta(days=blocks.outcome_days)
    while (first := last - timedelta(days=blocks.observe_days - 1)) >= blocks.first_day:
        if first <= day <= last:
            return number
        number, last = number + 1, first - timedelta(days=1)
    return None


def slow_groups(frame, blocks, activity=None):
    """→ (user, block) → whether nothing own that counts as activity happened in the days after it."""
    own = frame[frame["user_id"] == frame["actor_id"]]
    found = {}
    for user, rows in own.groupby("user_id"):
        days = {time.date() for time in rows["event_time"]}
        counts = rows if activity is None else rows[rows["event_name"].isin(activity)]
        active = {time.date() for time in counts["event_time"]}
        for day in days:
            if (block := slow_block(day, blocks)) is None:
                continue
            last = blocks.until - timedelta(days=blocks.outcome_days + block * blocks.observe_days)
            outcome = {last + timedelta(days=i + 1) for i in range(blocks.outcome_days)}
            found[int(user), block] = not outcome & active
    return found


def slow_sessions(frame):
    """User by user, instant by instant → user → sessions of (time, step)."""
    own = frame[frame["user_id"] == frame["actor_id"]]
    found = defaultdict(list)
    for user, rows in own.groupby("user_id"):
        before = None
        for time, at_once in sorted(rows.groupby("event_time")):
            counts = Counter(at_once["event_name"])
            step = min(counts, key=lambda name: (-counts[name], name))
            if before is None or time - before > timedelta(minutes=30):
                found[int(user)].append([])
            found[int(user)][-1].append((time, step))
            before = time
    return found


def slow_steps(cases, groups, blocks, lives):
    """user → cases of (time or day, step) → rows of `Cases.steps`. lives: each step has the block of its own day."""
    rows = []
    for user, its in cases.items():
        for number, case in enumerate(its):
            for place, (time, step) in enumerate(case):
                at = time if lives else case[0][0]
                block = slow_block(at.date(), blocks)
                rows.append(
                    {
                        "user_id": user, "case": number, "position": place, "step": step,
                        "previous": case[place - 1][1] if place else None,
                        "next": case[place + 1][1] if place + 1 < len(case) else None,
                        "gap": int((time - case[place - 1][0]).total_seconds()) if place else None,
                        "block": block, "churned": groups.get((user, block)),
                    }
                )  # fmt: skip
    return rows


def fetched(steps):
    """The table of `Cases.steps` → its rows, in order."""
    rows = steps.to_pyarrow().to_pylist()
    return sorted(rows, key=lambda row: (row["user_id"], row["case"], row["position"]))
