"""Ranking, threshold and segments of the scored users."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.config import parse
from tschurn.contracts import PRIORITY, SEGMENTS, THRESHOLD
from tschurn.errors import ContractError
from tschurn.segments import priority

NEWEST = date(2024, 3, 31)
probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def experiment(**segments):
    return parse({"experiment": {"name": "test"}, "log": {"path": "log.csv"}, "segments": segments}, "test")


def scores(p_churn, p_sticker=None, users=None):
    users = list(range(len(p_churn))) if users is None else users
    targets = {"churn": p_churn} if p_sticker is None else {"churn": p_churn, "sticker": p_sticker}
    parts = [
        pd.DataFrame({"user_id": users, "anchor_day": NEWEST, "target": t, "p": np.asarray(p, dtype=float)}).assign(
            p_low=lambda part: part["p"] / 2, p_high=lambda part: (part["p"] + 1) / 2
        )
        for t, p in targets.items()
    ]
    return pd.concat(parts, ignore_index=True)


def out_of_time(p_churn, p_sticker=None):
    """Windows of one user, one a week."""
    days = [NEWEST - timedelta(days=7 * (i + 1)) for i in range(len(p_churn))]
    targets = {"churn": p_churn} if p_sticker is None else {"churn": p_churn, "sticker": p_sticker}
    parts = [
        pd.DataFrame({"user_id": 1, "anchor_day": days, "target": t, "p": np.asarray(p, dtype=float)})
        for t, p in targets.items()
    ]
    return pd.concat(parts, ignore_index=True)


NONE = out_of_time([], [])


def test_priority_is_the_product_best_first():
    table = priority.priority_table(scores([0.9, 0.2, 0.5], [0.1, 0.9, 0.5]), 0.2, experiment())
    assert table["user_id"].tolist() == [2, 1, 0]
    assert table["priority"].tolist() == [0.25, 0.2 * 0.9, 0.9 * 0.1]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["segment"].tolist() == ["priority", "rest", "other_churners"]
    np.testing.assert_allclose(table["log_priority"], np.log(table["priority"]))
    PRIORITY.check(table)


def test_without_sticker_the_priority_is_p_churn():
    table = priority.priority_table(scores([0.1, 0.8]), 0.5, experiment())
    assert table["priority"].tolist() == table["p_churn"].tolist() == [0.8, 0.1]
    assert table[["p_sticker", "p_sticker_low", "p_sticker_high"]].isna().all(axis=None)
    assert table["p_churn_low"].tolist() == [0.4, 0.05]
    PRIORITY.check(table)


def test_the_intervals_stay_with_their_user_and_target():
    table = priority.priority_table(scores([0.9, 0.2, 0.5], [0.1, 0.9, 0.5]), 0.2, experiment())
    for target in ("churn", "sticker"):
        p, low, high = (table[f"p_{target}{end}"] for end in ("", "_low", "_high"))
        assert low.tolist() == (p / 2).tolist() and high.tolist() == ((p + 1) / 2).tolist()


def test_ties_are_broken_by_p_churn_then_by_user_id():
    # 0.5 × 0.25 and 0.25 × 0.5 are equal in floating point as well.
    table = priority.rank_users(scores([0.25, 0.5, 0.25, 0.5], [0.5, 0.25, 0.5, 0.25], ["다", "나", "a", "b"]))
    assert table["user_id"].tolist() == ["b", "나", "a", "다"]


def test_the_order_does_not_depend_on_the_order_of_the_scores():
    rng = np.random.default_rng(0)
    given_scores = scores(rng.integers(1, 4, 60) / 4, rng.integers(1, 4, 60) / 4)
    shuffled = given_scores.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(priority.rank_users(given_scores), priority.rank_users(shuffled))


def test_a_score_of_zero_has_a_finite_logarithm():
    table = priority.rank_users(scores([0.0, 0.5], [0.5, 0.5]))
    assert table["log_priority"].tolist() == [np.log(0.25), np.log(priority.LOWEST_PRIORITY)]


def test_targets_of_different_users_break_the_contract():
    broken = scores([0.1, 0.2], [0.3, 0.4]).iloc[:-1]
    with pytest.raises(ContractError, match="2 users have p_churn, 1 have p_sticker"):
        priority.rank_users(broken)


@settings(deadline=None)
@given(probabilities, st.floats(0, 1), st.floats(0.01, 0.99))
def test_every_user_is_in_the_segment_of_the_rule(p_churn, threshold, likely):
    table = priority.priority_table(scores(p_churn), threshold, experiment(likely_churn=likely))
    in_group = table["segment"] == "priority"
    assert set(table["segment"]) <= set(SEGMENTS)
    assert (table.loc[in_group, "priority"] >= threshold).all() and (table.loc[~in_group, "priority"] < threshold).all()
    others = table[~in_group]
    assert (others["segment"].eq("other_churners") == (others["p_churn"] >= likely)).all()
    assert table["priority"].is_monotonic_decreasing


@settings(deadline=None)
@given(st.sets(st.integers(1, 10**6), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_the_quantile_rule_takes_the_share_of_the_out_of_time_windows(distinct, share):
    p = np.array(sorted(distinct)) / 10**6
    threshold = priority.learn_threshold(out_of_time(p), scores([0.5]), experiment(share=share))
    assert threshold[1:] == ("out_of_time", len(p))
    assert (p >= threshold.value).sum() == max(1, round(share * len(p)))


def test_the_quantile_agrees_with_numpy():
    p_churn, p_sticker = np.random.default_rng(3).random((2, 1000))
    threshold = priority.learn_threshold(out_of_time(p_churn, p_sticker), scores([0.5], [0.5]), experiment(share=0.2))
    product = p_churn * p_sticker
    assert np.quantile(product, 0.7999) <= threshold.value <= np.quantile(product, 0.8011)
    assert (product >= threshold.value).mean() == 0.2


def test_the_quantile_rule_falls_back_to_the_scored_users():
    rule = experiment(share=0.5)
    given_scores = scores([0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1])
    assert priority.learn_threshold(out_of_time([0.6, 0.8], [0.5, 0.5]), given_scores, rule) == (0.4, "out_of_time", 2)
    assert priority.learn_threshold(NONE, given_scores, rule) == (0.3, "scored", 4)


def test_windows_without_both_targets_teach_nothing():
    rows = out_of_time([0.6, 0.8])
    assert priority.learn_threshold(rows, scores([0.3], [0.5]), experiment()).learned_on == "scored"
    assert priority.learn_threshold(rows, scores([0.3]), experiment()) == (0.8, "out_of_time", 2)


def test_the_value_rule_is_taken_as_given():
    assert priority.learn_threshold(NONE, scores([0.3]), experiment(threshold="value", value=0.25)) == (
        0.25,
        "given",
        0,
    )


@pytest.mark.parametrize(
    ("capacity", "size", "value"), [(1, 1, 0.5), (2, 2, 0.5), (3, 3, 0.5), (4, 4, 0.1), (9, 4, 0.1)]
)
def test_capacity_never_gives_more_users_than_asked_even_with_ties(capacity, size, value):
    rule = experiment(threshold="capacity", capacity=capacity)
    given_scores = scores([0.5, 0.5, 0.1, 0.5])
    threshold = priority.learn_threshold(NONE, given_scores, rule)
    assert threshold == (value, "scored", 4)
    table = priority.priority_table(given_scores, threshold.value, rule)
    assert table["segment"].eq("priority").sum() == size
    assert table["segment"].eq("priority").to_list() == [True] * size + [False] * (4 - size)


def test_nobody_to_score_gives_empty_tables():
    empty = scores([0.5]).iloc[:0]
    for rule in (experiment(), experiment(threshold="capacity", capacity=3)):
        threshold = priority.learn_threshold(NONE.iloc[:0], empty, rule)
        table = priority.priority_table(empty, threshold.value, rule)
        PRIORITY.check(table)
        row = priority.threshold_table(threshold, table, rule)
        THRESHOLD.check(row)
        assert row[list(SEGMENTS)].iloc[0].tolist() == [0, 0, 0]


def test_the_threshold_table_tells_rule_and_sizes():
    rule = experiment(share=0.5, likely_churn=0.3)
    given_scores = scores([0.9, 0.4, 0.2, 0.1])
    threshold = priority.learn_threshold(out_of_time([0.2, 0.6]), given_scores, rule)
    row = priority.threshold_table(threshold, priority.priority_table(given_scores, threshold.value, rule), rule)
    THRESHOLD.check(row)
    assert row.iloc[0].to_dict() == {
        "method": "quantile",
        "parameter": 0.5,
        "threshold": 0.6,
        "learned_on": "out_of_time",
        "learned_windows": 2,
        "likely_churn": 0.3,
        "priority": 1,
        "other_churners": 1,
        "rest": 2,
    }
