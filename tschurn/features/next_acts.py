"""WINDOWS and USER_DAYS → NEXT_ACTS: how long until a user's next own act, and until the next sticker."""

from __future__ import annotations

import numpy as np
import pandas as pd

_DAYS = 1 << 32  # more than any log has: a user and a day in one integer


def next_acts(index: pd.DataFrame, user_days: pd.DataFrame) -> pd.DataFrame:
    """WINDOWS and USER_DAYS → NEXT_ACTS, in the order of WINDOWS. Own acts are those that count as activity."""
    users = pd.Index(index["user_id"].unique())
    at = users.get_indexer(index["user_id"]) * _DAYS + _day_number(index["anchor_day"])
    user = users.get_indexer(user_days["user_id"])
    keys = np.where(user >= 0, user * _DAYS + _day_number(user_days["day"]), -1)
    happened = {"next_act": user_days["active"].to_numpy(bool), "next_sticker": user_days["stickers"].to_numpy() > 0}
    until = {name: _until_next(at, np.sort(keys[there & (keys >= 0)])) for name, there in happened.items()}
    return index[["user_id", "anchor_day"]].assign(**until)


def _until_next(at: np.ndarray, events: np.ndarray) -> pd.array:
    """Moments and sorted moments of events, as users and days in one → days to the user's next event, null for none."""
    following = np.append(events, np.iinfo(np.int64).max)[np.searchsorted(events, at, side="right")]
    known = following // _DAYS == at // _DAYS
    return pd.arrays.IntegerArray(np.where(known, following - at, 0).astype(np.int32), ~known)


def _day_number(days: pd.Series) -> np.ndarray:
    return days.to_numpy().astype("datetime64[D]").astype(np.int64)
