"""EXPECTED_VALUES or MONEY → what each window's user is worth, as the experiment says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tschurn.config import Experiment


def worth_of_windows(expected: pd.DataFrame, money: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """EXPECTED_VALUES and MONEY → as EXPECTED_VALUES: what each user, and each window of the anchors before, is worth.

    [segments] worth = "expected": as expected; else the value of the last 28 days. "refit": at the newest anchor.
    """
    if experiment.segments.worth == "expected":
        return expected
    known = money.dropna(subset="value_28")
    fit = np.where(known["anchor_day"] == known["anchor_day"].max(), "refit", "evaluated")
    return known[["user_id", "anchor_day"]].assign(fit=fit, expected=known["value_28"].clip(lower=0))
