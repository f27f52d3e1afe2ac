"""Event log → what the data looks like: its rhythm, who stays and for how long, what follows what, which values tell.

`decomposition` splits daily usage into trend and weekly season, `cohorts`, `survival` and `census` say who stays, and
`deciles` what churned users have in common; `process_map` finds the steps that follow each other. Of what comes
after the anchors of test nothing is looked at where churned and stayed users are told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tschurn.contracts import LOG_SUMMARY, PLATFORM_DAYS, USER_DAYS, WINDOWS, Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

    import ibis
    import numpy as np
    import pandas as pd

    from tschurn.config import Experiment

PATH_USERS = "path_users.csv"


def explore(
    event_log: ibis.Table,
    daily: ibis.Table,
    tables: Mapping[str, pd.DataFrame],
    profile: Callable[[np.ndarray], pd.DataFrame],
    experiment: Experiment,
    folder: Path,
    hide: Callable[[pd.Series], pd.Series] | None = None,
    progress: Progress = silent,
) -> dict[str, pd.DataFrame]:
    """EVENT_LOG, DAILY, and by name LOG_SUMMARY, PLATFORM_DAYS, USER_DAYS and WINDOWS → SEASONALITY, COHORTS, SURVIVAL,
    CENSUS, DECILES and the tables of the process map by name; the users behind its paths in folder/path_users.csv.

    profile: positions of windows → their PROFILE. hide: ids → what stands for them in that file. Group-bys run in the
    engine; only aggregates come back. Without pm4py there is no PROCESS_MODEL, and PROCESS_SUMMARY says why.
    """
    from tschurn.exploration import census, cohorts, deciles, decomposition, process_map, survival
    from tschurn.exploration.followed_by import Blocks

    log, user_days, index = tables[LOG_SUMMARY.name].iloc[0], tables[USER_DAYS.name], tables[WINDOWS.name]
    first, last, shape = log["first_day"], log["last_day"], experiment.windows
    total = 3 + process_map.STAGES
    progress("exploration", 0, total, "seasonality")
    platform_days, targets = tables[PLATFORM_DAYS.name], experiment.targets
    seasonality = decomposition.seasonality(daily, platform_days, targets, experiment.exploration.robust)
    progress("exploration", 1, total, "cohorts")
    found = {
        "seasonality": seasonality,
        "cohorts": cohorts.cohorts(user_days, first, last),
        "survival": survival.survival(user_days, last),
        "census": census.census(user_days, first, last),
    }
    progress("exploration", 2, total, "deciles")
    rows, labels = deciles.training(index, targets, experiment.experiment.seed)
    found["deciles"] = deciles.deciles(profile(rows), labels)
    blocks = Blocks(first, last_known(index, shape.outcome_days), shape.observe_days, shape.outcome_days)
    process = process_map.explore_process(
        event_log, log, blocks, targets,
        lambda _, done, __, note="": progress("exploration", 3 + done, total, note), folder / PATH_USERS, hide,
    )  # fmt: skip
    return {**found, **process}


def last_known(index: pd.DataFrame, outcome_days: int) -> date | None:
    """WINDOWS → the last day whose outcomes may be looked at: the end of those before test; None without any."""
    import pandas as pd

    anchors = index.loc[index["split"].isin(["train", "validation", "calibration"]), "anchor_day"]
    return (pd.Timestamp(anchors.max()) + pd.Timedelta(days=outcome_days)).date() if len(anchors) else None
