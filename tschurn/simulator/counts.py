"""world and life → how often each event happens in each room on each day, [days × creators] per channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tschurn.config import MOST_ROWS, Simulation
from tschurn.errors import SimulationError
from tschurn.simulator.behaviour import Life, World, stacked
from tschurn.simulator.causes import CHANNELS, STICKERS
from tschurn.simulator.population import BURN_IN

ROOM_SHARE = 0.6  # of the raw rows, in the rooms of creators; the rest is elsewhere on the platform
FAN_GROWTH = 1.3  # fans' acts on the last day for each on the first
SOLD = {"sticker_small": 0.72, "sticker_medium": 0.23, "sticker_large": 0.05}
CONCERNED = -0.4  # once the price change takes this much off, they look at the fee page when they come
CONSTANT = (0.5, 0.3, 0.2)  # shares of the creators with 0, 1, 2 rows a day


@dataclass(frozen=True)
class Days:
    """The logged days of a life, [days × creators] each: acts, whether joined, per chain whether it is well,
    whether concerned about the fee, stickers."""

    acts: np.ndarray
    joined: np.ndarray
    well: dict[str, np.ndarray]
    concerned: np.ndarray
    stickers: np.ndarray


def logged_days(world: World, life: Life, stickers: np.ndarray) -> Days:
    """Life and stickers → Days."""
    logged = stacked(life.states[BURN_IN:])
    joined = np.arange(BURN_IN, len(life.states))[:, None] >= world.people.joined
    return Days(
        acts=life.acted[BURN_IN:],
        joined=joined,
        well={chain: ~bad for chain, bad in logged.bad.items()},
        concerned=logged.price < CONCERNED,
        stickers=stickers,
    )


def counts(world: World, days: Days, settings: Simulation) -> dict[tuple[str, str], np.ndarray]:
    """→ (side, event) of CHANNELS → rows, [days × creators].

    How large audiences are is what makes the rooms' rows ROOM_SHARE of settings.rows. Raises
    SimulationError when even without audiences there are more.
    """
    random = np.random.default_rng([settings.seed, 5])
    found = _own(world, days, random) | _received(world, days, random) | _noise(world, days, random)
    fixed = sum(int(n.sum()) for n in found.values())
    crowd = _crowd(world, days)
    wanted = ROOM_SHARE * settings.rows - fixed
    expected = sum(float(rate.sum()) for rate in crowd.values())
    if wanted < 0.1 * fixed or expected == 0:
        least = round(1.1 * fixed / ROOM_SHARE) + 1
        enough = f"give at least {least:,} rows, or " if least <= MOST_ROWS else "give "
        raise SimulationError(
            f"rows = {settings.rows:,} is too few for {settings.creators:,} creators on {settings.days} days; "
            f"{enough}fewer creators or days"
        )
    found |= {channel: random.poisson(rate * (wanted / expected)) for channel, rate in crowd.items()}
    return {(c.side, c.event): found[c.side, c.event] for c in CHANNELS}


def _own(world: World, days: Days, random: np.random.Generator) -> dict[tuple[str, str], np.ndarray]:
    """What creators do on the days on which they come."""
    talk = np.broadcast_to(world.people.talk, days.acts.shape)
    burst, notice = (grid[BURN_IN : BURN_IN + len(days.acts)] for grid in (world.calendar.burst, world.calendar.notice))

    def some(rate: np.ndarray | float, always: np.ndarray | int = 0) -> np.ndarray:
        return np.where(days.acts, random.poisson(rate, days.acts.shape) + always, 0)

    rows = {
        "room_open": some(0.7 * talk, 1),
        "post": some(0.6, 1),
        "chat": some(8.0 * talk),
        "reply": some(3.0 * talk),
        "photo_upload": some(0.5),
        "voice_post": some(0.35),
        "live_start": some(0.35),
        "night_live": some(np.where(burst, 1.2, 0.03), burst),
        "away_notice": some(np.where(notice, 0.3, 0.01), notice),
        "fee_page_view": some(np.where(days.concerned, 0.8, 0.03), days.concerned),
        "draft_save": some(np.where(burst, 1.0, 0.35)),
        "settings_open": some(np.where(days.concerned, 0.7, 0.25)),
        "profile_edit": some(0.12),
        "stats_view": some(0.8),
    }
    return {("own", event): n for event, n in rows.items()}


def _received(world: World, days: Days, random: np.random.Generator) -> dict[tuple[str, str], np.ndarray]:
    """What comes from the top supporter, the first to comment, the platform; and stickers."""
    here, shape = days.acts, days.acts.shape
    supported, answered, reached = (
        days.well[chain] for chain in ("supporters_quiet", "unanswered_posts", "falling_reach")
    )
    posts = 1 + random.poisson(0.6, shape)  # those that wait for a first comment
    rows = {
        "badge_visit": np.where(here & supported, 1 + random.poisson(1.5, shape), 0),
        "badge_chat": np.where(here & supported, random.poisson(2.5, shape), 0),
        "gift_view": np.where(here, random.poisson(np.where(supported, 0.9, 0.4)), 0),
        "first_comment": np.where(here, random.binomial(posts, np.where(answered, 0.95, 0.05)), 0),
        "recommended": np.where(here, random.poisson(np.where(reached, 5.0, 0.15)), 0),
        "share": np.where(here, random.poisson(np.where(reached, 0.8, 0.4)), 0),
    }
    kinds = random.multinomial(days.stickers, list(SOLD.values()))
    rows |= {kind: kinds[..., i] for i, kind in enumerate(STICKERS)}
    return {("received", event): n for event, n in rows.items()}


def _noise(world: World, days: Days, random: np.random.Generator) -> dict[tuple[str, str], np.ndarray]:
    """Rows that have nothing to do with anything, in every room on every day, be it open yet or not."""
    shape = days.acts.shape
    rows = {"crawler_hit": random.poisson(0.5, shape), "ad_slot": random.poisson(0.4, shape)}
    for event in ("cdn_refresh", "region_ping"):
        rows[event] = np.broadcast_to(random.choice(len(CONSTANT), shape[1], p=CONSTANT), shape)
    return {("received", event): n for event, n in rows.items()}


def _crowd(world: World, days: Days) -> dict[tuple[str, str], np.ndarray]:
    """Expected acts of the other fans, up to a common factor: by audience, more where the creator is there."""
    first, last = BURN_IN, BURN_IN + len(days.acts)
    week = 1 + world.calendar.weekend[first:last] + 0.5 * world.calendar.season[first:last]
    growth = np.linspace(1.0, FAN_GROWTH, len(days.acts))
    audience = np.where(days.joined, world.people.audience * (week * growth)[:, None], 0.0)
    audience = audience * np.where(days.acts & ~days.well["falling_reach"], 0.75, 1.0)
    awake, live = np.where(days.acts, 1.0, 0.2), np.where(days.acts, 1.0, 0.02)
    rates = {
        "room_visit": 3.0 * awake, "post_view": 4.0 * awake, "chat": 2.0 * live, "like": 1.5 * awake,
        "bookmark": 0.1 * awake, "follow": 0.06 * awake, "unfollow": 0.02 * np.ones_like(awake),
    }  # fmt: skip
    return {("received", event): audience * rate for event, rate in rates.items()}
