"""Where the five rules cut, against plain versions, planted shapes and the crossing of known densities."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from tschurn.contracts import SEGMENTS, THRESHOLD, THRESHOLDS
from tschurn.segments import priority, thresholds

made = runpy.run_path(str(Path(__file__).parent / "test_priority.py"))
experiment, scores, out_of_time, scored = (made[n] for n in ("experiment", "scores", "out_of_time", "scored"))
NONE, NO_VALUES, expected = (made[n] for n in ("NONE", "NO_VALUES", "expected"))


def cut(given_scores, windows=NONE, values=NO_VALUES, **rule):
    """→ the threshold that cuts, PRIORITY, THRESHOLD (its row), THRESHOLDS by method."""
    config = experiment(**rule)
    users = scored(given_scores, windows, values, **rule)
    found = thresholds.learn_thresholds(users, config)
    chosen = thresholds.chosen_threshold(found, config)
    favourite = priority.likely_sticker(users, config)
    table = priority.priority_table(users.users, chosen, favourite, config)
    row = thresholds.threshold_table(chosen, users.score, favourite, table, config)
    rules = thresholds.thresholds_table(found, chosen, users.users)
    THRESHOLD.check(row)
    THRESHOLDS.check(rules)
    assert row[list(SEGMENTS)].iloc[0].sum() == len(table)
    return chosen, table, row.iloc[0], rules.set_index("method")


def lone(logs):
    """Users without a sticker target whose log priorities are these."""
    return scores(np.exp(np.asarray(logs) - max(np.max(logs), 0)))


def two_normals(rng, n=4000, means=(-6.0, -2.0), sds=(1.0, 0.7), share=0.25):
    upper = rng.random(n) < share
    return np.sort(np.where(upper, rng.normal(means[1], sds[1], n), rng.normal(means[0], sds[0], n)))


@settings(deadline=None)
@given(st.sets(st.integers(1, 10**6), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_the_quantile_rule_takes_the_share_of_the_out_of_time_windows(distinct, share):
    p = np.array(sorted(distinct)) / 10**6
    users = scored(scores([0.5]), out_of_time(p), share=share)
    threshold = thresholds.learn_thresholds(users, experiment(share=share))["quantile"]
    assert (threshold.learned_on, threshold.windows, threshold.parameter) == ("out_of_time", len(p), share)
    assert (p >= threshold.value).sum() == max(1, round(share * len(p)))


def test_the_quantile_agrees_with_numpy():
    p_churn, p_sticker = np.random.default_rng(3).random((2, 1000))
    threshold = cut(scores([0.5], [0.5]), out_of_time(p_churn, p_sticker), share=0.2)[0]
    product = p_churn * p_sticker
    assert np.quantile(product, 0.7999) <= threshold.value <= np.quantile(product, 0.8011)
    assert (product >= threshold.value).mean() == 0.2


def test_the_quantile_rule_falls_back_to_the_scored_users():
    given_scores = scores([0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1])
    threshold = cut(given_scores, out_of_time([0.6, 0.8], [0.5, 0.5]), share=0.5)[0]
    assert threshold[2:] == (0.4, "out_of_time", 2, None)
    assert cut(given_scores, share=0.5)[0][2:] == (0.3, "scored", 4, None)


def test_windows_without_both_targets_teach_nothing():
    rows = out_of_time([0.6, 0.8])
    assert cut(scores([0.3], [0.5]), rows)[0].learned_on == "scored"
    assert cut(scores([0.3]), rows)[0][2:] == (0.8, "out_of_time", 2, None)


def test_values_at_risk_of_windows_without_expected_values_are_learned_on_the_scored_users():
    past = out_of_time([0.6, 0.8], [0.5, 0.5])
    given_scores, values = scores([0.5, 0.5], [0.5, 0.5]), expected([10.0, 20.0])
    threshold, *_, row, _ = cut(given_scores, past, values, share=0.5, score="value_at_risk")
    assert threshold[2:] == (10.0, "scored", 2, None) and row["score"] == "value_at_risk"
    days = sorted(set(past["anchor_day"]))
    closed = pd.DataFrame({"fit": "evaluated", "user_id": 1, "anchor_day": days, "expected": 5.0})
    threshold = cut(given_scores, past, pd.concat([values, closed]), share=0.5, score="value_at_risk")[0]
    assert threshold[2:] == (4.0, "out_of_time", 2, None)


def test_the_value_rule_is_taken_as_given():
    threshold, table, row, _ = cut(scores([0.3, 0.25, 0.2]), threshold="value", value=0.25)
    assert threshold == ("value", 0.25, 0.25, "given", 0, None)
    assert table["segment"].tolist() == ["priority", "priority", "rest"] and row["priority"] == 2


def test_a_value_of_money_does_not_cut_probabilities():
    rule = {"threshold": "value", "value": 0.4, "score": "value_at_risk", "share": 0.5}
    threshold, _, row, rules = cut(scores([0.3, 0.5], [1, 1]), **rule)
    assert threshold.method == row["method"] == "quantile" and row["score"] == "priority"
    assert rules.loc["value", "note"] == "other_score" and pd.isna(rules.loc["value", "threshold"])
    assert rules["chosen"].to_dict() == {"value": False, "quantile": True, "knee": False, "mixture": False}


@pytest.mark.parametrize(
    ("capacity", "size", "value"), [(1, 1, 0.5), (2, 2, 0.5), (3, 3, 0.5), (4, 4, 0.1), (9, 4, 0.1)]
)
def test_capacity_never_gives_more_users_than_asked_even_with_ties(capacity, size, value):
    threshold, table, row, rules = cut(scores([0.5, 0.5, 0.1, 0.5]), threshold="capacity", capacity=capacity)
    assert threshold == ("capacity", capacity, value, "scored", 4, None)
    assert row["priority"] == rules.loc["capacity", "users"] == size
    assert table["segment"].eq("priority").to_list() == [True] * size + [False] * (4 - size)


def test_nobody_to_score_gives_empty_tables():
    for empty in (scores([0.5]).iloc[:0], scores([0.5], [0.5]).iloc[:0]):
        for rule in ({}, {"threshold": "capacity", "capacity": 3}, {"threshold": "knee"}, {"score": "value_at_risk"}):
            threshold, table, row, rules = cut(empty, NONE.iloc[:0], **rule)
            assert table.empty and row[list(SEGMENTS)].tolist() == [0, 0, 0, 0]
            assert (threshold.method, threshold.value) == ("quantile", 1.0)
            assert rules["note"].eq("too_few").all() and rules["threshold"].isna().all() and rules["users"].isna().all()


def test_the_threshold_table_tells_rule_and_sizes():
    row = cut(scores([0.9, 0.4, 0.2, 0.1]), out_of_time([0.2, 0.6]), share=0.5, likely_churn=0.3)[2]
    assert np.isnan(row.pop("likely_sticker"))
    assert row.to_dict() == {
        "method": "quantile",
        "parameter": 0.5,
        "threshold": 0.6,
        "learned_on": "out_of_time",
        "learned_windows": 2,
        "likely_churn": 0.3,
        "score": "priority",
        "priority": 1,
        "other_churners": 1,
        "favourites": 0,
        "rest": 2,
    }


def test_every_rule_is_shown_with_what_it_would_choose():
    logs = two_normals(np.random.default_rng(0), 2000)
    threshold, table, _, rules = cut(lone(logs), value=0.05, capacity=40, share=0.3)
    assert rules.index.tolist() == ["value", "quantile", "capacity", "knee", "mixture"] and rules["chosen"].sum() == 1
    p, group = table["priority"], table["segment"] == "priority"
    for method, one in rules.iterrows():
        reach = table["rank"] <= 40 if method == "capacity" else p >= one["threshold"]
        assert one["users"] == reach.sum()
        assert one["jaccard"] == pytest.approx((reach & group).sum() / (reach | group).sum())
    assert rules.loc["quantile", "jaccard"] == 1 and threshold.method == "quantile"


@pytest.mark.parametrize("seed", range(3))
def test_the_mixture_cuts_where_the_upper_component_becomes_the_likelier(seed):
    means, sds, share = (-6.0, -2.0), (1.0, 0.7), 0.25
    found, note = thresholds.mixture(two_normals(np.random.default_rng(seed), 4000, means, sds, share), seed)
    even = brentq(lambda x: share * norm.pdf(x, means[1], sds[1]) - (1 - share) * norm.pdf(x, means[0], sds[0]), *means)
    assert note is None and found == pytest.approx(even, abs=0.15)
    logs = two_normals(np.random.default_rng(seed), 500, means, sds, share)
    cuts = [thresholds.mixture(logs, start)[0] for start in range(6)]  # whichever component comes first
    np.testing.assert_allclose(cuts, cuts[0], atol=0.05)


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0.02, 0.98))
def test_the_crossing_is_that_of_a_search_on_a_fine_grid(lower, apart, first, second, share):
    mean, variance, weight = np.array([lower, lower + apart]), np.array([first, second]), np.array([1 - share, share])
    found = thresholds._passes(mean, variance, weight)
    grid = np.linspace(lower, lower + 60, 400_001)
    upper = norm.logpdf(grid, mean[1], np.sqrt(second)) + np.log(share) > norm.logpdf(
        grid, mean[0], np.sqrt(first)
    ) + np.log(1 - share)
    turns = np.flatnonzero(upper[1:] & ~upper[:-1])
    if len(turns):
        assert found == pytest.approx(grid[turns[0] + 1], abs=2e-3)
    else:
        assert found is None or found > grid[-1] - 1e-3 or abs(found - lower) < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_one_normal_needs_no_second(seed):
    assert thresholds.mixture(np.sort(np.random.default_rng(seed).normal(-4, 1, 2000)), seed) == (None, "one_component")


def test_scores_at_the_floor_are_no_component():
    logs = two_normals(np.random.default_rng(1), 2000)
    with_zeros = np.concatenate([np.exp(logs - logs.max()), np.zeros(900)])
    plain, zeros = (cut(scores(p))[3].loc["mixture", "threshold"] for p in (with_zeros[:2000], with_zeros))
    assert plain == zeros > 1e-3
    one = np.exp(np.random.default_rng(2).normal(-6, 1, 2000))
    rules = cut(scores(np.concatenate([np.clip(one, 0, 1), np.zeros(900)])))[3]
    assert rules.loc["mixture", "note"] == "one_component"


@pytest.mark.parametrize("seed", range(3))
def test_the_knee_is_where_the_curve_was_bent(seed):
    # the best 15 % rise steeply, the others hardly: uniform logs above and below the bend
    rng = np.random.default_rng(seed)
    n, best = 4000, 600
    logs = np.sort(np.concatenate([rng.uniform(-2.0, 0.0, best), rng.uniform(-2.4, -2.0, n - best)]))
    found, note = thresholds.knee(logs, seed)
    assert note is None and found == pytest.approx(-2.0, abs=0.1)
    assert (logs >= found).mean() == pytest.approx(0.15, abs=0.02)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.2, 5), st.floats(-9, 0))
def test_the_knee_moves_with_the_logs(scale, shift):
    logs = two_normals(np.random.default_rng(4), 1500)
    found, note = thresholds.knee(logs, 1)
    assert note is None
    assert thresholds.knee(scale * logs + shift, 1)[0] == pytest.approx(scale * found + shift)


def test_a_straight_or_rounded_curve_has_no_knee():
    rng = np.random.default_rng(0)
    assert thresholds.knee(np.sort(rng.uniform(-4, 0, 4000)), 0) == (None, "no_knee")
    assert thresholds.knee(np.sort(np.log(rng.uniform(0, 1, 4000))), 0) == (None, "no_knee")


def test_a_bend_that_hardly_shows_is_no_knee():
    # the same in every resample, and a twentieth of the chord's height deep
    x = np.linspace(0, 1, 20_000)
    logs = np.sort(np.interp(x, [0, 0.01, 0.15, 0.5, 1], [-0.9, -1, -1.33, -2, -2.5]))
    bend = thresholds._farthest(np.quantile(logs, 1 - thresholds.KNEE_SHARES))[1]
    assert 0.02 < bend < thresholds.LEAST_BEND
    assert thresholds.knee(logs, 0) == (None, "no_knee")


def test_a_knee_that_moves_from_sample_to_sample_is_none():
    # two bends of the same depth, on few windows
    logs = np.sort(np.concatenate([np.linspace(-1, 0, 4), np.linspace(-1.9, -1, 12), np.full(2, -2.0),
                                   np.linspace(-2.6, -2, 34)]))  # fmt: skip
    assert thresholds._farthest(np.quantile(logs, 1 - thresholds.KNEE_SHARES))[1] > thresholds.LEAST_BEND
    assert thresholds.knee(logs, 0) == (None, "no_knee")


@pytest.mark.parametrize("rule", ["knee", "mixture"])
def test_a_rule_that_finds_nothing_leaves_the_cut_to_the_quantile(rule):
    even = scores(np.exp(np.linspace(-4, 0, 500)))
    few, same = scores([0.5, 0.2]), scores([0.5] * 100)
    for given_scores, note in ((even, "no_knee"), (few, "too_few"), (same, "no_spread")):
        if given_scores is even and rule == "mixture":
            continue
        threshold, _, row, rules = cut(given_scores, threshold=rule)
        assert threshold.method == row["method"] == "quantile" and rules["chosen"].idxmax() == "quantile"
        assert rules.loc[rule, "note"] == note
        assert rules.loc[rule, ["threshold", "users", "jaccard"]].isna().all()


def test_equal_scores_put_everybody_in_the_group_and_an_unreached_value_nobody():
    assert cut(scores([0.5] * 100))[2]["priority"] == 100
    *_, row, rules = cut(scores([0.5] * 100), threshold="value", value=0.9)
    assert row["priority"] == 0 and np.isnan(rules.loc["value", "jaccard"])


def test_the_same_scores_in_any_order_give_the_same_thresholds():
    p = np.exp(two_normals(np.random.default_rng(5), 800) - 1)
    first, second = (cut(scores(np.clip(q, 0, 1)))[3]["threshold"] for q in (p, p[::-1]))
    pd.testing.assert_series_equal(first, second)
