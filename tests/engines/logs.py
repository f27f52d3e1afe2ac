"""A log, an engine → everything that the events stage makes of it, in an order that engines do not decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from synthetic import make_log

from tschurn import config, events, features
from tschurn.config import Experiment
from tschurn.contracts import DAILY, EVENT_LOG, EVENT_NAMES, FILTERS, LOG_SUMMARY, PLATFORM_DAYS, QUALITY, silent

# The words that come first are those that an engine once took for something else: letters lost at the ends,
# control characters, what SQL, HTML, formulas and paths are made of.
ODD = [
    "follow", "v", "fan_gift", "leave f", "'; DROP TABLE log; --", '"', "\\", "\\v", "`", "%", "a\tb", "line\nbreak",
    "<b>bold</b>", "=1+1", "../../etc", "좋아요", "é", "e\u0301", "\u200b", "\U0001f600", "NULL", "null", "NaN", "1e3",
    "x" * 500, "bell\x07bell", "tab\x0btab", "page\x0cpage",
]  # fmt: skip
TABLES = (FILTERS, LOG_SUMMARY, EVENT_NAMES, PLATFORM_DAYS, QUALITY)


def plain() -> pd.DataFrame:
    """Whole numbers as ids, local times without a zone, down to the last microsecond of a day."""
    log = make_log(users=25, days=45, seed=3)
    random = np.random.default_rng(6)
    log["timestamp"] = log["timestamp"] + pd.to_timedelta(random.integers(0, 1_000_000, len(log)), unit="us")
    last = random.random(len(log)) < 0.05
    log.loc[last, "timestamp"] = log.loc[last, "timestamp"].dt.normalize() + pd.Timedelta(86_399_999_999, unit="us")
    return log


def odd() -> pd.DataFrame:
    """Texts as ids and names, instants around both changes of the clocks, nulls, blanks, repeated rows, odd values."""
    random = np.random.default_rng(5)
    log = make_log(users=25, days=45, seed=4)
    ids = np.array([*ODD, "007", "7", *map(str, range(60))], dtype=object)
    log["user_id"] = ids[log["user_id"].to_numpy() % len(ids)]
    received = log["actor_id"].to_numpy() >= 1000
    log["actor_id"] = np.where(received, ids[log["actor_id"].to_numpy() % len(ids)], log["user_id"])
    strange = random.random(len(log)) < 0.3
    log["event"] = np.where(strange, np.array(ODD, dtype=object)[random.integers(0, len(ODD), len(log))], log["event"])
    log["value"] = np.where(random.random(len(log)) < 0.1, np.nan, random.normal(0, 1000, len(log)).round(4))
    log["object"] = np.where(random.random(len(log)) < 0.5, None, log["event"])
    half = len(log) // 2
    start = pd.to_datetime(["2024-03-25 00:00:00.000001"] * half + ["2024-10-20"] * (len(log) - half), format="ISO8601")
    micros = random.integers(0, 14 * 86_400_000_000, len(log)).astype("timedelta64[us]")
    log["timestamp"] = (start.to_numpy() + micros).astype("datetime64[us]")
    log["timestamp"] = log["timestamp"].dt.tz_localize("UTC")
    for column, share in (("user_id", 0.02), ("event", 0.02), ("timestamp", 0.02)):
        log.loc[random.random(len(log)) < share, column] = None
    log.loc[random.random(len(log)) < 0.02, "event"] = " \t"
    log.loc[random.random(len(log)) < 0.02, "user_id"] = "\x0b follow \x0c"
    return pd.concat([log, log.sample(50, random_state=1)], ignore_index=True).sample(frac=1, random_state=2)


def days() -> pd.DataFrame:
    """Calendar days instead of times."""
    log = plain()
    log["timestamp"] = log["timestamp"].dt.date
    return log.drop(columns="value")


LOGS = {
    "plain": (plain, {"timezone": "Asia/Seoul"}),
    "plain_utc": (plain, {"timezone": "America/New_York", "naive_time": "utc"}),
    "odd": (odd, {"timezone": "Europe/London"}),
    "odd_once": (odd, {"timezone": "Europe/London", "drop_duplicates": True}),
    "period": (odd, {"timezone": "Pacific/Auckland", "since": "2024-03-27", "until": "2024-10-28"}),
    "days": (days, {"timezone": "America/New_York"}),
}


def experiment(keys: dict[str, object], **sections: object) -> Experiment:
    return config.parse({"experiment": {"name": "engines"}, "log": keys, **sections}, "engines.toml")


def everything(where: Experiment, folder: Path) -> dict[str, pd.DataFrame]:
    """All that the events stage makes of a log, in an order of its own, by name."""
    folder.mkdir()
    tables = events.read_log(where, folder)
    found = {t.name: t.check(tables[t.name]).to_pandas() for t in TABLES}
    with events.open_daily(where, folder) as acts:
        found["acts"] = DAILY.check(acts.to_pyarrow().to_pandas()).to_pandas()
    with events.open_log(where, folder) as log:
        found["event_log"] = EVENT_LOG.check(log.to_pyarrow().to_pandas()).to_pandas()
    columns = list(EVENT_LOG.columns)
    found["event_log"] = found["event_log"].sort_values(columns, ignore_index=True)
    return found


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(list(frame.columns), ignore_index=True)


@dataclass(frozen=True)
class Engine:
    """One engine. put: a log and a name → the keys of [log] that say where it lies now."""

    name: str
    put: Callable[[pd.DataFrame, str], dict[str, object]]


def parquet(log: pd.DataFrame, path: Path) -> Path:
    """A log → a file; times in µs, as all engines can read them."""
    table = pa.Table.from_pandas(log, preserve_index=False)
    pq.write_table(table, path, coerce_timestamps="us", row_group_size=max(1, len(log) // 3))
    return path


def windows(where: Experiment, folder: Path) -> tuple[dict[str, pd.DataFrame], np.ndarray, np.ndarray]:
    """All that the windows stage makes of a log: its tables by name, supporters too, the panel, and the history."""
    folder.mkdir()
    known = events.read_log(where, folder)
    with events.open_log(where, folder) as log, events.open_daily(where, folder) as acts:
        tables, history = features.build_windows(log, acts, known, where, folder, silent)
    tables["supporters"] = pd.read_parquet(folder / "supporters.parquet")
    return tables, np.load(folder / "panel.npy"), history
