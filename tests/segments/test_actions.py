"""What callers may do about a reason: the first reason that has an action, the first pattern that fits."""

from fnmatch import fnmatchcase

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tschurn.errors import ConfigError
from tschurn.segments.actions import actions_of, check

FEATURES = ["history:recency", "history:supporters:top_share", "own:post:count", "own:[promo]:count"]


def reasons(rows, target="churn"):
    return pd.DataFrame(rows, columns=["user_id", "rank", "feature"]).assign(target=target)


def test_the_first_reason_that_has_one_and_the_first_pattern_that_fits():
    rows = reasons([(1, 2, "own:post:count"), (1, 1, "other"), (2, 1, "history:recency"), (3, 1, "other")])
    found = actions_of(rows, {"own:*": "write", "history:recency": "call", "history:*": "wait", "*:count": "never"})
    assert found.to_dict() == {1: "write", 2: "call"}


def test_reasons_of_stickers_have_no_action():
    assert actions_of(reasons([(1, 1, "a")], target="sticker"), {"*": "x"}).empty


patterns = st.sampled_from([*FEATURES, "history:*", "own:*:count", "*", "none", "*recency"])


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from(FEATURES)), unique_by=lambda r: r[:2]),
    st.lists(patterns, unique=True, max_size=4),
)
def test_as_the_plain_version(rows, chosen):
    actions = {pattern: f"do {i}" for i, pattern in enumerate(chosen)}
    expected = {}
    for user, _, feature in sorted(rows, key=lambda row: row[1]):
        for pattern, text in actions.items():
            if user not in expected and (feature == pattern or fnmatchcase(feature, pattern)):
                expected[user] = text
    assert actions_of(reasons(rows), actions).to_dict() == expected


def test_a_name_with_brackets_is_itself():
    assert actions_of(reasons([(1, 1, "own:[promo]:count")]), {"own:[promo]:count": "x"}).to_dict() == {1: "x"}
    check({"own:[promo]:count": "x"}, FEATURES)


def test_a_pattern_that_fits_nothing_is_refused_with_a_hint():
    check({"history:*": "x", "*": "y", "own:post:count": "z"}, FEATURES)
    with pytest.raises(ConfigError, match=r"'history:recencies' fits no feature.*did you mean `history:recency`"):
        check({"*": "y", "history:recencies": "x"}, FEATURES)
    with pytest.raises(ConfigError, match="fits no feature"):
        check({"history:Recency": "x"}, FEATURES)
