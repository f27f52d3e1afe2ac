"""activity and WINDOWS → MONEY: what each window's user was worth in stickers, before the anchor and after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from tschurn.config import WindowShape
from tschurn.contracts import MONEY
from tschurn.features.labels import Activity

WEEK, MONTH = 7, 28  # days up to the anchor that lists are judged by


def money(acts: Activity, index: pd.DataFrame, shape: WindowShape, has_sticker: bool) -> pd.DataFrame:
    """Activity of all users, WINDOWS → MONEY, row by row.

    Days before the log count as none. What stickers are worth is their `value` in the log, or their number
    where the log has no values.
    """
    user, anchor = (index[key].to_numpy(np.int64) for key in ("user", "anchor"))
    table = index[["user_id", "anchor_day"]].assign(recency=_since(acts.active, user, anchor))
    of_stickers = [column for column in MONEY.columns if column not in table.columns]
    if not has_sticker:
        return table.assign(**dict.fromkeys(of_stickers, np.nan))
    number, value = _so_far(acts.stickers), _so_far(acts.sticker_value)
    after = value(user, anchor, anchor + shape.outcome_days)
    return table.assign(
        stickers_7=number(user, anchor - WEEK, anchor),
        stickers_28=number(user, anchor - MONTH, anchor),
        value_28=value(user, anchor - MONTH, anchor),
        value_next=np.where(index["closed"].to_numpy(bool), after, np.nan),
    )


def _so_far(days: np.ndarray) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """[users × days] → a function: users, days after which, days until which → sums [n]."""
    sums = np.zeros((days.shape[0], days.shape[1] + 1))
    np.cumsum(days, axis=1, dtype=np.float64, out=sums[:, 1:])
    last = days.shape[1]

    def between(user: np.ndarray, after: np.ndarray, until: np.ndarray) -> np.ndarray:
        return sums[user, np.clip(until + 1, 0, last)] - sums[user, np.clip(after + 1, 0, last)]

    return between


def _since(active: np.ndarray, user: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """Days from the last active day up to the anchor to the anchor; windows are eligible, so there is one."""
    days = np.where(active, np.arange(active.shape[1], dtype=np.int32), np.int32(-1))
    return anchor - np.maximum.accumulate(days, axis=1)[user, anchor]
