"""The truth is what the behavioural model implies: against simulated futures and what happens, future unseen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tschurn.contracts import CAUSES
from tschurn.simulator import behaviour, rates, truth
from tschurn.simulator.population import BURN_IN, NEVER

AHEAD = 7
DAYS = np.array([BURN_IN + 5, BURN_IN + 60, BURN_IN + 100, BURN_IN + 131])


def futures(inside, day: int, many: int) -> tuple[np.ndarray, np.ndarray]:
    """→ acts in each of `many` drawn futures, and stickers' expected number, [many × creators]."""
    random, n = np.random.default_rng(day), len(inside.world.people)
    state, acts, expected = inside.life.states[day], np.zeros((many, n)), np.zeros((many, n))
    for k in range(1, AHEAD + 1):
        drawn = {purpose: random.random((many, n)) for purpose in behaviour.DRAWS}
        state, acted = behaviour.step(state, day + k, inside.world, drawn)
        acts += acted
        expected += truth.sticker_rate(inside.world, state, acted, day + k)
    return acts, expected


@pytest.mark.parametrize("day", DAYS)
def test_p_churn_is_the_share_of_futures_without_an_act(inside, day: int) -> None:
    many = 2_000
    share = (futures(inside, day, many)[0] == 0).mean(axis=0)
    p = truth.churn(inside.world, inside.life, np.array([day]), AHEAD)[0]
    # those who join within the week act for certain; before it there is no truth about them
    known = inside.world.people.joined <= day
    z = (share - p)[known] / np.sqrt(np.maximum(p * (1 - p), 1e-4) / many)[known]
    assert np.abs(z).max() < 5
    assert np.sqrt((z**2).mean()) < 1.2


def test_p_sticker_is_the_mean_over_futures(inside) -> None:
    factor, day = 0.2, DAYS[1]
    p = truth.sticker(inside.world, inside.life, factor, np.array([day]), AHEAD, seed=3)[0]
    expected = -np.expm1(-factor * futures(inside, day, 1_000)[1]).mean(axis=0)
    assert abs((p - expected).mean()) < 4 * (p - expected).std() / np.sqrt(len(p))  # no bias
    assert np.abs(p - expected).mean() < 0.02
    assert np.corrcoef(p, expected)[0, 1] > 0.99


def test_what_happens_happens_as_often_as_the_truth_says(platform, inside) -> None:
    acted = inside.life.acted[BURN_IN:]
    eligible, churned, _ = rates.windows(acted)
    day, who = np.nonzero(eligible)
    # one window a week per creator: neighbouring windows share most of their days
    weekly = day % 7 == 3
    ids = inside.world.people.user_id[who[weekly]]
    keys = pd.DataFrame({"user_id": ids, "day": day[weekly] + rates.WINDOW - 1, "y": churned[day, who][weekly]})
    known = keys.merge(platform.truth, on=["user_id", "day"], validate="one_to_one")
    assert len(known) == len(keys)
    surprise = (known["y"] - known["p_churn_true"]).sum()
    assert abs(surprise) < 4 * np.sqrt((known["p_churn_true"] * (1 - known["p_churn_true"])).sum())
    tenth = pd.qcut(known["p_churn_true"], 10, labels=False)
    for _, part in known.groupby(tenth):
        assert stats.binomtest(int(part["y"].sum()), len(part), part["p_churn_true"].mean()).pvalue > 1e-4


def test_the_future_does_not_enter(inside) -> None:
    day = DAYS[1]
    other = {purpose: u.copy() for purpose, u in inside.uniforms.items()}
    for u in other.values():
        u[day + 1 :] = u[day + 1 :][::-1]
    again = behaviour.live(inside.world, other)
    assert not np.array_equal(again.acted[day + 1 :], inside.life.acted[day + 1 :])
    days = np.arange(BURN_IN, day + 1)
    assert np.array_equal(
        truth.churn(inside.world, again, days, AHEAD), truth.churn(inside.world, inside.life, days, AHEAD)
    )


def test_a_cause_that_is_off_changes_only_those_whom_it_could_move(inside) -> None:
    people, calendar = inside.world.people, inside.world.calendar
    for cause, untouched in (
        ("price_change", ~people.priced),
        ("seasonal_leave", ~calendar.away.any(axis=0)),
        ("burnout", ~(calendar.burst[: len(inside.life.acted)] & inside.life.acted).any(axis=0)),
    ):
        without = behaviour.live(replace(inside.world, off=cause), inside.uniforms)
        assert np.array_equal(without.acted[:, untouched], inside.life.acted[:, untouched]), cause
        assert not np.array_equal(without.acted, inside.life.acted), cause
    without = behaviour.live(replace(inside.world, off="price_change"), inside.uniforms)
    assert np.array_equal(without.acted[: calendar.price_day], inside.life.acted[: calendar.price_day])


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_lowers_engagement(inside, cause: str) -> None:
    without = behaviour.live(replace(inside.world, off=cause), inside.uniforms)
    assert without.acted.sum() > inside.life.acted.sum()


def test_the_true_cause_is_the_one_whose_removal_lowers_churn_most(platform) -> None:
    known = platform.truth
    drops = pd.DataFrame({cause: known["p_churn_true"] - known[f"without_{cause}"] for cause in CAUSES})
    best = drops.idxmax(axis=1).where(drops.max(axis=1) >= truth.LEAST_DROP)
    assert known["cause"].fillna("none").tolist() == best.fillna("none").tolist()
    assert np.allclose(known["drop"], drops.max(axis=1).clip(lower=0))
    assert set(known["cause"].dropna()) == set(CAUSES)
    for cause, part in known.groupby("cause"):
        assert (part[f"without_{cause}"] <= part["p_churn_true"] - truth.LEAST_DROP).all()


def test_without_a_cause_is_the_world_run_again(platform, inside) -> None:
    days = np.arange(BURN_IN, BURN_IN + 139)
    cause = "supporters_quiet"
    again = truth.churn(world := replace(inside.world, off=cause), behaviour.live(world, inside.uniforms), days, AHEAD)
    grid = pd.DataFrame(again, columns=inside.world.people.user_id).stack().rename("again")
    both = platform.truth.set_index(["day", "user_id"]).join(grid.rename_axis(["day", "user_id"]))
    assert np.allclose(both[f"without_{cause}"], both["again"], rtol=0, atol=1e-12)


def test_truth_of_every_day_from_joining_on(platform, inside) -> None:
    people = inside.world.people
    first = platform.truth.groupby("user_id")["day"].agg(["min", "max", "size"])
    assert set(first.index) == set(people.user_id[people.joined < NEVER])
    joined = pd.Series(np.clip(people.joined - BURN_IN, 0, None), index=people.user_id)[first.index]
    assert (first["min"] == joined).all() and (first["max"] == 138).all()
    assert (first["size"] == 139 - joined).all()
    probabilities = platform.truth.filter(regex="^(p_|without_)")
    assert ((probabilities >= 0) & (probabilities <= 1)).all().all()
