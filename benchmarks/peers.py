"""a raw log → windows ready for training, by other means: the peers of `make bench-windows`.

Each engine of ENGINES takes (path, threads) and gives the users and their panel [users × days × 36]; `indexed` makes
windows of it, the same for all. The features: a count of each event, a sum of each valued event, the people of each
received event, and all people who acted towards the user. Each peer is written as its own users would for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from windows_log import EVENTS, OWN, RECEIVED, VALUED

OBSERVE, OUTCOME, BATCH = 7, 7, 512
DAY_US = 86_400_000_000
N, R = len(EVENTS), len(OWN)  # events; the first received one
VALUE_EVENTS = [EVENTS.index(name) for name in VALUED]
VALUES, PEOPLE = N, N + len(VALUED)  # where the sums and the people begin
FEATURES = PEOPLE + len(RECEIVED) + 1

Built = tuple[np.ndarray, np.ndarray]  # users in order, panel


@dataclass(frozen=True)
class Windows:
    """What every engine has to arrive at; all windows are in the order of their anchors, then users."""

    users: np.ndarray
    panel: np.ndarray
    user: np.ndarray
    anchor: np.ndarray
    closed: np.ndarray
    churned: np.ndarray  # false where open
    batch: np.ndarray  # [512 × 7 × 36] of the closed windows that `drawn` names
    history: np.ndarray | None = None


def drawn(closed: np.ndarray) -> np.ndarray:
    """Which windows are closed → positions of a batch of them."""
    return np.random.default_rng(0).choice(np.flatnonzero(closed), BATCH)


def indexed(users: np.ndarray, panel: np.ndarray, stride: int) -> Windows:
    """Users and panel → Windows, by running sums and a gather."""
    days = panel.shape[1]
    so_far = np.zeros((len(users), days + 1), np.int32)
    np.cumsum(panel[:, :, :R].any(axis=2), axis=1, out=so_far[:, 1:])
    anchors = np.arange(OBSERVE - 1, days, stride)
    eligible = so_far[:, anchors + 1] > so_far[:, anchors + 1 - OBSERVE]
    quiet = so_far[:, np.minimum(anchors + 1 + OUTCOME, days)] == so_far[:, anchors + 1]
    where, user = np.nonzero(eligible.T)
    anchor = anchors[where]
    closed = anchor + OUTCOME < days
    rows = drawn(closed)
    batch = panel[user[rows, None], anchor[rows, None] + np.arange(1 - OBSERVE, 1)]
    return Windows(users, panel, user, anchor, closed, quiet[user, where] & closed, batch)


class _Cells:
    """User ids and days of all rows → the users in order, and where a row lies in the panel."""

    def __init__(self, user_ids: np.ndarray, days: np.ndarray) -> None:
        self.users, self.first = np.unique(user_ids), days.min()
        self.panel = np.zeros((len(self.users), int(days.max() - self.first) + 1, FEATURES), np.float32)

    def put(self, feature: np.ndarray | int, user_ids: np.ndarray, days: np.ndarray, values: np.ndarray) -> None:
        self.panel[np.searchsorted(self.users, user_ids), days - self.first, feature] = values


# --- pandas and numpy -----------------------------------------------------------------------------
def read_frame(path: Path) -> pd.DataFrame:
    """The log as a frame; its events as a categorical in the order of EVENTS."""
    log = pd.read_parquet(path, read_dictionary=["event"])
    log["event"] = log["event"].cat.set_categories(EVENTS)
    return log


def pandas_vectorised(path: Path, threads: int) -> Built:
    """pandas for the grouping and the distinct people, numpy's bincount for the sums. The reference."""
    return frame_panel(read_frame(path))


def frame_panel(log: pd.DataFrame) -> Built:
    """A log as a frame → users, panel."""
    user, users = pd.factorize(log["user_id"], sort=True)
    day = log["timestamp"].to_numpy("datetime64[us]").astype(np.int64) // DAY_US
    day -= day.min()
    event = log["event"].cat.codes.to_numpy(np.int64)
    shape = len(users), int(day.max()) + 1
    cell = user * shape[1] + day
    panel = _sums(cell, event, log["value"].to_numpy(), shape)
    received = event >= R
    met = pd.DataFrame({"cell": cell[received], "event": event[received] - R, "actor": log["actor_id"][received]})
    met = met.drop_duplicates()
    once = met[["cell", "actor"]].drop_duplicates()
    _people(panel, met["cell"].to_numpy(), met["event"].to_numpy(), once["cell"].to_numpy())
    return users.to_numpy(), panel


def _sums(cell: np.ndarray, event: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """→ a new panel with its counts and its sums."""
    panel = np.zeros((*shape, FEATURES), np.float32)
    key, cells = cell * N + event, shape[0] * shape[1]
    panel[:, :, :N] = np.bincount(key, minlength=cells * N).reshape(*shape, N)
    sums = np.bincount(key, weights=value, minlength=cells * N).reshape(*shape, N)
    panel[:, :, VALUES:PEOPLE] = sums[:, :, VALUE_EVENTS]
    return panel


def _people(panel: np.ndarray, cell: np.ndarray, event: np.ndarray, cell_once: np.ndarray) -> None:
    """Different (cell, event, actor) and different (cell, actor) → the panel's columns of people."""
    shape, n = panel.shape[:2], len(RECEIVED)
    cells = shape[0] * shape[1]
    panel[:, :, PEOPLE:-1] = np.bincount(cell * n + event, minlength=cells * n).reshape(*shape, n)
    panel[:, :, -1] = np.bincount(cell_once, minlength=cells).reshape(shape)


@dataclass(frozen=True)
class _Columns:
    """The log as arrays of integers. actor: from 0 to below `actors`."""

    users: np.ndarray
    shape: tuple[int, int]
    cell: np.ndarray
    event: np.ndarray
    actor: np.ndarray
    actors: int
    value: np.ndarray


def _columns(path: Path) -> _Columns:
    log = pq.read_table(path, read_dictionary=["event"])
    user, users = pd.factorize(log["user_id"].to_numpy(), sort=True)
    day = log["timestamp"].cast(pa.int64()).to_numpy() // DAY_US
    day -= day.min()
    event = log["event"].unify_dictionaries().combine_chunks()
    codes = np.array([EVENTS.index(name) for name in event.dictionary.to_pylist()], np.int64)[event.indices.to_numpy()]
    actor = log["actor_id"].to_numpy()
    actor = actor - actor.min()
    days = int(day.max()) + 1
    if int(actor.max()) * len(users) * days > 2**58:  # ids too far apart to be packed as they are
        actor = pd.factorize(actor)[0]
    return _Columns(
        users, (len(users), days), user * days + day, codes, actor, int(actor.max()) + 1, log["value"].to_numpy()
    )


def numpy_sort(path: Path, threads: int) -> Built:
    """User, day, actor and event packed into one integer; one sort finds the distinct ones."""
    log = _columns(path)
    panel = _sums(log.cell, log.event, log.value, log.shape)
    received = log.event >= R
    key = ((log.cell[received] * log.actors + log.actor[received]) << 4) | (log.event[received] - R)
    key.sort()
    key = key[np.r_[True, key[1:] != key[:-1]]]
    pair = key >> 4
    cell = pair // log.actors
    _people(panel, cell, key & 15, cell[np.r_[True, pair[1:] != pair[:-1]]])
    return log.users, panel


def numba_pass(path: Path, threads: int) -> Built:
    """One compiled pass over the rows, with a hash table of (user, day, actor) → bits of the events met."""
    log = _columns(path)
    panel = np.zeros((log.shape[0] * log.shape[1], FEATURES), np.float32)
    slot = np.full(N, -1)
    slot[VALUE_EVENTS] = np.arange(VALUES, PEOPLE)
    size = 1 << int(2 * len(log.cell) - 1).bit_length()
    value = np.require(log.value, requirements="W")  # else compiled once more for arrays that cannot be written
    _one_pass()(log.cell, log.event, log.actor, log.actors, value, slot, size, panel)
    return log.users, panel.reshape(*log.shape, FEATURES)


def _one_pass() -> Callable[..., None]:
    if not _COMPILED:
        from numba import njit

        @njit(nogil=True)
        def one_pass(cell, event, actor, actors, value, slot, size, panel):
            keys = np.full(size, -1, np.int64)
            met = np.zeros(size, np.uint16)
            for i in range(len(cell)):
                row, e = panel[cell[i]], event[i]
                row[e] += 1
                if slot[e] >= 0:
                    row[slot[e]] += value[i]
                if e < R:
                    continue
                key = cell[i] * actors + actor[i]
                at = ((key * np.int64(-7046029254386353131)) >> np.int64(20)) & (size - 1)
                while keys[at] != key and keys[at] != -1:
                    at = (at + 1) & (size - 1)
                if keys[at] == -1:
                    keys[at] = key
                    row[FEATURES - 1] += 1
                bit = np.uint16(1 << (e - R))
                if not met[at] & bit:
                    met[at] |= bit
                    row[PEOPLE + e - R] += 1

        _COMPILED.append(one_pass)
    return _COMPILED[0]


_COMPILED: list[Callable[..., None]] = []


# --- DuckDB ---------------------------------------------------------------------------------------
_DAY = f"(epoch_us(timestamp) // {DAY_US})::int"


def _duckdb(threads: int, path: Path):
    """→ a connection with the log as the view `log`."""
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    connection.read_parquet(str(path)).create_view("log")
    return connection


def duckdb_plain(path: Path, threads: int) -> Built:
    """What one writes first: one query, count(DISTINCT) FILTER for each event."""
    parts = [f"count(*) FILTER (event = '{name}')" for name in EVENTS]
    parts += [f"sum(value) FILTER (event = '{name}')" for name in VALUED]
    parts += [f"count(DISTINCT actor_id) FILTER (event = '{name}')" for name in RECEIVED]
    parts.append("count(DISTINCT actor_id) FILTER (actor_id <> user_id)")
    wide = _duckdb(threads, path).execute(
        f"SELECT user_id, {_DAY} AS day, {', '.join(parts)} FROM log GROUP BY ALL"
    ).fetchnumpy()  # fmt: skip
    user, day, *values = (np.ma.filled(column, 0) for column in wide.values())
    cells = _Cells(user, day)
    for feature, column in enumerate(values):
        cells.put(feature, user, day, column)
    return cells.users, cells.panel


def duckdb_two_stage(path: Path, threads: int) -> Built:
    """Rows → one row per user, day, actor and event → one row per user, day and event; all people beside it."""
    connection = _duckdb(threads, path)
    connection.execute(
        f"CREATE TEMP TABLE met AS SELECT user_id, {_DAY} AS day, actor_id, event, count(*) AS n, sum(value) AS value "
        "FROM log GROUP BY ALL"
    )
    long = connection.execute(
        f"SELECT user_id, day, {_code()} AS event, sum(n)::bigint AS n, sum(value) AS value, count(*) AS people "
        "FROM met GROUP BY ALL"
    ).fetchnumpy()
    people = connection.execute(
        "SELECT user_id, day, count(DISTINCT actor_id) AS people FROM met WHERE actor_id <> user_id GROUP BY ALL"
    ).fetchnumpy()
    cells = _long(long)
    received = long["event"] >= R
    cells.put(
        PEOPLE + long["event"][received] - R, long["user_id"][received], long["day"][received], long["people"][received]
    )
    cells.put(FEATURES - 1, people["user_id"], people["day"], people["people"])
    return cells.users, cells.panel


def duckdb_masks(path: Path, threads: int) -> Built:
    """Integer keys; each person's events of a day are the bits of one integer, so that people are grouped once."""
    connection = _duckdb(threads, path)
    connection.execute(
        f"CREATE TEMP TABLE short AS SELECT user_id, {_DAY}::smallint AS day, actor_id, {_code()}::tinyint AS event, "
        "value FROM log"
    )
    bits = ", ".join(f"sum((bits >> {k}) & 1)::int AS people_{k}" for k in range(len(RECEIVED)))
    people = connection.execute(
        f"SELECT user_id, day, {bits}, count(*) AS people FROM (SELECT user_id, day, actor_id, "
        f"bit_or(1::int << (event - {R})::int) AS bits FROM short WHERE event >= {R} GROUP BY ALL) GROUP BY ALL"
    ).fetchnumpy()
    cells = _long(connection.execute(
        "SELECT user_id, day, event, count(*) AS n, sum(value) AS value FROM short GROUP BY ALL"
    ).fetchnumpy())  # fmt: skip
    for k in range(len(RECEIVED)):
        cells.put(PEOPLE + k, people["user_id"], people["day"], people[f"people_{k}"])
    cells.put(FEATURES - 1, people["user_id"], people["day"], people["people"])
    return cells.users, cells.panel


def _code() -> str:
    """SQL: the event's place in EVENTS."""
    return "CASE event " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(EVENTS)) + " END"


def _long(table: dict[str, np.ndarray]) -> _Cells:
    """One row per user, day and event → counts and sums."""
    user, day, event = (np.asarray(table[name]) for name in ("user_id", "day", "event"))
    cells = _Cells(user, day)
    cells.put(event, user, day, table["n"])
    slot = np.full(N, -1)
    slot[VALUE_EVENTS] = np.arange(VALUES, PEOPLE)
    valued = slot[event] >= 0
    cells.put(slot[event[valued]], user[valued], day[valued], np.asarray(table["value"])[valued])
    return cells


# --- Polars ---------------------------------------------------------------------------------------
def polars_lazy(path: Path, threads: int) -> Built:
    """Lazy and streaming; both groupings in one plan. (Bit masks and two stages were slower here.)"""
    import polars as pl

    log = pl.scan_parquet(path).select(
        "user_id", "actor_id", "value",
        day=(pl.col("timestamp").dt.epoch("us") // DAY_US).cast(pl.Int32),
        event=pl.col("event").cast(pl.Enum(EVENTS)).to_physical().cast(pl.Int8),
    )  # fmt: skip
    long = log.group_by("user_id", "day", "event").agg(
        n=pl.len(), value=pl.col("value").sum(), people=pl.col("actor_id").n_unique()
    )
    people = log.filter(pl.col("event") >= R).group_by("user_id", "day").agg(people=pl.col("actor_id").n_unique())
    long, people = (
        {c: frame[c].to_numpy() for c in frame.columns} for frame in pl.collect_all([long, people], engine="streaming")
    )
    cells = _long(long)
    received = long["event"] >= R
    cells.put(
        PEOPLE + long["event"][received] - R, long["user_id"][received], long["day"][received], long["people"][received]
    )
    cells.put(FEATURES - 1, people["user_id"], people["day"], people["people"])
    return cells.users, cells.panel


# --- only reading ---------------------------------------------------------------------------------
def scan_duckdb(path: Path, threads: int) -> Sequence[int]:
    """A sum over each column."""
    return _duckdb(threads, path).execute(
        "SELECT count(*), sum(user_id), sum(actor_id), sum(epoch_us(timestamp)), sum(strlen(event)), sum(value) "
        "FROM log"
    ).fetchone()  # fmt: skip


def scan_arrow(path: Path, threads: int) -> Sequence[int]:
    """The whole file into memory, as it is."""
    return (len(pq.read_table(path)),)


ENGINES: dict[str, Callable[[Path, int], Built]] = {
    "pandas": pandas_vectorised,
    "numpy_sort": numpy_sort,
    "numba": numba_pass,
    "duckdb_masks": duckdb_masks,
    "polars": polars_lazy,
    "duckdb_two_stage": duckdb_two_stage,
    "duckdb_plain": duckdb_plain,
}
SCANS = {"scan_arrow": scan_arrow, "scan_duckdb": scan_duckdb}
