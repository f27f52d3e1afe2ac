"""ECDFs against SciPy, and which ratio they are of."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tschurn.config import parse
from tschurn.contracts import ECDF, SEGMENTS
from tschurn.errors import ConfigError
from tschurn.segments.distributions import POINTS, RATIO, check, distributions, ecdf

NEWEST, EARLIER = date(2024, 3, 31), date(2024, 3, 24)


def experiment(ratio=None, history="full"):
    raw = {"experiment": {"name": "test"}, "log": {"path": "x"}, "features": {"history": history}}
    return parse(raw | ({"profiles": {"ratio": ratio}} if ratio else {}), "test")


def tables(users=300, seed=0, sticker=True):
    rng = np.random.default_rng(seed)
    ids = pd.Series([f"u{i}" for i in range(users)], dtype="str")
    priority = pd.DataFrame({"user_id": ids, "anchor_day": NEWEST, "p_churn": rng.random(users)})
    priority["segment"] = np.resize(SEGMENTS, users)
    profile = pd.DataFrame({"user_id": ids, RATIO[0]: rng.integers(0, 29, users).astype(float)})
    profile[RATIO[1]] = np.where(np.arange(users) % 10, profile[RATIO[0]] + rng.integers(0, 29, users), 0)
    profile["own:post:count"] = rng.integers(0, 5, users).astype(float)
    value = rng.exponential(9, users) * (rng.random(users) < 0.4)
    money = pd.DataFrame({"user_id": ids, "anchor_day": NEWEST, "value_28": value if sticker else np.nan})
    old = money.assign(anchor_day=EARLIER, value_28=1e9)
    return priority, profile.iloc[::-1], pd.concat([old, money]).sample(frac=1, random_state=1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400))
def test_every_point_is_scipys(values):
    values = np.array(values)
    found = ecdf(values)
    reference = stats.ecdf(values).cdf
    np.testing.assert_allclose(found["share"], reference.evaluate(found["x"]), atol=1e-12)
    assert len(found["x"]) <= POINTS and found["share"][-1] == 1 and (np.diff(found["x"]) > 0).all()
    if len(np.unique(values)) <= POINTS:
        np.testing.assert_array_equal(found["x"], reference.quantiles)
    else:  # no step of the curve between two points is higher than a hundredth and one user
        assert np.diff(found["share"]).max() <= 0.01 + 1 / len(values) + 1e-9


def test_points_are_values_that_users_have():
    values = np.random.default_rng(0).exponential(1, 1_050)
    found = ecdf(values)
    assert len(found["x"]) == POINTS and set(found["x"]) <= set(values)
    np.testing.assert_allclose(found["share"], stats.ecdf(values).cdf.evaluate(found["x"]))


def test_each_segment_is_that_of_its_users():
    priority, profile, money = tables()
    found = distributions(priority, profile, money, experiment())
    ECDF.check(found)
    all_of = priority.merge(profile, on="user_id").merge(money, on=["user_id", "anchor_day"])
    all_of["ratio"] = (all_of[RATIO[0]] / all_of[RATIO[1]]).where(all_of[RATIO[1]] > 0)
    for variable in ("ratio", "p_churn", "value_28"):
        for segment in (*SEGMENTS, "all"):
            values = all_of.loc[(all_of["segment"] == segment) | (segment == "all"), variable].dropna()
            part = found[(found["variable"] == variable) & (found["segment"] == segment)]
            assert (part["users"] == len(values)).all()
            np.testing.assert_allclose(part["share"], stats.ecdf(values).cdf.evaluate(part["x"]))
    assert (found.loc[(found["variable"] == "ratio") & (found["segment"] == "all"), "users"] < 271).all()
    assert set(found["numerator"].dropna()) == {RATIO[0]} and set(found["denominator"].dropna()) == {RATIO[1]}


def test_the_ratio_may_be_chosen():
    priority, profile, money = tables()
    found = distributions(priority, profile, money, experiment((RATIO[1], "own:post:count")))
    part = found[(found["variable"] == "ratio") & (found["segment"] == "all")]
    acting = profile[profile["own:post:count"] > 0]
    assert part["users"].iloc[0] == len(acting) and part["denominator"].iloc[0] == "own:post:count"
    assert part["x"].iloc[-1] == (acting[RATIO[1]] / acting["own:post:count"]).max()


def test_what_is_not_there_is_left_out():
    priority, profile, money = tables(sticker=False)
    found = distributions(priority, profile.drop(columns=RATIO[1]), money, experiment())
    ECDF.check(found)
    assert set(found["variable"]) == {"p_churn"}
    found = distributions(priority, profile, money.iloc[:0], experiment())
    assert set(found["variable"]) == {"ratio", "p_churn"}


@pytest.mark.parametrize("users", [0, 1, 2])
def test_few_users(users):
    found = distributions(*tables(users), experiment())
    ECDF.check(found)
    assert len(found[found["variable"] == "p_churn"]) == 2 * users


FEATURES = pd.DataFrame({"feature": ["own:post:count", *RATIO]})


def test_a_ratio_of_known_variables_passes():
    check(FEATURES, experiment())
    check(FEATURES, experiment(("own:post:count", RATIO[0])))
    check(FEATURES.iloc[:0], experiment())


@pytest.mark.parametrize(
    ("ratio", "history", "told"),
    [
        (("own:pots:count", RATIO[0]), "full", "did you mean `own:post:count`"),
        ((RATIO[0], "posts"), "full", "'posts': no such variable"),
        ((RATIO[0], "own:post:count"), "none", 'history = "none"'),
    ],
)
def test_another_name_is_told(ratio, history, told):
    known = FEATURES if history == "full" else FEATURES.iloc[:1]
    with pytest.raises(ConfigError, match=r"profiles\.ratio") as error:
        check(known, experiment(ratio, history))
    assert told in str(error.value) and "\n" not in str(error.value)
