"""Lives: what follows a day, against WINDOWS and against a plain loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from tschurn.config import WindowShape
from tschurn.features.lives import UNKNOWN, Lives


@given(
    some.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 30))),
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_outcomes_of_days_against_a_loop(active: np.ndarray, observe: int, outcome: int, seed: int) -> None:
    stickers = np.random.default_rng(seed).poisson(0.2, active.shape).astype(np.float32)
    shape = WindowShape(observe_days=observe, outcome_days=outcome)
    lives = Lives(active, stickers, shape, 0)
    users, days = np.arange(len(active)), active.shape[1]
    for target, happened in (("churn", lambda u, d: not active[u, d + 1 : d + 1 + outcome].any()),
                             ("sticker", lambda u, d: (stickers[u, d + 1 : d + 1 + outcome] > 0).any())):  # fmt: skip
        found = lives.outcome(target, users)
        for u in users:
            for d in range(days):
                known = d >= observe - 1 and d + outcome < days and active[u, d + 1 - observe : d + 1].any()
                assert found[u, d] == (int(happened(u, d)) if known else UNKNOWN)


def test_given_that_the_user_stays_the_others_do_not_count() -> None:
    random = np.random.default_rng(1)
    active, stickers = random.random((5, 60)) < 0.1, random.poisson(0.1, (5, 60)).astype(np.float32)
    users = np.arange(5)
    everybody = Lives(active, stickers, WindowShape(), 0)
    staying = Lives(active, stickers, WindowShape(), 0, frozenset({"sticker"}))
    churn, sticker = everybody.outcome("churn", users), everybody.outcome("sticker", users)
    np.testing.assert_array_equal(staying.outcome("churn", users), churn)
    np.testing.assert_array_equal(staying.outcome("sticker", users), np.where(churn == 0, sticker, UNKNOWN))
