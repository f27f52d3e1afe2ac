"""test windows under every score → GAIN: what calling the first K users would bring, and the best K."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn.contracts import GAIN
from tschurn.segments.weeks import Weeks, interval, list_sizes

if TYPE_CHECKING:
    from tschurn.config import Experiment


def gain(windows: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Windows of `scored_windows` → GAIN, from 0 calls a week up to the mean number of users per anchor.

    At an anchor with fewer users than K all are called, and no more are paid for. Of sizes with the same gain the
    smallest is the best. Empty without [costs], where nothing was at risk, and where the experiment's score is not
    known. With one user the intervals are null.
    """
    costs, score = experiment.costs, experiment.segments.ranks_by
    if costs is None or score not in windows or not windows["value"].sum() > 0:
        return pd.DataFrame({column: [] for column in GAIN.columns})
    weeks = Weeks.of(windows, experiment.experiment.seed)
    sizes = np.append(0, list_sizes(max(1, round(weeks.size))))
    calls, held = weeks.called(
        windows[score].to_numpy(np.float64),
        windows[["value"]].to_numpy(np.float64),
        lambda users: np.minimum(sizes, users[:, None]),
    )
    gained = costs.success * costs.margin * held[:, :, 0] - costs.contact * calls
    gained /= weeks.anchors.sum(axis=1, dtype=np.float64)[:, None]
    low, high = interval(gained[1:])
    best = sizes[gained.argmax(axis=1)]
    here = sizes == best[0]
    best_low, best_high = np.percentile(best[1:], [2.5, 97.5], method="closest_observation")
    table = pd.DataFrame({"calls": sizes, "gain": gained[0], "gain_low": low, "gain_high": high, "best": here})
    table["best_low"] = pd.Series(np.where(here, best_low, np.nan)).astype("Int64")
    table["best_high"] = pd.Series(np.where(here, best_high, np.nan)).astype("Int64")
    if weeks.users.shape[1] < 2:
        table = table.assign(**dict.fromkeys(("gain_low", "gain_high", "best_low", "best_high"), pd.NA))
    return table[list(GAIN.columns)]
