"""REASONS + [actions] → what callers may do about each user's reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import pandas as pd

from tschurn.errors import ConfigError, did_you_mean


def actions_of(reasons: pd.DataFrame, actions: Mapping[str, str]) -> pd.Series:
    """REASONS + pattern of a feature's name → text: user_id (index) → text of the first churn reason that has one.

    Of patterns that fit a feature, the first counts. Users without such a reason are not in the result.
    """
    churn = reasons[reasons["target"] == "churn"].sort_values("rank", kind="stable")
    said = {feature: _first(feature, actions) for feature in churn["feature"].unique()}
    told = churn.assign(action=churn["feature"].map(said)).dropna(subset="action")
    return told.groupby("user_id", sort=False)["action"].first().astype("str")


def check(actions: Mapping[str, str], features: Iterable[str]) -> None:
    """Raise ConfigError for a pattern that fits none of the features there are: nobody would ever see its action."""
    features = list(features)
    for pattern in actions:
        if not any(_fits(feature, pattern) for feature in features):
            near = did_you_mean(pattern, features)
            raise ConfigError(f"key `actions`: {pattern!r} fits no feature of this log{near}")


def _first(feature: str, actions: Mapping[str, str]) -> str | None:
    return next((text for pattern, text in actions.items() if _fits(feature, pattern)), None)


def _fits(feature: str, pattern: str) -> bool:
    # names of events are data: one with brackets would be a pattern that does not fit itself
    return feature == pattern or fnmatchcase(feature, pattern)
