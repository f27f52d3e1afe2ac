"""Rows per day → rhythm: against a slow version, and by what must not change it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.events import rhythm


def slow_expected(rows: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Day by day: the four usable days of the same weekday before, and after."""
    result = []
    for day in range(len(rows)):
        before = [rows[d] for d in range(day - 7, -1, -7) if usable[d]][:4]
        after = [rows[d] for d in range(day + 7, len(rows), 7) if usable[d]][:4]
        both = [side for side in (before, after) if len(side) >= 2]
        if len(both) == 2:
            result.append(min(np.median(before), np.median(after)))
        else:
            result.append(min(both[0]) if both else 0)
    return np.array(result, dtype=float)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=90))
def test_expected_equals_a_slow_version(days):
    rows, usable = np.array([d[0] for d in days]), np.array([d[1] for d in days])
    np.testing.assert_array_equal(rhythm.expected(rows, usable), slow_expected(rows, usable))


@given(st.lists(st.booleans(), max_size=40))
def test_runs_are_the_days_in_order(mask):
    runs = rhythm.runs(np.array(mask, dtype=bool))
    assert [d for first, last in runs for d in range(first, last + 1)] == [i for i, m in enumerate(mask) if m]
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(runs))


WEEK = np.array([1.0, 1.1, 1.0, 1.2, 1.3, 0.7, 0.6])


def platform(days: int, level: float | np.ndarray, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.poisson(level * np.resize(WEEK, days))


@pytest.mark.parametrize("level", [0.05, 0.5, 3, 40, 1_000, 50_000])
@pytest.mark.parametrize("growth", [0.97, 0.995, 1.0, 1.005, 1.03])
def test_no_day_of_a_steady_platform_is_flagged(level, growth):
    for seed in range(10):
        for scatter in (0.0, 0.25):
            noise = np.random.default_rng(seed).lognormal(0, scatter, 150) if scatter else 1.0
            rows = platform(150, level * growth ** np.arange(150) * noise, seed)
            assert not rhythm.far_below(rows)[1].any()


def test_closed_week_ends_and_a_slow_beginning_are_no_faults():
    rows = platform(120, 400)
    rows[np.arange(120) % 7 >= 5] = 0
    assert not rhythm.far_below(rows)[1].any()
    begins = platform(120, 400 * np.minimum(1, 2.0 ** (np.arange(120) / 7 - 4)))
    assert not rhythm.far_below(begins)[1].any()
    trickle = platform(120, 400)
    trickle[:5] = 1
    assert not rhythm.far_below(trickle)[1].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(28, 98), st.integers(1, 24), st.sampled_from([0.0, 0.1]), st.integers(0, 99))
def test_an_outage_is_flagged_from_its_first_to_its_last_day(start, length, left, seed):
    rows = platform(150, 300, seed)
    rows[start : start + length] = (rows[start : start + length] * left).astype(int)
    level, flagged = rhythm.far_below(rows)
    assert rhythm.runs(flagged) == [(start, start + length - 1)]
    usual = 300 * np.resize(WEEK, 150)
    assert (np.abs(level[8:-8] / usual[8:-8] - 1) < 0.35).all()


def test_two_months_of_silence_are_flagged_whole():
    rows = platform(200, 300)
    rows[70:135] = 0
    assert rhythm.runs(rhythm.far_below(rows)[1]) == [(70, 134)]


def test_a_lasting_change_of_level_is_none():
    for after in (0.05, 0.2, 5.0):
        rows = platform(150, np.where(np.arange(150) < 75, 1_000.0, 1_000.0 * after))
        assert not rhythm.far_below(rows)[1].any(), after


def test_a_small_log_needs_more_evidence():
    rows = platform(120, 8)
    rows[60] = 0
    assert not rhythm.far_below(rows)[1].any()
    rows[60:68] = 0
    assert rhythm.runs(rhythm.far_below(rows)[1]) == [(60, 67)]


def test_what_scatters_widely_needs_more_evidence():
    wild = platform(150, 200 * np.random.default_rng(1).lognormal(0, 0.9, 150))
    wild[70] = 20
    assert not rhythm.far_below(wild)[1].any()


def test_the_last_days_are_judged_by_the_weeks_before():
    rows = platform(120, 300)
    rows[-2:] = rows[-2:] // 10
    assert rhythm.runs(rhythm.far_below(rows)[1]) == [(118, 119)]


def test_core_leaves_out_a_few_rows_far_away():
    body = platform(200, 100)
    empty = np.zeros(60, dtype=int)
    few = np.array([3])
    assert rhythm.core(np.concatenate([few, empty, body, empty, few])) == (61, 260)
    assert rhythm.core(np.concatenate([few, empty, few, empty, body])) == (122, 321)
    assert rhythm.core(np.concatenate([few, empty[:20], body])) == (0, 220)
    many = np.array([400])
    assert rhythm.core(np.concatenate([many, empty, body])) == (0, 260)
    assert rhythm.core(np.concatenate([many, np.zeros(3000, dtype=int), body])) == (3001, 3200)  # a clock at its zero
    assert rhythm.core(np.array([0, 0, 5, 0])) == (2, 2)
    sparse = np.zeros(4_000, dtype=int)
    sparse[[0, *range(100, 4_000, 20)]] = [1, *[10] * 195]
    assert rhythm.core(sparse)[0] == 0  # a hundred days are no long time where acts are twenty apart


def test_collapse_is_the_first_day_after_the_end():
    users = platform(200, 60)
    assert rhythm.collapse(users) is None
    users[150:] = np.random.default_rng(0).integers(0, 3, 50)
    assert rhythm.collapse(users) == 150
    assert rhythm.collapse(users[:154]) is None  # four days are an outage, if anything
    users[190:] = 60
    assert rhythm.collapse(users) is None  # it returns
    fading = platform(200, 60 * 0.98 ** np.arange(200))
    assert rhythm.collapse(fading) is None
    assert rhythm.collapse(np.array([3, 2, 1])) is None


DAY = np.array([1, 1, 1, 1, 1, 1, 2, 5, 9, 10, 9, 8, 9, 9, 8, 8, 9, 11, 14, 18, 22, 20, 12, 5], dtype=float)


def hours(days: int, rows: float, seed: int, profile: np.ndarray = DAY) -> np.ndarray:
    random = np.random.default_rng(seed)
    scale = rows * random.lognormal(0, 0.3, days)
    return random.poisson(scale[:, None] * (profile / profile.sum())[None, :])


@settings(max_examples=60, deadline=None)
@given(st.integers(14, 76), st.sampled_from([-9, -8, -3, -2, -1, 1, 2, 5, 9, 12]), st.integers(0, 99))
def test_a_clock_jump_is_found_on_its_day(day, shift, seed):
    moved = hours(90, 1_000, seed)
    moved[day:] = np.roll(moved[day:], shift, axis=1)
    assert rhythm.clock_jumps(moved) == [(day, shift)]


@pytest.mark.parametrize("rows", [1, 20, 400, 20_000])
def test_a_steady_clock_does_not_jump(rows):
    for seed in range(30):
        assert rhythm.clock_jumps(hours(120, rows, seed)) == []


def test_other_changes_of_habit_are_no_jump():
    evening = hours(120, 400, 1)
    evening[60:] = hours(60, 400, 2, DAY * np.where(np.arange(24) >= 18, 3.0, 1.0))
    assert rhythm.clock_jumps(evening) == []
    short = hours(120, 400, 3)
    short[60:67] = np.roll(short[60:67], 3, axis=1)
    assert rhythm.clock_jumps(short) == []
    fortnight = hours(120, 400, 4)
    fortnight[60:74] = np.roll(fortnight[60:74], 3, axis=1)
    assert [at for at, _ in rhythm.clock_jumps(fortnight)] in ([], [74])  # holidays: people get up late for two weeks
    assert rhythm.clock_jumps(hours(27, 400, 5)) == []


def test_summer_time_of_another_zone_is_two_jumps():
    year = hours(365, 1_000, 6)
    year[90:300] = np.roll(year[90:300], -1, axis=1)
    assert rhythm.clock_jumps(year) == [(90, -1), (300, 1)]
