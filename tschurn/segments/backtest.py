"""test windows under every score → BACKTEST, BACKTEST_SCORES: what lists by each score would have caught.

Lift quality is the mean lift over all sizes of the list, 1 to all of a mean week, put between that of a random list (0)
and that of a list that knew (100): (lift − 1) / (best lift − 1), after Piatetsky-Shapiro and Steingold 2000. A list
worse than random has a negative quality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn.contracts import BACKTEST, BACKTEST_SCORES, SCORES_COMPARED
from tschurn.segments.weeks import CAUGHT, Weeks, interval, list_sizes

if TYPE_CHECKING:
    from tschurn.config import Experiment

LIFTS = {"lift_10": 0.1, "lift_20": 0.2}
_CHANCE = 1e-9  # a best lift no further above that of chance leaves nothing to be good at


def backtest(windows: pd.DataFrame, experiment: Experiment) -> dict[str, pd.DataFrame]:
    """Windows of `scored_windows` → the tables "backtest" and "backtest_scores", in the order of SCORES_COMPARED.

    Without rows: what is caught where nothing was at risk, and scores that are not known. With one user the intervals
    are null: there is nobody to draw anew.
    """
    empty = {table.name: pd.DataFrame({c: [] for c in table.columns}) for table in (BACKTEST, BACKTEST_SCORES)}
    at_risk = windows[list(CAUGHT)].sum()
    caught = [m for m in CAUGHT if at_risk[m] > 0]
    if not caught:
        return empty
    weeks = Weeks.of(windows, experiment.experiment.seed)
    amounts = windows[caught].to_numpy(np.float64)
    shares = _shares(weeks)
    over_sizes = _mean_lift(shares, weeks)
    found = {name: _found(weeks, windows[name], amounts, shares) for name in SCORES_COMPARED if name in windows}
    curves, lines = [], []
    for m, what in enumerate(caught):
        best = _found(weeks, windows[what], amounts, shares)[:, :, m] @ over_sizes
        room = np.where(best - 1 > _CHANCE, best - 1, np.nan)
        # to nine digits, so that chance is 0 and not what additions leave of it
        quality = {name: np.round(100 * (curve[:, :, m] @ over_sizes - 1) / room, 9) + 0.0
                   for name, curve in found.items()}  # fmt: skip
        for name, curve in found.items():
            curves.append(_curve(curve[:, :, m], shares, weeks).assign(score=name, caught=what))
            figures = {lift: curve[:, np.searchsorted(shares, at), m] / at for lift, at in LIFTS.items()}
            figures |= {"quality": quality[name], "behind": quality["priority"] - quality[name]}
            lines.append({"score": name, "caught": what, "windows": len(windows), "anchors": len(weeks.places),
                          "at_risk": at_risk[what], **_with_intervals(figures, weeks)})  # fmt: skip
    scores = pd.DataFrame(lines)
    behind = [column for column in scores if column.startswith("behind")]
    scores.loc[scores["score"] == "priority", behind] = np.nan
    return {
        "backtest": pd.concat(curves, ignore_index=True)[list(BACKTEST.columns)],
        "backtest_scores": scores[list(BACKTEST_SCORES.columns)],
    }


def _shares(weeks: Weeks) -> np.ndarray:
    """→ shares of the users of an anchor that are called [S]: one user of a mean week to all, and those of LIFTS."""
    most = max(1, round(weeks.size))
    return np.union1d(list_sizes(most) / most, list(LIFTS.values()))


def _mean_lift(shares: np.ndarray, weeks: Weeks) -> np.ndarray:
    """→ weights [S] by which what was found at the shares adds up to the mean lift over all whole sizes of a mean week;
    between two shares what is found grows evenly."""
    most = max(1, round(weeks.size))
    sizes = np.arange(1, most + 1) / most
    return np.array([(np.interp(sizes, shares, one) / sizes).mean() for one in np.eye(len(shares))])


def _found(weeks: Weeks, score: pd.Series, amounts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """→ the share of each amount at risk that lists of these shares hold [replicates × S × M]; NaN where a replicate
    has none at risk."""
    _, held = weeks.called(score.to_numpy(np.float64), amounts, lambda users: users[:, None] * shares)
    everything = held[:, -1:]
    return np.divide(held, everything, out=np.full_like(held, np.nan), where=everything > 0)


def _curve(found: np.ndarray, shares: np.ndarray, weeks: Weeks) -> pd.DataFrame:
    """What was found [replicates × S] → the columns of BACKTEST for one score and what it caught."""
    low, high = _ends(found, weeks)
    return pd.DataFrame(
        {
            "share": shares,
            "calls": shares * weeks.size,
            "found": found[0],
            "found_low": low,
            "found_high": high,
            "lift": found[0] / shares,
        }
    )


def _with_intervals(figures: dict[str, np.ndarray], weeks: Weeks) -> dict[str, float]:
    """Name → replicates, the first of which is what was → each figure and the ends of its interval."""
    rows: dict[str, float] = {}
    for name, values in figures.items():
        low, high = _ends(values, weeks)
        rows |= {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
    return rows


def _ends(values: np.ndarray, weeks: Weeks) -> tuple[np.ndarray, np.ndarray]:
    low, high = interval(values[1:])
    unknown = weeks.users.shape[1] < 2
    return (np.full_like(low, np.nan), np.full_like(high, np.nan)) if unknown else (low, high)
