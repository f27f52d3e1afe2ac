"""SCORES + OUT_OF_TIME → PRIORITY, THRESHOLD: who is called first, and from which score on.

priority = p_churn × p_sticker: a ranking score, not a joint probability. Without a sticker target
it is p_churn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tschurn.errors import ContractError

if TYPE_CHECKING:
    from tschurn.config import Experiment

# The logarithm of the score is taken of no less than this, so that a score of 0 stays finite.
LOWEST_PRIORITY = 1e-12
CHURN, STICKER = ((f"p_{target}", f"p_{target}_low", f"p_{target}_high") for target in ("churn", "sticker"))


class Threshold(NamedTuple):
    """The priority from which a user is in the priority group, and what it was learned on.

    learned_on: 'out_of_time' (windows that the model had not seen), 'scored' (the users of the list
    themselves), 'given' (written in the experiment file). windows: how many of them.
    """

    value: float
    learned_on: str
    windows: int


def rank_users(scores: pd.DataFrame) -> pd.DataFrame:
    """SCORES → one row per user, best first: PRIORITY without its segment.

    Ties are broken by p_churn, then by user_id. Raises ContractError when the targets were scored
    for different users.
    """
    churn, sticker = (
        scores[scores["target"] == target]
        .drop(columns="target")
        .rename(columns={"p": f"p_{target}", "p_low": f"p_{target}_low", "p_high": f"p_{target}_high"})
        for target in ("churn", "sticker")
    )
    if len(sticker):
        table = churn.merge(sticker.drop(columns="anchor_day"), on="user_id", validate="one_to_one")
        if not len(table) == len(churn) == len(sticker):
            raise ContractError(
                f"scores: {len(churn)} users have p_churn, {len(sticker)} have p_sticker, {len(table)} have both"
            )
        priority = table["p_churn"] * table["p_sticker"]
    else:
        table = churn.assign(**dict.fromkeys(STICKER, np.nan))
        priority = table["p_churn"]
    table = table.assign(priority=priority, log_priority=np.log(priority.clip(lower=LOWEST_PRIORITY)))
    table = table.sort_values(
        ["priority", "p_churn", "user_id"], ascending=[False, False, True], kind="stable", ignore_index=True
    )
    return table.assign(rank=np.arange(1, len(table) + 1, dtype=np.int64))


def learn_threshold(out_of_time: pd.DataFrame, scores: pd.DataFrame, experiment: Experiment) -> Threshold:
    """OUT_OF_TIME + SCORES → the threshold of the experiment's rule.

    "quantile": the smallest priority among the best `share` of the out-of-time windows; of the scored
    users where there is none.
    "capacity": that of the last of the best `capacity` scored users. "value": the value itself.
    With nobody to learn from, the largest priority there can be: 1.
    """
    rule = experiment.segments
    if rule.threshold == "value":
        return Threshold(float(rule.value), "given", 0)
    learned_on, values = "scored", rank_users(scores)["priority"].to_numpy()
    if rule.threshold == "quantile":
        with_sticker = bool((scores["target"] == "sticker").any())
        found = _window_priorities(out_of_time, with_sticker)
        learned_on, values = ("out_of_time", found) if len(found) else (learned_on, values)
        best = max(1, round(rule.share * len(values)))
    else:
        best = min(rule.capacity, len(values))
    if not len(values):
        return Threshold(1.0, learned_on, 0)
    return Threshold(float(np.sort(values)[-best]), learned_on, len(values))


def _window_priorities(rows: pd.DataFrame, with_sticker: bool) -> np.ndarray:
    """Priorities of the windows for which every target was predicted."""
    churn, sticker = (
        rows.loc[rows["target"] == target, ["user_id", "anchor_day", "p"]] for target in ("churn", "sticker")
    )
    if not with_sticker:
        return churn["p"].to_numpy()
    both = churn.merge(sticker, on=["user_id", "anchor_day"], suffixes=("_churn", "_sticker"), validate="one_to_one")
    return (both["p_churn"] * both["p_sticker"]).to_numpy()


def priority_table(scores: pd.DataFrame, threshold: float, experiment: Experiment) -> pd.DataFrame:
    """SCORES + threshold → PRIORITY, best first.

    "priority": at or above the threshold (with the rule "capacity": the first `capacity` ranks, so
    that a tie cannot give people more users than they can call); "other_churners": below it and
    p_churn of at least `likely_churn`; "rest": everybody else.
    """
    rule = experiment.segments
    table = rank_users(scores)
    chosen = table["rank"] <= rule.capacity if rule.threshold == "capacity" else table["priority"] >= threshold
    segment = np.select([chosen, table["p_churn"] >= rule.likely_churn], ["priority", "other_churners"], "rest")
    table["segment"] = pd.Series(segment, index=table.index, dtype="str")
    return table[["user_id", "anchor_day", "rank", "segment", *CHURN, *STICKER, "priority", "log_priority"]]


def threshold_table(threshold: Threshold, priority: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Threshold + PRIORITY → THRESHOLD, one row with the sizes of the segments."""
    rule = experiment.segments
    parameter = {"quantile": rule.share, "value": rule.value, "capacity": rule.capacity}[rule.threshold]
    sizes = {segment: int((priority["segment"] == segment).sum()) for segment in ("priority", "other_churners", "rest")}
    return pd.DataFrame(
        {
            "method": rule.threshold,
            "parameter": float(parameter),
            "threshold": threshold.value,
            "learned_on": threshold.learned_on,
            "learned_windows": threshold.windows,
            "likely_churn": rule.likely_churn,
            **sizes,
        },
        index=[0],
    )
