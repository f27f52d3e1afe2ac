"""rows, times → a raw event log as one Parquet file: drawn with a seed, in time order, a day at a time.

The log is like the founding project's in size and shape: 5,186,966 rows, 139 days, 1,230 creators, 6 own and 11
received kinds of events, 38,458 closed windows of 7 + 7 days (one a day), 34 % of them churned. `times` copies of the
platform lie side by side in one file, their rows mixed, their ids shifted; memory does not grow with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS, DAYS, CREATORS, FANS = 5_186_966, 139, 1_230, 60_000
FIRST_DAY = np.datetime64("2022-11-10")
SHIFT = 10_000_000  # of ids, from one copy of the platform to the next
OWN = ("broadcast", "chat", "login", "post", "profile", "story")
RECEIVED = (
    "bookmark", "cheer", "comment", "fan_letter", "follow", "gift_large", "gift_medium", "gift_small", "like",
    "share", "visit",
)  # fmt: skip
EVENTS = OWN + RECEIVED  # the order of the features: counts, then values, then people, each in this order
VALUED = ("cheer", "fan_letter", "gift_large", "gift_medium", "gift_small", "share", "visit")
GIFTS = ("gift_large", "gift_medium", "gift_small")
_OWN_SHARES = (0.05, 0.40, 0.10, 0.15, 0.10, 0.20)
_RECEIVED_SHARES = (0.06, 0.08, 0.12, 0.02, 0.05, 0.005, 0.015, 0.04, 0.30, 0.06, 0.25)
_OWN_SHARE = 0.03
_CHUNK_ROWS = 500_000
_ROW_GROUP = 1 << 20
_DAY_US = 86_400_000_000
SCHEMA = pa.schema(
    {
        "user_id": pa.int64(), "actor_id": pa.int64(), "timestamp": pa.timestamp("us", tz="UTC"),
        "event": pa.string(), "value": pa.float64(),
    }
)  # fmt: skip


def cached(folder: Path, share: float = 1.0, times: int = 1) -> Path:
    """→ the log of `share` of the rows, `times` over, in `folder`; written there if this module has not yet."""
    recipe = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=4).hexdigest()
    path = folder / f"log_{share:g}_times_{times}_{recipe}.parquet"
    if not path.exists():
        beside = path.with_suffix(".partial")
        write(beside, share, times)
        beside.replace(path)
    return path


def write(path: Path, share: float = 1.0, times: int = 1, seed: int = 1) -> None:
    """Draw the log and write it; creators and fans are fewer as the rows are."""
    rng = np.random.default_rng(seed)
    platform = _Platform(rng, max(60, round(CREATORS * share)), max(600, round(FANS * share)))
    rows = platform.rows_by_day(rng, round(ROWS * share)) * times
    waiting: list[pa.Table] = []
    written = np.zeros(times, np.int64)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for day, n in enumerate(rows):
            for chunk in platform.day(rng, day, int(n), times):
                waiting.append(chunk)
                written += np.bincount(chunk["user_id"].to_numpy() // SHIFT, minlength=times)
                if sum(map(len, waiting)) >= _ROW_GROUP:
                    writer.write_table(pa.concat_tables(waiting), row_group_size=_ROW_GROUP)
                    waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=_ROW_GROUP)
    if written.max() > 1.1 * written.min():
        raise ValueError(f"{path}: its copies have {written.min()} to {written.max()} rows")


class _Platform:
    """One copy of the platform: who is there when, how much is done by and for each, who their fans are."""

    def __init__(self, rng: np.random.Generator, creators: int, fans: int) -> None:
        self.creators, self.fans = creators, fans
        weight = np.minimum(rng.pareto(1.5, creators), 20) + 0.05  # nobody is a tenth of the platform
        self.weight = weight / weight.sum()
        self.life = rng.integers(20, DAYS + 60, creators)  # days from the log's first to the creator's last
        self.there = np.arange(DAYS)[:, None] < self.life
        self.active = self.there & (rng.random((DAYS, creators)) < rng.beta(0.15, 1.2, creators))
        once = (rng.random(creators) * np.minimum(self.life, DAYS)).astype(int)
        self.active[once, np.arange(creators)] = True  # nobody without an own act
        # fans come back to the creators that they know: each creator has a circle, the nearer the more often seen
        self.circle = np.clip(self.weight * fans * 4, 20, fans).astype(np.int64)
        self.centre = rng.integers(0, fans, creators)

    def rows_by_day(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """→ [days]: `rows` in all, at least one for each active creator and day."""
        least = self.active.sum(axis=1)
        rate = (self.there * self.weight).sum(axis=1) * np.where(np.arange(DAYS) % 7 < 5, 1.0, 1.3)
        return least + rng.multinomial(max(0, rows - least.sum()), rate / rate.sum())

    def day(self, rng: np.random.Generator, day: int, rows: int, times: int) -> Iterator[pa.Table]:
        """→ one day of all copies, in parts of it one after the other, so that no part is large."""
        active = np.flatnonzero(self.active[day])
        shown = np.tile(active, times)  # each active creator's one sure act, in each copy; in the first part
        copy = np.repeat(np.arange(times), len(active))
        parts = max(1, -(-rows // _CHUNK_ROWS))
        for part, n in enumerate(np.diff(np.linspace(0, rows - len(shown), parts + 1).astype(int))):
            sure = (shown, copy) if part == 0 else (shown[:0], copy[:0])
            user, of_copy, own = self._users(rng, day, int(n), times, sure)
            second = np.sort(rng.integers(part * _DAY_US // parts, (part + 1) * _DAY_US // parts, len(user)))
            yield self._table(rng, user, of_copy, own, day * _DAY_US + second)

    def _users(
        self, rng: np.random.Generator, day: int, rows: int, times: int, sure: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """→ user, copy, and whether it is an own act, of `rows` rows and the sure ones, shuffled."""
        own = rng.random(rows) < (_OWN_SHARE if self.active[day].any() else 0)
        there = np.where(own, self._drawn(rng, self.active[day], rows), self._drawn(rng, self.there[day], rows))
        user = np.concatenate([sure[0], there])
        copy = np.concatenate([sure[1], rng.integers(0, times, rows)])
        own = np.concatenate([np.ones(len(sure[0]), bool), own])
        order = rng.permutation(len(user))
        return user[order], copy[order], own[order]

    def _drawn(self, rng: np.random.Generator, among: np.ndarray, rows: int) -> np.ndarray:
        """→ creators among those given, by weight; 0 if there are none."""
        so_far = np.cumsum(self.weight * among)
        return np.minimum(np.searchsorted(so_far, rng.random(rows) * so_far[-1], side="right"), self.creators - 1)

    def _table(
        self, rng: np.random.Generator, user: np.ndarray, copy: np.ndarray, own: np.ndarray, micros: np.ndarray
    ) -> pa.Table:
        n = len(user)
        event = np.where(
            own, rng.choice(len(OWN), n, p=_OWN_SHARES),
            len(OWN) + rng.choice(len(RECEIVED), n, p=_RECEIVED_SHARES),
        )  # fmt: skip
        fan = (self.centre[user] + (rng.random(n) ** 2 * self.circle[user]).astype(np.int64)) % self.fans
        valued = np.isin(event, [EVENTS.index(name) for name in VALUED])
        columns = {
            "user_id": 1 + user + copy * SHIFT,
            "actor_id": np.where(own, 1 + user, 1 + self.creators + fan) + copy * SHIFT,
            "timestamp": pa.array(FIRST_DAY.astype("datetime64[us]") + micros.astype("timedelta64[us]")),
            "event": pa.DictionaryArray.from_arrays(pa.array(event, pa.int32()), pa.array(EVENTS)),
            "value": np.where(valued, rng.integers(1, 50, n), 1).astype(np.float64),
        }
        return pa.table(columns).cast(SCHEMA)
