"""DAILY + listed users at their anchors → LIST_OUTCOMES: what happened to them, by the definitions of the labels."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn.config import Experiment
from tschurn.features import daily, labels


def outcomes(acts: ir.Table, listed: pd.DataFrame, summary: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """DAILY, listed (user_id, anchor_day) and LOG_SUMMARY → LIST_OUTCOMES in the order of `listed`.

    The log must hold the observation as well: a user who did nothing in it was not on a list made from this log, and
    that somebody is missing altogether could mean that they left as well as that the id is another.
    """
    shape = experiment.windows
    first, days = pd.Timestamp(summary["first_day"].iloc[0]), int(summary["days"].iloc[0])
    users = pd.Index(listed["user_id"].unique())
    wanted = acts.filter(acts.user_id.isin(ibis.memtable(pd.DataFrame({"user_id": users})).user_id))
    table = daily.user_days(wanted, experiment.targets).to_pyarrow().to_pandas(date_as_object=False)
    there = pd.Index(table["user_id"].unique())
    anchor = (pd.to_datetime(listed["anchor_day"]) - first).dt.days.to_numpy()
    user = there.get_indexer(listed["user_id"])
    status = np.full(len(listed), "closed", dtype=object)
    status[anchor + shape.outcome_days > days - 1] = "open"
    status[anchor - shape.observe_days + 1 < 0] = "before"
    status[user < 0] = "unknown"
    told = np.flatnonzero(status == "closed")
    happened = np.zeros((3, len(listed)), dtype=bool)
    if len(told):
        grids = labels.activity(table, there, first, days)
        anchors, where = np.unique(anchor[told], return_inverse=True)
        happened[:, told] = [
            grid[user[told], where]
            for grid in (
                labels.eligible(grids.active, anchors, shape),
                labels.happens(grids.active, anchors, shape),
                labels.happens(grids.stickers, anchors, shape),
            )
        ]
    observed, active, stickers = happened
    status[(status == "closed") & ~observed] = "inactive"
    known = status == "closed"

    def label(values: np.ndarray, given: np.ndarray) -> pd.Series:
        return pd.Series(values.astype(np.int8)).astype("Int8").where(given)

    return pd.DataFrame(
        {
            "user_id": listed["user_id"].to_numpy(),
            "anchor_day": pd.to_datetime(listed["anchor_day"]).dt.date.to_numpy(),
            "status": status,
            "churned": label(~active, known),
            "sticker": label(stickers, known & (experiment.targets.sticker is not None)),
        }
    )
