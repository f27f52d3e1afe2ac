"""people and calendar → who acts on which day: a latent engagement that moves with what happens to a creator.

A creator learns what happened on the days on which they come: the top supporter was not there, the posts
of the day got no answer, the room was not recommended, the fee has risen, the burst has left them
exhausted. Each lowers an engagement of its own, which wears off. On days on which they do not come they
learn nothing, so along a path without acts the future is known but for chance: the true probability of
churn can be computed (truth.py) instead of drawn.

`live` can be run again with a cause off under the same random numbers. All arrays are [creators] for one
day and [days × creators] for a life.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from tschurn.simulator.change import Change
from tschurn.simulator.population import Calendar, People

# Chances per day that the good state ends, and that it comes back.
CHAINS = {
    "supporters_quiet": (1 / 60, 1 / 25),
    "unanswered_posts": (1 / 75, 1 / 20),
    "falling_reach": (1 / 75, 1 / 20),
    "chance": (1 / 60, 1 / 10),
}
SEEN = ("supporters_quiet", "unanswered_posts", "falling_reach")  # noticed on active days, and only then
BLOW, LOWEST, RELIEF, WEAR = -1.2, -3.2, 0.4, 0.985  # per bad active day; floor; × on a good one; × on an idle one
SHOCK = -2.5
PRICE_BLOW, PRICE_WEAR = -2.6, 0.985
DRIVE = 1.6  # of a burst, while it lasts
FATIGUE, FATIGUE_FREE, FATIGUE_LOWEST, REST = -2.2, 1.0, -4.0, 0.92
AWAY = -5.0
HABIT, HABIT_MEMORY = 1.2, 0.8
HONEYMOON, HONEYMOON_DAYS = 0.8, 10.0
DRAWS = ("act", *CHAINS)


@dataclass(frozen=True)
class State:
    """Creators at the end of a day.

    bad: per chain, whether its bad state holds. felt: per cause that is SEEN, what it takes off the
    engagement. price: what the price change takes off; knows: whether they have read of it.
    exhaustion: burst days, resting off. habit: 0 to 1. streak: active days in a row.
    """

    bad: dict[str, np.ndarray]
    felt: dict[str, np.ndarray]
    price: np.ndarray
    knows: np.ndarray
    exhaustion: np.ndarray
    habit: np.ndarray
    streak: np.ndarray


@dataclass(frozen=True)
class World:
    """The platform's laws for one run: intercept of the log-odds, the cause that is off, if one is, and the change
    that is planned, if one is."""

    people: People
    calendar: Calendar
    intercept: float
    off: str | None = None
    change: Change | None = None

    @cached_property
    def pull(self) -> np.ndarray:
        """The part of the log-odds of an act that is fixed in advance, [days × creators]."""
        people, calendar = self.people, self.calendar
        since = np.clip(np.arange(len(calendar.season))[:, None] - people.joined, 0, None)
        honeymoon = np.where(people.joined >= 0, HONEYMOON * np.exp(-since / HONEYMOON_DAYS), 0.0)
        away = 0.0 if self.off == "seasonal_leave" else AWAY * calendar.away
        week = calendar.season[:, None] + calendar.weekend[:, None] * people.weekend
        return self.intercept + people.base + honeymoon + week + DRIVE * calendar.burst + away


@dataclass(frozen=True)
class Life:
    """What was lived: who acted, [days × creators], and the state at the end of each day."""

    acted: np.ndarray
    states: list[State]


def draws(seed: int, days: int, creators: int) -> dict[str, np.ndarray]:
    """→ the random numbers of a life, [days × creators] uniforms for each purpose."""
    random = np.random.default_rng([seed, 3])
    return {purpose: random.random((days, creators)) for purpose in DRAWS}


def live(world: World, uniforms: Mapping[str, np.ndarray]) -> Life:
    """World and random numbers → Life; the same numbers give the same life."""
    state = _newborn(len(world.people))
    acted, states = [], []
    for day in range(len(uniforms["act"])):
        state, acts = step(state, day, world, {k: u[day] for k, u in uniforms.items()})
        acted.append(acts)
        states.append(state)
    return Life(np.stack(acted), states)


def step(state: State, day: int, world: World, uniforms: Mapping[str, np.ndarray]) -> tuple[State, np.ndarray]:
    """The end of the day before → the end of this day, and who acted. [creators], or [futures × creators] uniforms."""
    bad = {
        chain: np.where(state.bad[chain], uniforms[chain] >= back, uniforms[chain] < ends)
        if chain != world.off
        else np.zeros_like(state.bad[chain])
        for chain, (ends, back) in CHAINS.items()
    }
    state = replace(state, bad=bad)
    odds = log_odds(state, day, world) + SHOCK * bad["chance"]
    joined = world.people.joined
    acts = np.where(day == joined, True, (uniforms["act"] < expit(odds)) & (day > joined))
    return _after(state, day, world, acts), acts


def stacked(states: Sequence[State]) -> State:
    """States of several days, [creators] each → one State of [days × creators]."""

    def stack(parts: list) -> Any:
        if isinstance(parts[0], dict):
            return {key: np.stack([part[key] for part in parts]) for key in parts[0]}
        return np.stack(parts)

    return State(**{f.name: stack([getattr(state, f.name) for state in states]) for f in fields(State)})


def log_odds(state: State, day: int | np.ndarray, world: World) -> np.ndarray:
    """Log-odds of an act on `day`, given the end of the day before; without the shock of `chance`."""
    return changed(world.pull[day] + mood(state, world), day, world)


def changed(odds: np.ndarray, day: int | np.ndarray, world: World) -> np.ndarray:
    """Log-odds as they were before any change → as they are on `day`."""
    if world.change is None:
        return odds
    alike, engagement = (np.expand_dims(values[day], -1) for values in (world.change.alike, world.change.engagement))
    return odds + engagement - (1 - alike) * (odds - world.intercept)


def mood(state: State, world: World) -> np.ndarray:
    """What has happened to creators, in log-odds: the part of engagement that moves."""
    moved = HABIT * state.habit + state.price + sum(state.felt.values())
    return moved if world.off == "burnout" else moved + fatigue(state.exhaustion)


def fatigue(exhaustion: np.ndarray) -> np.ndarray:
    """Exhaustion → what it takes off the engagement."""
    return np.maximum(FATIGUE * np.clip(exhaustion - FATIGUE_FREE, 0, None), FATIGUE_LOWEST)


def idle(state: State) -> State:
    """A day without an act: what is felt wears off; nothing is learned."""
    return replace(
        state,
        felt={cause: felt * WEAR for cause, felt in state.felt.items()},
        price=state.price * PRICE_WEAR,
        exhaustion=state.exhaustion * REST,
        habit=state.habit * HABIT_MEMORY,
        streak=np.zeros_like(state.streak),
    )


def _after(state: State, day: int, world: World, acts: np.ndarray) -> State:
    """The end of a day on which some acted, and learned what there was to learn."""
    rested = idle(state)
    felt = {
        cause: np.where(
            acts,
            np.where(state.bad[cause], np.maximum(state.felt[cause] + BLOW, LOWEST), state.felt[cause] * RELIEF),
            rested.felt[cause],
        )
        for cause in SEEN
    }
    reads = acts & ~state.knows & world.people.priced & (day >= world.calendar.price_day)
    if world.off == "price_change":
        reads = np.zeros_like(reads)
    return State(
        bad=state.bad,
        felt=felt,
        price=np.where(reads, PRICE_BLOW, rested.price),
        knows=state.knows | reads,
        exhaustion=rested.exhaustion + (acts & world.calendar.burst[day]),
        habit=rested.habit + (1 - HABIT_MEMORY) * acts,
        streak=np.where(acts, state.streak + 1, 0),
    )


def _newborn(n: int) -> State:
    zero, no = np.zeros(n), np.zeros(n, dtype=bool)
    return State(
        bad=dict.fromkeys(CHAINS, no), felt=dict.fromkeys(SEEN, zero), price=zero, knows=no,
        exhaustion=zero, habit=zero, streak=zero,
    )  # fmt: skip
