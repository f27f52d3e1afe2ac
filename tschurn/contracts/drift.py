"""Tables of drift: what windows looked like when a run was made, and how those of a later log differ."""

from __future__ import annotations

from tschurn.contracts.table import Table

REFERENCE_BINS = Table(
    "reference_bins",
    "How many windows lie in each bin, at anchors that have few days in common. kind 'feature': a column of PROFILE, "
    "on the closed windows; 'score': a target's p on the test windows, which the model had not seen. upper: the "
    "largest value in the bin; null of the last one, which has no end, and of that of missing values, which is bin -1.",
    ("kind", "name", "anchor_day", "bin"),
    {
        "kind": "string",
        "name": "string",
        "anchor_day": "date",
        "bin": "int32",
        "upper": "float64?",
        "windows": "int64",
    },
)
REFERENCE_SAMPLE = Table(
    "reference_sample",
    "PROFILE of a sample of closed windows, one of each user, for the rank test.",
    ("user_id",),
    {"user_id": "id", "anchor_day": "date"},
    open_columns=True,
)
REFERENCE_ANCHORS = Table(
    "reference_anchors",
    "Each target at each anchor of a run. windows: all eligible ones; labelled: those whose outcome is known, and "
    "positives of them. Of the test anchors besides, as the evaluated model says: the means of p and log-odds, and "
    "how far outcomes are from p in level and slope (one step of Cox's logistic recalibration: 0 and 1 if they are "
    "not), the AUC and the AP; *_se: their sampling errors. Null where there is nothing to measure.",
    ("target", "anchor_day"),
    {
        "target": "string",
        "anchor_day": "date",
        "windows": "int64",
        "labelled": "int64",
        "positives": "int64",
        "p_mean": "float64?",
        "log_odds": "float64?",
        "level": "float64?",
        "level_se": "float64?",
        "slope": "float64?",
        "slope_se": "float64?",
        "auc": "float64?",
        "auc_se": "float64?",
        "ap": "float64?",
    },
)
REFERENCE_PUSHES = Table(
    "reference_pushes",
    "What each feature adds to the log-odds on the test windows, at anchors that have few days in common: "
    "the mean, the mean of its absolute values, and the sampling error of the mean.",
    ("target", "feature", "anchor_day"),
    {
        "target": "string",
        "feature": "string",
        "anchor_day": "date",
        "windows": "int64",
        "mean": "float64",
        "magnitude": "float64",
        "error": "float64",
    },
)
REFERENCE_EVENTS = Table(
    "reference_events",
    "The events of a run's log: rows, first and last day of each.",
    ("side", "event_name"),
    {"side": "string", "event_name": "string", "rows": "int64", "first_day": "date", "last_day": "date"},
)
DRIFT = Table(
    "drift",
    "Each feature at the newest anchor against the run's closed windows, per target, what matters most first (rank 1). "
    "psi: the population stability index, of which psi_expected is what as few windows show where nothing has "
    "changed, and psi_ordinary the most (95 %) that the run's own anchors lead one to expect; psi_p: chance of so "
    "large a one among them, adjusted for the number of features (Benjamini-Hochberg), as is rank_p, of a "
    "Mann-Whitney test; effect: Cliff's delta, from -1 (all lower now) to 1. beyond: left its ordinary range. weight: "
    "share of the score that the feature carried on test (of all mean |contributions|); push_then, push_now: its mean "
    "contribution to the log-odds; move: by how much that has moved, push_ordinary: the most (95 %) that the test "
    "anchors lead one to expect. Null where nothing is known.",
    ("target", "feature"),
    {
        "target": "string",
        "rank": "int32",
        "feature": "string",
        "psi": "float64",
        "psi_expected": "float64",
        "psi_ordinary": "float64?",
        "psi_p": "float64",
        "beyond": "bool",
        "rank_p": "float64?",
        "effect": "float64?",
        "mean_then": "float64?",
        "mean_now": "float64?",
        "missing_then": "float64",
        "missing_now": "float64",
        "weight": "float64?",
        "push_then": "float64?",
        "push_now": "float64?",
        "move": "float64?",
        "push_ordinary": "float64?",
    },
)
DRIFT_FIGURES = Table(
    "drift_figures",
    "Scores and outcomes then (the run's test anchors; of 'rate' all its closed ones) and now. figure: of the newest "
    "anchor 'p_mean', 'log_odds' (means) and 'score_psi' (then: the expected one); of closed anchors that no model has "
    "learned from (all since the run, or those of the newest span, whichever are less likely by chance) 'rate' (what "
    "happened), 'predicted' (mean p; then: the rate now), 'level' and 'slope' (then: what is right), 'auc' and 'ap'; "
    "'explained': the share of the move of the mean log-odds that the features' moves add up to. low, high: 95 % "
    "interval of the difference, by users. ordinary: the largest difference (95 %) that the anchors of the run lead "
    "one to expect; p: chance of so large a one among them; beyond: p is small enough to act on. windows: now.",
    ("target", "figure"),
    {
        "target": "string",
        "figure": "string",
        "then": "float64?",
        "now": "float64?",
        "difference": "float64?",
        "low": "float64?",
        "high": "float64?",
        "ordinary": "float64?",
        "p": "float64?",
        "beyond": "bool",
        "windows": "int64",
    },
)
DRIFT_WARNINGS = Table(
    "drift_warnings",
    "What is different about the log itself. warning: 'new_event', 'vanished_event' (then: rows a week), or "
    "'fewer_users' (then, now: windows of the anchor before and of the newest).",
    ("warning", "subject"),
    {"warning": "string", "subject": "string", "then": "float64?", "now": "float64"},
)
ADVICES = ("fine", "unknown", "recalibrate", "retrain")  # the gravest last
ADVICE = Table(
    "advice",
    "What to do, per target and for all (target ''). advice: one of ADVICES. reason: 'holds', 'no_outcomes', 'level', "
    "'slope', 'ranking', 'range' (features that carry the score have left theirs) or 'worst' (of the targets).",
    ("target",),
    {"target": "string", "advice": "string", "reason": "string"},
)
