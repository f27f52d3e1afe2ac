"""seed → a small two-sided log with a rhythm, fading creators and stickers that follow from activity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tschurn import config, events, features
from tschurn.config import WindowShape
from tschurn.contracts import silent
from tschurn.features.lives import Lives
from tschurn.features.windows import WindowSet

FIRST = pd.Timestamp("2024-01-01")  # of the logs made here


def make_log(users: int = 120, days: int = 84, seed: int = 0) -> pd.DataFrame:
    """A creators' log: people act with a rate of their own that may fade; fans react to their acts.

    → user_id, actor_id, timestamp (naive), event, value.
    """
    random = np.random.default_rng(seed)
    rate = random.beta(1.2, 2.0, users)
    fade = np.where(random.random(users) < 0.5, random.uniform(0.0, 0.06, users), 0.0)
    start = random.integers(0, 20, users)
    day = np.arange(days)
    alive = np.clip(rate[:, None] * np.exp(-fade[:, None] * np.maximum(day - start[:, None], 0)), 0, 1)
    acts = random.poisson(3 * alive) * (random.random((users, days)) < alive) * (day >= start[:, None])
    own = _rows(acts, random, lambda u, n: u)
    own["event"] = random.choice(["post", "chat", "photo"], len(own), p=[0.5, 0.4, 0.1])
    fans = _rows(random.poisson(1.5 * acts), random, lambda u, n: 1000 + random.integers(0, 60, n))
    fans["event"] = random.choice(["like", "reply", "sticker"], len(fans), p=[0.6, 0.3, 0.1])
    log = pd.concat([own, fans], ignore_index=True)
    log["value"] = np.where(log["event"] == "sticker", random.integers(1, 20, len(log)) * 100.0, 1.0)
    return log.sort_values("timestamp", kind="stable").reset_index(drop=True)


def experiment(**sections: dict) -> config.Experiment:
    base = {
        "experiment": {"name": "t"},
        "log": {"path": "x.csv"},
        "targets": {"sticker": {"events": ["sticker"]}},
    }
    return config.parse(base | sections, "t.toml")


def build(
    frame: pd.DataFrame, folder: Path, exp: config.Experiment, days: int = 84, late: pd.DataFrame | None = None
) -> tuple[WindowSet, dict[str, pd.DataFrame]]:
    """The raw frame of the fixtures, in UTC, by way of the events stage; `days` of it from FIRST on."""
    folder.mkdir(exist_ok=True)
    frame.assign(timestamp=frame["timestamp"].dt.tz_localize("UTC")).to_parquet(folder / "log.parquet")
    log = exp.log.model_copy(update={"path": str(folder / "log.parquet")})
    exp = exp.model_copy(update={"log": log})
    known = events.read_log(exp, folder)
    known["log_summary"] = known["log_summary"].assign(first_day=FIRST.date(), days=days)
    if late is not None:
        both = pd.concat([frame, late])
        both.assign(timestamp=both["timestamp"].dt.tz_localize("UTC")).to_parquet(folder / "log.parquet")
    with events.open_log(exp, folder) as event_log, events.open_daily(exp, folder) as acts:
        tables, history = features.build_windows(event_log, acts, known, exp, folder, silent)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in features.ARRAYS if name != "history"}
    tables |= {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("supporters",)}
    tables["user_days"]["day"] = tables["user_days"]["day"].dt.date
    tables["flags"] = known["platform_days"].dropna(subset="flag")
    return features.open_windows(tables["windows"], tables["features"], {**arrays, "history": history}, exp), tables


def lives_of(panel: np.ndarray) -> Lives:
    """A panel → lives in which the first of its features is what counts as activity, and nobody has a sticker."""
    return Lives(panel[:, :, 0] > 0, np.zeros(panel.shape[:2], np.float32), WindowShape(), 0)


def _rows(
    counts: np.ndarray, random: np.random.Generator, actor: Callable[[np.ndarray, int], np.ndarray]
) -> pd.DataFrame:
    user, day = np.nonzero(counts)
    times = counts[user, day]
    user, day = np.repeat(user, times) + 1, np.repeat(day, times)
    seconds = random.integers(8 * 3600, 23 * 3600, len(user))
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D") + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"user_id": user, "actor_id": actor(user, len(user)), "timestamp": stamps})
