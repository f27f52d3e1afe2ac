"""Event log → the process map: cases, what follows what for churned and stayed users, variants, main paths, a model.

All but the model is counted in the engine, over all cases and users. Nothing depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tschurn.contracts import Progress, silent
from tschurn.exploration.cases import Cases, find_cases
from tschurn.exploration.discovery import Model, discover
from tschurn.exploration.followed_by import Blocks
from tschurn.exploration.follows import edges, follows
from tschurn.exploration.paths import links, paths, write_users
from tschurn.exploration.variants import variants

if TYPE_CHECKING:
    import ibis

    from tschurn.config import Targets

STAGES = 5  # that progress tells of


def explore_process(
    event_log: ibis.Table,
    log: Mapping[str, Any],
    blocks: Blocks,
    targets: Targets,
    progress: Progress = silent,
    users_csv: Path | None = None,
    hide: Callable[[pd.Series], pd.Series] | None = None,
) -> dict[str, pd.DataFrame]:
    """EVENT_LOG and the row of its LOG_SUMMARY → PROCESS_SUMMARY, DIRECTLY_FOLLOWS, FOLLOWS_DIFFERENCE, VARIANTS,
    PATHS and PROCESS_MODEL by name.

    blocks: which days tell churned from stayed users; its `until` keeps test outcomes from being looked at. users_csv:
    where to write the users behind each link of PATHS (`write_users`), their ids through `hide` if there is one.
    Without pm4py PROCESS_MODEL is empty and PROCESS_SUMMARY says why.
    """
    progress("process", 0, STAGES, "cases")
    found = find_cases(event_log, bool(log["only_days"]), log["last_day"], targets, blocks)
    with found.steps.cache() as steps:
        cases = replace(found, steps=steps)
        progress("process", 1, STAGES, "follows")
        graph, differences = follows(edges(cases))
        progress("process", 2, STAGES, "variants")
        most, counts = variants(cases)
        progress("process", 3, STAGES, "paths")
        with links(cases).cache() as taken:
            main = paths(cases, taken)
            share = write_users(taken, users_csv, hide) if users_csv else None
        progress("process", 4, STAGES, "model")
        # every step of a group is reached once: the ends are not counted
        reached = graph[graph["target"].notna()].groupby("group")["n"].sum()
        model = discover(cases, int(reached.get("all", 0)))
    progress("process", STAGES, STAGES)
    return {
        "process_summary": _summary(cases, graph, reached, counts, blocks, share, model),
        "directly_follows": graph,
        "follows_difference": differences,
        "variants": most,
        "paths": main,
        "process_model": model.tree,
    }


def _summary(
    cases: Cases, graph: pd.DataFrame, reached: pd.Series, variants: Mapping[str, int], blocks: Blocks,
    path_users_share: float | None, model: Model,
) -> pd.DataFrame:  # fmt: skip
    """→ PROCESS_SUMMARY."""
    starts = graph[graph["source"].isna() & (graph["group"] == "all")]
    row = {
        "case_kind": cases.kind,
        "reason": cases.reason,
        "shared_share": cases.shared_share,
        "cases": int(starts["n"].sum()),
        "steps": int(reached.get("all", 0)),
        "variants": variants["all"],
        "churned_variants": variants["churned"],
        "stayed_variants": variants["stayed"],
        "churned_steps": int(reached.get("churned", 0)),
        "stayed_steps": int(reached.get("stayed", 0)),
        "until": blocks.until,
        "observe_days": blocks.observe_days,
        "outcome_days": blocks.outcome_days,
        "path_users_share": path_users_share,
        "discovery": model.discovery,
        "model_steps": model.steps,
        "fitness": model.fitness,
        "precision": model.precision,
    }
    frame = pd.DataFrame([row])
    return frame.astype({"path_users_share": "float64", "model_steps": "Int64", "fitness": "float64",
                         "precision": "float64"})  # fmt: skip
