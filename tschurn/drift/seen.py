"""a finished run's windows, scores and contributions → REFERENCE tables: what drift is measured against, kept small."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tschurn import contracts as c
from tschurn.contracts import LABELS
from tschurn.drift import bins
from tschurn.drift.ordinary import apart
from tschurn.drift.outcomes import FIGURES, by_anchor

MOST_WINDOWS = 50_000  # that features are looked at on
MOST_USERS = 5_000  # in the sample for the rank test
REFERENCE = (
    c.REFERENCE_BINS, c.REFERENCE_SAMPLE, c.REFERENCE_ANCHORS, c.REFERENCE_PUSHES, c.REFERENCE_EVENTS,
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What was seen of a log: by a run, or now.

    index: WINDOWS. profile: user_id and features (PROFILE) of the windows at `rows` of the index, in their order.
    scores: user_id, anchor_day, target, p, log_odds and y (null where the outcome is open or does not count): of a run
    its test windows, as the list would have scored them (OUT_OF_TIME: the evaluated model's log-odds under the refit's
    calibration, so that they can be compared); now, windows of anchors after the run's log. pushes: per target user_id,
    anchor_day and each feature's contribution to the log-odds, of such windows too. events: EVENT_NAMES. span: the days
    that a window observes, or those of its outcome if these are more.
    """

    index: pd.DataFrame
    rows: np.ndarray
    profile: pd.DataFrame
    scores: pd.DataFrame
    pushes: dict[str, pd.DataFrame] = field(default_factory=dict)
    events: pd.DataFrame | None = None
    span: int = 7


def sample(index: pd.DataFrame, span: int, seed: int, most: int = MOST_WINDOWS) -> np.ndarray:
    """WINDOWS of a run and the days that one looks at → positions of the closed windows that are looked at, at anchors
    that have few days in common, in their order."""
    closed = np.flatnonzero(index["closed"])
    rows = closed[apart(index["anchor_day"].iloc[closed], span)]
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, 11]).choice(rows, most, replace=False))


def reference(run: Seen, seed: int) -> dict[str, pd.DataFrame]:
    """What a run saw → REFERENCE tables by name.

    Features are looked at on the closed windows among `rows`: the refit has learned from all of them. Scores, outcomes
    and contributions are those of test, which the model had not seen.
    """
    targets = sorted(run.scores["target"].unique())
    looked = run.index.iloc[run.rows].reset_index(drop=True)
    kept = looked["closed"].to_numpy().copy()
    kept[kept] = apart(looked["anchor_day"][kept], run.span)
    looked, profile = looked[kept], run.profile[kept]
    day = looked["anchor_day"].to_numpy()
    parts = [_bins("feature", name, profile[name].to_numpy(np.float64), day) for name in profile.columns[1:]]
    for target in targets:
        scores = run.scores[run.scores["target"] == target]
        scores = scores[apart(scores["anchor_day"], run.span)]
        parts.append(_bins("score", target, scores["p"].to_numpy(), scores["anchor_day"].to_numpy()))
    return {
        "reference_bins": pd.concat(parts, ignore_index=True),
        "reference_sample": _one_per_user(profile.assign(anchor_day=day), seed),
        "reference_anchors": pd.concat([_anchors(run, target) for target in targets], ignore_index=True),
        "reference_pushes": pushes_by_anchor({t: p[apart(p["anchor_day"], run.span)] for t, p in run.pushes.items()}),
        "reference_events": _events(run.events),
    }


def pushes_by_anchor(pushes: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Per target user_id, anchor_day and contributions of windows → REFERENCE_PUSHES."""
    parts = []
    for target, frame in pushes.items():
        features = [name for name in frame.columns if name not in ("user_id", "anchor_day")]
        for day, part in frame.groupby("anchor_day", sort=True):
            values = part[features].to_numpy(np.float64)
            parts.append(pd.DataFrame({
                "target": target, "feature": features, "anchor_day": day, "windows": len(values),
                "mean": values.mean(axis=0), "magnitude": np.abs(values).mean(axis=0),
                "error": values.std(axis=0) / np.sqrt(len(values)),
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(c.REFERENCE_PUSHES.columns))


def _bins(kind: str, name: str, values: np.ndarray, day: np.ndarray) -> pd.DataFrame:
    edges = bins.edges_of(values)
    uppers = [*edges, None, None]
    places = [*range(len(edges) + 1), -1]
    days = np.unique(day)
    counted = [bins.count(values[day == d], edges) for d in days]
    return pd.DataFrame({
        "kind": kind, "name": name, "anchor_day": np.repeat(days, len(places)), "bin": np.tile(places, len(days)),
        "upper": np.tile(np.array(uppers, dtype=np.float64), len(days)),
        "windows": np.concatenate(counted) if counted else [],
    })  # fmt: skip


def _one_per_user(profile: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One window of each user, of MOST_USERS of them at most."""
    shuffled = profile.iloc[np.random.default_rng([seed, 12]).permutation(len(profile))]
    chosen = shuffled.drop_duplicates("user_id").head(MOST_USERS).sort_index()
    return chosen[["user_id", "anchor_day", *profile.columns[1:-1]]].reset_index(drop=True)


def _anchors(run: Seen, target: str) -> pd.DataFrame:
    """→ REFERENCE_ANCHORS of a target: all anchors, and of test what the model says."""
    label = run.index[LABELS[target]]
    counted = run.index.assign(labelled=label.notna(), positives=label == 1).groupby("anchor_day", sort=True)
    every = counted.agg(windows=("user_id", "size"), labelled=("labelled", "sum"), positives=("positives", "sum"))
    scores = run.scores[run.scores["target"] == target]
    test = by_anchor(scores).set_index("anchor_day")[["p_mean", "log_odds", *FIGURES]]
    found = every.join(test).reset_index().assign(target=target)
    return found[list(c.REFERENCE_ANCHORS.columns)]


def _events(events: pd.DataFrame | None) -> pd.DataFrame:
    columns = list(c.REFERENCE_EVENTS.columns)
    return pd.DataFrame(columns=columns) if events is None else events[columns].reset_index(drop=True)
