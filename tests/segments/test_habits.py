"""What a caller knows of a user before the call."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tschurn.segments.habits import WORDS, habits, rhythm

DAY = date(2024, 3, 31)


def users(n):
    return pd.DataFrame({"user_id": np.arange(n), "anchor_day": DAY})


def money(n, **columns):
    given = {"recency": 0, "stickers_7": 0.0, "stickers_28": 0.0, "value_28": 0.0, "value_next": np.nan}
    return users(n).assign(**given | columns)


def profile(n, **columns):
    return pd.DataFrame({"user_id": np.arange(n)} | {f"history:{k}": v for k, v in columns.items()})


def plain(active, language="en"):
    """Bool per day up to the anchor → the words, told the slow way."""
    days = np.flatnonzero(active)
    if len(days) < 4:
        return None
    gap = float(np.mean(np.diff(days)))
    words = WORDS[language]
    if gap < 1.5:
        text = words["daily"]
    elif 6.5 <= gap < 7.5:
        text = words["week"]
    elif gap < 13.5:
        text = words["days"].format(n=round(gap))
    elif gap < 59.5:
        text = words["weeks"].format(n=round(gap / 7))
    else:
        text = words["months"].format(n=round(gap / (365.25 / 12)))
    lately, usual = int(active[-28:].sum()), 28 / gap
    if len(active) - 1 - days[0] < 56:
        return text
    if lately >= 1.5 * usual and lately - usual >= 2:
        return text + words["more"]
    if lately <= usual / 1.5 and usual - lately >= 2:
        return text + words["less"]
    return text


@given(
    st.integers(1, 400),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
    st.integers(0, 10**6),
    st.sampled_from(list(WORDS)),
)
def test_the_rhythm_is_that_of_the_plain_version(n, before, lately, seed, language):
    rng = np.random.default_rng(seed)
    active = rng.random((3, n)) < np.where(np.arange(n) < n - 28, before, lately)
    active[:, rng.integers(max(0, n - 7), n)] = True  # windows are eligible
    so_far = active.sum(axis=1)
    recency, tenure = active[:, ::-1].argmax(axis=1), n - 1 - active.argmax(axis=1)
    gap = np.where(so_far > 1, (tenure - recency) / np.maximum(so_far - 1, 1), tenure + 1)
    gap = gap.astype(np.float32).astype(np.float64)  # as the profile has it
    close = np.abs(gap[:, None] - [1.5, 6.5, 7.5, 13.5, 59.5]).min(axis=1) < 1e-5
    found = rhythm(
        *(pd.Series(x).astype("float64") for x in (gap, active[:, -28:].sum(axis=1), recency, tenure)), language
    )
    for told, row, edge in zip(found, active, close, strict=True):
        if not edge:
            assert (told if isinstance(told, str) else None) == plain(row, language)


def test_a_rhythm_reads_like_a_persons():
    gap = pd.Series([1.0, 3.2, 7.0, 9.0, 20.0, 91.0, 2.0, 10.0, 10.0])
    lately = pd.Series([28.0, 9, 4, 3, 1, 1, 3, 8, 8])
    tenure = pd.Series([300.0, 300, 300, 300, 300, 600, 300, 300, 40])
    english = rhythm(gap, lately, pd.Series(0.0, gap.index), tenure, "en")
    assert english.tolist() == [
        "almost every day", "about every 3 days", "about once a week", "about every 9 days", "about every 3 weeks",
        "about every 3 months", "about every 2 days, lately less often", "about every 10 days, lately more often",
        "about every 10 days",
    ]  # fmt: skip
    korean = rhythm(gap, lately, pd.Series(0.0, gap.index), tenure, "ko")
    assert korean.tolist()[-3:] == [
        "약 2일에 한 번, 최근에는 더 드물게",
        "약 10일에 한 번, 최근에는 더 자주",
        "약 10일에 한 번",
    ]


@pytest.mark.parametrize(
    ("gap", "told"),
    [
        (1.49, "almost every day"), (1.51, "about every 2 days"), (6.49, "about every 6 days"),
        (6.51, "about once a week"), (7.49, "about once a week"), (7.51, "about every 8 days"),
        (13.49, "about every 13 days"), (13.51, "about every 2 weeks"), (59.4, "about every 8 weeks"),
        (59.6, "about every 2 months"),
    ],
)  # fmt: skip
def test_where_days_become_weeks_and_months(gap, told):
    gaps, zero = pd.Series([gap]), pd.Series([0.0])
    assert rhythm(gaps, 28 / gaps, zero, pd.Series([900.0]), "en").tolist() == [told]


def test_who_was_seen_three_times_has_no_rhythm():
    gap, recency, tenure = (pd.Series(x, dtype="float64") for x in ([5, 5, 11], [0, 0, 6], [10, 15, 6]))
    found = rhythm(gap, pd.Series(3.0, gap.index), recency, tenure, "en")
    assert found.isna().tolist() == [True, False, True]


def test_the_last_active_day_and_money_are_those_of_the_anchor():
    other = money(2, recency=5, value_28=9.0).assign(anchor_day=date(2024, 3, 24))
    table = pd.concat([other, money(2, recency=[3, 0], value_28=[12.5, np.nan])]).iloc[::-1]
    found = habits(users(2), profile(2), table, 14, "en")
    assert found["last_active_day"].tolist() == [date(2024, 3, 28), DAY]
    assert found["days_since_last_act"].tolist() == [3, 0]
    assert found["value_of_last_28_days"].tolist()[0] == 12.5 and found["value_of_last_28_days"].isna().tolist()[1]


def test_the_top_supporter_is_quiet_from_quiet_days_on_and_unknown_without_supporters():
    facts = {"supporters:top_share": [0.5, 0.5, 0.0, 1.0], "supporters:top_recency": [14.0, 13.0, 90.0, np.nan]}
    found = habits(users(4), profile(4, **facts), money(4), 14, "en")["top_supporter_quiet"]
    assert found.isna().tolist() == [False, False, True, True] and found[:2].tolist() == [True, False]
    assert habits(users(1), profile(1), money(1), 14, "en")["top_supporter_quiet"].isna().all()


@pytest.mark.parametrize("n", [0, 2])
def test_without_history_only_money_is_known(n):
    found = habits(users(n), profile(n), money(n), 14, "ko")
    assert len(found) == n and found["last_active_day"].notna().all()
    for name in ("usual_rhythm", "active_days_of_last_28", "days_since_first_act", "top_supporter_quiet"):
        assert found[name].isna().all()


def test_habits_follow_the_users_not_the_profile():
    order = users(3).iloc[[2, 0, 1]]
    facts = profile(3, **{"active_days:28": [10.0, 11.0, 12.0], "tenure": [100.0, 101.0, 102.0]}).iloc[::-1]
    found = habits(order, facts, money(3, recency=[0, 1, 2]), 14, "en")
    assert found["active_days_of_last_28"].tolist() == [12, 10, 11]
    assert found["days_since_last_act"].tolist() == [2, 0, 1]
