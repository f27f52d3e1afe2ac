"""PREDICTIONS + TARGET_SUMMARY → JOINT: how often both happen, beside the product that ranks users.

The product of two probabilities is that of both only where the targets are independent given what the models know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn.contracts import JOINT

if TYPE_CHECKING:
    from tschurn.config import Experiment

BINS = 10
MEANS = ("product", "p_churn", "p_sticker", "churned", "sticker", "both")


def joint_rate(predictions: pd.DataFrame, target_summary: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """PREDICTIONS and TARGET_SUMMARY of all targets → JOINT, the bin of the lowest product first.

    Test windows of the model that is used for each target; equal products share a bin. Empty with one target
    only, without test windows, and where the two cannot both happen by their definitions.
    """
    from statsmodels.stats.proportion import proportion_confint

    windows = of_both(predictions, target_summary)
    if experiment.targets.exclusive or windows.empty:
        return pd.DataFrame({column: [] for column in JOINT.columns})
    product = windows["p_churn"] * windows["p_sticker"]
    windows = windows.assign(product=product, both=windows["churned"] * windows["sticker"])
    edges = np.unique(np.quantile(product, np.arange(1, BINS) / BINS))
    bins = windows.groupby(np.searchsorted(edges, product, side="right"), sort=True)
    table = bins[list(MEANS)].mean().assign(windows=bins.size())
    low, high = proportion_confint(bins["both"].sum(), table["windows"], method="wilson")
    table = table.assign(bin=np.arange(len(table), dtype=np.int32), low=low, high=high)
    return table.reset_index(drop=True)[list(JOINT.columns)]


def of_both(predictions: pd.DataFrame, target_summary: pd.DataFrame) -> pd.DataFrame:
    """→ one row per test window with p_churn, p_sticker, churned and sticker, of the used models."""
    used = target_summary[["target", "used"]].rename(columns={"used": "model"})
    test = predictions[predictions["split"] == "test"].merge(used, on=["target", "model"])
    churn, sticker = (
        test.loc[test["target"] == target, ["user_id", "anchor_day", "p", "y"]].rename(columns={"p": p, "y": y})
        for target, p, y in (("churn", "p_churn", "churned"), ("sticker", "p_sticker", "sticker"))
    )
    return churn.merge(sticker, on=["user_id", "anchor_day"], validate="one_to_one")
