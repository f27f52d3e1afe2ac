"""CONTACTS + anchor day → users who rest: contacted so lately that they stay off the next list."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd


def resting(contacts: pd.DataFrame | None, anchor_day: date, cooldown_days: int) -> pd.Series:
    """CONTACTS → ids of the users contacted in the last `cooldown_days` up to the anchor, or since then.

    A contact `cooldown_days` before the anchor is no longer one; with 0 nobody rests.
    """
    if contacts is None or not cooldown_days:
        return pd.Series(dtype="object") if contacts is None else contacts["user_id"].iloc[:0]
    after = pd.Timestamp(anchor_day - timedelta(days=cooldown_days))
    lately = contacts.loc[pd.to_datetime(contacts["contacted_on"]) > after, "user_id"]
    return lately.drop_duplicates().reset_index(drop=True)
