"""world and life → TRUTH: p_churn_true, p_sticker_true, and the true cause, of every creator and day.

p_churn_true is exact: along the path without acts nothing is learned, so only the chain of `chance` is
random, and its two states are summed over. p_sticker_true is the mean over simulated futures, each with
its own exact probability of no sticker. The true cause of a day is found by running the world again with
one cause off under the same random numbers.

All of it is about acts, not about what the tracker kept of them: its outage of half a day is not in it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import expit

from tschurn.config import Simulation
from tschurn.contracts import CAUSES, Progress, silent
from tschurn.simulator.behaviour import (
    CHAINS,
    DRAWS,
    SHOCK,
    Life,
    State,
    World,
    changed,
    idle,
    live,
    log_odds,
    mood,
    stacked,
    step,
)
from tschurn.simulator.population import BURN_IN

LEAST_DROP = 0.10  # of p_churn_true; a day on which no cause's removal lowers it by this has none
FUTURES = 32
BLOCK = 64  # days that are computed at once
# Chance of a sticker on a day, as a rate: loyal supporters (fewer while the top one stays away), streaks,
# all of it more in the campaign week; a little reaches rooms whose creator stays away.
LOYAL_WITHOUT_TOP, STREAK_FROM, STREAK_MOST, STREAK_RATE, CAMPAIGN_FACTOR, IDLE_RATE = 0.35, 2, 4, 0.3, 3.0, 0.08


def churn(world: World, life: Life, days: np.ndarray, ahead: int) -> np.ndarray:
    """→ probability of no act on the `ahead` days after each of `days`, [days × creators]; exact."""
    blocks = np.array_split(days, -(-len(days) // BLOCK))
    return np.concatenate([_no_act(world, stacked([life.states[d] for d in block]), block, ahead) for block in blocks])


def _no_act(world: World, state: State, day: np.ndarray, ahead: int) -> np.ndarray:
    """State at the end of each of some days, [days × creators] → probability of no act on the days after it."""
    ends, back = CHAINS["chance"] if world.off != "chance" else (0.0, 1.0)
    bad = state.bad["chance"].astype(float)
    calm, shocked = 1 - bad, bad
    for k in range(1, ahead + 1):
        odds = log_odds(state, day + k, world)
        calm, shocked = calm * (1 - ends) + shocked * back, calm * ends + shocked * (1 - back)
        calm, shocked = calm * expit(-odds), shocked * expit(-odds - SHOCK)
        state = idle(state)
    return calm + shocked


def causes(
    world: World, uniforms: dict[str, np.ndarray], days: np.ndarray, ahead: int, progress: Progress = silent
) -> dict[str, np.ndarray]:
    """→ for each cause, `churn` of the world run again without it under the same random numbers."""
    found = {}
    for i, cause in enumerate(CAUSES):
        progress("simulation", i, 2 * len(CAUSES), f"the world without {cause}")
        without = replace(world, off=cause)
        found[cause] = churn(without, live(without, uniforms), days, ahead)
    return found


def engagement(world: World, life: Life, days: np.ndarray) -> np.ndarray:
    """→ log-odds of an act on an ordinary day after each of `days`, [days × creators]."""
    state = stacked([life.states[day] for day in days])
    odds = changed(world.people.base + world.intercept + mood(state, world), days + 1, world)
    return odds + SHOCK * state.bad["chance"]


def sticker_rate(world: World, state: State, acts: np.ndarray, day: int) -> np.ndarray:
    """The expected stickers of a day by its end, up to the platform's common factor."""
    top_away = state.bad["supporters_quiet"]
    loyal = world.people.loyal * np.where(top_away, LOYAL_WITHOUT_TOP, 1.0)
    streak = STREAK_RATE * np.clip(state.streak - STREAK_FROM, 0, STREAK_MOST)
    rate = np.where(acts, loyal + streak, IDLE_RATE * loyal)
    if world.change is not None:
        rate = rate * world.change.stickers[day]
    return (
        rate
        * np.where(day >= world.people.joined, 1.0, 0.0)
        * np.where(world.calendar.campaign[day], CAMPAIGN_FACTOR, 1.0)
    )


def sticker(
    world: World, life: Life, factor: float, days: np.ndarray, ahead: int, seed: int, progress: Progress = silent
) -> np.ndarray:
    """→ probability of a sticker on the `ahead` days after each of `days`, [days × creators], over FUTURES futures."""
    random = np.random.default_rng([seed, 4])
    found = np.empty((len(days), len(world.people)))
    for i, day in enumerate(days):
        progress("simulation", len(days) + i, 2 * len(days), "futures")
        state, expected = life.states[day], np.zeros((FUTURES, len(world.people)))
        for k in range(1, ahead + 1):
            uniforms = {purpose: random.random(expected.shape, dtype=np.float32) for purpose in DRAWS}
            state, acts = step(state, day + k, world, uniforms)
            expected += factor * sticker_rate(world, state, acts, day + k)
        found[i] = -np.expm1(-expected).mean(axis=0)
    return found


def table(
    world: World, life: Life, uniforms: dict[str, np.ndarray], factor: float, settings: Simulation, ahead: int,
    progress: Progress = silent,
) -> pd.DataFrame:  # fmt: skip
    """→ TRUTH: every creator and logged day from the day on which they joined."""
    days = np.arange(BURN_IN, BURN_IN + settings.days)
    p = churn(world, life, days, ahead)
    without = causes(world, uniforms, days, ahead, progress)
    drops = p - np.stack(list(without.values()))
    drop = np.maximum(drops.max(axis=0), 0.0)
    cause = np.where(drop >= LEAST_DROP, np.array(CAUSES, dtype=object)[drops.argmax(axis=0)], None)
    values = {
        "engagement": engagement(world, life, days), "p_churn_true": p,
        "p_sticker_true": sticker(world, life, factor, days, ahead, settings.seed, progress), "cause": cause,
        "drop": drop, **{f"without_{c}": w for c, w in without.items()},
    }  # fmt: skip
    day, who = np.nonzero(days[:, None] >= world.people.joined)
    return pd.DataFrame(
        {
            "user_id": world.people.user_id[who],
            "day": (pd.Timestamp(settings.first_day) + pd.to_timedelta(day, unit="D")).date,
            **{name: grid[day, who] for name, grid in values.items()},
        }
    )
