"""Two lists side by side: against sets and plain loops."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tschurn import contracts as c
from tschurn.segments.two_lists import DOTS_SHOWN, PEOPLE_SHOWN, two_lists

NOBODY = pd.DataFrame({"user_id": [], "reason": [], "last_day": []})
UNKNOWN = pd.Series(dtype="float64")


def priority(p: dict[str, float], group: set[str]) -> pd.DataFrame:
    users = sorted(p, key=lambda u: -p[u])
    values = [p[u] for u in users]
    frame = pd.DataFrame({"user_id": users, "rank": range(1, len(users) + 1), "p_churn": values, "priority": values})
    frame = frame.assign(
        anchor_day=date(2024, 3, 1), segment=["priority" if u in group else "rest" for u in users], p_sticker=0.5,
        **{f"{k}_{e}": 0.5 for k in ("p_churn", "p_sticker") for e in ("low", "high")}, log_priority=0.0,
        value_at_risk=None,
    )  # fmt: skip
    return frame[list(c.PRIORITY.columns)]


def unscored(**reasons: str) -> pd.DataFrame:
    return pd.DataFrame({"user_id": list(reasons), "reason": list(reasons.values()), "last_day": None})


people = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.floats(0, 1), st.booleans()), max_size=8)


@settings(max_examples=60, deadline=None)
@given(people, people)
def test_sets_say_the_same(one: dict, other: dict) -> None:
    groups = [{u for u, (_, chosen) in side.items() if chosen} for side in (one, other)]
    lists = (priority({u: p for u, (p, _) in s.items()}, g) for s, g in zip((one, other), groups, strict=True))
    found = two_lists(*lists, NOBODY, NOBODY, UNKNOWN, 7)
    scored = set(one) & set(other)
    a, b = (group & scored for group in groups)
    assert found["scored"] == {"a": len(one), "b": len(other), "both": len(scored)}
    assert found["group"] == {"a": len(groups[0]), "b": len(groups[1]), "both": len(groups[0] & groups[1])}
    assert found["jaccard"] == (pytest.approx(len(a & b) / len(a | b)) if a | b else None)
    assert {row["user_id"] for row in found["came"]["shown"]} == groups[1] - groups[0]
    assert {row["user_id"] for row in found["left"]["shown"]} == groups[0] - groups[1]
    assert found["left"]["places"].get("unknown", 0) == len(groups[0] - groups[1] - set(other))
    moved = {u for u in scored if one[u][0] != other[u][0]}
    assert {row["user_id"] for row in found["movers"]} == moved
    sizes = [abs(row["p_churn_b"] - row["p_churn_a"]) for row in found["movers"]]
    assert sizes == sorted(sizes, reverse=True)


def test_chance_is_what_random_groups_show() -> None:
    users = [f"u{i}" for i in range(40)]
    a = priority({u: i / 40 for i, u in enumerate(users)}, set(users[:10]))
    b = priority({u: i / 40 for i, u in enumerate(users)}, set(users[5:20]))
    found = two_lists(a, b, NOBODY, NOBODY, UNKNOWN, 7)
    random = np.random.default_rng(0)
    drawn = [(set(random.permutation(40)[:10]), set(random.permutation(40)[:15])) for _ in range(4000)]
    assert found["chance"] == pytest.approx(np.mean([len(x & y) / len(x | y) for x, y in drawn]), abs=0.005)
    assert found["jaccard"] == 5 / 20


def test_where_who_left_is_and_what_became_of_them() -> None:
    a = priority(
        {"stays": 0.9, "drops": 0.8, "silent": 0.7, "new": 0.6, "gone": 0.5},
        set("x") | {"stays", "drops", "silent", "gone"},
    )
    b = priority({"stays": 0.9, "drops": 0.1}, {"stays"})
    churned = pd.Series({"silent": 1.0, "drops": 0.0, "stays": 1.0})
    found = two_lists(a, b, NOBODY, unscored(silent="not_active", new="too_new"), churned, 7)
    assert found["left"]["places"] == {"not_active": 1, "rest": 1, "unknown": 1}
    assert (found["left"]["known"], found["left"]["churned"]) == (2, 1)
    assert [row["user_id"] for row in found["left"]["shown"]] == ["drops", "silent", "gone"]  # by their rank
    assert found["came"]["users"] == 0 and found["came"]["shown"] == []


def test_correlation_is_scipys_and_null_where_there_is_none() -> None:
    random = np.random.default_rng(1)
    one, other = ({f"u{i}": float(p) for i, p in enumerate(random.random(30))} for _ in range(2))
    found = two_lists(priority(one, set()), priority(other, set()), NOBODY, NOBODY, UNKNOWN, 7)["correlation"]
    assert found["p_churn"] == pytest.approx(stats.spearmanr(list(one.values()), [other[u] for u in one]).statistic)
    assert found["p_sticker"] is None  # the same for all


def test_what_is_shown_is_bounded() -> None:
    n = DOTS_SHOWN + 500
    users = {f"u{i}": i / n for i in range(n)}
    half = set(list(users)[: n // 2])
    found = two_lists(priority(users, half), priority(users, set(users) - half), NOBODY, NOBODY, UNKNOWN, 7)
    assert len(found["dots"]) == DOTS_SHOWN and found["movers"] == []
    assert len(found["came"]["shown"]) == PEOPLE_SHOWN and found["came"]["users"] == n - n // 2


@pytest.mark.filterwarnings("error")
def test_no_users_on_either_side() -> None:
    empty = priority({}, set())
    found = two_lists(empty, empty, NOBODY, NOBODY, UNKNOWN, 7)
    assert found["jaccard"] is None and found["chance"] is None and found["dots"] == []
    assert set(found["correlation"].values()) == {None}
    found = two_lists(priority({"u": 0.5}, {"u"}), empty, NOBODY, unscored(u="not_active"), UNKNOWN, 7)
    assert found["left"]["places"] == {"not_active": 1} and found["scored"]["both"] == 0
