"""shared_reasons.py: everybody is in one segment, the segments add up, and users in one do share its reasons."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import SHARED_REASONS
from tschurn.explain.shared_reasons import LEAST_SHARE, LEAST_USERS, MOST_SEGMENTS, shared_reasons

DAY, EARLIER = date(2024, 3, 31), date(2024, 3, 24)
NAMES = ["posts", "likes", "gap", "gifts", "rate", "week"]
FEATURES = pd.DataFrame(
    {"feature": NAMES, "kind": "history", "side": None, "event_name": None, "measure": "odd",
     "lookback": pd.array([pd.NA] * 6, "Int64"), "label_en": NAMES, "label_ko": [f"이름 {n}" for n in NAMES]}
)  # fmt: skip


def reason_rows(of: list[list[tuple[str, float]]], day: date = DAY) -> pd.DataFrame:
    """For each user their reasons: feature and value; the typical value is 5."""
    rows = [
        (f"u{user}", day, rank, feature, value, 5.0, np.nan, 1 / rank, True, "", "")
        for user, reasons in enumerate(of)
        for rank, (feature, value) in enumerate(reasons, start=1)
    ]
    columns = ["user_id", "anchor_day", "rank", "feature", "value", "typical", "before", "contribution", "reliable"]
    return pd.DataFrame(rows, columns=[*columns, "sentence_en", "sentence_ko"])


def score_rows(p: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"user_id": [f"u{i}" for i in range(len(p))], "anchor_day": DAY, "p": p})


def found(of: list, p: list[float]) -> tuple[pd.DataFrame, pd.Series]:
    table, users = shared_reasons(reason_rows(of), score_rows(p), FEATURES, "churn")
    SHARED_REASONS.check(table.assign(target="churn"))
    return table, users.set_index("user_id")["segment"]


def test_the_pair_that_most_share_comes_first_then_single_reasons() -> None:
    pair, single = [("posts", 1.0), ("gap", 9.0)], [("likes", 2.0), ("rate", 5.0)]
    of = (
        [pair] * 8
        + [[("gap", 9.0), ("posts", 3.0), ("likes", 2.0)]] * 2
        + [single[:1]] * 6
        + [[("week", 1.0)]]
        + [[]] * 2
    )
    table, segment = found(of, [0.5] * 10 + [0.9] * 6 + [0.2] + [0.1] * 2)
    assert table["kind"].tolist() == ["shared", "shared", "other", "none"]
    assert table["users"].tolist() == [6, 10, 1, 2]  # 5.4 expected before 5
    assert table["expected"].tolist() == pytest.approx([5.4, 5.0, 0.2, 0.2])
    assert table["p_mean"].tolist() == pytest.approx([0.9, 0.5, 0.2, 0.1])
    assert table.loc[1, ["feature_1", "level_1", "feature_2", "level_2"]].tolist() == ["gap", "more", "posts", "less"]
    assert table.loc[0, ["feature_1", "level_1"]].tolist() == ["likes", "less"] and pd.isna(table.loc[0, "feature_2"])
    assert segment.tolist() == [2] * 10 + [1] * 6 + [3] + [4] * 2
    assert table.loc[1, "sentence_2_en"] == "Posts: 1, less than the average of 5"
    assert table.loc[1, "sentence_1_ko"] == "이름 gap: 9, 평균(5)보다 많습니다"
    assert table.loc[2:, ["sentence_1_en", "sentence_1_ko", "feature_1"]].isna().all(axis=None)


def test_the_two_sides_of_an_average_are_two_reasons() -> None:
    table, segment = found([[("posts", 1.0)]] * 6 + [[("posts", 9.0)]] * 7 + [[("posts", np.nan)]] * 5, [0.5] * 18)
    assert table["level_1"].tolist() == ["more", "less", "unknown"]
    assert table["users"].tolist() == [7, 6, 5] and segment.nunique() == 3
    assert table.loc[2, "sentence_1_en"] == "Posts: not known"


def test_too_few_do_not_make_a_segment() -> None:
    table, _ = found([[("posts", 1.0)]] * 4 + [[("gap", 9.0)]] * 5, [0.5] * 9)
    assert table["kind"].tolist() == ["shared", "other"] and table["users"].tolist() == [5, 4]
    many, _ = found([[("posts", 1.0)]] * 9 + [[("gap", 9.0)]] * 191, [0.5] * 200)  # 9 are less than 5 % of 200
    assert many["kind"].tolist() == ["shared", "other"]


def test_reasons_of_other_windows_are_left_aside() -> None:
    reasons = pd.concat([reason_rows([[("posts", 1.0)]] * 6), reason_rows([[("gap", 9.0)]] * 9, EARLIER)])
    table, _ = shared_reasons(reasons, score_rows([0.5] * 9), FEATURES, "churn")
    assert table["users"].tolist() == [6, 3] and table["kind"].tolist() == ["shared", "none"]


def test_the_share_for_whom_the_explanation_holds() -> None:
    reasons = reason_rows([[("posts", 1.0), ("gap", 9.0)]] * 8)
    reasons["reliable"] = reasons["user_id"].isin(["u0", "u1"])
    table, _ = shared_reasons(reasons, score_rows([0.5] * 9), FEATURES, "churn")
    assert table["reliable"].tolist()[0] == 0.25 and pd.isna(table["reliable"].tolist()[1])


def test_nobody_and_nothing() -> None:
    table, segment = found([], [])
    assert len(table) == len(segment) == 0
    table, segment = found([[]] * 7, [0.25] * 7)
    assert table["kind"].tolist() == ["none"] and table["expected"].tolist() == [1.75]


users_of_the_world = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), max_size=3, unique=True), st.lists(st.sampled_from([1.0, 5.0, 9.0, np.nan]),
        min_size=3, max_size=3), st.floats(0, 1),
    ), min_size=1, max_size=80,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(users_of_the_world, st.integers(0, 1000))
def test_everybody_is_in_one_segment_and_all_adds_up(users: list, seed: int) -> None:
    of = [list(zip(names, values, strict=False)) for names, values, _ in users]
    p = [score for *_, score in users]
    reasons, scores = reason_rows(of), score_rows(p)
    table, who = shared_reasons(reasons, scores, FEATURES, "churn")
    assert who["user_id"].tolist() == scores["user_id"].tolist()
    assert table["segment"].tolist() == list(range(1, len(table) + 1))
    assert who["segment"].value_counts().sort_index().tolist() == table["users"].tolist()
    assert table["users"].sum() == len(users) and table["share"].sum() == pytest.approx(1)
    assert table["expected"].sum() == pytest.approx(sum(p))
    by_segment = scores.groupby(who["segment"].to_numpy())["p"]
    assert table["expected"].tolist() == pytest.approx(by_segment.sum().tolist())
    assert table["p_mean"].tolist() == pytest.approx(by_segment.mean().tolist())
    shared = table[table["kind"] == "shared"]
    assert shared["expected"].is_monotonic_decreasing and len(shared) <= MOST_SEGMENTS
    assert (shared["users"] >= max(LEAST_USERS, LEAST_SHARE * len(users))).all()
    # who is in a segment has its reasons, and of the rest no reason is had by enough
    has = [{(n, "less" if v < 5 else "more" if v > 5 else "same" if v == 5 else "unknown") for n, v in r} for r in of]
    for row in shared.itertuples():
        wanted = {
            (f, level) for f, level in ((row.feature_1, row.level_1), (row.feature_2, row.level_2)) if f == f and f
        }
        assert all(wanted <= has[i] for i in np.flatnonzero(who["segment"] == row.segment))
    kinds = who["segment"].map(table.set_index("segment")["kind"])
    assert [not h for h in has] == (kinds == "none").tolist()
    if len(shared) < MOST_SEGMENTS:
        left = pd.Series(
            [item for i in np.flatnonzero(kinds == "other") for item in has[i]], dtype=object
        ).value_counts()
        assert (left < max(LEAST_USERS, LEAST_SHARE * len(users))).all()
    # the order of the rows is nothing
    order = np.random.default_rng(seed).permutation(len(users))
    shuffled = reasons.sample(frac=1, random_state=seed)
    again, then = shared_reasons(shuffled, scores.iloc[order], FEATURES, "churn")
    pd.testing.assert_frame_equal(table, again)
    assert then["segment"].tolist() == who["segment"].iloc[order].tolist()
