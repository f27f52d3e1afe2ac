"""The directly-follows graph against loops and pm4py, the difference of two groups against regression by users."""

from collections import defaultdict
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from exploration.process_oracle import FIRST, ROWS, fetched, frame_of, random_events
from hypothesis import given, settings

from tschurn.contracts import DIRECTLY_FOLLOWS, FOLLOWS_DIFFERENCE, PROCESS_GROUPS
from tschurn.exploration.cases import find_cases
from tschurn.exploration.discovery import as_log
from tschurn.exploration.followed_by import Blocks
from tschurn.exploration.follows import LEAST_USERS, edges, follows

LAST = FIRST + timedelta(days=45)
BLOCKS = Blocks(FIRST, FIRST + timedelta(days=38), 7, 7)


def slow_edges(rows, lives):
    """Rows of steps → (user, case, source, target, gap, churned), ends and starts too."""
    found = []
    for row in rows:
        found.append((row["user_id"], row["case"], row["previous"], row["step"], row["gap"], row["churned"]))
        if row["next"] is None:
            found.append((row["user_id"], row["case"], row["step"], None, None, None if lives else row["churned"]))
    return found


def slow_graph(taken):
    """→ (group, source, target) → what a row of DIRECTLY_FOLLOWS says."""
    behind = defaultdict(list)
    for user, case, source, target, gap, churned in taken:
        for group in ("all", *(["churned"] if churned else ["stayed"] if churned is False else [])):
            behind[group, source, target].append((user, case, gap))
    found = {}
    for (group, source, target), rows in behind.items():
        leaving = sum(len(r) for (g, s, _), r in behind.items() if (g, s) == (group, source))
        gaps = [gap for _, _, gap in rows if gap is not None]
        back = len(behind.get((group, target, source), []))
        n = len(rows)
        found[group, source, target] = (
            n, len({(u, c) for u, c, _ in rows}), len({u for u, _, _ in rows}), n / leaving,
            *(int(np.quantile(gaps, q, method="inverted_cdf")) if gaps else None for q in (0.5, 0.9)),
            None if None in (source, target) else n / (n + 1) if source == target else (n - back) / (n + back + 1),
        )  # fmt: skip
    return found


def as_dict(graph):
    DIRECTLY_FOLLOWS.check(graph)
    plain = graph.astype(object).where(graph.notna(), None)
    return {tuple(row[:3]): tuple(row[3:]) for row in plain.itertuples(index=False)}


@settings(derandomize=True, deadline=None, max_examples=15)
@given(rows=ROWS)
@pytest.mark.parametrize("lives", [False, True])
def test_the_graph_equals_the_slow_version(to_log, experiment, lives, rows):
    cases = find_cases(to_log(frame_of(rows)), lives, LAST, experiment().targets, BLOCKS)
    found = as_dict(follows(edges(cases))[0])
    expected = slow_graph(slow_edges(fetched(cases.steps), cases.kind == "day_states"))
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert found[key] == pytest.approx(row), key


@pytest.fixture(scope="module", params=[False, True], ids=["sessions", "lives"])
def busy(to_log, experiment, request):
    """Cases of many users, in both groups."""
    events = random_events(9000, 400, 40, 6)
    user = np.random.default_rng(2).integers(1, 401, len(events))
    own = (events["user_id"] == events["actor_id"]).to_numpy()
    minutes = pd.to_timedelta(np.arange(len(events)) % 8 * 5, unit="m")
    days = events["event_time"].dt.normalize() + minutes
    log = to_log(events.assign(user_id=user, actor_id=np.where(own, user, 9999), event_time=days))
    return find_cases(log, request.param, LAST, experiment().targets, BLOCKS)


def test_the_graph_is_that_of_pm4py(busy):
    pm4py = pytest.importorskip("pm4py")
    rows = pd.DataFrame(fetched(busy.steps))
    rows["case"] = rows["user_id"].astype(str) + "/" + rows["case"].astype(str)
    counted, first, last = pm4py.discover_dfg(as_log(rows))
    expected = {**counted, **{(None, s): n for s, n in first.items()}, **{(s, None): n for s, n in last.items()}}
    graph = follows(edges(busy))[0]
    assert {key[1:]: row[0] for key, row in as_dict(graph).items() if key[0] == "all"} == expected


def test_the_difference_is_that_of_a_regression_with_errors_by_user(busy):
    """Whether a step is followed by target, on whether its block was followed by churn; errors clustered by user."""
    import statsmodels.api as sm

    graph, found = follows(edges(busy))
    FOLLOWS_DIFFERENCE.check(found)
    taken = pd.DataFrame(
        slow_edges(fetched(busy.steps), busy.kind == "day_states"),
        columns=["user", "case", "source", "target", "gap", "churned"],
    ).dropna(subset="churned")
    compared = 0
    for row in found.itertuples():
        its = taken[taken["source"].isna() if pd.isna(row.source) else taken["source"] == row.source]
        y = (its["target"].isna() if pd.isna(row.target) else its["target"] == row.target).to_numpy(float)
        churned = its["churned"].to_numpy(float)
        shares = [y[churned == g].mean() for g in (1, 0)]
        assert (row.churned_share, row.stayed_share, row.difference) == pytest.approx((*shares, shares[0] - shares[1]))
        users = [its.loc[churned == g, "user"].nunique() for g in (1, 0)]
        assert [row.churned_users, row.stayed_users] == users
        if min(users) < LEAST_USERS:
            assert pd.isna(row.low) and not row.stands
        elif all(0 < share < 1 for share in shares):
            fit = sm.OLS(y, sm.add_constant(churned)).fit(
                cov_type="cluster", cov_kwds={"groups": pd.factorize(its["user"])[0], "use_correction": False}
            )
            assert (row.low, row.high) == pytest.approx(tuple(fit.conf_int()[1]), abs=1e-9)
            compared += 1
    assert compared >= 3
    both = graph[graph["group"] != "all"].groupby("group")["source"].unique()
    assert set(found["source"].fillna("")) == set.intersection(*({s if pd.notna(s) else "" for s in b} for b in both))


def told(shares, users=300, repeats=1):
    """What is found where a user's block begins with 'a' or 'b': the share of 'a' before churn, before activity."""
    rng = np.random.default_rng(4)
    rows = []
    for user in range(2 * users):
        churns = user % 2
        step = "a" if rng.random() < shares[1 - churns] else "b"
        rows += [(user + 1, 25, 3000 * i, True, step) for i in range(repeats)]
        rows += [] if churns else [(user + 1, 33, 0, True, "c")]
    return frame_of(rows)


def start(to_log, experiment, frame):
    cases = find_cases(to_log(frame), False, LAST, experiment().targets, BLOCKS)
    found = follows(edges(cases))[1]
    return found[found["source"].isna() & (found["target"] == "a")].iloc[0]


def test_what_stands_out_of_noise(to_log, experiment):
    assert start(to_log, experiment, told((0.6, 0.3)))["stands"]
    assert not start(to_log, experiment, told((0.5, 0.5)))["stands"]


def test_repeats_of_a_user_are_no_evidence(to_log, experiment):
    """Nine sessions that are alike say no more than one."""
    once, often = (start(to_log, experiment, told((0.6, 0.4), 60, n)) for n in (1, 9))
    assert often["high"] - often["low"] == pytest.approx(once["high"] - once["low"], rel=0.05)


def test_nobody_in_a_group_is_no_certainty(to_log, experiment):
    """None of 25 who churned began with 'a': that is not zero for certain."""
    row = start(to_log, experiment, told((0.0, 0.3), 25))
    assert row["churned_share"] == 0
    assert row["high"] - row["low"] > 2 * 1.96 * np.sqrt(0.04 * 0.96 / 29)


def test_without_groups_there_is_no_difference(to_log, experiment):
    log = to_log(random_events(500, 10, 40, 4))
    cases = find_cases(log, False, LAST, experiment().targets, Blocks(FIRST, None, 7, 7))
    graph, found = follows(edges(cases))
    assert set(graph["group"]) == {"all"} and FOLLOWS_DIFFERENCE.check(found).num_rows == 0


def test_nothing_to_count(to_log, experiment):
    cases = find_cases(to_log(frame_of([(1, 0, 0, False, "a")])), False, LAST, experiment().targets, BLOCKS)
    graph, found = follows(edges(cases))
    assert DIRECTLY_FOLLOWS.check(graph).num_rows == FOLLOWS_DIFFERENCE.check(found).num_rows == 0
    assert set(PROCESS_GROUPS) == {"all", "churned", "stayed"}
