"""ATTRIBUTION and the truth → TRUTH_FIGURES: how often the model itself, asked about acts, names the true cause.

About "" and each cause with features, as the precisions of judgement.py; n = windows in churn's game of groups whose
true cause has features:
  precision_itself         share of windows with one of the cause's events among the up to three groups that add most
                           to the answer; an event that has no group of its own is a miss; low, high: as of
                           precision_at_3
  precision_itself_chance  expected share for three different groups drawn at random (exact, hypergeometric)
"""

from __future__ import annotations

import pandas as pd

from tschurn.contracts import MOST_REASONS, TRUTH_FIGURES
from tschurn.simulator.causes import CAUSE_FEATURES
from tschurn.simulator.judgement import by_cause, with_truth

KEYS = ["user_id", "anchor_day"]


def judge_attribution(truth: pd.DataFrame, attribution: pd.DataFrame) -> pd.DataFrame:
    """TRUTH, ATTRIBUTION (all targets together) → the two figures' rows of TRUTH_FIGURES."""
    from scipy.stats import hypergeom

    groups = attribution[(attribution["target"] == "churn") & (attribution["game"] == "groups")]
    marked = with_truth(groups[KEYS].drop_duplicates(), truth)
    named = groups[groups["log_odds"] > 0].sort_values("log_odds", ascending=False, kind="stable")
    named = named.groupby(KEYS, sort=False).head(MOST_REASONS)
    top = {key: set(part["player"]) for key, part in named.groupby(KEYS)}
    wanted = {cause: {_event(f) for f in features} for cause, features in CAUSE_FEATURES.items()}
    causes = marked["cause"].to_numpy()
    keys = zip(*(marked[key] for key in KEYS), strict=True)
    hits = pd.Series(
        [bool(top.get(key, set()) & wanted.get(cause, set())) for key, cause in zip(keys, causes, strict=True)],
        dtype=bool,
    ).to_numpy()
    players = set(groups["player"])
    drawn = min(MOST_REASONS, len(players))
    chance = {c: float(hypergeom.sf(0, len(players), len(players & events), drawn)) for c, events in wanted.items()}
    rows = [
        *by_cause("precision_itself", marked, hits, intervals=True),
        *by_cause("precision_itself_chance", marked, pd.Series(causes).map(chance).fillna(0.0).to_numpy()),
    ]
    figures = pd.DataFrame(rows, columns=list(TRUTH_FIGURES.columns))
    return figures.astype(dict.fromkeys(("value", "low", "high"), "float64") | {"n": "int64"})


def _event(feature: str) -> str:
    """A feature of a cause → its event, as groups are named: "received:badge_visit"."""
    side, event = feature.removeprefix("history:sum:").split(":")[:2]
    return f"{side}:{event}"
