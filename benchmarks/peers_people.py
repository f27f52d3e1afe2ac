"""a raw log → windows with history and supporters in vectorised pandas and numpy, the same outputs as the toolkit's.

Written from the definitions of tschurn/features/history.py and supporters.py, without a loop over users, supporters,
windows or rows. Days are columns throughout; what a window needs is gathered from running sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import peers
from windows_log import GIFTS, OWN

POSTS, REPLIES = ("post",), ("comment",)
LOOKBACKS, WEEKS, EVENT_LOOKBACK = (7, 14, 28, 56), 8, 28
QUIET_DAYS, REGULAR_DAYS, HALF_LIFE = 14, 3, 28


def windows(path: Path, threads: int, stride: int, history: bool, supporters: bool) -> peers.Windows:
    """The log → Windows, their panel with the supporters' daily columns, their history with those of the day."""
    log = peers.read_frame(path)
    users, panel = peers.frame_panel(log)
    rows = _Rows(log, panel.shape[1])
    levels = None
    if supporters:
        daily, levels = _supporters(rows)
        panel = np.concatenate([panel, daily], axis=2)
    found = peers.indexed(users, panel, stride)
    if not history:
        return found
    values = _history(rows, found)
    if levels is not None:
        values = np.concatenate([values, levels[found.user, found.anchor]], axis=1)
    return replace(found, history=values)


class _Rows:
    """The log's columns as integers. cell: user · days + day."""

    def __init__(self, log: pd.DataFrame, days: int) -> None:
        self.stamp = log["timestamp"].to_numpy("datetime64[us]").astype(np.int64)
        day = self.stamp // peers.DAY_US
        self.first_weekday = int(day.min() + 3) % 7  # 1970 began on a Thursday
        self.user, users = pd.factorize(log["user_id"], sort=True)
        self.shape = len(users), days
        self.day = day - day.min()
        self.cell = self.user * days + self.day
        self.event = log["event"].cat.codes.to_numpy()
        self.received = self.event >= len(OWN)
        self.gift = self.of(GIFTS)
        self.actor, self.value = log["actor_id"].to_numpy(), log["value"].to_numpy()

    def of(self, names: tuple[str, ...]) -> np.ndarray:
        return np.isin(self.event, [peers.EVENTS.index(name) for name in names])

    def grid(self, where: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """→ [users × days]: how many rows, or the sum of their weights."""
        cells = self.shape[0] * self.shape[1]
        return np.bincount(self.cell[where], weights, minlength=cells).reshape(self.shape)


# --- history --------------------------------------------------------------------------------------
def _history(rows: _Rows, found: peers.Windows) -> np.ndarray:
    """→ [windows × history features] float32."""
    at = _Gather(found.user, found.anchor)
    sums = at.last(found.panel, EVENT_LOOKBACK)
    return np.concatenate([np.stack(list(_measures(rows, at)), axis=1), sums], axis=1).astype(np.float32)


class _Gather:
    """Windows as positions → what a grid [users × days] says of them, from its running sums."""

    def __init__(self, user: np.ndarray, anchor: np.ndarray) -> None:
        self.user, self.anchor = user, anchor

    def now(self, grid: np.ndarray) -> np.ndarray:
        return grid[self.user, self.anchor]

    def last(self, grid: np.ndarray, days: int | None = None, ago: int = 0) -> np.ndarray:
        """The sum of the last `days` days, all of them if None, the newest `ago` left out."""
        so_far = np.zeros((grid.shape[0], grid.shape[1] + 1, *grid.shape[2:]))
        np.cumsum(grid, axis=1, dtype=np.float64, out=so_far[:, 1:])
        end = np.maximum(self.anchor + 1 - ago, 0)
        start = np.zeros_like(end) if days is None else np.maximum(end - days, 0)
        return so_far[self.user, end] - so_far[self.user, start]

    def since(self, happened: np.ndarray) -> np.ndarray:
        """Days since it last happened; all days gone by where it never did."""
        seen = np.maximum.accumulate(np.where(happened, np.arange(happened.shape[1]), -1), axis=1)
        return self.anchor - self.now(seen)


def _measures(rows: _Rows, at: _Gather) -> Iterator[np.ndarray]:
    own, gifts = rows.grid(~rows.received), rows.grid(rows.gift)
    active = own > 0
    recency, ever = at.since(active), at.last(active)
    tenure = at.anchor - active.argmax(axis=1)[at.user]
    days = {n: at.last(active, n) for n in LOOKBACKS}
    yield recency
    yield tenure
    yield from days.values()
    for grid in (own, rows.grid(rows.received)):
        yield from (at.last(grid, n) for n in LOOKBACKS)
    yield from (at.last(active, 7, ago=7 * k) for k in range(WEEKS))
    yield days[14] - (days[28] - days[14])
    yield ever / (tenure + 1)
    mean_gap = np.where(ever > 1, (tenure - recency) / np.maximum(ever - 1, 1), tenure + 1)
    yield mean_gap
    yield recency / np.maximum(mean_gap, 1)
    yield (rows.first_weekday + at.anchor) % 7
    for hours in _hours(rows):
        known, total = at.last(hours >= 0, EVENT_LOOKBACK), at.last(np.maximum(hours, 0), EVENT_LOOKBACK)
        yield np.where(known > 0, total / np.maximum(known, 1), -1)
    yield from (at.last(gifts, n) for n in LOOKBACKS)
    yield at.last(rows.grid(rows.gift, rows.value[rows.gift]), 56)
    gift_days = at.last(gifts > 0)
    yield gift_days
    yield gift_days / np.maximum(ever, 1)
    yield at.since(gifts > 0)


def _hours(rows: _Rows) -> list[np.ndarray]:
    """→ the first and last hour of own acts, [users × days] each, -1 on days without one."""
    own = ~rows.received
    hour = pd.Series(rows.stamp[own] // 3_600_000_000 % 24).groupby(rows.cell[own]).agg(["min", "max"])
    grids = np.full((2, rows.shape[0] * rows.shape[1]), -1)
    grids[:, hour.index.to_numpy()] = hour.to_numpy().T
    return [grid.reshape(rows.shape) for grid in grids]


# --- supporters -----------------------------------------------------------------------------------
def _supporters(rows: _Rows) -> tuple[np.ndarray, np.ndarray]:
    """→ daily [users × days × 6] and levels [users × days × 3], float32: all received acts support."""
    users, days = rows.shape
    actor, actors = pd.factorize(rows.actor[rows.received])
    key = (rows.user[rows.received] * len(actors) + actor) * days + rows.day[rows.received]
    order = np.argsort(key)  # one row per user, actor and day, in that order
    key = key[order]
    start = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    given = np.where(rows.gift, rows.value, 0.0)[rows.received][order]
    amounts = np.diff(np.r_[start, len(key)]), np.add.reduceat(given, start)
    pair, day = np.divmod(key[start], days)
    cell = pair // len(actors) * days + day
    begins = np.r_[True, pair[1:] != pair[:-1]]
    place = np.arange(len(pair))
    nth = place - np.maximum.accumulate(np.where(begins, place, 0)) + 1
    since = np.diff(day, prepend=0)
    until = np.where(np.r_[begins[1:], True], days, np.r_[since[1:], 0])
    gone = (until > QUIET_DAYS) & (nth >= REGULAR_DAYS) & (day + QUIET_DAYS < days)

    def count(where: np.ndarray) -> np.ndarray:
        return np.bincount(where, minlength=users * days).reshape(rows.shape)

    daily = [
        count(cell), count(cell[begins]), count(cell[~begins & (since > QUIET_DAYS)]), count(cell[gone] + QUIET_DAYS),
        *_answers(rows),
    ]  # fmt: skip
    share, recency = _top(amounts[0], pair, cell, day, rows.shape)
    gives = amounts[1] > 0
    of_gifts, _ = _top(amounts[1][gives], pair[gives], cell[gives], day[gives], rows.shape)
    return np.stack(daily, axis=2).astype(np.float32), np.stack([share, of_gifts, recency], axis=2).astype(np.float32)


def _top(
    amount: np.ndarray, pair: np.ndarray, cell: np.ndarray, day: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Amounts by pair and day, in that order → the top supporter's share so far, and the days since their last act."""
    users, days = shape
    weight = np.exp2(np.arange(days) / HALF_LIFE)  # scores fade alike, so they are kept without fading
    mass = amount * weight[day]
    score = pd.Series(mass).groupby(pair, sort=False).cumsum().to_numpy()
    best = np.zeros(users * days)
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0])
    best[cell[order][starts]] = np.maximum.reduceat(score[order], starts)
    best = best.reshape(shape)
    so_far = np.maximum.accumulate(best, axis=1)
    total = np.cumsum(np.bincount(cell, mass, minlength=users * days).reshape(shape), axis=1)
    attained = np.where((best > 0) & (best >= so_far * (1 - 1e-9)), np.arange(days), -1)
    share = np.divide(so_far, total, out=np.zeros(shape), where=total > 0)
    return np.minimum(share, 1).round(9), np.arange(days) - np.maximum.accumulate(attained, axis=1)


def _answers(rows: _Rows) -> Iterator[np.ndarray]:
    """The posts of the day before, with and without a reply by the end of this day; no log of objects."""
    users, days = rows.shape
    post, reply = rows.of(POSTS), rows.of(REPLIES)
    last = np.full((users, days + 1), -1)
    np.maximum.at(last, (rows.user[reply], rows.day[reply]), rows.stamp[reply])
    last = np.maximum(last[:, :-1], last[:, 1:])
    answered = np.zeros(len(post), bool)
    answered[post] = last[rows.user[post], rows.day[post]] >= rows.stamp[post]
    for which in (answered, post & ~answered):
        grid = rows.grid(which)
        yield np.concatenate([np.zeros((users, 1), grid.dtype), grid[:, :-1]], axis=1)
