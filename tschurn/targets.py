"""WINDOWS → which targets can be learned, from which windows, and what is to be said of those that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from tschurn.config import Experiment


def targets_and_notes(windows: pd.DataFrame, experiment: Experiment) -> tuple[list[str], list[str]]:
    """WINDOWS → the targets that can be learned, and notes on those that cannot."""
    notes = {"time": [], "rolling": [], "user": ["split_user"], "random": ["split_random"]}[experiment.split.kind]
    if experiment.targets.sticker is None:
        return ["churn"], [*notes, "no_sticker_target"]
    closed = counted(windows[windows["closed"]], "sticker", experiment)
    if not closed["sticker"].eq(1).any():
        return ["churn"], [*notes, "sticker_never"]
    if not learnable(closed, "sticker"):
        return ["churn"], [*notes, "sticker_one_class"]
    stays = experiment.targets.sticker.given == "stays"
    return ["churn", "sticker"], [*notes, "sticker_given_stays"] if stays else notes


def counted(windows: pd.DataFrame, target: str, experiment: Experiment) -> pd.DataFrame:
    """The windows that a target is learned from: of those who stay, where it is given that they do."""
    sticker = experiment.targets.sticker
    stays = target == "sticker" and sticker is not None and sticker.given == "stays"
    return windows[windows["churned"] == 0] if stays else windows


def learnable(windows: pd.DataFrame, label: str) -> bool:
    """Whether each block of the windows holds both classes of a label."""
    blocks = ["train", "validation", "calibration", "test"]
    classes = windows[windows["split"].isin(blocks)].groupby("split")[label].nunique()
    return bool((classes.reindex(blocks, fill_value=0) == 2).all())
