"""SCORES + OUT_OF_TIME + PROFILE → PRIORITY, THRESHOLD, COMPARISON: who first, and how they differ.

`priority` ranks the scored users and cuts the list, `comparison` tests how the priority group
differs from the others, `joint` holds the product against what happened, `export` writes the lists
that people work with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from tschurn.config import Experiment

# What is computed from the probabilities: the groups differ in it because they were cut by it.
SCORE_VARIABLES = ("p_churn", "p_sticker", "priority", "log_priority")


def segment(
    scores: pd.DataFrame,
    out_of_time: pd.DataFrame,
    profile: pd.DataFrame,
    experiment: Experiment,
) -> dict[str, pd.DataFrame]:
    """SCORES + OUT_OF_TIME + PROFILE → the tables "priority", "threshold", "comparison".

    Raises ContractError when the targets, or the profile, are of different users.
    """
    from tschurn.segments import comparison, priority

    threshold = priority.learn_threshold(out_of_time, scores, experiment)
    table = priority.priority_table(scores, threshold.value, experiment)
    by_user = table.set_index("user_id")
    own = [name for name in SCORE_VARIABLES if name != "p_sticker" or table["p_sticker"].notna().any()]
    variables = profile.drop(columns=list(SCORE_VARIABLES), errors="ignore").set_index("user_id")
    variables = variables.assign(**{name: by_user[name] for name in own}).reset_index()
    return {
        "priority": table,
        "threshold": priority.threshold_table(threshold, table, experiment),
        "comparison": comparison.compare(variables, by_user["segment"], set(SCORE_VARIABLES)),
    }


def joint_rate(predictions: pd.DataFrame, target_summary: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """PREDICTIONS + TARGET_SUMMARY → JOINT."""
    from tschurn.segments import joint

    return joint.joint_rate(predictions, target_summary, experiment)


def write_lists(
    priority: pd.DataFrame,
    reasons: pd.DataFrame | None,
    profile: pd.DataFrame,
    experiment: Experiment,
    folder: Path,
) -> dict[str, Path]:
    """PRIORITY + REASONS + PROFILE → priority_group.csv and scores.csv in `folder`; file name → path."""
    from tschurn.segments import export

    return export.write_lists(priority, reasons, profile, experiment, folder)
