"""WINDOWS and USER_DAYS → NEXT_ACTS: against a plain search, and against the labels of the same windows."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import NEXT_ACTS
from tschurn.features.next_acts import next_acts

FIRST = date(2024, 1, 1)


def log(seed: int, users: int = 6, days: int = 30, rate: float = 0.2) -> pd.DataFrame:
    """Days on which something happened: own acts that count, stickers, or neither."""
    random = np.random.default_rng(seed)
    user, day = np.nonzero(random.random((users, days)) < rate)
    return pd.DataFrame(
        {"user_id": [f"u{u}" for u in user], "day": [FIRST + timedelta(days=int(d)) for d in day],
         "active": random.random(len(user)) < 0.6, "stickers": random.integers(0, 2, len(user))}
    )  # fmt: skip


def windows(users: int = 6, days: int = 30) -> pd.DataFrame:
    pairs = [(f"u{u}", FIRST + timedelta(days=a)) for a in range(6, days, 7) for u in range(users) if u != 3]
    return pd.DataFrame(pairs, columns=["user_id", "anchor_day"])


def plain(index: pd.DataFrame, table: pd.DataFrame) -> list[int | None]:
    return [
        min(((d - a).days for d in table.loc[table["user_id"] == u, "day"] if d > a), default=None)
        for u, a in index.itertuples(index=False)
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.2, 0.9]))
def test_it_equals_a_plain_search(seed: int, rate: float) -> None:
    table, index = log(seed, rate=rate), windows()
    shuffled = table.sample(frac=1, random_state=seed)
    found = next_acts(index, shuffled)
    NEXT_ACTS.check(found)
    for column, part in (("next_act", table[table["active"]]), ("next_sticker", table[table["stickers"] > 0])):
        assert [None if pd.isna(v) else int(v) for v in found[column]] == plain(index, part)


@pytest.mark.parametrize("kind", [int, str])
def test_an_act_on_the_anchor_day_is_not_after_it_and_other_users_do_not_count(kind: type) -> None:
    index = pd.DataFrame({"user_id": [kind(1), kind(2)], "anchor_day": [FIRST, FIRST]})
    table = pd.DataFrame(
        {"user_id": [kind(1), kind(1), kind(2), kind(9)], "active": True, "stickers": 0,
         "day": [FIRST, FIRST + timedelta(days=3), FIRST, FIRST + timedelta(days=1)]}
    )  # fmt: skip
    found = next_acts(index, table)
    assert found["next_act"].to_list()[0] == 3 and pd.isna(found["next_act"].iloc[1])
    assert found["next_sticker"].isna().all()
