"""EVENT_LOG and USER_DAYS → how many different people acted towards each user each day; joins USER_DAYS."""

from __future__ import annotations

from collections.abc import Iterable

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tschurn.blocks import Days
from tschurn.features.daily import actors


def with_people(
    user_days: pd.DataFrame, users: pd.Index, event_log: ir.Table, cut: Iterable[Days], names: list[str] | None
) -> pd.DataFrame:
    """USER_DAYS but for the people, its users, EVENT_LOG in blocks of days → USER_DAYS.

    names: received events for which people are counted, as of `actors`. Where nobody receives anything the log is not
    read again.
    """
    columns = ["actors", *(f"actors_{k}" for k in range(len(names or [])))]
    if not user_days["received"].any():
        return user_days.assign(**dict.fromkeys(columns, 0))
    counts = np.zeros((len(columns), len(user_days)), dtype=np.int32)
    keys = _keys(users, user_days["user_id"], user_days["day"].to_numpy().astype("datetime64[D]").astype(np.int64))
    for people in actors(event_log, cut, names):
        day = pc.cast(pc.cast(people["day"], pa.date32()), pa.int32()).to_numpy()
        found = _keys(users, people["user_id"].to_pandas(), day)
        rows = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
        known = keys[rows] == found  # what came to the log after it was grouped belongs to no day of ours
        for k, name in enumerate(columns):
            counts[k, rows[known]] = people[name].to_numpy()[known]
    return user_days.assign(**dict(zip(columns, counts, strict=True)))


def _keys(users: pd.Index, user_id: pd.Series, day: np.ndarray) -> np.ndarray:
    """One integer for each user and day, in the order of USER_DAYS; less than 0 for users who are not there."""
    return users.get_indexer(user_id) * (1 << 32) + day
