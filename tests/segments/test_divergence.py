"""Contributions to the divergence against SciPy and a slow version; its chance against random groups."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from tschurn.contracts import DIVERGENCE, SEGMENTS
from tschurn.segments.divergence import divergence

KINDS = {"own": ["post", "chat", "=gift"], "received": ["like", "visit"]}


def features(kinds=KINDS):
    rows = [("history:recency", "history", None, None, "recency"), ("own:post:value", "daily", "own", "post", "value"),
            ("received:actors", "daily", "received", None, "actors")]  # fmt: skip
    rows += [(f"{side}:{name}:count", "daily", side, name, "count") for side, names in kinds.items() for name in names]
    table = pd.DataFrame(rows, columns=["feature", "kind", "side", "event_name", "measure"])
    return table.assign(lookback=None, label_en="en " + table["feature"], label_ko="ko " + table["feature"])


def tables(counts, segments):
    """[users × kinds] → PROFILE in another order of users than that of the segments."""
    names = [f"{side}:{name}:count" for side, kinds in KINDS.items() for name in kinds]
    profile = pd.DataFrame(np.asarray(counts, dtype=float), columns=names)
    profile.insert(0, "user_id", np.arange(len(profile)))
    profile["history:recency"] = 3.0
    profile["own:post:value"] = 1e6
    profile["received:actors"] = 7.0
    return profile.iloc[::-1], pd.Series(segments, index=pd.Index(profile["user_id"]), dtype="str")


@given(
    st.lists(
        st.tuples(st.sampled_from(SEGMENTS), *(st.integers(0, 4) for _ in range(5))), min_size=1, max_size=25
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_it_equals_scipy_and_a_slow_version(rows):
    profile, segments = tables([r[1:] for r in rows], [r[0] for r in rows])
    found = divergence(profile, segments, features(), 7)
    DIVERGENCE.check(found)
    expected = {}
    for side, first in (("own", 0), ("received", 3)):
        kinds = KINDS[side]
        everybody = [sum(r[1 + first + i] for r in rows) for i in range(len(kinds))]
        for segment in SEGMENTS:
            mine = [r for r in rows if r[0] == segment]
            here = [sum(r[1 + first + i] for r in mine) for i in range(len(kinds))]
            if sum(here):
                total = entropy(here, everybody)
                acting = sum(sum(r[1 + first : 1 + first + len(kinds)]) > 0 for r in mine)
                for i, kind in enumerate(kinds):
                    if everybody[i]:
                        expected[segment, side, kind] = (here[i] / sum(here), everybody[i] / sum(everybody), acting)
                part = found[(found["segment"] == segment) & (found["side"] == side)]
                assert part["contribution"].sum() == pytest.approx(total, abs=1e-12)
                assert part["contribution"].is_monotonic_decreasing
    got = {(r.segment, r.side, r.event): (r.share, r.everybody, r.users) for r in found.itertuples()}
    assert got.keys() == expected.keys()
    for key, row in expected.items():
        assert got[key] == pytest.approx(row)
    parts = found["share"] * np.log(np.where(found["share"] > 0, found["share"] / found["everybody"], 1.0))
    np.testing.assert_allclose(found["contribution"].astype(float), parts.astype(float), atol=1e-12)


def test_labels_and_order_are_those_of_the_contracts():
    profile, segments = tables([[5, 1, 0, 2, 2], [1, 5, 0, 2, 2]], ["rest", "priority"])
    found = divergence(profile, segments, features(), 7)
    assert list(found["segment"].unique()) == ["priority", "rest"]
    assert list(found["side"].unique()) == ["own", "received"]
    assert list(found["event"][:2]) == ["chat", "post"] and "=gift" not in set(found["event"])
    assert found["label_ko"].iloc[0] == "ko own:chat:count"


def test_only_a_group_with_a_mix_of_its_own_is_beyond_chance():
    rng = np.random.default_rng(0)
    counts = np.hstack([rng.poisson([6, 4, 2], (400, 3)), rng.poisson([5, 5], (400, 2))])
    segments = np.repeat(["priority", "rest"], [40, 360])
    other = counts.copy()
    other[:40, :3] = rng.poisson([2, 4, 6], (40, 3))
    totals = {}
    for name, values in (("same", counts), ("other", other)):
        found = divergence(*tables(values, segments), features(), 7)
        group = found[found["segment"] == "priority"].groupby("side")
        totals[name] = (group["contribution"].sum() / group["chance"].first()).to_dict()
    assert totals["other"]["own"] > 10 and totals["other"]["received"] == totals["same"]["received"]
    # 40 independent users of about 12 acts: twice the divergence times the acts is a chi-squared number
    found = divergence(*tables(counts, segments), features(), 7)
    chance = found.loc[(found["segment"] == "priority") & (found["side"] == "own"), "chance"].iloc[0]
    assert 2 * 40 * 12 * chance == pytest.approx(5.99 * 0.9, rel=0.35)  # 95 % of chi-squared, 2 df, 40 of 400 drawn


def test_a_random_group_stays_below_chance_as_often_as_it_says():
    rng = np.random.default_rng(1)
    below = []
    for seed in range(40):
        counts = rng.poisson(3, (120, 5)) * rng.integers(1, 9, (120, 1))  # some users act far more than others
        segments = rng.permutation(np.repeat(["priority", "rest"], [20, 100]))
        found = divergence(*tables(counts, segments), features(), seed)
        own = found[(found["segment"] == "priority") & (found["side"] == "own")]
        below.append(own["contribution"].sum() <= own["chance"].iloc[0])
    assert 34 <= sum(below) < 40


@pytest.mark.parametrize("segment", SEGMENTS)
def test_everybody_in_one_segment_differs_by_nothing(segment):
    found = divergence(*tables(np.arange(15).reshape(3, 5), [segment] * 3), features(), 7)
    DIVERGENCE.check(found)
    assert (found["contribution"] == 0).all() and (found["chance"] == 0).all()


def test_nobody_and_nothing_give_an_empty_table():
    for counts in (np.zeros((0, 5)), np.zeros((4, 5)), np.full((4, 5), np.nan)):
        found = divergence(*tables(counts, ["priority"] * len(counts)), features(), 7)
        DIVERGENCE.check(found)
        assert found.empty
    profile, segments = tables(np.ones((3, 5)), ["rest"] * 3)
    assert divergence(profile, segments, features({}), 7).empty
