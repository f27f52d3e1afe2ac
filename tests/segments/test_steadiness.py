"""Whether another seed or another week would call the same users, against draws, sets and SciPy."""

import runpy
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tschurn.contracts import FIRMNESS, LIST_STABILITY
from tschurn.segments import steadiness, thresholds

made = runpy.run_path(str(Path(__file__).parent / "test_priority.py"))
experiment, scores, scored, NEWEST = (made[n] for n in ("experiment", "scores", "scored", "NEWEST"))
expected = made["expected"]
NO_SEEDS = pd.DataFrame({"target": [], "seed": [], "user_id": [], "p": []})
WEEKS = [NEWEST - timedelta(days=7 * k) for k in (3, 2, 1)]


def closed(*weeks):
    """Each week: user → (p_churn, p_sticker) → OUT_OF_TIME."""
    rows = [(user, day, target, p) for day, week in zip(WEEKS[len(WEEKS) - len(weeks) :], weeks, strict=True)
            for user, both in week.items() for target, p in zip(("churn", "sticker"), both, strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["user_id", "anchor_day", "target", "p"])


def seeds(**by_seed):
    """s8=([p_churn], [p_sticker]) → SEED_SCORES."""
    return pd.concat([
        pd.DataFrame({"target": target, "seed": int(name[1:]), "user_id": range(len(p)), "p": np.asarray(p, float)})
        for name, both in by_seed.items() for target, p in zip(("churn", "sticker"), both, strict=False)
    ], ignore_index=True)  # fmt: skip


def compared(given_scores, windows, seed_scores=NO_SEEDS, values=made["NO_VALUES"], **rule):
    config = experiment(**rule)
    found = scored(given_scores, windows, values, **rule)
    threshold = thresholds.chosen_threshold(thresholds.learn_thresholds(found, config), config)
    lists = steadiness.other_lists(found, threshold, seed_scores)
    stability, firm = steadiness.list_stability(lists, NEWEST), steadiness.firmness(lists)
    LIST_STABILITY.check(stability)
    FIRMNESS.check(firm)
    assert firm["user_id"].tolist() == found.users["user_id"].tolist()
    return stability.set_index("kind"), firm.set_index("user_id")


@pytest.mark.parametrize(("users", "a", "b"), [(40, 7, 12), (9, 5, 6), (10, 10, 3), (5, 1, 1), (30, 0, 4)])
def test_chance_is_the_mean_of_random_groups(users, a, b):
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(20_000):
        one, other = set(rng.permutation(users)[:a]), set(rng.permutation(users)[:b])
        drawn.append(len(one & other) / len(one | other))
    assert steadiness.chance(users, a, b) == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 141 + 1e-9)


def test_two_empty_groups_have_no_similarity():
    assert steadiness.chance(10, 0, 0) is None
    stability, firm = compared(scores([0.1, 0.2]), closed(), threshold="value", value=0.9)
    assert stability.empty and firm["firm"].isna().all() and firm["lists"].eq(1).all()
    table = compared(scores([0.1, 0.2], [1, 1]), closed({0: (0.1, 1), 1: (0.2, 1)}), threshold="value", value=0.9)[0]
    assert table.loc["anchor", ["jaccard", "chance", "correlation"]].isna().all()


def test_each_week_is_held_against_the_next_and_the_last_against_the_list():
    first = {0: (0.9, 0.9), 1: (0.8, 0.9), 2: (0.1, 0.1), 3: (0.7, 0.9), 9: (1.0, 1.0)}
    second = {0: (0.9, 0.8), 1: (0.1, 0.9), 2: (0.2, 0.1), 3: (0.8, 0.9), 4: (0.9, 0.9)}
    third = {0: (0.1, 0.1), 1: (0.9, 0.9), 3: (0.8, 0.9)}
    now = scores([0.1, 0.9, 0.1, 0.1], [0.5, 0.9, 0.2, 0.3])
    stability, firm = compared(now, closed(first, second, third), threshold="value", value=0.5)
    assert stability["anchor_day"].tolist() == WEEKS
    assert stability["other"].tolist() == [str(day) for day in (*WEEKS[1:], NEWEST)]
    assert stability["users"].tolist() == [4, 3, 3]  # of both weeks: users 9 and 4 do not count
    assert stability[["group", "other_group", "both"]].to_numpy().tolist() == [[3, 2, 2], [2, 2, 1], [2, 1, 1]]
    assert stability["jaccard"].tolist() == [2 / 3, 1 / 3, 1 / 2]
    one, other = ([p * q for user, (p, q) in sorted(week.items()) if user in (0, 1, 2, 3)] for week in (first, second))
    assert stability["correlation"].iloc[0] == pytest.approx(spearmanr(one, other).statistic)
    # of the weeks only the last one counts, where the user was scored then
    assert firm["lists"].to_dict() == {0: 2, 1: 2, 2: 1, 3: 2}
    assert firm["chosen"].to_dict() == {0: 0.0, 1: 1.0, 2: 0.0, 3: 0.5}
    assert firm["firm"].fillna("?").to_dict() == {0: "out", 1: "firm", 2: "?", 3: "swing"}


def test_a_seed_cuts_a_group_of_the_same_size():
    churn, sticker = np.array([0.9, 0.8, 0.3, 0.2, 0.1]), np.full(5, 0.9)
    safer = seeds(s8=(churn / 10, sticker), s9=([0.5, 0.1, 0.4, 0.1, 0.1], sticker))
    stability, firm = compared(scores(churn, sticker), closed(), safer, threshold="value", value=0.7)
    assert stability["other"].tolist() == ["8", "9"] and (stability["anchor_day"] == NEWEST).all()
    assert stability[["group", "other_group", "both"]].to_numpy().tolist() == [[2, 2, 2], [2, 2, 1]]
    assert stability["correlation"].iloc[0] == pytest.approx(1)
    assert firm["firm"].to_dict() == {0: "firm", 1: "swing", 2: "swing", 3: "out", 4: "out"}
    assert firm["chosen"].to_list() == pytest.approx([1, 2 / 3, 1 / 3, 0, 0])


def test_a_target_that_was_not_fitted_again_keeps_its_probabilities():
    churn, sticker = np.array([0.9, 0.8, 0.7]), np.array([0.1, 0.5, 0.9])
    part = seeds(s8=(churn, sticker)).query("target == 'churn'")
    stability, _ = compared(scores(churn, sticker), closed(), part, threshold="capacity", capacity=1)
    assert stability["correlation"].tolist() == [pytest.approx(1)] and stability["jaccard"].tolist() == [1]


def test_under_value_at_risk_the_expected_value_stays():
    churn, worth = [0.5, 0.4, 0.1], [1.0, 10.0, 100.0]
    again = seeds(s8=([0.5, 0.9, 0.01], [0.5] * 3))
    stability, firm = compared(scores(churn, [0.5] * 3), closed(), again, expected(worth),
                               score="value_at_risk", threshold="capacity", capacity=1)  # fmt: skip
    assert stability[["group", "both"]].to_numpy().tolist() == [[1, 0]]
    assert firm["firm"].to_dict() == {0: "out", 1: "swing", 2: "swing"}
    assert stability["correlation"].iloc[0] == pytest.approx(spearmanr([0.5, 4, 10], [0.5, 9, 1]).statistic)


def test_a_capacity_is_that_of_each_week():
    week = {user: (0.01 * (user + 1), 0.5) for user in range(6)}
    stability, _ = compared(scores(np.linspace(0.9, 0.4, 6), [0.5] * 6), closed(week), threshold="capacity", capacity=2)
    assert stability[["group", "other_group", "both"]].to_numpy().tolist() == [[2, 2, 0]]


def test_equal_scores_have_no_correlation_and_one_user_no_list_to_compare():
    same = {user: (0.5, 0.5) for user in range(4)}
    stability, firm = compared(scores([0.5] * 4, [0.5] * 4), closed(same))
    assert (
        stability["jaccard"].tolist() == stability["chance"].tolist() == [1] and stability["correlation"].isna().all()
    )
    assert firm["firm"].eq("firm").all()
    alone, firm = compared(scores([0.5], [0.5]), closed())
    assert alone.empty and firm["firm"].isna().all()


def test_nobody_scored_gives_empty_tables():
    stability, firm = compared(scores([0.5], [0.5]).iloc[:0], closed())
    assert stability.empty and firm.empty
    stability, firm = compared(scores([0.5], [0.5]).iloc[:0], closed({0: (0.5, 0.5)}), seeds(s8=([0.4], [0.3])))
    assert stability.empty and firm.empty


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(2, 25), st.floats(0.05, 0.95))
def test_all_figures_are_those_of_sets(seed, users, share):
    rng = np.random.default_rng(seed)
    week = {user: tuple(rng.integers(1, 5, 2) / 5) for user in range(users) if rng.random() < 0.7}
    p_churn, p_sticker = rng.integers(1, 5, (2, users)) / 5
    stability, firm = compared(scores(p_churn, p_sticker), closed(week), share=share)
    cut = thresholds.learn_thresholds(scored(scores(p_churn, p_sticker), closed(week), share=share),
                                      experiment(share=share))["quantile"].value  # fmt: skip
    now = {user for user in range(users) if p_churn[user] * p_sticker[user] >= cut}
    then = {user for user, (p, q) in week.items() if p * q >= cut}
    if week:
        row = stability.iloc[0]
        assert (row["users"], row["group"], row["other_group"]) == (len(week), len(then), len(now & set(week)))
        assert row["both"] == len(then & now)
    for user, one in firm.iterrows():
        lists = [user in now, *([user in then] if user in week else [])]
        assert one["lists"] == len(lists) and one["chosen"] == np.mean(lists)
