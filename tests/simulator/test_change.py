"""A planted change begins on its day, moves what it says and nothing else, and the truth knows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn import config
from tschurn.config import SMALL_SIMULATION, Simulation
from tschurn.errors import ConfigError
from tschurn.simulator import EVENTS_FILE, TRUTH_FILE, behaviour, simulate, truth
from tschurn.simulator.change import NEW_NAME, RENAMED, planned
from tschurn.simulator.population import BURN_IN

TINY = {"creators": 60, "fans": 500, "rows": 120_000, "days": 60}
CHANGES = ("tired_creators", "bored_fans", "fickle_creators", "renamed_event")
DAY = 70  # of the small platform
# Of what `simulate` wrote before there were changes: pandas' hashes of the rows, folded into one number.
BEFORE = {EVENTS_FILE: 14486838966890573335, TRUTH_FILE: 12294177032276628041}


def folded(frame: pd.DataFrame) -> int:
    numbers = frame.select_dtypes("float").round(9)
    hashes = pd.util.hash_pandas_object(frame.assign(**numbers), index=False).to_numpy()
    return int((hashes * np.arange(1, 2 * len(hashes), 2, dtype=np.uint64)).sum(dtype=np.uint64))


def test_without_a_change_it_is_the_platform_it_was(tmp_path: Path) -> None:
    simulate(Simulation(**TINY), tmp_path)
    assert {name: folded(pd.read_parquet(tmp_path / name)) for name in BEFORE} == BEFORE


def changed(inside, change: str, strength: float = 1.0) -> tuple[behaviour.World, behaviour.Life]:
    settings = Simulation(**SMALL_SIMULATION, change=change, change_day=DAY, change_strength=strength)
    world = replace(inside.world, change=planned(settings, 7))
    return world, behaviour.live(world, inside.uniforms)


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_acts_otherwise_before_the_day(inside, change: str) -> None:
    _, life = changed(inside, change)
    assert np.array_equal(life.acted[: BURN_IN + DAY], inside.life.acted[: BURN_IN + DAY])
    acts_alike = np.array_equal(life.acted, inside.life.acted)
    assert acts_alike == (change in ("bored_fans", "renamed_event"))


def test_tired_creators_come_less_the_more_the_stronger(inside) -> None:
    after = slice(BURN_IN + DAY, None)
    shares = [inside.life.acted[after].mean()]
    shares += [changed(inside, "tired_creators", s)[1].acted[after].mean() for s in (0.2, 0.6, 1.0)]
    assert (np.diff(shares) < -0.02).all()


def test_among_fickle_creators_the_past_tells_nothing(inside) -> None:
    _, life = changed(inside, "fickle_creators")
    there = inside.world.people.joined < BURN_IN

    def told(acted: np.ndarray, day: int) -> float:
        before, after = (acted[d : d + 28][:, there].mean(axis=0) for d in (day - 28, day))
        return float(np.corrcoef(before, after)[0, 1])

    assert told(life.acted, BURN_IN + DAY) < 0.3 < told(inside.life.acted, BURN_IN + DAY)


def test_bored_fans_give_fewer_stickers_from_that_day_on(inside) -> None:
    world, life = changed(inside, "bored_fans", 0.6)
    for day, factor in ((BURN_IN + DAY - 1, 1.0), (BURN_IN + DAY, 0.4)):
        state, acts = life.states[day], life.acted[day]
        usual = truth.sticker_rate(inside.world, state, acts, day)
        np.testing.assert_allclose(truth.sticker_rate(world, state, acts, day), factor * usual)


@pytest.mark.parametrize("change", ["tired_creators", "fickle_creators"])
def test_the_truth_knows_the_change(inside, change: str) -> None:
    """Share of drawn futures without an act against p_churn_true, on a day whose outcome lies across the change."""
    world, life = changed(inside, change)
    day, many, random = BURN_IN + DAY - 3, 2_000, np.random.default_rng(0)
    n = len(world.people)
    state, acts = life.states[day], np.zeros((many, n))
    for k in range(1, 8):
        state, acted = behaviour.step(state, day + k, world, {p: random.random((many, n)) for p in behaviour.DRAWS})
        acts += acted
    p = truth.churn(world, life, np.array([day]), 7)[0]
    known = world.people.joined <= day
    z = ((acts == 0).mean(axis=0) - p)[known] / np.sqrt(np.maximum(p * (1 - p), 1e-4) / many)[known]
    assert np.abs(z).max() < 5
    assert not np.allclose(p, truth.churn(inside.world, inside.life, np.array([day]), 7)[0])


def test_engagement_is_that_of_the_next_day(inside) -> None:
    world, life = changed(inside, "tired_creators")
    days = np.array([BURN_IN + DAY - 2, BURN_IN + DAY - 1])
    moved = truth.engagement(world, life, days) - truth.engagement(inside.world, inside.life, days)
    assert np.allclose(moved[0], 0) and np.allclose(moved[1], -2.5)


def test_a_renamed_event_has_its_new_name_from_midnight_of_that_day(tmp_path: Path) -> None:
    settings = Simulation(**TINY, change="renamed_event", change_day=30, change_strength=1)
    simulate(Simulation(**TINY), tmp_path / "usual")
    simulate(settings, tmp_path / "changed")
    usual, log = (pd.read_parquet(tmp_path / name / EVENTS_FILE) for name in ("usual", "changed"))
    midnight = pd.Timestamp(settings.first_day, tz="Asia/Seoul") + pd.Timedelta(days=30)
    after = log["timestamp"] >= midnight
    assert not after[log["event"] == RENAMED].any() and after[log["event"] == NEW_NAME].all()
    assert usual["event"].value_counts()[RENAMED] == log["event"].isin([RENAMED, NEW_NAME]).sum()
    assert log.assign(event=log["event"].replace(NEW_NAME, RENAMED)).equals(usual)
    assert (tmp_path / "usual" / TRUTH_FILE).read_bytes() == (tmp_path / "changed" / TRUTH_FILE).read_bytes()


@pytest.mark.parametrize("change", CHANGES)
def test_what_happens_is_what_the_truth_says(tmp_path: Path, change: str) -> None:
    settings = Simulation(**TINY | {"creators": 200, "rows": 400_000}, change=change, change_day=30)
    made = simulate(settings, tmp_path)
    again = simulate(settings, tmp_path / "again")
    assert made == again
    for name in (EVENTS_FILE, TRUTH_FILE):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    known = pd.read_parquet(tmp_path / TRUTH_FILE)
    assert known["p_churn_true"].between(0, 1).all() and made.rows == 400_000


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"change": "tired_creators"}, "go together"),
        ({"change_day": 30}, "go together"),
        ({"change": "tired_creators", "change_day": 139}, "days = 139"),
        ({"change": "tired_creators", "change_day": 0}, "change-day"),
        ({"change": "bored", "change_day": 3}, "change"),
        ({"change_strength": 0.3}, "change-strength"),
        ({"change": "tired_creators", "change_day": 3, "change_strength": 0}, "change-strength"),
    ],
)
def test_half_a_change_is_told(keys: dict, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        config.simulation(keys)
    assert "\n" not in str(error.value)
