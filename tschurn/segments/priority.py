"""SCORES + OUT_OF_TIME + EXPECTED_VALUES → users and windows in order of a score, PRIORITY: who is called first.

priority = p_churn × p_sticker: a ranking score, not a joint probability; without a sticker target it is p_churn.
value_at_risk = p_churn × what a user is worth: the value of stickers expected of one who stays, or of the last 28
days. The experiment says which of the two ranks; where no value is expected of anybody, it is the priority.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tschurn.contracts import PRIORITY
from tschurn.errors import ContractError
from tschurn.segments.thresholds import LOWEST_SCORE, Threshold, in_group

if TYPE_CHECKING:
    from tschurn.config import Experiment

STICKER = ("p_sticker", "p_sticker_low", "p_sticker_high")


class Scored(NamedTuple):
    """The scored users, the out-of-time windows, and the score that ranks both: "priority" or "value_at_risk".

    users: PRIORITY without its segment, and the column `score`; windows: the same columns without intervals.
    """

    users: pd.DataFrame
    windows: pd.DataFrame
    score: str


def score_users(
    scores: pd.DataFrame, out_of_time: pd.DataFrame, expected: pd.DataFrame, experiment: Experiment
) -> Scored:
    """SCORES + OUT_OF_TIME + EXPECTED_VALUES → Scored, the best of each anchor first.

    Of EXPECTED_VALUES (may be empty) the refit is for the users and the evaluated fit for the windows, which it has
    not seen. Raises ContractError when the targets were scored for different users.
    """
    with_sticker = bool((scores["target"] == "sticker").any())
    users = _of_targets(scores, with_sticker)
    asked = {target: int((scores["target"] == target).sum()) for target in ("churn", "sticker")}
    if asked["churn"] != len(users) or (with_sticker and asked["sticker"] != len(users)):
        raise ContractError(
            f"scores: {asked['churn']} users have p_churn, {asked['sticker']} have p_sticker, {len(users)} have both"
        )
    users, windows = (
        _with_scores(rows, expected[expected["fit"] == fit])
        for rows, fit in ((users, "refit"), (_of_targets(out_of_time, with_sticker), "evaluated"))
    )
    valued = experiment.segments.score == "value_at_risk" and bool(users["value_at_risk"].notna().any())
    score = "value_at_risk" if valued else "priority"
    return Scored(ranked(users, score), ranked(windows, score), score)


def _of_targets(rows: pd.DataFrame, with_sticker: bool) -> pd.DataFrame:
    """SCORES or OUT_OF_TIME → one row per window for which every target was predicted."""
    keys = ["user_id", "anchor_day"]
    churn, sticker = (
        rows[rows["target"] == target]
        .drop(columns="target")
        .rename(columns={p: p.replace("p", f"p_{target}", 1) for p in ("p", "p_low", "p_high")})
        for target in ("churn", "sticker")
    )
    if not with_sticker:
        return churn.assign(**{p: np.nan for p in STICKER if p in sticker})
    return churn.merge(sticker, on=keys, validate="one_to_one")


def _with_scores(windows: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """Windows with probabilities → the same with both scores; value_at_risk null where nothing is expected."""
    keys = ["user_id", "anchor_day"]
    if windows["p_sticker"].isna().all():  # no sticker target: no value either
        return windows.assign(priority=windows["p_churn"], value_at_risk=np.nan)
    worth = (
        windows[keys].merge(expected, on=keys, how="left", validate="one_to_one")["expected"]
        if len(expected)
        else np.nan
    )
    worth = np.asarray(worth, dtype=np.float64)
    return windows.assign(
        priority=windows["p_churn"] * windows["p_sticker"],
        value_at_risk=windows["p_churn"].to_numpy() * worth,
    )


def ranked(windows: pd.DataFrame, score: str) -> pd.DataFrame:
    """Windows with their scores → the same, anchor by anchor the best first, with `score`, log_priority and rank.

    Ties are broken by p_churn, then by user_id; who has no such score comes last.
    """
    logs = np.log(windows["priority"].clip(lower=LOWEST_SCORE))
    table = windows.assign(score=windows[score], log_priority=logs).sort_values(
        ["anchor_day", "score", "p_churn", "user_id"],
        ascending=[True, False, False, True],
        kind="stable",
        ignore_index=True,
    )
    return table.assign(rank=table.groupby("anchor_day").cumcount().astype(np.int64) + 1)


def likely_sticker(scored: Scored, experiment: Experiment) -> float | None:
    """Scored → the p_sticker from which one who is likely to stay is a favourite.

    As the experiment file gives it; else the least of the best `share` of the out-of-time windows, or of the scored
    users. None without a sticker target, with nobody to learn from, and where p_sticker is the same for everybody.
    """
    rule = experiment.segments
    if scored.users["p_sticker"].isna().all():
        return None
    if rule.likely_sticker is not None:
        return rule.likely_sticker
    values = (scored.windows if len(scored.windows) else scored.users)["p_sticker"].to_numpy(np.float64)
    if np.ptp(values) == 0:
        return None
    return float(np.sort(values)[-max(1, round(rule.share * len(values)))])


def priority_table(
    users: pd.DataFrame, threshold: Threshold, favourite: float | None, experiment: Experiment
) -> pd.DataFrame:
    """Ranked users, the threshold, and likely_sticker → PRIORITY, best first.

    "priority": in the group of the rule; "other_churners": outside it and p_churn of at least `likely_churn`;
    "favourites": neither, and p_sticker of at least likely_sticker; "rest": everybody else.
    """
    segment = np.select(
        [
            in_group(users, threshold),
            users["p_churn"] >= experiment.segments.likely_churn,
            users["p_sticker"] >= (np.inf if favourite is None else favourite),
        ],
        ["priority", "other_churners", "favourites"],
        "rest",
    )
    return users.assign(segment=pd.Series(segment, index=users.index, dtype="str"))[list(PRIORITY.columns)]
