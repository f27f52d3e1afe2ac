"""PRIORITY + PROFILE + MONEY → ECDF: how a ratio, p_churn and the value of the last 28 days are spread by segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn.contracts import ECDF, SEGMENTS
from tschurn.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from tschurn.config import Experiment

POINTS = 101
# Active days of the last four weeks over those of the last eight: a half is as before, less is fading, all is new. It
# is there in every log that has history, and hangs less than that of a single week on having been scored in it.
RATIO = ("history:active_days:28", "history:active_days:56")


def check(features: pd.DataFrame, experiment: Experiment) -> None:
    """FEATURES → nothing; ConfigError where the ratio of the experiment file names a variable that there is not."""
    known = list(features["feature"])
    for name in experiment.profiles.ratio or ():
        if name in known:
            continue
        why = "no such variable in this log"
        if name.startswith("history:") and experiment.features.history == "none":
            why = '`history = "none"` leaves out all history'
        raise ConfigError(
            f"key `profiles.ratio`: {name!r}: {why}; variables are called as in the column `feature` of the run's "
            f"table features, such as `{known[0] if known else RATIO[0]}`{did_you_mean(name, known)}"
        )


def distributions(
    priority: pd.DataFrame, profile: pd.DataFrame, money: pd.DataFrame, experiment: Experiment
) -> pd.DataFrame:
    """PRIORITY, PROFILE, MONEY → ECDF of each variable in each segment and for 'all'.

    Left out, user by user: a ratio whose denominator is 0 or less, and what is missing. Left out altogether: the ratio
    where the profile has not both of its variables, and value_28 without a sticker target.
    """
    users = priority[["user_id", "anchor_day"]]
    ratio = experiment.profiles.ratio or RATIO
    values = {"ratio": _ratio(profile.set_index("user_id").reindex(users["user_id"]), *ratio)}
    values["p_churn"] = priority["p_churn"].to_numpy(np.float64)
    values["value_28"] = users.merge(money, how="left", validate="one_to_one")["value_28"].to_numpy(np.float64)
    parts = []
    for variable, column in values.items():
        named = ratio if variable == "ratio" else (None, None)
        for segment in (*SEGMENTS, "all"):
            group = column if segment == "all" else column[(priority["segment"] == segment).to_numpy()]
            group = group[np.isfinite(group)]
            if len(group):
                found = pd.DataFrame({"variable": variable, "segment": segment, **ecdf(group), "users": len(group)})
                parts.append(found.assign(numerator=named[0], denominator=named[1]))
    if not parts:
        return pd.DataFrame(columns=list(ECDF.columns))
    return pd.concat(parts, ignore_index=True)[list(ECDF.columns)]


def ecdf(values: np.ndarray) -> dict[str, np.ndarray]:
    """[n] finite numbers → x: all of them that differ, or POINTS quantiles of them where they are more, and the share
    of the numbers that are at most x."""
    x = np.unique(values)
    if len(x) > POINTS:
        x = np.unique(np.quantile(values, np.linspace(0, 1, POINTS), method="inverted_cdf"))
    return {"x": x, "share": np.searchsorted(np.sort(values), x, side="right") / len(values)}


def _ratio(values: pd.DataFrame, numerator: str, denominator: str) -> np.ndarray:
    """→ [users], NaN where it is not known."""
    if not {numerator, denominator} <= set(values.columns):
        return np.full(len(values), np.nan)
    above, below = (values[name].to_numpy(np.float64) for name in (numerator, denominator))
    return np.divide(above, below, out=np.full(len(values), np.nan), where=below > 0)
