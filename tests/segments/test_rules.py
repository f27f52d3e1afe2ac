"""Rules as the users see them: their conditions pick exactly the users whose shares they tell."""

import json
import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.tree import DecisionTreeClassifier

from tschurn.contracts import RULES
from tschurn.segments.rules import DEPTH, rules

HOLDS = {"<=": operator.le, ">": operator.gt, "=": operator.eq}


def tables(users=400, seed=0):
    """Who has posted at most 2 times and not been seen for 4 days or more is mostly in the priority group."""
    rng = np.random.default_rng(seed)
    profile = pd.DataFrame({"user_id": np.arange(users), "own:post:count": rng.poisson(3, users).astype(float)})
    profile["history:recency"] = rng.integers(0, 7, users).astype(float)
    profile["history:rate"] = rng.random(users)
    profile["p_churn"] = rng.random(users)
    likely = (profile["own:post:count"] <= 2) & (profile["history:recency"] >= 4)
    member = rng.random(users) < np.where(likely, 0.8, 0.05)
    other = ~member & (profile["history:rate"] > 0.713)
    segments = np.where(member, "priority", np.where(other, "other_churners", "rest"))
    return profile, pd.Series(segments, index=pd.Index(profile["user_id"]), dtype="str")


def inside(profile, conditions):
    holds = [HOLDS[sign](profile[name], number).to_numpy() for name, sign, number in json.loads(conditions)]
    return np.logical_and.reduce([np.ones(len(profile), dtype=bool), *holds])


def check_rules(profile, segments, found):
    """The properties that all rules have: leaves divide the users, and tell of those who fit their conditions."""
    RULES.check(found)
    for segment, leaves in found.groupby("segment"):
        member = (segments == segment).to_numpy()
        masks = [inside(profile, conditions) for conditions in leaves["conditions"]]
        assert (np.sum(masks, axis=0) == 1).all()
        assert leaves["share"].is_monotonic_decreasing
        assert list(leaves["leaf"]) == list(range(len(leaves)))
        for row, mask in zip(leaves.itertuples(), masks, strict=True):
            assert (row.users, row.members) == (mask.sum(), (mask & member).sum())
            bounds = binomtest(row.members, row.users).proportion_ci(method="wilson")
            assert (row.share, row.low, row.high) == pytest.approx((mask[member].sum() / mask.sum(), *bounds), abs=1e-9)
            assert len({tuple(c[:2]) for c in json.loads(row.conditions)}) == len(json.loads(row.conditions))


def test_planted_rules_are_found_and_told_in_whole_numbers():
    profile, segments = tables()
    found = rules(profile, segments, {"p_churn"}, 7)
    check_rules(profile, segments, found)
    likely = found[(found["segment"] == "priority") & (found["share"] > 0.5)]
    picked = np.logical_or.reduce([inside(profile, conditions) for conditions in likely["conditions"]])
    np.testing.assert_array_equal(picked, (profile["own:post:count"] <= 2) & (profile["history:recency"] >= 4))
    numbers = [c for conditions in found["conditions"] for c in json.loads(conditions)]
    assert ["history:recency", ">", 3] in json.loads(likely["conditions"].iloc[0])
    assert all(isinstance(number, int) == (name != "history:rate") for name, _, number in numbers)
    assert (likely["share"] > 0.7).all() and 0.8 < likely["auc"].iloc[0] < 0.98
    other = json.loads(found[found["segment"] == "other_churners"].iloc[0]["conditions"])
    cut = next(number for name, sign, number in other if (name, sign) == ("history:rate", ">"))
    assert cut == pytest.approx(0.713, abs=0.01) and len(str(cut)) <= 6


def test_the_tree_is_that_of_the_library():
    profile, segments = tables(seed=3)
    found = rules(profile, segments, {"p_churn"}, 7)
    leaves = found[found["segment"] == "priority"]
    x = profile.drop(columns=["user_id", "p_churn"])
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=10, random_state=7).fit(x, segments == "priority")
    got = np.select([inside(profile, c) for c in leaves["conditions"]], list(leaves["share"]))
    np.testing.assert_allclose(got, tree.predict_proba(x)[:, 1])


def test_what_enters_the_score_makes_no_rule():
    profile, segments = tables()
    profile["p_churn"] = (segments == "priority").to_numpy(float)
    assert not rules(profile, segments, {"p_churn"}, 7)["conditions"].str.contains("p_churn").any()
    assert rules(profile, segments, set(), 7)["conditions"].str.contains("p_churn").any()


@given(st.integers(0, 10_000), st.integers(20, 90), st.sampled_from([1.0, 1e-9, 1e12, 1e200]))
@settings(max_examples=40, deadline=None)
def test_conditions_pick_the_users_of_their_leaf_whatever_the_numbers(seed, users, scale):
    rng = np.random.default_rng(seed)
    profile = pd.DataFrame(np.round(rng.standard_normal((users, 3)), rng.integers(0, 4)) * scale, columns=list("abc"))
    profile["flag"] = (rng.random(users) < 0.5).astype(float)
    profile["near"] = 16_777_216 + rng.integers(0, 3, users).astype(float)  # beyond what single precision tells apart
    profile.insert(0, "user_id", np.arange(users))
    segments = np.where(profile["a"] + profile["flag"] * scale > scale * rng.random(users), "priority", "rest")
    segments[rng.random(users) < 0.1] = "other_churners"
    segments = pd.Series(segments, index=pd.Index(profile["user_id"]), dtype="str")
    check_rules(profile, segments, rules(profile, segments, (), 7))


def test_one_value_that_fits_is_told_as_such():
    rng = np.random.default_rng(0)
    flag = (rng.random(200) < 0.5).astype(float)
    profile = pd.DataFrame({"user_id": range(200), "flag": flag})
    segments = pd.Series(np.where(flag > 0, "priority", "rest"), index=pd.Index(profile["user_id"]), dtype="str")
    found = rules(profile, segments, (), 7)
    assert [json.loads(c) for c in found["conditions"]] == [[["flag", "=", 1]], [["flag", "=", 0]]]
    assert list(found["share"]) == [1, 0] and (found["auc"] == 1).all()


def test_the_auc_is_of_users_the_trees_have_not_seen():
    rng = np.random.default_rng(2)
    profile = pd.DataFrame(rng.random((300, 40)))
    profile.insert(0, "user_id", range(300))
    segments = pd.Series(np.where(rng.random(300) < 0.3, "priority", "rest"), index=pd.Index(range(300)), dtype="str")
    found = rules(profile.rename(columns=str), segments, (), 7)
    assert found["share"].max() > 0.5  # what a tree makes of noise
    assert found["auc"].iloc[0] < 0.6


def test_nothing_to_split_by_is_one_leaf_without_conditions():
    profile, segments = tables(60)
    constant = profile.assign(**{name: 1.0 for name in profile.columns[1:]})
    found = rules(constant, segments, (), 7)
    check_rules(constant, segments, found)
    assert list(found["conditions"]) == ["[]", "[]"] and (found["auc"] == 0.5).all()


def test_variables_that_are_not_known_of_everybody_make_no_rule():
    profile, segments = tables()
    profile["hint"] = np.where(segments == "priority", 1.0, np.nan)
    profile["far"] = np.where(segments == "priority", np.inf, 1.0)
    found = rules(profile, segments, {"p_churn"}, 7)
    check_rules(profile, segments, found)
    assert not found["conditions"].str.contains("hint|far").any()


@pytest.mark.parametrize("segment", ["priority", "other_churners", "rest"])
def test_nobody_or_everybody_in_the_group_has_no_rules(segment):
    profile, segments = tables(50)
    for index in (segments.index, segments.index[:1], segments.index[:0]):
        found = rules(profile, pd.Series(segment, index=index, dtype="str"), (), 7)
        RULES.check(found)
        assert found.empty


def test_two_users_and_no_variables():
    profile, _ = tables(2)
    segments = pd.Series(["priority", "rest"], index=pd.Index(profile["user_id"]), dtype="str")
    found = rules(profile, segments, (), 7)
    RULES.check(found)
    assert list(found["conditions"]) == ["[]"] and found["auc"].isna().all() and found["share"].iloc[0] == 0.5
    assert rules(profile[["user_id"]], segments, (), 7).empty
