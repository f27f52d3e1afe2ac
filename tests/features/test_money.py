"""money.py: against plain loops over days; what comes after the anchor is in value_next only."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.config import WindowShape
from tschurn.contracts import MONEY
from tschurn.features.labels import Activity
from tschurn.features.money import money

SHAPE = WindowShape(observe_days=7, outcome_days=5, stride_days=3)


def made(seed: int, users: int = 4, days: int = 45) -> tuple[Activity, pd.DataFrame]:
    """Acts of some users, and WINDOWS of every user whose observation holds an act."""
    rng = np.random.default_rng(seed)
    active = rng.random((users, days)) < 0.3
    stickers = rng.poisson(0.3, (users, days)).astype(np.float32)
    value = stickers * rng.integers(1, 9, (users, days))
    hours = np.zeros((users, days), np.int8)
    acts = Activity(active, active.astype(np.float32), stickers, stickers, value.astype(np.float32), hours, hours)
    rows = [
        (u, a, a + SHAPE.outcome_days < days)
        for u in range(users)
        for a in range(6, days, 3)
        if active[u, a - 6 : a + 1].any()
    ]
    index = pd.DataFrame(rows, columns=["user", "anchor", "closed"])
    day0 = dt.date(2026, 1, 1)
    return acts, index.assign(user_id=index["user"] + 10, anchor_day=[day0 + dt.timedelta(a) for a in index["anchor"]])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_it_is_what_a_loop_over_days_counts(seed: int) -> None:
    acts, index = made(seed)
    table = money(acts, index, SHAPE, True)
    MONEY.check(table)
    for row, window in zip(table.itertuples(), index.itertuples(), strict=True):

        def days(n: int, a: int = window.anchor) -> range:
            return range(max(0, a - n + 1), a + 1)

        assert row.stickers_7 == sum(acts.stickers[window.user, d] for d in days(7))
        assert row.stickers_28 == sum(acts.stickers[window.user, d] for d in days(28))
        assert row.value_28 == sum(acts.sticker_value[window.user, d] for d in days(28))
        after = range(window.anchor + 1, window.anchor + 1 + SHAPE.outcome_days)
        if window.closed:
            assert row.value_next == sum(acts.sticker_value[window.user, d] for d in after)
        else:
            assert np.isnan(row.value_next)
        assert acts.active[window.user, window.anchor - row.recency]
        assert not acts.active[window.user, window.anchor - row.recency + 1 : window.anchor + 1].any()


def test_the_future_moves_nothing_but_what_comes_next() -> None:
    acts, index = made(1)
    before = money(acts, index, SHAPE, True)
    for matrix in (acts.stickers, acts.sticker_value):
        matrix[:, 30:] = 99
    after = money(acts, index, SHAPE, True)
    old = (index["anchor"] < 30).to_numpy()
    known = ["recency", "stickers_7", "stickers_28", "value_28"]
    pd.testing.assert_frame_equal(before.loc[old, known], after.loc[old, known])
    assert (before["value_next"] != after["value_next"])[old].any()


def test_without_stickers_only_recency_is_known() -> None:
    acts, index = made(2)
    table = money(acts, index, SHAPE, False)
    MONEY.check(table)
    assert table[["stickers_7", "stickers_28", "value_28", "value_next"]].isna().all().all()
    assert table["recency"].between(0, 6).all()
