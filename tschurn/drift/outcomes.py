"""probabilities and outcomes of the windows of an anchor → how far they are apart, and how well they rank."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

FIGURES = ("level", "level_se", "slope", "slope_se", "auc", "auc_se", "ap")
_CERTAIN = 1e-6


def figures(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Outcomes [n] and probabilities [n] of different users → FIGURES; NaN where there is nothing to measure.

    level, slope: one step of Newton's method from 0 and 1 towards the best σ(slope · logit p + level), so that they
    are finite for any outcomes (Cox 1958; the level with the slope at 1). auc_se: Hanley & McNeil 1982.
    """
    if not len(y):
        return dict.fromkeys(FIGURES, np.nan)
    t = logit(np.clip(p, _CERTAIN, 1 - _CERTAIN))
    weight = expit(t) * expit(-t)
    error = y - expit(t)
    n, s, ss = weight.sum(), (weight * t).sum(), (weight * t**2).sum()
    found = {"level": error.sum() / n, "level_se": 1 / np.sqrt(n)}
    left = n * ss - s**2
    varied = left > 1e-9 * n * ss
    found["slope"] = 1 + (n * (error * t).sum() - s * error.sum()) / left if varied else np.nan
    found["slope_se"] = np.sqrt(n / left) if varied else np.nan
    return {name: float(value) for name, value in (found | _ranking(y, p)).items()}


def _ranking(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    positives = y.sum()
    negatives = len(y) - positives
    if not positives or not negatives:
        return dict.fromkeys(("auc", "auc_se", "ap"), np.nan)
    area = (stats.rankdata(p)[y == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (one - area**2) + (negatives - 1) * (two - area**2)
    return {"auc": area, "auc_se": np.sqrt(variance / (positives * negatives)), "ap": _average_precision(y, p)}


def _average_precision(y: np.ndarray, p: np.ndarray) -> float:
    order = np.argsort(-p, kind="stable")
    last = np.append(np.diff(p[order]) != 0, True)  # ties are one step
    hits, seen = np.cumsum(y[order])[last], np.flatnonzero(last) + 1
    return float((hits / seen * np.diff(hits, prepend=0)).sum() / hits[-1])


def by_anchor(scores: pd.DataFrame) -> pd.DataFrame:
    """user_id, anchor_day, p, log_odds and y (null: not known) of one target → per anchor_day p_mean, log_odds,
    labelled, positives and FIGURES."""
    rows = []
    for day, part in scores.groupby("anchor_day", sort=True):
        known = part["y"].notna().to_numpy()
        y, p = part["y"].to_numpy(np.float64, na_value=np.nan)[known], part["p"].to_numpy(np.float64)
        rows.append({"anchor_day": day, "p_mean": p.mean(), "log_odds": part["log_odds"].mean(),
                     "labelled": int(known.sum()), "positives": int(y.sum()), **figures(y, p[known])})  # fmt: skip
    columns = ["anchor_day", "p_mean", "log_odds", "labelled", "positives", *FIGURES]
    return pd.DataFrame(rows, columns=columns)


def rate_error(y: np.ndarray, user: np.ndarray) -> float:
    """Standard error of the mean of y [n], windows of a user together."""
    by_user = np.bincount(np.unique(user, return_inverse=True)[1], y - y.mean())
    return float(np.sqrt((by_user**2).sum()) / len(y))
