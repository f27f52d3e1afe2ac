"""Scores, ranking and segments of the scored users."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.config import parse
from tschurn.contracts import PRIORITY, SEGMENTS
from tschurn.errors import ContractError
from tschurn.segments import priority
from tschurn.segments.thresholds import LOWEST_SCORE, Threshold

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
NO_VALUES = pd.DataFrame({"fit": [], "user_id": [], "anchor_day": [], "expected": []})


def expected(values, fit="refit", users=None):
    users = list(range(len(values))) if users is None else users
    return pd.DataFrame({"fit": fit, "user_id": users, "anchor_day": NEWEST, "expected": np.asarray(values, float)})


def scored(given_scores, windows=NONE, values=NO_VALUES, **rule):
    return priority.score_users(given_scores, windows, values, experiment(**rule))


def at(value):
    return Threshold("value", value, value, "given", 0)


def table_at(given_scores, threshold, values=NO_VALUES, **rule):
    found = scored(given_scores, NONE, values, **rule)
    favourite = priority.likely_sticker(found, experiment(**rule))
    table = priority.priority_table(found.users, at(threshold), favourite, experiment(**rule))
    PRIORITY.check(table)
    return table


def test_priority_is_the_product_best_first():
    table = table_at(scores([0.9, 0.2, 0.5], [0.1, 0.9, 0.5]), 0.2, likely_sticker=0.95)
    assert table["user_id"].tolist() == [2, 1, 0]
    assert table["priority"].tolist() == [0.25, 0.2 * 0.9, 0.9 * 0.1]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["segment"].tolist() == ["priority", "rest", "other_churners"]
    np.testing.assert_allclose(table["log_priority"], np.log(table["priority"]))


def test_without_sticker_the_priority_is_p_churn_and_nobody_is_a_favourite():
    table = table_at(scores([0.1, 0.8]), 0.9, expected([3.0, 4.0]), likely_sticker=0.01, score="value_at_risk")
    assert table["priority"].tolist() == table["p_churn"].tolist() == [0.8, 0.1]
    assert table[["p_sticker", "p_sticker_low", "p_sticker_high", "value_at_risk"]].isna().all(axis=None)
    assert table["p_churn_low"].tolist() == [0.4, 0.05]
    assert table["segment"].tolist() == ["other_churners", "rest"]
    assert priority.likely_sticker(scored(scores([0.1, 0.8])), experiment(likely_sticker=0.1)) is None


def test_the_intervals_stay_with_their_user_and_target():
    table = table_at(scores([0.9, 0.2, 0.5], [0.1, 0.9, 0.5]), 0.2)
    for target in ("churn", "sticker"):
        p, low, high = (table[f"p_{target}{end}"] for end in ("", "_low", "_high"))
        assert low.tolist() == (p / 2).tolist() and high.tolist() == ((p + 1) / 2).tolist()


def test_ties_are_broken_by_p_churn_then_by_user_id():
    # 0.5 × 0.25 and 0.25 × 0.5 are equal in floating point as well.
    users = scored(scores([0.25, 0.5, 0.25, 0.5], [0.5, 0.25, 0.5, 0.25], ["다", "나", "a", "b"])).users
    assert users["user_id"].tolist() == ["b", "나", "a", "다"]


def test_the_order_does_not_depend_on_the_order_of_the_scores():
    rng = np.random.default_rng(0)
    given_scores = scores(rng.integers(1, 4, 60) / 4, rng.integers(1, 4, 60) / 4)
    shuffled = given_scores.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(scored(given_scores).users, scored(shuffled).users)


def test_a_score_of_zero_has_a_finite_logarithm():
    users = scored(scores([0.0, 0.5], [0.5, 0.5])).users
    assert users["log_priority"].tolist() == [np.log(0.25), np.log(LOWEST_SCORE)]


def test_targets_of_different_users_break_the_contract():
    for lacking in (slice(None, -1), slice(1, None)):
        broken = scores([0.1, 0.2], [0.3, 0.4]).iloc[lacking]
        with pytest.raises(ContractError, match=r"users have p_churn, . have p_sticker, 1 have both"):
            scored(broken)


def test_value_at_risk_ranks_by_p_churn_times_what_is_expected():
    given_scores, values = scores([0.9, 0.2, 0.5], [0.9, 0.5, 0.1]), expected([1.0, 100.0, 10.0])
    by_value = scored(given_scores, values=values, score="value_at_risk")
    assert by_value.score == "value_at_risk"
    assert by_value.users["user_id"].tolist() == [1, 2, 0]
    assert by_value.users["score"].tolist() == by_value.users["value_at_risk"].tolist() == [20.0, 5.0, 0.9]
    by_priority = scored(given_scores, values=values)
    assert by_priority.score == "priority" and by_priority.users["user_id"].tolist() == [0, 1, 2]
    assert by_priority.users["value_at_risk"].tolist() == [0.9, 20.0, 5.0]
    np.testing.assert_allclose(by_value.users.sort_values("user_id")["priority"], [0.81, 0.1, 0.05])


def test_expected_values_of_the_refit_are_the_users_and_the_others_the_windows():
    days = [NEWEST - timedelta(days=7), NEWEST - timedelta(days=14)]
    past = pd.DataFrame({"fit": "evaluated", "user_id": 1, "anchor_day": days, "expected": [2.0, 4.0]})
    wrong = past.assign(fit="refit", expected=99.0)  # and of the users there is no evaluated one
    values = pd.concat([past, wrong, expected([7.0], users=[1])])
    found = scored(scores([0.5], [0.5], [1]), out_of_time([0.5, 0.25], [0.5, 0.5]), values, score="value_at_risk")
    assert found.users["score"].tolist() == [3.5]
    assert found.windows.sort_values("anchor_day")["score"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("values", [NO_VALUES, expected([5.0], fit="evaluated"), expected([5.0], users=[17])])
def test_without_expected_values_the_priority_ranks_and_the_score_says_so(values):
    found = scored(scores([0.5, 0.9], [0.9, 0.1]), values=values, score="value_at_risk")
    assert found.score == "priority" and found.users["score"].tolist() == [0.45, 0.9 * 0.1]
    assert found.users["value_at_risk"].isna().all()


def test_who_has_no_expected_value_comes_last_and_is_never_in_the_group():
    given_scores, values = scores([0.99, 0.2, 0.5], [0.9, 0.5, 0.1]), expected([1.0, 0.0], users=[1, 2])
    table = table_at(given_scores, 0.0, values, score="value_at_risk")
    assert table["user_id"].tolist() == [1, 2, 0]
    assert table["segment"].tolist() == ["priority", "priority", "other_churners"]


@settings(deadline=None)
@given(probabilities, st.integers(0, 2**32), st.floats(0, 1), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_every_user_is_in_the_segment_of_the_rule(p_churn, seed, threshold, likely, favourite):
    p_sticker = np.random.default_rng(seed).random(len(p_churn))
    table = table_at(scores(p_churn, p_sticker), threshold, likely_churn=likely, likely_sticker=favourite)
    assert set(table["segment"]) <= set(SEGMENTS)
    for user in table.to_dict("records"):
        assert user["segment"] == (
            "priority" if user["p_churn"] * user["p_sticker"] >= threshold
            else "other_churners" if user["p_churn"] >= likely
            else "favourites" if user["p_sticker"] >= favourite
            else "rest"
        )  # fmt: skip
    assert table["priority"].is_monotonic_decreasing


def test_who_is_a_favourite_is_learned_on_windows_else_on_users():
    given_scores, past = scores([0.1] * 10, np.arange(10) / 10), out_of_time([0.1] * 4, [0.2, 0.4, 0.6, 0.8])
    half = experiment(share=0.5)
    assert priority.likely_sticker(scored(given_scores, past), half) == 0.6
    assert priority.likely_sticker(scored(given_scores), half) == 0.5
    assert priority.likely_sticker(scored(given_scores, past), experiment(likely_sticker=0.33)) == 0.33


def test_where_everybody_has_the_same_chance_of_a_sticker_nobody_is_a_favourite():
    found = scored(scores([0.1, 0.2, 0.3], [0.4] * 3))
    assert priority.likely_sticker(found, experiment()) is None
    assert set(table_at(scores([0.1, 0.2, 0.3], [0.4] * 3), 1.0)["segment"]) == {"rest"}


def test_ranks_are_those_within_the_anchor():
    past = pd.concat([out_of_time([0.1, 0.4], [1, 1]), out_of_time([0.2, 0.3], [1, 1]).assign(user_id=2)])
    windows = scored(scores([0.5], [0.5]), past).windows
    assert windows.sort_values(["anchor_day", "rank"])[["user_id", "rank"]].to_numpy().tolist() == [
        [1, 1], [2, 2], [2, 1], [1, 2]
    ]  # fmt: skip


def test_nobody_to_score_gives_an_empty_table():
    assert len(table_at(scores([0.5]).iloc[:0], 0.5)) == 0
    assert len(table_at(scores([0.5], [0.5]).iloc[:0], 0.5, score="value_at_risk")) == 0
