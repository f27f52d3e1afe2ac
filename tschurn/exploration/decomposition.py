"""Event log → daily usage, split into trend, weekly season and remainder.

STL: Cleveland, Cleveland, McRae and Terpenning (1990), "STL: A Seasonal-Trend Decomposition Procedure
Based on Loess", Journal of Official Statistics 6(1), in the implementation of statsmodels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tschurn.exploration.lifecycle import is_activity, is_own, is_sticker

if TYPE_CHECKING:
    from datetime import date

    import ibis

    from tschurn.config import Targets

WEEK = 7
COLUMNS = ["series", "day", "observed", "trend", "seasonal", "remainder"]


def seasonality(
    event_log: ibis.Table, first_day: date, last_day: date, targets: Targets, robust: bool = False
) -> pd.DataFrame:
    """EVENT_LOG → SEASONALITY of every daily series; no rows for a log of less than two weeks."""
    days = pd.date_range(first_day, last_day, freq="D", unit="s", name="day")
    if len(days) < 2 * WEEK:
        return _empty()
    daily = daily_usage(event_log, targets).reindex(days, fill_value=0)
    return pd.concat([decompose(daily[name], robust) for name in daily], ignore_index=True)


def daily_usage(event_log: ibis.Table, targets: Targets) -> pd.DataFrame:
    """EVENT_LOG → one row per day that has events, by day; columns are the series.

    active_users: users with an own event that counts as activity; own_events and received_events:
    rows; sticker_events: rows of the configured kind and side, where there is such a target.
    """
    kinds = {
        "own_events": is_own(event_log),
        "received_events": ~is_own(event_log),
        "active_users": is_activity(event_log, targets.churn),
    }
    if targets.sticker:
        kinds["sticker_events"] = is_sticker(event_log, targets.sticker)
    # By user first: adding up user-days is far cheaper than counting distinct users per day.
    by_user = event_log.group_by("user_id", "day").agg(**{name: kind.sum() for name, kind in kinds.items()})
    by_user = by_user.mutate(active_users=(by_user.active_users > 0).cast("int64"))
    daily = by_user.group_by("day").agg(**{name: by_user[name].sum().cast("int64") for name in kinds})
    frame = daily.order_by("day").to_pyarrow().to_pandas(date_as_object=False)
    series = ["active_users", "own_events", "received_events", "sticker_events"][: len(kinds)]
    return frame.set_index(frame["day"].astype("datetime64[s]"))[series]


def decompose(observed: pd.Series, robust: bool = False) -> pd.DataFrame:
    """A gap-free daily series with its days as index → rows of SEASONALITY, the name of the series in them."""
    from statsmodels.tsa.seasonal import STL

    fit = STL(observed.to_numpy(float), period=WEEK, robust=robust).fit()
    return pd.DataFrame(
        {
            "series": observed.name,
            "day": observed.index,
            "observed": fit.observed,
            "trend": fit.trend,
            "seasonal": fit.seasonal,
            "remainder": fit.resid,
        },
        columns=COLUMNS,
    )


def _empty() -> pd.DataFrame:
    types = {"series": "str", "day": "datetime64[s]"} | dict.fromkeys(COLUMNS[2:], "float64")
    return pd.DataFrame(columns=COLUMNS).astype(types)
