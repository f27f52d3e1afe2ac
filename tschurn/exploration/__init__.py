"""Event log → what the data looks like: the rhythm of the days, the steps that follow each other.

`lifecycle` says what a user's day is, `decomposition` splits daily usage into trend and weekly
season, `process_map` finds the cases, the directly-follows graph, the variants and the main paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tschurn.contracts import Progress, silent

if TYPE_CHECKING:
    import ibis
    import pandas as pd

    from tschurn.config import Experiment


def explore(
    event_log: ibis.Table, summary: pd.DataFrame, experiment: Experiment, progress: Progress = silent
) -> dict[str, pd.DataFrame]:
    """EVENT_LOG and its LOG_SUMMARY → SEASONALITY, PROCESS_SUMMARY, DIRECTLY_FOLLOWS, VARIANTS, PATHS by name.

    Group-bys and windows run in the engine behind `event_log`; only aggregates come back. Without
    pm4py the directly-follows graph and the variants are empty and PROCESS_SUMMARY says why.
    """
    from tschurn.exploration import decomposition, process_map

    row = summary.iloc[0]
    progress("exploration", 0, 4, "seasonality")
    seasonality = decomposition.seasonality(event_log, row["first_day"], row["last_day"], experiment.targets)
    progress("exploration", 1, 4, "cases")
    cases = process_map.find_cases(event_log, bool(row["only_days"]), row["last_day"], experiment.targets)
    progress("exploration", 2, 4, "process map")
    discovered = process_map.discover(cases.steps)
    progress("exploration", 3, 4, "paths")
    tables = {
        "seasonality": seasonality,
        "process_summary": process_map.summarise(cases, discovered),
        "directly_follows": discovered.directly_follows,
        "variants": discovered.variants,
        "paths": process_map.paths(cases.steps),
    }
    progress("exploration", 4, 4)
    return tables
