"""Variants against counting, and pm4py's."""

import json
from collections import Counter, defaultdict
from datetime import timedelta

import pandas as pd
import pytest
from exploration.process_oracle import FIRST, ROWS, fetched, frame_of, random_events
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import PROCESS_GROUPS, VARIANTS
from tschurn.exploration.cases import Cases, find_cases
from tschurn.exploration.discovery import as_log
from tschurn.exploration.followed_by import Blocks
from tschurn.exploration.variants import TOP_VARIANTS, variants

LAST = FIRST + timedelta(days=45)
BLOCKS = Blocks(FIRST, FIRST + timedelta(days=38), 7, 7)


def slow_variants(rows, group, lives):
    """→ sequence → cases."""
    cases = defaultdict(list)
    for row in rows:
        if group == "all" or row["churned"] is (group == "churned"):
            cases[row["user_id"], row["block" if lives and group != "all" else "case"]].append(row["step"])
    return Counter(map(tuple, cases.values()))


def equal(cases):
    frame, counts = variants(cases)
    VARIANTS.check(frame)
    rows = fetched(cases.steps)
    for group in PROCESS_GROUPS:
        expected = slow_variants(rows, group, cases.kind == "day_states")
        part = frame[frame["group"] == group]
        assert counts[group] == len(expected)
        assert list(part["cases"]) == sorted(expected.values(), reverse=True)[:TOP_VARIANTS]
        for row in part.itertuples():
            names = tuple(json.loads(row.steps))
            assert (row.length, row.cases) == (len(names), expected[names])
            assert row.share == pytest.approx(expected[names] / expected.total())
        assert list(part["length"]) == list(part.sort_values(["cases", "length"], ascending=[False, True])["length"])


@settings(derandomize=True, deadline=None, max_examples=15)
@given(rows=ROWS)
@pytest.mark.parametrize("lives", [False, True])
def test_variants_equal_the_slow_version(to_log, experiment, lives, rows):
    equal(find_cases(to_log(frame_of(rows)), lives, LAST, experiment().targets, BLOCKS))


@pytest.mark.parametrize("lives", [False, True])
def test_many_variants(to_log, experiment, lives):
    equal(find_cases(to_log(random_events(6000, 60, 40, 5)), lives, LAST, experiment().targets, BLOCKS))


def test_variants_are_those_of_pm4py(to_log, experiment):
    pm4py = pytest.importorskip("pm4py")
    cases = find_cases(to_log(random_events(3000, 60, 40, 3)), False, LAST, experiment().targets, BLOCKS)
    rows = pd.DataFrame(fetched(cases.steps))
    rows["case"] = rows["user_id"].astype(str) + "/" + rows["case"].astype(str)
    expected = pm4py.get_variants(as_log(rows))
    frame, counts = variants(cases)
    assert counts["all"] == len(expected)
    for row in frame[frame["group"] == "all"].itertuples():
        assert expected[tuple(json.loads(row.steps))] == row.cases


@settings(derandomize=True, deadline=None, max_examples=15)
@given(names=st.lists(st.text(min_size=1, max_size=5).filter(lambda n: "\x00" not in n), min_size=1, max_size=6))
def test_names_may_hold_anything(to_log, experiment, names):
    """Digits, quotes, separators: the sequence comes back as it was."""
    rows = [(1, 0, 60 * i, True, name) for i, name in enumerate([*names, "1000000001", "a,b", '"'])]
    cases = find_cases(to_log(frame_of(rows)), False, LAST, experiment().targets, BLOCKS)
    frame, _ = variants(Cases(cases.steps, cases.kind, cases.reason, cases.shared_share))
    assert json.loads(frame["steps"].iloc[0]) == [row[4] for row in rows]


def test_long_cases_keep_their_order(to_log, experiment):
    rows = [(user, 0, 60 * i, True, str((i if user == 1 else 1199 - i) % 7)) for user in (1, 2) for i in range(1200)]
    cases = find_cases(to_log(frame_of(rows)), False, LAST, experiment().targets, BLOCKS)
    frame = variants(cases)[0]
    found = {tuple(json.loads(s)) for s in frame.loc[frame["group"] == "all", "steps"]}
    assert found == {tuple(r[4] for r in rows if r[0] == user) for user in (1, 2)}


def test_no_cases(to_log, experiment):
    cases = find_cases(to_log(frame_of([(1, 0, 0, False, "a")])), False, LAST, experiment().targets, BLOCKS)
    frame, counts = variants(cases)
    assert VARIANTS.check(frame).num_rows == 0
    assert counts == dict.fromkeys(PROCESS_GROUPS, 0)
