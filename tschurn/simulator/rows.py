"""counts per room and day → the raw log: who did it, at which moment; and all else that a platform logs.

user_id is the owner of the room in which it happened, null in places that are no room. Users who are no
creators have rooms too. Some fans are bots; the tracker repeats rows now and then, and was down for half
a day, when only stickers, which are paid, were kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from tschurn.config import PLATFORM_ZONE, Simulation
from tschurn.errors import SimulationError
from tschurn.simulator.behaviour import World
from tschurn.simulator.causes import CHANNELS, STICKERS
from tschurn.simulator.change import NEW_NAME, RENAMED
from tschurn.simulator.counts import Days
from tschurn.simulator.population import BURN_IN

FIRST_SYSTEM_ID, FIRST_FAN_ID = 90_001, 100_001
SYSTEM = ("crawler_hit", "ad_slot", "cdn_refresh", "region_ping", "recommended")  # one account for each
TOP_SUPPORTER = ("badge_visit", "badge_chat")
NOWHERE = ("home_view", "search", "ranking_view", "shop_view")
ELSEWHERE = ("profile_view", "diary_write", "friend_chat")  # in rooms of users who are no creators
NOWHERE_SHARE, BOT_SHARE, REPEATED_SHARE = 0.7, 0.01, 0.004
BOTS = 12
OUTAGE_HOURS = (6, 18)
DAY = 86_400_000  # milliseconds
Counts = Mapping[tuple[str, str], np.ndarray]  # (side, event) → [days × creators]
# Acts per hour of the day, from midnight on: lunch, evening, and a late end.
RHYTHM = (5, 3, 2, 1, 1, 1, 2, 4, 6, 7, 7, 8, 11, 9, 7, 7, 8, 9, 11, 14, 17, 19, 17, 10)
SESSION_MINUTES = (10.0, 120.0)
NEAR_SHARE = 0.6  # of the fans' acts while the creator is there
EVENTS = (*(c.event for c in CHANNELS), *NOWHERE, *ELSEWHERE, NEW_NAME)


@dataclass(frozen=True)
class Rows:
    """Rows column by column, [n] each: owner's id (0: no room), actor's id, milliseconds from the first local
    midnight, event (position in EVENTS), amount."""

    room: np.ndarray
    actor: np.ndarray
    moment: np.ndarray
    event: np.ndarray
    amount: np.ndarray

    def __len__(self) -> int:
        return len(self.room)

    def __getitem__(self, rows: np.ndarray) -> Rows:
        return Rows(self.room[rows], self.actor[rows], self.moment[rows], self.event[rows], self.amount[rows])


def raw_log(world: World, days: Days, counted: Counts, settings: Simulation) -> pa.Table:
    """counts → user_id, actor_id, timestamp (UTC), event, value; settings.rows rows in the order of time."""
    random = np.random.default_rng([settings.seed, 6])
    rooms = _renamed(_rooms(world, days, counted, settings, random), world, settings)
    paid = np.isin(rooms.event, [EVENTS.index(sticker) for sticker in STICKERS])
    rooms = rooms[paid | ~_lost(rooms.moment, world)]
    extra = [
        rooms[np.sort(random.integers(0, len(rooms), round(REPEATED_SHARE * settings.rows)))],
        _bots(world, days, settings, random),
    ]
    left = settings.rows - len(rooms) - sum(map(len, extra))
    if left < 0:
        raise SimulationError(f"rows = {settings.rows:,} is too few for the rooms' {len(rooms):,}; give more rows")
    every = _joined([rooms, *extra, _outside(world, settings, left, random)])
    return _table(every[np.argsort(every.moment, kind="stable")], settings)


def _rooms(
    world: World,
    days: Days,
    counted: Counts,
    settings: Simulation,
    random: np.random.Generator,
) -> Rows:
    """All that happens in the rooms of creators."""
    begins = _at(random, days.acts.shape)
    minutes = random.uniform(*SESSION_MINUTES, days.acts.shape) * 60_000
    lasts = np.minimum(minutes, DAY - 1 - begins)
    crowd = _Fans(world, days, settings, random)
    parts = []
    for code, channel in enumerate(CHANNELS):
        day, creator = np.nonzero(n := counted[channel.side, channel.event])
        times = n[day, creator]
        day, creator = np.repeat(day, times), np.repeat(creator, times)
        size, here = len(day), days.acts[day, creator]
        moment = begins[day, creator] + random.random(size) * lasts[day, creator]
        if channel.event == "room_open":  # a session begins with it
            moment[np.concatenate([[0], np.cumsum(times)[:-1]])[: len(times)]] = begins[n > 0]
        elif channel.side == "received":
            near = here & (random.random(size) < NEAR_SHARE)
            moment = np.where(near, moment, _at(random, size))
        parts.append(
            Rows(
                room=world.people.user_id[creator],
                actor=crowd.actors(channel.event, day, creator)
                if channel.side == "received"
                else world.people.user_id[creator],
                moment=day * DAY + moment.astype(np.int64),
                event=np.full(size, code, dtype=np.int8),
                amount=_amounts(channel.event, size, random),
            )
        )
    return _joined(parts)


def _renamed(rows: Rows, world: World, settings: Simulation) -> Rows:
    """The same rows under the names that the tracker gives them."""
    if world.change is None or not world.change.renamed:
        return rows
    drawn = np.random.default_rng([settings.seed, 9]).random(len(rows))
    since = rows.moment >= (world.change.day - BURN_IN) * DAY
    renamed = since & (rows.event == EVENTS.index(RENAMED)) & (drawn < world.change.renamed)
    return replace(rows, event=np.where(renamed, np.int8(EVENTS.index(NEW_NAME)), rows.event))


class _Fans:
    """Who of the fans does it: each room has its own, few of whom do most; and a top supporter, until the next."""

    def __init__(self, world: World, days: Days, settings: Simulation, random: np.random.Generator) -> None:
        n = len(world.people)
        self._random = random
        self._fans = settings.fans
        self._first = random.integers(0, settings.fans, n)
        self._many = np.clip(40 * world.people.audience, 5, settings.fans - 2).astype(np.int64)
        well = days.well["supporters_quiet"].astype(np.int8)
        self._era = np.cumsum(np.diff(well, axis=0, prepend=well[:1]) > 0, axis=0)  # who comes back is another

    def actors(self, event: str, day: np.ndarray, creator: np.ndarray) -> np.ndarray:
        """→ id of the actor of each row."""
        if event in SYSTEM:
            return np.full(len(day), FIRST_SYSTEM_ID + SYSTEM.index(event))
        if event in TOP_SUPPORTER:
            place = self._many[creator] + 1 + self._era[day, creator]
        else:
            place = (self._many[creator] * self._random.random(len(day)) ** 2.5).astype(np.int64)
        return FIRST_FAN_ID + (self._first[creator] + place) % self._fans


def _amounts(event: str, size: int, random: np.random.Generator) -> np.ndarray:
    """Stickers are paid, by the piece; all else counts one."""
    if event not in STICKERS:
        return np.ones(size)
    return STICKERS[event] * random.geometric(0.6, size).astype(float)


def _lost(moment: np.ndarray, world: World) -> np.ndarray:
    """Whether the tracker was down."""
    begin, end = ((world.calendar.outage_day - BURN_IN) * DAY + hour * 3_600_000 for hour in OUTAGE_HOURS)
    return (moment >= begin) & (moment < end)


def _bots(world: World, days: Days, settings: Simulation, random: np.random.Generator) -> Rows:
    """A few accounts that visit rooms around the clock."""
    size = round(BOT_SHARE * settings.rows)
    day, creator = np.nonzero(days.joined)
    drawn = random.integers(0, len(day), size)
    moment = day[drawn] * DAY + random.integers(0, DAY, size)
    return Rows(
        room=world.people.user_id[creator[drawn]],
        actor=FIRST_FAN_ID + settings.fans + random.integers(0, BOTS, size),
        moment=moment + DAY * _lost(moment, world),  # the count is given, so what is lost comes a day later
        event=np.full(size, EVENTS.index("room_visit"), dtype=np.int8),
        amount=np.ones(size),
    )


def _outside(world: World, settings: Simulation, size: int, random: np.random.Generator) -> Rows:
    """Rows in places that are no room, and in rooms of users who are no creators."""
    weight = 1 + world.calendar.weekend[BURN_IN : BURN_IN + settings.days]
    day = random.choice(settings.days, size, p=weight / weight.sum())
    fan = FIRST_FAN_ID + (settings.fans * random.random(size) ** 1.5).astype(np.int64)
    nowhere = random.random(size) < NOWHERE_SHARE
    first = EVENTS.index(NOWHERE[0])
    event = np.where(
        nowhere,
        first + random.integers(0, len(NOWHERE), size),
        first + len(NOWHERE) + random.integers(0, len(ELSEWHERE), size),
    )
    moment = day * DAY + _at(random, size).astype(np.int64)
    return Rows(
        room=np.where(nowhere, 0, fan),
        actor=fan,
        moment=moment + DAY * _lost(moment, world),
        event=event.astype(np.int8),
        amount=np.ones(size),
    )


def _at(random: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
    """Moments of a day by the rhythm, in milliseconds."""
    so_far = np.concatenate([[0], np.cumsum(RHYTHM)]) / sum(RHYTHM)
    return np.minimum(np.interp(random.random(size), so_far, np.arange(25)) * 3_600_000, DAY - 1)


def _joined(parts: list[Rows]) -> Rows:
    return Rows(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Rows)))


def _table(rows: Rows, settings: Simulation) -> pa.Table:
    # without daylight saving: all days have 24 hours
    start = pd.Timestamp(settings.first_day, tz=ZoneInfo(PLATFORM_ZONE))
    stamps = pa.array(start.value // 1_000_000 + rows.moment, type=pa.int64())
    return pa.table(
        {
            "user_id": pa.array(rows.room, mask=rows.room == 0),
            "actor_id": pa.array(rows.actor),
            "timestamp": stamps.cast(pa.timestamp("ms", tz="UTC")),
            "event": pa.array(EVENTS).take(pa.array(rows.event)),
            "value": pa.array(rows.amount),
        }
    )
