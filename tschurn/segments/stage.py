"""the stage: scores, money and what is known of users → all tables of who first, step by step."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tschurn.config import Experiment
from tschurn.contracts import Progress
from tschurn.segments import backtest, distributions, divergence, gain, rfm, rules, steadiness, subgroups, weeks
from tschurn.segments import comparison as c
from tschurn.segments import plane as p
from tschurn.segments import priority as first
from tschurn.segments import thresholds as t
from tschurn.segments.joint import joint_rate
from tschurn.segments.matching import match_group
from tschurn.segments.worth import worth_of_windows

# What enters the score: the groups differ in it because they were cut by it.
SCORE_VARIABLES = ("p_churn", "p_sticker", "priority", "log_priority", "value_at_risk")
STEPS = 5


def segment(
    tables: Mapping[str, pd.DataFrame], profile: pd.DataFrame, experiment: Experiment, progress: Progress
) -> dict[str, pd.DataFrame]:
    """As tschurn.segments.segment."""
    progress("segments", 0, STEPS, "who first")
    found = _who_first(tables, experiment)
    progress("segments", 1, STEPS, "how they differ")
    found |= _how_they_differ(tables, found["priority"], profile, experiment)
    progress("segments", 2, STEPS, "errors by subgroup")
    tested = tables["predictions"], tables["target_summary"]
    found["subgroups"] = subgroups.subgroup_errors(
        *tested, tables["facts"], tables["money"], tables["user_days"], experiment
    )  # fmt: skip
    progress("segments", 3, STEPS, "would it have paid")
    found["joint"] = joint_rate(*tested, experiment)
    windows = weeks.scored_windows(*tested, tables["money"], tables["expected_values"])
    found |= {**backtest.backtest(windows, experiment), "gain": gain.gain(windows, experiment)}
    progress("segments", STEPS, STEPS)
    return found


def _who_first(tables: Mapping[str, pd.DataFrame], experiment: Experiment) -> dict[str, pd.DataFrame]:
    """→ PRIORITY, THRESHOLD, THRESHOLDS, LIST_STABILITY, FIRMNESS, PLANE."""
    worth = worth_of_windows(tables["expected_values"], tables["money"], experiment)
    scored = first.score_users(tables["scores"], tables["out_of_time"], worth, experiment)
    rules_found = t.learn_thresholds(scored, experiment)
    chosen = t.chosen_threshold(rules_found, experiment)
    favourite = first.likely_sticker(scored, experiment)
    priority = first.priority_table(scored.users, chosen, favourite, experiment)
    threshold = t.threshold_table(chosen, scored.score, favourite, priority, experiment)
    lists = steadiness.other_lists(scored, chosen, tables["seed_scores"])
    newest = priority["anchor_day"].max() if len(priority) else None
    return {
        "priority": priority,
        "threshold": threshold,
        "thresholds": t.thresholds_table(rules_found, chosen, scored.users),
        "list_stability": steadiness.list_stability(lists, newest),
        "firmness": steadiness.firmness(lists),
        "plane": p.plane(priority, threshold, tables["money"], tables["predictions"], tables["target_summary"]),
    }


def _how_they_differ(
    tables: Mapping[str, pd.DataFrame], priority: pd.DataFrame, profile: pd.DataFrame, experiment: Experiment
) -> dict[str, pd.DataFrame]:
    """→ COMPARISON, MATCHING, DIVERGENCE, ECDF, RULES, RFM, RFM_TRANSITIONS."""
    seed = experiment.experiment.seed
    by_user = priority.set_index("user_id")
    segments = by_user["segment"]
    own = [name for name in SCORE_VARIABLES if by_user[name].notna().any()]
    variables = profile.drop(columns=list(SCORE_VARIABLES), errors="ignore").set_index("user_id")
    variables = variables.assign(**{name: by_user[name] for name in own}).reset_index()
    pairs, matching = match_group(by_user["p_churn"], segments)
    periods = rfm.rfm(tables["user_days"], tables["log_summary"], experiment)
    return {
        "comparison": c.compare(variables, segments, set(SCORE_VARIABLES), pairs),
        "matching": matching,
        "divergence": divergence.divergence(profile, segments, tables["features"], seed),
        "ecdf": distributions.distributions(priority, profile, tables["money"], experiment),
        "rules": rules.rules(profile, segments, SCORE_VARIABLES, seed),
        "rfm": periods,
        "rfm_transitions": rfm.transitions(periods, priority),
    }
