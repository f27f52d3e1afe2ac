"""Matching within p_churn, against the assignment of everybody to everybody."""

import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.special import logit

from tschurn.contracts import MATCHING
from tschurn.segments.matching import match_group, match_sorted

P = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.1, 0.5, 0.9, 1.0]))
EIGHTHS = st.integers(-40, 40).map(lambda n: n / 8)  # exact, so that one at the caliper is within it


def users(p, chosen, ids=None):
    index = pd.Index(range(len(p)) if ids is None else ids)
    return pd.Series(p, index=index, dtype=float), pd.Series(np.where(chosen, "priority", "rest"), index=index)


def match(p_churn, segments):
    """The two tables as they are written, with the promise of no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs, table = match_group(p_churn, segments)
    MATCHING.check(table)
    return pairs, table.iloc[0]


def best_of_all(a, b, caliper):
    """Number of pairs and sum of distances of the best matching, by the assignment problem with everybody in it."""
    distance = np.abs(a[:, None] - b)
    alone = (len(a) + 1) * max(caliper, 1.0)
    costs = np.hstack([np.where(distance <= caliper, distance, 1e6 * alone), np.full((len(a), len(a)), alone)])
    row, column = linear_sum_assignment(costs)
    paired = column < len(b)
    return paired.sum(), distance[row[paired], column[paired]].sum()


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(st.one_of(EIGHTHS, st.integers(0, 4)), st.booleans()), max_size=30),
       st.sampled_from([0.0, 0.25, 1.0, 20.0]))  # fmt: skip
def test_no_assignment_is_better(people, caliper):
    people.sort(key=lambda one: one[0])
    x, chosen = np.array([v for v, _ in people], dtype=float), np.array([c for _, c in people], dtype=bool)
    first, second = match_sorted(x, chosen, caliper)
    a, b = x[chosen], x[~chosen]
    assert len(set(first)) == len(set(second)) == len(first)
    distances = np.abs(a[first] - b[second])
    assert (distances <= caliper).all()
    pairs, total = best_of_all(a, b, caliper) if len(a) and len(b) else (0, 0.0)
    assert len(first) == pairs and distances.sum() == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_it_is_best_for_hundreds_of_users(share):
    rng = np.random.default_rng(1)
    p_churn, segments = users(rng.beta(1.2, 2.0, 400).round(2), rng.random(400) < share)
    pairs, table = match(p_churn, segments)
    odds = pd.Series(logit(p_churn.clip(1e-6, 1 - 1e-6)), index=p_churn.index)
    a, b = (odds[segments == name] for name in ("priority", "rest"))
    assert table["caliper"] == pytest.approx(0.2 * np.sqrt((a.var() + b.var()) / 2))
    distance = (odds[pairs["user_id"]].to_numpy() - odds[pairs["other_id"]].to_numpy()).__abs__()
    expected = best_of_all(a.to_numpy(), b.to_numpy(), table["caliper"])
    assert (len(pairs), distance.sum()) == (expected[0], pytest.approx(expected[1]))
    assert table["matched"] == len(pairs) <= table["users"] == (segments == "priority").sum()
    assert table["distance"] == pytest.approx(distance.max()) and distance.max() <= table["caliper"]
    assert table["p_churn_priority"] == pytest.approx(p_churn[pairs["user_id"]].mean())
    assert table["p_churn_matched"] == pytest.approx(p_churn[pairs["other_id"]].mean())
    assert set(segments[pairs["user_id"]]) == {"priority"} and set(segments[pairs["other_id"]]) == {"rest"}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(P, st.booleans()), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(people, random):
    p_churn, segments = users([p for p, _ in people], [c for _, c in people], [f"u{i}" for i in range(len(people))])
    pairs, table = match(p_churn, segments)
    order = random.sample(list(p_churn.index), len(p_churn))
    again, table_again = match(p_churn[order], segments[order[::-1]])
    pd.testing.assert_frame_equal(again, pairs)
    pd.testing.assert_series_equal(table_again, table)


def test_of_equals_it_is_not_the_oldest_ids_that_are_taken():
    p_churn, segments = users([0.3] * 1000, np.arange(1000) < 100)
    pairs, _ = match(p_churn, segments)
    assert len(pairs) == 100
    assert 450 < pairs["other_id"].mean() < 650  # 550 ± 26 by chance


def test_matching_takes_a_confounder_away():
    """The group is chosen by p_churn, and all users with it alike: matched users have the same p_churn."""
    rng = np.random.default_rng(2)
    p = rng.beta(1.5, 2.0, 3000)
    p_churn, segments = users(p, rng.random(3000) < 0.25 * p)
    chosen = segments == "priority"
    _, table = match(p_churn, segments)
    assert p[chosen].mean() - p[~chosen].mean() > 0.1
    assert table["matched"] == table["users"]
    assert abs(table["p_churn_priority"] - table["p_churn_matched"]) < 0.002


@pytest.mark.parametrize(
    ("p", "chosen"),
    [([], []), ([0.5], [True]), ([0.5, 0.4], [True, False]), ([0.5] * 4, [True] * 4), ([0.5] * 4, [False] * 4),
     ([0.1, 0.5, 0.5], [True, False, False])],
)  # fmt: skip
def test_too_few_users_are_not_matched(p, chosen):
    pairs, table = match(*users(p, np.array(chosen, dtype=bool)))
    assert pairs.empty and table["users"] == sum(chosen) and table["matched"] == 0
    assert table[["caliper", "p_churn_priority", "p_churn_matched", "distance"]].isna().all()


def test_without_spread_equals_are_matched():
    pairs, table = match(*users([0.4] * 6, [True, True, False, False, False, False]))
    assert len(pairs) == 2 and table["caliper"] == 0 == table["distance"]


def test_those_too_far_away_stay_alone():
    pairs, table = match(*users([0.99, 0.98, 0.3, 0.02, 0.31], [True, True, True, False, False]))
    assert pairs["user_id"].tolist() == [2] and pairs["other_id"].tolist() == [4]
    assert (table["users"], table["matched"]) == (3, 1)


def test_a_hundred_thousand_users_are_matched_in_seconds():
    rng = np.random.default_rng(3)
    p = rng.beta(1.2, 2.0, 100_000)
    priority = p * rng.beta(0.7, 5.0, len(p))
    start = time.perf_counter()
    _, table = match(*users(p, priority >= np.quantile(priority, 0.9)))
    assert time.perf_counter() - start < 10
    assert table["matched"] > 9_900
