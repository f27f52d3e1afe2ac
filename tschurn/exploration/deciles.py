"""PROFILE of training windows and what followed → DECILES: how often, by value of each variable.

Windows of one user are not independent: standard errors are clustered by user (Liang and Zeger 1986, "Longitudinal
Data Analysis Using Generalized Linear Models", Biometrika 73), and the interval is Wilson's at the number of
independent windows that would have that error (Korn and Graubard 1998, Survey Methodology 24): it stays in 0 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn.contracts import DECILE_WINDOWS, DECILES, LABELS

if TYPE_CHECKING:
    from tschurn.config import Targets

TENTHS = 10
LEAST_USERS, LEAST_SHARE = 20, 0.01  # users and share of the windows of a bin whose rate counts for the spread


def training(index: pd.DataFrame, targets: Targets, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """WINDOWS → positions of the training windows, whole users drawn where there are too many, and of each user_id,
    churned and sticker (null where the target does not count it)."""
    rows = np.flatnonzero(index["split"] == "train")
    user, users = pd.factorize(index["user_id"].iloc[rows])
    if len(rows) > DECILE_WINDOWS:
        order = np.random.default_rng([seed, 12]).permutation(len(users))
        sizes = np.bincount(user, minlength=len(users))[order]
        fit = order[np.cumsum(sizes) <= DECILE_WINDOWS]
        rows = rows[np.isin(user, fit)]
    labels = index[["user_id", *LABELS.values()]].iloc[rows].reset_index(drop=True)
    if targets.sticker is not None and targets.sticker.given == "stays":
        labels["sticker"] = labels["sticker"].where(labels["churned"] == 0)
    return rows, labels


def deciles(profile: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """PROFILE of windows, and user_id, churned, sticker of the same rows → DECILES.

    A target without labels has no rows; without windows the table is empty.
    """
    outcomes = {target: pd.to_numeric(labels[label]).astype("float64").to_numpy() for target, label in LABELS.items()}
    outcomes = {target: outcome for target, outcome in outcomes.items() if not np.isnan(outcome).all()}
    user = pd.factorize(labels["user_id"])[0]
    parts = []
    for variable in profile.columns.drop("user_id"):
        values = profile[variable].to_numpy(float)
        bins = binned(values) if len(values) else values
        edges = pd.Series(values).groupby(bins).agg(["min", "max"]).set_axis(["from", "to"], axis=1)
        for target, outcome in outcomes.items():
            known = ~np.isnan(outcome)
            rates = _rates(bins[known], outcome[known], user[known])
            parts.append(rates.join(edges, on="bin").assign(variable=variable, target=target))
    if not parts:
        return _empty()
    by_target = pd.concat(parts, ignore_index=True).groupby("target", sort=False)
    return pd.concat([_ranked(part) for _, part in by_target], ignore_index=True)[list(DECILES.columns)]


def _rates(bins: np.ndarray, outcome: np.ndarray, user: np.ndarray) -> pd.DataFrame:
    """Bins, outcomes (0 or 1) and users [windows] → bin, windows, users, rate, low, high of the bins that occur."""
    cells = user.max() + 1, bins.max() + 1
    place = user * cells[1] + bins
    windows = np.bincount(bins, minlength=cells[1])
    rate = np.bincount(bins, outcome, minlength=cells[1]) / np.maximum(windows, 1)
    surplus = np.bincount(place, outcome - rate[bins], minlength=cells[0] * cells[1]).reshape(cells)
    users = (np.bincount(place, minlength=cells[0] * cells[1]).reshape(cells) > 0).sum(axis=0)
    error = (surplus**2).sum(axis=0) / np.maximum(windows, 1) ** 2 * users / np.maximum(users - 1, 1)
    low, high = _interval(rate, error, windows, users)
    found = {"bin": np.arange(cells[1]), "windows": windows, "users": users, "rate": rate, "low": low, "high": high}
    return pd.DataFrame(found)[windows > 0]


def binned(values: np.ndarray) -> np.ndarray:
    """Values [n] → bins [n] 0, 1, …, ordered by value: each about a tenth, equal values in the same; zeros in one of
    their own where they are a tenth or more; missing ones in the last."""
    zero, missing = values == 0, np.isnan(values)
    alone = zero & (zero.mean() >= 1 / TENTHS)
    # side of the zeros that stand alone, then the bin on that side; there are no more than TENTHS of these
    place = np.where(missing, 3, np.where(alone, 1, np.where(values > 0, 2, 0) if alone.any() else 0)) * (TENTHS + 1)
    for side in np.unique(place[~alone & ~missing]):
        there = ~alone & ~missing & (place == side)
        place[there] += _tenths(values[there], len(values) / TENTHS)
    return np.unique(place, return_inverse=True)[1]


def _tenths(values: np.ndarray, size: float) -> np.ndarray:
    """Values [n] → bins [n] of about so many, by quantiles; none of fewer than half as many, unless alone."""
    parts = max(1, round(len(values) / size))
    edges = np.unique(np.quantile(values, np.arange(1, parts) / parts, method="inverted_cdf")) if parts > 1 else []
    kept, last = [], 0
    for edge, below in zip(edges, np.searchsorted(np.sort(values), edges, side="right"), strict=True):
        if min(below - last, len(values) - below) >= size / 2:
            kept.append(edge)
            last = below
    return np.searchsorted(kept, values, side="left")


def _interval(rate: np.ndarray, error: np.ndarray, windows: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rates, variances of them, windows and users [bins] → Wilson intervals at the effective number of windows.

    Where all windows agree there is no variance to learn from: then each user counts once.
    """
    from statsmodels.stats.proportion import proportion_confint

    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(error > 0, rate * (1 - rate) / error, users)
    effective = np.clip(effective, 1, np.maximum(windows, 1))
    low, high = proportion_confint(rate * effective, effective, method="wilson")
    return tuple(np.where(users > 1, bound, np.nan) for bound in (low, high))


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Bins of all variables of a target, with the spread of each variable and its rank; ties in the order given."""
    share = table["windows"] / table.groupby("variable")["windows"].transform("sum")
    sure = table[(table["users"] >= LEAST_USERS) & (share >= LEAST_SHARE)]
    sure = sure.groupby("variable")["rate"].agg(["min", "max", "size"])
    spread = (sure["max"] - sure["min"]).where(sure["size"] > 1).reindex(pd.unique(table["variable"]))
    rank = spread.fillna(-1).rank(ascending=False, method="first").astype(int)
    return table.assign(spread=table["variable"].map(spread), rank=table["variable"].map(rank))


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="float64") for name in DECILES.columns}).astype(
        {"target": "str", "variable": "str"}
    )
