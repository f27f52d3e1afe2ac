"""SCORES of later windows + THRESHOLD of a finished run → PRIORITY, FIRMNESS: who first, with nothing learned anew."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tschurn.config import Experiment
from tschurn.segments import priority as first
from tschurn.segments import steadiness
from tschurn.segments.thresholds import Threshold
from tschurn.segments.worth import worth_of_windows


def list_again(tables: Mapping[str, pd.DataFrame], experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As tschurn.segments.list_again. Firmness is by seeds alone: there is no earlier list of these models here."""
    cut = tables["threshold"].iloc[0]
    expected = worth_of_windows(tables["expected_values"], tables["money"], experiment)
    none = tables["scores"].iloc[:0].drop(columns=["p_low", "p_high"])
    scored = first.score_users(tables["scores"], none, expected, experiment)
    scored = scored._replace(users=first.ranked(scored.users.drop(columns="rank"), cut["score"]), score=cut["score"])
    parameter = None if pd.isna(cut["parameter"]) else float(cut["parameter"])
    threshold = Threshold(
        cut["method"], parameter, float(cut["threshold"]), cut["learned_on"], int(cut["learned_windows"])
    )
    favourite = None if pd.isna(cut["likely_sticker"]) else float(cut["likely_sticker"])
    table = first.priority_table(scored.users, threshold, favourite, experiment)
    lists = steadiness.other_lists(scored, threshold, tables["seed_scores"])
    return table, steadiness.firmness(lists)
