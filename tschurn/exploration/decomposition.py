"""Daily table → daily usage, in all and by event kind, split into trend, weekly season and remainder.

STL: Cleveland, Cleveland, McRae and Terpenning (1990), "STL: A Seasonal-Trend Decomposition Procedure
Based on Loess", Journal of Official Statistics 6(1), in the implementation of statsmodels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn.contracts import KINDS_DECOMPOSED, SEASONALITY

if TYPE_CHECKING:
    import ibis

    from tschurn.config import Targets

WEEK = 7


def seasonality(daily: ibis.Table, platform_days: pd.DataFrame, targets: Targets, robust: bool = True) -> pd.DataFrame:
    """DAILY, PLATFORM_DAYS → SEASONALITY; no rows for a log of less than two weeks."""
    days = pd.DatetimeIndex(platform_days["day"]).as_unit("s").rename("day").sort_values()
    if len(days) < 2 * WEEK:
        return _empty()
    flagged = platform_days.set_index(pd.DatetimeIndex(platform_days["day"]).as_unit("s"))["flag"]
    outage = flagged.reindex(days).notna().to_numpy()
    usage = daily_usage(daily, targets).reindex(days, fill_value=0)
    parts = [decompose(usage[name], outage, robust).assign(side=None, event_name=None) for name in usage]
    kinds = _frame(kind_usage(daily)).set_index(["side", "event_name", "day"])["n"]
    for (side, name), series in kinds.groupby(level=["side", "event_name"], sort=False):
        series = series.droplevel(["side", "event_name"]).reindex(days, fill_value=0).rename(f"{side}:{name}")
        parts.append(decompose(series, outage, robust).assign(side=side, event_name=name))
    return pd.concat(parts, ignore_index=True)[list(SEASONALITY.columns)].astype({"side": "str", "event_name": "str"})


def daily_usage(daily: ibis.Table, targets: Targets) -> pd.DataFrame:
    """DAILY → one row per day that has events, by day; columns are the series.

    active_users: users with an own event that counts as activity; own_events and received_events:
    rows; sticker_events: rows of the configured kind and side, where there is such a target.
    """
    own = daily.side == "own"
    activity = own if targets.churn.events is None else own & daily.event_name.isin(targets.churn.events)
    kinds = {"own_events": own, "received_events": ~own}
    if sticker := targets.sticker:
        kinds["sticker_events"] = (daily.side == sticker.side) & daily.event_name.isin(sticker.events)
    # By user first: adding up user-days is far cheaper than counting distinct users per day.
    sums = {name: kind.ifelse(daily.n, 0).sum() for name, kind in kinds.items()}
    by_user = daily.group_by("user_id", "day").agg(active_users=activity.cast("int64").max(), **sums)
    names = ["active_users", *kinds]
    return _frame(by_user.group_by("day").agg(**{name: by_user[name].sum().cast("int64") for name in names})).set_index(
        "day"
    )[names]


def kind_usage(daily: ibis.Table) -> ibis.Table:
    """DAILY → side, event_name, day, n of the most frequent event kinds, the most frequent first, still in the engine.

    Of equally frequent kinds the first by side and name.
    """
    rows = daily.group_by("side", "event_name").agg(total=daily.n.sum())
    top = rows.order_by(rows.total.desc(), rows.side, rows.event_name).limit(KINDS_DECOMPOSED)
    by_day = daily.group_by("side", "event_name", "day").agg(n=daily.n.sum().cast("int64"))
    found = by_day.inner_join(top, ["side", "event_name"])
    return found.order_by(found.total.desc(), found.side, found.event_name, found.day).select(*by_day.columns)


def decompose(observed: pd.Series, outage: np.ndarray | None = None, robust: bool = False) -> pd.DataFrame:
    """A gap-free daily series with its days as index, and which of them are no data [days] → rows of SEASONALITY but
    for side and event_name, the name of the series in them."""
    from statsmodels.tsa.seasonal import STL

    values = observed.to_numpy(float)
    outage = np.zeros(len(values), dtype=bool) if outage is None else outage
    robust = robust and bool(np.count_nonzero(values) * 2 > len(values))
    fit = STL(_stand_ins(values, outage), period=WEEK, robust=robust).fit()
    return pd.DataFrame(
        {
            "series": observed.name,
            "day": observed.index,
            "observed": values,
            "trend": fit.trend,
            "seasonal": fit.seasonal,
            "remainder": values - fit.trend - fit.seasonal,
            "outage": outage,
            "robust": robust,
        }
    )


def _stand_ins(values: np.ndarray, outage: np.ndarray) -> np.ndarray:
    """The series [days] with its outage days between their nearest neighbours of the same weekday, as far as there
    are any; where a weekday has none, the mean of all other days."""
    if not outage.any() or outage.all():
        return values
    known = pd.Series(np.where(outage, np.nan, values))
    weekday = np.arange(len(values)) % WEEK
    filled = known.groupby(weekday).transform(lambda one: one.interpolate(limit_direction="both"))
    return filled.fillna(known.mean()).to_numpy()


def _frame(table: ibis.Table) -> pd.DataFrame:
    """A table by day, in order → a frame with days as timestamps."""
    ordered = table if "event_name" in table.columns else table.order_by("day")
    frame = ordered.to_pyarrow().to_pandas(date_as_object=False)
    return frame.assign(day=frame["day"].astype("datetime64[s]"))


def _empty() -> pd.DataFrame:
    types = {"day": "datetime64[s]", "outage": "bool", "robust": "bool"}
    types |= dict.fromkeys(("observed", "trend", "seasonal", "remainder"), "float64")
    return pd.DataFrame(columns=list(SEASONALITY.columns)).astype(
        {name: types.get(name, "str") for name in SEASONALITY.columns}
    )
