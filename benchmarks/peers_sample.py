"""a raw log and some users → their windows, by ways too slow for all users: each part timed, to be extrapolated.

At stride 1. Every function gives what was built (arrays of the sample, for the check) and the seconds of its parts:
`fixed` for what does not grow with the sample, `rows` and `users` for what grows with its rows and users.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import peers
from windows_log import EVENTS, OWN, RECEIVED, VALUED

Sampled = tuple[dict[str, np.ndarray], dict[str, float], dict[str, float]]  # arrays, wall, CPU
_COLUMNS = (
    [f"count {n}" for n in EVENTS] + [f"value {n}" for n in VALUED] + [f"people {n}" for n in RECEIVED] + ["people"]
)


class _Clock:
    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._last = _now()

    def lap(self, part: str) -> None:
        now = _now()
        self.wall[part] = self.wall.get(part, 0) + now[0] - self._last[0]
        self.cpu[part] = self.cpu.get(part, 0) + now[1] - self._last[1]
        self._last = now


def _now() -> tuple[float, float]:
    cpu = os.times()
    return time.perf_counter(), cpu.user + cpu.system + cpu.children_user + cpu.children_system


def sample_of(users: np.ndarray, n: int) -> np.ndarray:
    """All users → n of them, in order, the same ones for everybody."""
    return np.sort(np.random.default_rng(5).choice(users, min(n, len(users)), replace=False))


def pandas_loop(path: Path, threads: int, n: int) -> Sampled:
    """The usual way: pivot tables, every user's days filled up, a Python loop that cuts out one window at a time."""
    clock = _Clock()
    log = pd.read_parquet(path)
    log["day"] = log["timestamp"].dt.floor("D")
    days = pd.date_range(log["day"].min(), log["day"].max())
    users = sample_of(np.sort(log["user_id"].unique()), n)
    clock.lap("fixed")
    some = log[log["user_id"].isin(users)]
    clock.lap("fixed")
    daily = _pivoted(some, users, days)
    clock.lap("rows")
    windows, labels, user, anchor = [], [], [], []
    own = [f"count {name}" for name in OWN]
    for place, (_, table) in enumerate(daily.groupby(level="user_id")):
        for at in range(peers.OBSERVE - 1, len(days)):
            window = table.iloc[at + 1 - peers.OBSERVE : at + 1]
            if not window[own].to_numpy().any():
                continue
            outcome = table.iloc[at + 1 : at + 1 + peers.OUTCOME]
            windows.append(window.to_numpy(np.float32))
            labels.append(at + peers.OUTCOME < len(days) and not outcome[own].to_numpy().any())
            user.append(place)
            anchor.append(at)
    batch = np.stack(windows)
    clock.lap("users")
    order = np.lexsort([user, anchor])
    arrays = {"users": users, "user": np.array(user)[order], "anchor": np.array(anchor)[order],
              "churned": np.array(labels)[order], "windows": batch[order], "rows": np.array(len(some))}  # fmt: skip
    return arrays, clock.wall, clock.cpu


def _pivoted(log: pd.DataFrame, users: np.ndarray, days: pd.DatetimeIndex) -> pd.DataFrame:
    """→ a row for each user and day, a column for each feature."""
    key, received = ["user_id", "day"], log[log["actor_id"] != log["user_id"]]
    parts = [
        log.pivot_table(index=key, columns="event", values="value", aggfunc="count").add_prefix("count "),
        log[log["event"].isin(VALUED)].pivot_table(index=key, columns="event", values="value", aggfunc="sum")
        .add_prefix("value "),
        received.pivot_table(index=key, columns="event", values="actor_id", aggfunc="nunique").add_prefix("people "),
        received.groupby(key)["actor_id"].nunique().rename("people"),
    ]  # fmt: skip
    everything = pd.MultiIndex.from_product([users, days], names=key)
    return pd.concat(parts, axis=1).reindex(index=everything, columns=_COLUMNS).fillna(0)


def tsfresh_roll(path: Path, threads: int, n: int) -> Sampled:
    """The daily table by vectorised pandas, its windows by tsfresh's roll_time_series, which copies each of them."""
    from tsfresh.utilities.dataframe_functions import roll_time_series

    clock = _Clock()
    log = peers.read_frame(path)
    all_users, panel = peers.frame_panel(log)
    users = sample_of(all_users, n)
    clock.lap("fixed")
    some = panel[np.searchsorted(all_users, users)]
    days, features = some.shape[1:]
    frame = pd.DataFrame(some.reshape(-1, features), columns=_COLUMNS)
    frame.insert(0, "user", np.repeat(np.arange(len(users)), days))
    frame.insert(1, "day", np.tile(np.arange(days), len(users)))
    rolled = roll_time_series(
        frame, column_id="user", column_sort="day", disable_progressbar=True,
        max_timeshift=peers.OBSERVE - 1, min_timeshift=peers.OBSERVE - 1, n_jobs=threads if threads > 1 else 0,
    )  # fmt: skip
    # an id is (user, its last day); a stable sort, since the rows of a window come in order
    user, anchor = (np.array(part)[:: peers.OBSERVE] for part in zip(*rolled["id"], strict=True))
    windows = rolled[_COLUMNS].to_numpy(np.float32).reshape(-1, peers.OBSERVE, features)
    order = np.lexsort([user, anchor])
    user, anchor, windows = user[order], anchor[order], windows[order]
    eligible = windows[:, :, : len(OWN)].any(axis=(1, 2))
    clock.lap("users")
    found = peers.indexed(users, some, 1)  # the labels, for the check only
    arrays = {"users": users, "user": user[eligible], "anchor": anchor[eligible], "churned": found.churned,
              "windows": windows[eligible], "rows": np.array(0)}  # fmt: skip
    return arrays, clock.wall, clock.cpu


SAMPLED = {"pandas_loop": pandas_loop, "tsfresh": tsfresh_roll}
