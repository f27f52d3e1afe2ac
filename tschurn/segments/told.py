"""REASONS + PROFILE + MONEY → what the lists tell of a user, whoever else is on them: why, since when, how often."""

from __future__ import annotations

import pandas as pd

from tschurn.config import Experiment
from tschurn.contracts import MOST_REASONS
from tschurn.segments.actions import actions_of
from tschurn.segments.habits import habits

_NAMES = {rank: f"reason_{rank}" for rank in range(1, MOST_REASONS + 1)}
_FEATURES, _PUSHES = ({rank: f"{name}_{what}" for rank, name in _NAMES.items()} for what in ("feature", "contribution"))
_RELIABLE = "reasons_reliable"


def told_of(
    users: pd.DataFrame,
    reasons: pd.DataFrame | None,
    profile: pd.DataFrame,
    money: pd.DataFrame,
    experiment: Experiment,
) -> pd.DataFrame:
    """user_id and anchor_day of users, REASONS (None: there are none), PROFILE and MONEY of at least these → TOLD.

    TOLD has a row per user, in their order: user_id, and of LIST the reasons of churn with their features and
    contributions, whether they hold, the action, and the columns of `habits`.
    """
    language, keys = experiment.experiment.language, users[["user_id", "anchor_day"]].reset_index(drop=True)
    parts = (
        _why(reasons, keys["user_id"], language),
        habits(keys, profile, money, experiment.features.quiet_days, language),
    )
    table = pd.concat([keys[["user_id"]], *(part.reset_index(drop=True) for part in parts)], axis=1)
    return table.assign(action=_actions(reasons, keys["user_id"], experiment))


def _why(reasons: pd.DataFrame | None, users: pd.Series, language: str) -> pd.DataFrame:
    """REASONS → per user the sentences of the churn target, their features and contributions, and whether they hold."""
    if reasons is None:
        empty = pd.DataFrame(
            index=users, columns=[*_NAMES.values(), *_FEATURES.values(), *_PUSHES.values(), _RELIABLE], dtype="str"
        )
        return empty.astype({**dict.fromkeys(_PUSHES.values(), "float64"), _RELIABLE: "boolean"})
    churn = reasons[reasons["target"] == "churn"]

    def by_rank(values: str, called: dict[int, str]) -> pd.DataFrame:
        wide = churn.pivot(index="user_id", columns="rank", values=values)
        return wide.reindex(columns=list(called)).rename(columns=called).rename_axis(columns=None)

    sentences = by_rank(f"sentence_{language}", _NAMES).astype("str")
    features = by_rank("feature", _FEATURES).astype("str")
    pushes = by_rank("contribution", _PUSHES).astype("float64").round(3)
    holds = churn.groupby("user_id")["reliable"].first().astype("boolean").rename(_RELIABLE)
    return pd.concat([sentences, features, pushes, holds], axis="columns").reindex(users)


def _actions(reasons: pd.DataFrame | None, users: pd.Series, experiment: Experiment) -> pd.Series:
    if reasons is None or not experiment.actions:
        return pd.Series(None, index=users.index, dtype="str")
    return users.map(actions_of(reasons, experiment.actions)).astype("str")
