"""wanted churn and sticker rates → the intercept and the sticker factor of the world that has them.

Both rates move with one number each, under the same random numbers, all but steadily; SciPy finds it, and
what it found is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from scipy.optimize import brentq

from tschurn.config import Simulation
from tschurn.errors import SimulationError
from tschurn.simulator.behaviour import Life, World, live
from tschurn.simulator.population import BURN_IN
from tschurn.simulator.truth import sticker_rate

WINDOW = 7  # days observed, days of outcome
INTERCEPTS, FACTORS = (-5.0, 5.0), (-14.0, 5.0)  # log-odds; logarithm
NEAR = 1e-4
TOLERANCE = 0.05  # of the wanted rate, or of its complement


def with_churn_rate(world: World, uniforms: Mapping[str, np.ndarray], settings: Simulation) -> World:
    """World → the same with the intercept for settings.churn_rate. Raises SimulationError where there is none."""

    def rate(intercept: float) -> float:
        eligible, churned, _ = windows(live(replace(world, intercept=intercept), uniforms).acted[BURN_IN:])
        return float(churned[eligible].mean()) if eligible.any() else 1.0

    return replace(world, intercept=_solve(rate, settings.churn_rate, INTERCEPTS, "churn_rate"))


def sticker_factor(rates: np.ndarray, life: Life, chances: np.ndarray, settings: Simulation) -> float:
    """`sticker_rates` → their factor for settings.sticker_rate; chances: uniforms [logged days × creators].

    Raises SimulationError where there is none.
    """

    def rate(log_factor: float) -> float:
        eligible, _, sticker = windows(life.acted[BURN_IN:], chances > np.exp(-np.exp(log_factor) * rates))
        return float(sticker[eligible].mean())

    return float(np.exp(_solve(rate, settings.sticker_rate, FACTORS, "sticker_rate")))


def sticker_rates(world: World, life: Life) -> np.ndarray:
    """→ expected stickers of each logged day, up to the factor, [logged days × creators]."""
    return np.stack(
        [sticker_rate(world, life.states[day], life.acted[day], day) for day in range(BURN_IN, len(life.states))]
    )


def windows(acted: np.ndarray, stickers: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[days × creators] of acts and stickers → eligible, churned, sticker of all closed windows, one a day."""

    def within(events: np.ndarray) -> np.ndarray:
        so_far = np.concatenate([np.zeros((1, events.shape[1]), dtype=int), np.cumsum(events, axis=0)])
        return so_far[WINDOW:] - so_far[:-WINDOW] > 0  # [the WINDOW days from each day on × creators]

    acts = within(acted)
    later = within(acted if stickers is None else stickers)[WINDOW:]
    return acts[:-WINDOW], ~acts[WINDOW:], later


def _solve(rate: Callable[[float], float], wanted: float, between: tuple[float, float], key: str) -> float:
    rate = cache(rate)
    ends = [rate(x) for x in between]
    if not min(ends) < wanted < max(ends):
        raise SimulationError(
            f"{key} = {wanted:g} cannot be reached on this platform, whose rate lies between {min(ends):.3g} and "
            f"{max(ends):.3g}; choose a rate inside"
        )
    found = float(brentq(lambda x: rate(x) - wanted, *between, xtol=NEAR / 10))
    reached = {x: rate(x) for x in (found, found - NEAR, found + NEAR)}  # rates go in steps: take the nearer one
    best = min(reached, key=lambda x: abs(reached[x] - wanted))
    if abs(reached[best] - wanted) > TOLERANCE * min(wanted, 1 - wanted):
        raise _too_coarse(key, wanted, min(reached.values()), max(reached.values()))
    return best


def _too_coarse(key: str, wanted: float, low: float, high: float) -> SimulationError:
    return SimulationError(
        f"{key} = {wanted:g} cannot be reached within {TOLERANCE:.0%} on a platform of this size, only "
        f"{low:.3g} or {high:.3g}; choose a rate nearer to these, or more creators or days"
    )
