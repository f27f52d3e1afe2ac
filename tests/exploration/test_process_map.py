"""Sessions against a slow loop, pm4py's graph and variants against plain pandas, paths against counting."""

import json
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import DIRECTLY_FOLLOWS, PATHS, PROCESS_SUMMARY, VARIANTS
from tschurn.exploration import process_map
from tschurn.exploration.process_map import (
    NOT_INSTALLED,
    PATH_STEPS,
    discover,
    find_cases,
    paths,
    session_instants,
    sessions,
    summarise,
)

NOON = pd.Timestamp("2024-03-01 12:00", tz="UTC")
LAST = date(2024, 3, 31)
COLUMNS = ["user_id", "actor_id", "event_time", "event_name"]
# user, seconds (few distinct ones, around the gap of 30 minutes), own or not, name
ROWS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from([0, 1, 60, 1800, 1801, 1860, 3600, 3601, 5401, 90000]),
        st.booleans(),
        st.sampled_from("abcd"),
    ),
    min_size=1,
    max_size=30,
)


def frame_of(rows):
    return pd.DataFrame(
        [(u, u if own else 50, NOON + timedelta(seconds=s), name) for u, s, own, name in rows], columns=COLUMNS
    )


def random_events(n, users, seconds, names, seed=1):
    rng = np.random.default_rng(seed)
    user = rng.integers(1, users + 1, n)
    weights = np.arange(names, 0, -1)
    return pd.DataFrame(
        {
            "user_id": user,
            "actor_id": np.where(rng.random(n) < 0.8, user, 999),
            "event_time": NOON + pd.to_timedelta(rng.integers(0, seconds, n), unit="s"),
            "event_name": rng.choice([f"event {i:02}" for i in range(names)], n, p=weights / weights.sum()),
        }
    )


def slow_sessions(frame):
    """User by user, instant by instant."""
    own = frame[frame["user_id"] == frame["actor_id"]]
    found = []
    for _, rows in own.groupby("user_id"):
        before = None
        for time, at_once in sorted(rows.groupby("event_time")):
            counts = Counter(at_once["event_name"])
            step = min(counts, key=lambda name: (-counts[name], name))
            if before is None or time - before > timedelta(minutes=30):
                found.append([])
            found[-1].append(step)
            before = time
    return found


def as_lists(steps):
    assert list(steps["position"]) == list(steps.groupby("case").cumcount())
    assert list(steps["case"].unique()) == list(range(steps["case"].nunique()))
    return [list(rows["step"]) for _, rows in steps.groupby("case")]


@pytest.fixture(scope="module")
def steps(to_log):
    """Some hundred sessions of one to many steps."""
    return sessions(session_instants(to_log(random_events(4000, 25, 40 * 86400, 12))))


# --- cases --------------------------------------------------------------------------------------
@settings(derandomize=True, deadline=None, max_examples=60)
@given(rows=ROWS)
def test_sessions_equal_the_slow_version(to_log, rows):
    frame = frame_of(rows)
    assert as_lists(sessions(session_instants(to_log(frame)))) == slow_sessions(frame)


def test_the_most_frequent_name_of_an_instant_wins_ties_by_name(to_log):
    rows = [(1, 0, True, n) for n in "cbbca"] + [(1, 1, True, n) for n in "zzy"] + [(1, 2, True, "q")]
    assert as_lists(sessions(session_instants(to_log(frame_of(rows))))) == [["b", "z", "q"]]


def test_sessions_where_times_tell(to_log, experiment):
    rows = [(1, 0, True, "a"), (1, 0, True, "b"), (1, 60, True, "c"), (1, 120, True, "d"), (2, 0, False, "e")]
    cases = find_cases(to_log(frame_of(rows)), False, LAST, experiment().targets)
    assert (cases.kind, cases.reason, cases.shared_share) == ("session", "sessions_ok", 0.5)  # half is not most


def test_day_states_where_most_rows_share_their_instant(to_log, experiment):
    rows = [(1, 0, True, "a"), (1, 0, True, "b"), (1, 60, True, "c"), (2, 0, True, "d"), (2, 0, True, "d")]
    cases = find_cases(to_log(frame_of(rows)), False, LAST, experiment().targets)
    assert (cases.kind, cases.reason, cases.shared_share) == ("day_states", "shared_timestamps", 0.8)
    assert as_lists(cases.steps) == [["new", "quiet", "dormant"]] * 2


def test_day_states_where_the_log_has_only_days(to_log, experiment):
    rows = [(1, 86400 * day, True, "a") for day in (0, 3)]
    cases = find_cases(to_log(frame_of(rows)), True, LAST, experiment().targets)
    assert (cases.kind, cases.reason, cases.shared_share) == ("day_states", "only_days", 0.0)
    assert as_lists(cases.steps) == [["new", "quiet", "active", "quiet", "dormant"]]


@pytest.mark.parametrize("only_days", [False, True])
def test_row_order_changes_nothing(to_log, experiment, only_days):
    events = random_events(2000, 10, 3 * 86400, 6).assign(event_time=lambda f: f["event_time"].dt.floor("60s"))
    first, second = (
        find_cases(to_log(e), only_days, LAST, experiment().targets)
        for e in (events, events.sample(frac=1, random_state=2))
    )
    assert first.shared_share == second.shared_share
    pd.testing.assert_frame_equal(first.steps, second.steps)


@pytest.mark.parametrize("only_days", [False, True])
def test_too_many_steps_take_whole_users(to_log, experiment, monkeypatch, only_days):
    log = to_log(random_events(6000, 200, 5 * 86400, 6))
    whole = find_cases(log, only_days, LAST, experiment().targets)
    monkeypatch.setattr(process_map, "MAX_STEPS", 400)
    sample = find_cases(log, only_days, LAST, experiment().targets)
    assert 0 < sample.user_share < 1 == whole.user_share
    assert 0 < len(sample.steps) < len(whole.steps) / 2
    missing = Counter(map(tuple, as_lists(sample.steps))) - Counter(map(tuple, as_lists(whole.steps)))
    assert not missing  # every sampled case is a whole one
    summary = summarise(sample, discover(sample.steps))
    assert summary["discovery"].item().endswith(f", on {sample.user_share:.1%} of the users")
    assert summary["cases"].item() == sample.steps["case"].nunique()


# --- directly-follows graph and variants --------------------------------------------------------
def test_follows_equal_plain_pandas(steps):
    pytest.importorskip("pm4py")
    target = steps["step"].shift(-1).where(steps["case"] == steps["case"].shift(-1))
    expected = Counter(zip(steps["step"], target.astype(object).where(target.notna(), None), strict=True))
    expected += Counter((None, name) for name in steps.loc[steps["position"] == 0, "step"])
    frame = discover(steps).directly_follows
    pairs = frame[["source", "target"]].astype(object).where(frame[["source", "target"]].notna(), None)
    found = dict(zip(pairs.itertuples(index=False, name=None), frame["n"], strict=True))
    assert found == expected
    assert DIRECTLY_FOLLOWS.check(frame).num_rows == len(expected)
    assert frame["n"].is_monotonic_decreasing


def test_variants_equal_plain_pandas(steps):
    pytest.importorskip("pm4py")
    expected = Counter(map(tuple, as_lists(steps)))
    found = discover(steps)
    assert found.variant_count == len(expected) > 30 == len(found.variants)
    VARIANTS.check(found.variants)
    for row in found.variants.itertuples():
        names = tuple(json.loads(row.steps))
        assert (row.length, row.cases, row.share) == (len(names), expected[names], expected[names] / expected.total())
    assert sorted(expected.values(), reverse=True)[:30] == list(found.variants["cases"])


def test_long_cases_keep_their_order():
    """Longer than what an unstable sort happens to leave alone."""
    pytest.importorskip("pm4py")
    names = [f"{i % 7}" for i in range(200)]
    table = pd.DataFrame({"case": [0] * 200 + [1] * 200, "position": [*range(200)] * 2, "step": names + names[::-1]})
    variants = discover(table).variants
    assert {tuple(json.loads(s)) for s in variants["steps"]} == {tuple(names), tuple(names[::-1])}


def test_without_pm4py(steps, monkeypatch):
    monkeypatch.setitem(sys.modules, "pm4py", None)  # what an import of a missing package meets
    found = discover(steps)
    assert found.discovery == NOT_INSTALLED == "not installed: pip install tschurn[process]"
    assert DIRECTLY_FOLLOWS.check(found.directly_follows).num_rows == 0
    assert VARIANTS.check(found.variants).num_rows == 0
    assert len(paths(steps)) > 0


def test_pm4py_stays_silent():
    """In a fresh process, user warnings shown: pm4py prints a banner when a script imports it directly."""
    pytest.importorskip("pm4py")
    code = """if True:
        import pandas as pd
        from tschurn.exploration.process_map import discover
        discover(pd.DataFrame({"case": [0, 0], "position": [0, 1], "step": ["a", "b"]}))
    """
    done = subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


# --- paths --------------------------------------------------------------------------------------
def slow_paths(cases):
    """Case by case, with the eight most frequent names among the first six steps."""
    counts = Counter(name for case in cases for name in case[:6])
    top = sorted(counts, key=lambda name: (-counts[name], name))[:8]
    links = Counter()
    for case in cases:
        names = [name if name in top else "other" for name in case[:6]]
        for i, name in enumerate(names[:5], start=1):
            links[i, name, names[i] if i < len(names) else None] += 1
    return links


@settings(derandomize=True, deadline=None, max_examples=100)
@given(cases=st.lists(st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=9), min_size=1, max_size=25))
def test_paths_equal_the_slow_version(cases):
    table = pd.DataFrame(
        [(i, j, name) for i, case in enumerate(cases) for j, name in enumerate(case)],
        columns=["case", "position", "step"],
    ).astype({"step": "str"})
    frame = paths(table)
    PATHS.check(frame)
    assert {
        (r.step, r.source, r.target if pd.notna(r.target) else None): r.n for r in frame.itertuples()
    } == slow_paths(cases)


def test_paths_hand_on_what_they_receive(steps):
    frame = paths(steps)
    for step in range(1, PATH_STEPS - 1):
        went_on = frame[(frame["step"] == step) & frame["target"].notna()].groupby("target")["n"].sum()
        arrived = frame[frame["step"] == step + 1].groupby("source")["n"].sum()
        assert went_on.to_dict() == arrived.to_dict()
    assert frame.loc[frame["step"] == 1, "n"].sum() == steps["case"].nunique()
    assert set(frame["source"]) == {f"event {i:02}" for i in range(8)} | {"other"}


# --- nothing to map -----------------------------------------------------------------------------
@pytest.mark.parametrize("only_days", [False, True])
def test_a_log_without_own_events(to_log, experiment, only_days):
    cases = find_cases(to_log(frame_of([(1, 0, False, "a")])), only_days, LAST, experiment().targets)
    found = discover(cases.steps)
    summary = summarise(cases, found)
    assert summary[["cases", "steps", "variants"]].to_numpy().tolist() == [[0, 0, 0]]
    assert found.discovery == "no cases"
    PROCESS_SUMMARY.check(summary)
    for table, frame in ((DIRECTLY_FOLLOWS, found.directly_follows), (PATHS, paths(cases.steps))):
        assert table.check(frame).num_rows == 0
