"""windows and NEXT_ACTS → SUFFICIENCY: how much one must observe, and for how long an outcome, to tell who churns.

Every cell (days observed × days of outcome) sees the same users at the same anchors: windows that are eligible
by the experiment's own observation, with the longest look inside the log (of them those who stay, for a target that
is given that they do). Its input is the daily features of its
last days, each day's and their sums, and nothing else: history looks further back than any cell and would make all
look alike. Quick models with fixed settings, learned on training windows, measured on those of validation and
calibration; test is not touched, not even by the outcomes of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tschurn.config import WindowShape
from tschurn.contracts import LOOKS, OUTCOMES, SUFFICIENCY, Progress, Windows
from tschurn.models.evaluation import auc, average_precision, interval, resampled, two_way_weights
from tschurn.models.quick import Quick, sample_of_users

LONGEST = max(LOOKS)
_LEAST_WINDOWS = 200
_LEAST_SPAN = 7  # days from the first to the last anchor: fewer are one moment, not a time
_NEVER = np.iinfo(np.int64).max
_LATER = 0.75  # without a split by time, what lies after this share of the anchors is measured on
_COLUMNS_SHARE = 0.3  # of a tree: one look has hundreds of columns that say nearly the same


@dataclass(frozen=True)
class Plan:
    """What the log can carry: days observed, days of outcome, and the windows that are the same in all cells."""

    looks: tuple[int, ...]
    outcomes: tuple[int, ...]
    train: np.ndarray
    measured: np.ndarray


def plan(index: pd.DataFrame, shape: WindowShape) -> Plan | None:
    """WINDOWS → the largest map that the log can carry, None where it can carry none.

    Training outcomes end before the first observed day of what is measured, both at their longest, and measured
    outcomes end by the first test anchor. Where that leaves too few windows, the longer of the longest look and the
    longest outcome is left out, the look first.
    """
    looks = sorted({*LOOKS, shape.observe_days} if shape.observe_days < LONGEST else LOOKS)
    outcomes = sorted({*OUTCOMES, shape.outcome_days} if shape.outcome_days < max(OUTCOMES) else OUTCOMES)
    while looks and outcomes:
        train, measured = _blocks(index, looks[-1], outcomes[-1])
        if all(_enough(index["anchor"].to_numpy()[rows]) for rows in (train, measured)):
            return Plan(tuple(looks), tuple(outcomes), train, measured)
        (looks if looks[-1] >= outcomes[-1] else outcomes).pop()
    return None


def sufficiency(
    windows: Windows, next_acts: pd.DataFrame, shape: WindowShape, targets: list[str], seed: int, threads: int,
    progress: Progress,
) -> pd.DataFrame:  # fmt: skip
    """Windows whose batch goes back LONGEST days, NEXT_ACTS → SUFFICIENCY; no row where the log is too short.

    recommended: for each outcome the shortest look whose AUC is within one standard error of the best look's, the
    "one standard error rule" of Breiman et al. (1984): what is not told apart from the best by these users and
    weeks is not worth waiting for. The error is that of the difference, since all looks are measured on the same
    windows; the error of an AUC by itself is several times as large and would let the shortest look pass nearly always.
    """
    found = plan(windows.index, shape)
    if found is None:
        return pd.DataFrame(columns=list(SUFFICIENCY.columns))
    train, measured = (sample_of_users(windows.index, rows, seed) for rows in (found.train, found.measured))
    days = {name: windows.batch(rows) for name, rows in (("train", train), ("measured", measured))}
    index = windows.index.iloc[measured]
    weights = two_way_weights(index["user"].to_numpy(), index["anchor"].to_numpy(), seed)
    cells: list[dict[str, Any]] = []
    for done, look in enumerate(found.looks):
        progress("horizons", 0.8 * done, len(found.looks), f"{look} days observed")
        matrices = {name: _looking_back(values, look) for name, values in days.items()}
        quick = Quick(matrices["train"], seed, threads, _COLUMNS_SHARE)
        for target, outcome, y, counted in _labels(next_acts, targets, found.outcomes, windows.lives.of_staying):
            learned, told = counted[train], counted[measured]
            if all(len(np.unique(labels)) == 2 for labels in (y[train][learned], y[measured][told])):
                scores = quick.log_odds(y[train], matrices["measured"], learned)[told]
                here = index[told]
                cells.append({"target": target, "observe_days": look, "outcome_days": outcome,
                              "train_windows": int(learned.sum()), "windows": len(here),
                              "users": here["user"].nunique(), "anchors": here["anchor"].nunique(),
                              **_measured(y[measured][told], scores, weights[:, told])})  # fmt: skip
    if not cells:
        return pd.DataFrame(columns=list(SUFFICIENCY.columns))
    replicates = np.stack([cell.pop("replicates") for cell in cells])
    return _with_recommended(pd.DataFrame(cells), replicates)


def _blocks(index: pd.DataFrame, look: int, outcome: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the windows to learn from and to measure on, clear of each other and of test."""
    anchor, split = index["anchor"].to_numpy(np.int64), index["split"].to_numpy()
    inside = anchor >= look - 1
    known = np.isin(split, ("train", "validation", "calibration"))
    if not known.any():
        return np.array([], int), np.array([], int)
    later = np.isin(split, ("validation", "calibration"))
    if anchor[later].min(initial=_NEVER) <= anchor[split == "train"].max(initial=-1):
        later = known & (anchor >= np.quantile(np.unique(anchor[known]), _LATER))
    tested = anchor[split == "test"].min(initial=_NEVER)
    if tested <= anchor[known].max():  # users are divided, not days
        tested = _NEVER
    end = min(tested, anchor.max())  # the newest anchor lies in the log
    measured = later & inside & (anchor + outcome <= end)
    first = anchor[measured].min(initial=_NEVER)
    train = known & inside & (anchor + outcome <= first - look) & measured.any()
    return np.flatnonzero(train), np.flatnonzero(measured)


def _enough(anchor: np.ndarray) -> bool:
    return len(anchor) >= _LEAST_WINDOWS and np.ptp(anchor) >= _LEAST_SPAN


def _looking_back(days: np.ndarray, look: int) -> np.ndarray:
    """[n × days × features] → [n × ((look + 1) · features)]: each of the last days, and their sum."""
    last = days[:, -look:]
    return np.concatenate([last.reshape(len(last), -1), last.sum(axis=1)], axis=1)


def _labels(
    next_acts: pd.DataFrame, targets: list[str], outcomes: tuple[int, ...], of_staying: frozenset[str]
) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """→ each target and outcome with its labels of all windows, and which of the windows count."""
    acts = next_acts["next_act"].astype("float64").to_numpy()
    for target in targets:
        until = next_acts["next_act" if target == "churn" else "next_sticker"].astype("float64").to_numpy()
        for outcome in outcomes:
            happens = until <= outcome  # never (NaN) is no
            counted = acts <= outcome if target in of_staying else np.ones(len(acts), dtype=bool)
            yield target, outcome, (~happens if target == "churn" else happens).astype(np.float64), counted


def _measured(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """Labels, log-odds and bootstrap weights → the figures of a cell, and its AUC in each replicate."""
    drawn = resampled(y, scores, weights)
    (ap_low, ap_high), (auc_low, auc_high) = interval(drawn["ap"]), interval(drawn["auc"])
    return {"base_rate": y.mean(), "ap": average_precision(y, scores), "ap_low": ap_low, "ap_high": ap_high,
            "auc": auc(y, scores), "auc_low": auc_low, "auc_high": auc_high, "replicates": drawn["auc"]}  # fmt: skip


def _with_recommended(cells: pd.DataFrame, replicates: np.ndarray) -> pd.DataFrame:
    """Cells and their AUC in each replicate → how far each is behind the best look, give or take, and who is enough."""
    cells = cells.assign(behind=0.0, behind_se=0.0, recommended=False)
    for places in cells.groupby(["target", "outcome_days"]).indices.values():
        scores = cells["auc"].to_numpy()[places]
        best = scores.argmax()
        error = np.nanstd(replicates[places[best]] - replicates[places], axis=1)
        near = places[scores[best] - scores <= error]
        cells.loc[places, "behind"] = scores[best] - scores
        cells.loc[places, "behind_se"] = error
        cells.loc[near[cells["observe_days"].to_numpy()[near].argmin()], "recommended"] = True
    return cells
