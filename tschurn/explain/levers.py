"""a model, windows and events that the platform can move → LEVERS: what the model would say if they were as usual.

For each scored user the act in question is taken, on the observed days, from comparable active users who stayed and
who had a typical number of it; every input is computed anew (Windows.mixed). What changes is what the model answers:
an association. Whether moving it in the world moves anybody, only an experiment tells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tschurn.contracts import Mixable
from tschurn.errors import ConfigError, did_you_mean
from tschurn.explain.attribution import Calibrate, Predict, worth

STRATA = 4  # of activity, in which users are comparable
COMPARED = 5  # comparable windows whose mean answer counts


def levers(
    windows: Mixable, events: Sequence[str], predict: Predict, calibrate: Calibrate, rows: np.ndarray,
    train: np.ndarray, *, threads: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Windows at `rows`, events that can be moved, training windows → LEVERS without its target.

    Comparable: of the same quarter of activity (own acts in the observation) among the training windows of users who
    stayed; typical: the median of the event there. No row where a user has as much of it as is typical, or more.
    Raises ConfigError for an event that has no feature of its own.
    """
    known = _counted(windows.features)
    parts = [_one(windows, known, event, predict, calibrate, rows, train, threads) for event in events]
    columns = ["user_id", "anchor_day", "event", "label_en", "label_ko", "value", "typical", "p", "p_moved"]
    parts = [part for part in parts if len(part)]
    if parts:
        return pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns=columns).astype({"user_id": windows.index["user_id"].dtype})


def _one(
    windows: Mixable, known: pd.DataFrame, event: str, predict: Predict, calibrate: Calibrate, rows: np.ndarray,
    train: np.ndarray, threads: int,
) -> pd.DataFrame:  # fmt: skip
    place = _place(known, event)
    feature = known.iloc[place]
    groups = windows.groups([feature["feature"]])
    daily = windows.features[windows.features["kind"] == "daily"]["feature"].tolist()
    moved = 1 << int(groups.of_feature[daily.index(feature["feature"])])
    own = [daily.index(f) for f in known.loc[known["side"] == "own", "feature"]]

    stayed = train[windows.index["churned"].to_numpy(dtype=float, na_value=1.0)[train] == 0]
    if not len(stayed) or not len(rows):
        return pd.DataFrame()
    before, here = (_sums(windows, r, own, daily.index(feature["feature"])) for r in (stayed, rows))
    edges = np.unique(np.quantile(before[0], np.arange(1, STRATA) / STRATA))
    strata = [np.searchsorted(edges, acts, side="left") for acts, _ in (before, here)]
    typical, moves = np.zeros(len(rows)), []
    for stratum in np.unique(strata[1]):
        among = np.flatnonzero(strata[0] == stratum)
        among = among if len(among) else np.arange(len(stayed))
        median = np.median(before[1][among])
        nearest = among[np.argsort(np.abs(before[1][among] - median), kind="stable")[:COMPARED]]
        typical[strata[1] == stratum] = median
        moves.append((np.flatnonzero((strata[1] == stratum) & (here[1] < median)), stayed[nearest]))
    cells = np.full((2, 1 + windows.observe_days), -1, dtype=np.int64)
    cells[1, 1:] &= ~moved  # the past stays
    found = []
    for who, others in moves:
        if len(who):
            odds = worth(windows, groups, predict, rows[who], others, cells, threads)
            p = calibrate(odds).mean(axis=1)
            whose = windows.index[["user_id", "anchor_day"]].iloc[rows[who]].reset_index(drop=True)
            found.append(
                whose.assign(
                    event=event, label_en=feature["label_en"], label_ko=feature["label_ko"], value=here[1][who],
                    typical=typical[who], p=p[:, 0], p_moved=p[:, 1],
                )
            )  # fmt: skip
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _sums(windows: Mixable, rows: np.ndarray, own: Sequence[int], event: int) -> tuple[np.ndarray, np.ndarray]:
    """→ own acts of each window, and how many of the event."""
    totals = np.concatenate([windows.batch(block).sum(axis=1) for block in np.array_split(rows, -(-len(rows) // 8192))])
    return totals[:, list(own)].sum(axis=1), totals[:, event]


def check(features: pd.DataFrame, events: Sequence[str]) -> None:
    """FEATURES, events that can be moved → nothing; ConfigError for an event that has no feature of its own."""
    known = _counted(features)
    for event in events:
        _place(known, event)


def _counted(features: pd.DataFrame) -> pd.DataFrame:
    """FEATURES → those that count an event day by day."""
    counts = features[(features["kind"] == "daily") & (features["measure"] == "count")]
    return counts[counts["event_name"].notna()].reset_index(drop=True)


def _place(known: pd.DataFrame, event: str) -> int:
    """Where the event's count is; `own:post` or `received:post` where both sides have it."""
    names = known["side"].str.cat(known["event_name"], sep=":")
    found = np.flatnonzero((known["event_name"] == event) | (names == event))
    if len(found) == 1:
        return int(found[0])
    options = sorted(names if len(found) > 1 else known["event_name"].unique())
    why = "both sides have it: write own: or received: before it" if len(found) > 1 else "no such event in this log"
    raise ConfigError(
        f"key `explain.levers`: {event!r}: {why}; with features of their own are {', '.join(options)}"
        + did_you_mean(event, options)
    )
