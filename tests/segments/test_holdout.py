"""Who is left alone: everybody with the same chance, spread over the scores, drawn anew each week."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tschurn.segments.holdout import held_out

DAY = date(2024, 3, 31)


@given(st.integers(0, 300), st.floats(0, 0.5), st.integers(0, 2**31), st.integers(0, 5000))
def test_as_many_are_held_out_as_the_share_says(users, share, seed, later):
    held = held_out(users, share, seed, DAY + timedelta(days=later))
    assert held.shape == (users,) and held.dtype == bool
    assert np.floor(users * share - 1e-9) <= held.sum() <= np.ceil(users * share + 1e-9)


@given(st.integers(2, 20), st.integers(1, 8), st.integers(0, 2**31))
def test_one_of_each_stratum_is_held_out(size, strata, seed):
    held = held_out(size * strata, 1 / size, seed, DAY)
    assert held.reshape(strata, size).sum(axis=1).tolist() == [1] * strata


@pytest.mark.parametrize(("users", "share"), [(40, 0.1), (4, 0.1), (13, 0.1), (25, 0.3), (17, 0.4), (1, 0.5), (9, 0.5)])
def test_everybody_has_the_same_chance(users, share):
    """Binomial: of the draws each user is in `share`, but for 4.5 standard errors."""
    draws = 3000
    often = np.mean([held_out(users, share, seed, DAY) for seed in range(draws)], axis=0)
    assert np.abs(often - share).max() < 4.5 * np.sqrt(share * (1 - share) / draws)


def test_strata_are_drawn_independently():
    places = np.array([held_out(20, 0.1, seed, DAY).reshape(2, 10).argmax(axis=1) for seed in range(2000)])
    together = np.histogram2d(*places.T, bins=10)[0]
    expected = 2000 / 100  # chi-squared of 99 cells: mean 99, standard deviation 14
    assert ((together - expected) ** 2 / expected).sum() < 99 + 5 * 14


def test_the_same_week_gives_the_same_and_another_one_draws_anew():
    first = held_out(500, 0.1, 7, DAY)
    assert (first == held_out(500, 0.1, 7, DAY)).all()
    for other in (held_out(500, 0.1, 7, DAY + timedelta(days=7)), held_out(500, 0.1, 8, DAY)):
        assert 0 <= (first & other).sum() <= 15  # 5 by chance


def test_nobody_is_held_out_of_nobody_or_without_a_share():
    assert held_out(0, 0.1, 7, DAY).tolist() == []
    assert not held_out(50, 0.0, 7, DAY).any()
