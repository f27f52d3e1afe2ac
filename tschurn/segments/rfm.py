"""USER_DAYS → RFM, RFM_TRANSITIONS: recency, frequency and value of users in two periods, and who changed class.

Hughes (1994), Strategic Database Marketing; the weights and classes are those of the experiment file.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn.contracts import RFM, RFM_TRANSITIONS

if TYPE_CHECKING:
    from tschurn.config import Experiment, Rfm

CLASSES = ("best", "good", "fair", "other")
ABSENT = "absent"
SHORTEST = 7  # days of a period


def rfm(user_days: pd.DataFrame, log_summary: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """USER_DAYS, LOG_SUMMARY → RFM: of every user with activity in one of the two periods a row for each of them.

    The periods are equally long and follow each other; the second ends with the log. Empty where they do not fit.
    """
    rule, log = experiment.rfm, log_summary.iloc[0]
    days = rule.days or int(log["days"]) // 2
    empty = pd.DataFrame(columns=list(RFM.columns))
    if days < SHORTEST or 2 * days > log["days"]:
        return empty
    value = "own" if experiment.targets.sticker is None else "sticker_value"
    ago = (pd.Timestamp(log["last_day"]) - pd.to_datetime(user_days["day"])).dt.days
    last = [log["last_day"] - timedelta(days=days), log["last_day"]]
    periods = []
    for skipped in (days, 0):
        inside = ago.between(skipped, skipped + days - 1)
        periods.append(_period(user_days[inside].assign(ago=ago[inside] - skipped), value, rule))
    users = pd.Index(np.unique(np.concatenate([p.index.to_numpy() for p in periods])), name="user_id")
    if users.empty:
        return empty
    parts = []
    for number, (period, end) in enumerate(zip(periods, last, strict=True), start=1):
        rows = period.reindex(users).reset_index()
        rows = rows.assign(period=number, first_day=end - timedelta(days=days - 1), last_day=end)
        parts.append(rows.assign(**{"class": rows["class"].fillna(ABSENT)}))
    whole = {"recency": "Int32", "r": "Int8", "f": "Int8", "m": "Int8"}
    return pd.concat(parts, ignore_index=True).astype(whole)[list(RFM.columns)]


def transitions(scored: pd.DataFrame, priority: pd.DataFrame) -> pd.DataFrame:
    """RFM, PRIORITY → RFM_TRANSITIONS: every pair of classes but (absent, absent), in their order."""
    if scored.empty:
        return pd.DataFrame(columns=list(RFM_TRANSITIONS.columns))
    pairs = scored.pivot(index="user_id", columns="period", values="class").rename(columns={1: "from", 2: "to"})
    now = priority.set_index("user_id")["segment"].reindex(pairs.index)
    pairs = pairs.assign(users=1, scored=now.notna(), priority=now == "priority")
    order = [*CLASSES, ABSENT]
    all_pairs = pd.MultiIndex.from_product([order, order], names=["from", "to"])
    found = pairs.groupby(["from", "to"]).sum().reindex(all_pairs, fill_value=0).astype(np.int64).iloc[:-1]
    of_class = found.groupby(level="from")["users"].transform("sum")
    found = found.assign(
        share_of_from=(found["users"] / of_class).where(of_class > 0),
        share_of_all=found["users"] / len(pairs),
        priority=(found["priority"] / found["scored"]).where(found["scored"] > 0),
    )
    return found.reset_index()[list(RFM_TRANSITIONS.columns)]


def _period(inside: pd.DataFrame, value: str, rule: Rfm) -> pd.DataFrame:
    """USER_DAYS of a period, `ago` in days from its last one → user_id (index) of those with activity: measures, bins,
    score and class."""
    active = inside[inside["active"].astype(bool)].groupby("user_id")["ago"]
    found = pd.DataFrame({"recency": active.min(), "frequency": active.size().astype(np.float64)})
    found["value"] = inside.groupby("user_id")[value].sum().reindex(found.index).astype(np.float64)
    bins = {"r": rule.cuts + 1 - _bins(found["recency"], rule.cuts), "f": _bins(found["frequency"], rule.cuts),
            "m": _bins(found["value"], rule.cuts)}  # fmt: skip
    weights = np.array(rule.weights) / sum(rule.weights)
    score = np.column_stack(list(bins.values())) @ weights * 100 / rule.cuts
    score = score.round(9)  # equal bins, equal scores
    return found.assign(**bins, score=score, **{"class": _classes(score, rule)})


def _bins(values: pd.Series, cuts: int) -> np.ndarray:
    """[n] → 1 … cuts, by the share of users with a smaller number.

    Equal numbers share a bin, the smallest one always the first: of sticker values, where most are 0, those are the
    least and the others far above them, and nobody is torn from an equal.
    """
    smaller = values.rank(method="min").to_numpy(np.int64) - 1
    return 1 + smaller * cuts // max(1, len(values))


def _classes(score: np.ndarray, rule: Rfm) -> np.ndarray:
    """[n] → class by the share of users with a higher score; equal scores go where the middle of them lies."""
    higher = (pd.Series(-score).rank(method="average").to_numpy() - 0.5) / max(1, len(score))
    edges = np.cumsum(rule.classes).round(12)
    return np.array(CLASSES, dtype=object)[np.searchsorted(edges, higher.round(12), side="right")]
