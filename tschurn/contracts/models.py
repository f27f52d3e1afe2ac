"""Tables of the models, one set per target."""

from __future__ import annotations

from tschurn.contracts.table import Table

PREDICTIONS = Table(
    "predictions",
    "One row per closed window, target and model: calibrated probability p of the evaluated model, and what happened.",
    ("user_id", "anchor_day", "target", "model"),
    {
        "user_id": "id",
        "anchor_day": "date",
        "split": "string",
        "target": "string",
        "model": "string",
        "p": "float64",
        "y": "int8",
    },
)
LOG_ODDS = Table(
    "log_odds",
    "Uncalibrated log-odds of each model for every window, open ones too: one row per row of "
    "WINDOWS, in its order, one column per model.",
    (),
    {},
    open_columns=True,
)
EXPERIMENTS = Table(
    "experiments",
    "The small experiment over scalings and architectures, scored on validation: every pair once, the best third "
    "again under another seed, and so on. chosen: all rows of the pair that the search went on with.",
    ("target", "scaling", "architecture", "seed"),
    {
        "target": "string",
        "scaling": "string",
        "architecture": "string",
        "seed": "int64",
        "ap": "float64",
        "auc": "float64",
        "log_loss": "float64",
        "epochs": "int32",
        "chosen": "bool",
    },
)
TRIALS = Table(
    "trials",
    "Bayesian searches: of each tuned model every trial, its hyperparameters (JSON) and its AP and log loss on "
    "validation. repeat: 0, or the how manieth fit of the best trial under another seed. epochs: of LightGBM, in "
    "20 rounds. stopped: ended before its time, as hopeless or out of time.",
    ("target", "model", "trial", "repeat"),
    {
        "target": "string",
        "model": "string",
        "trial": "int32",
        "repeat": "int32",
        "hyperparameters": "string",
        "ap": "float64",
        "log_loss": "float64",
        "epochs": "int32",
        "stopped": "bool",
        "chosen": "bool",
    },
)
METRICS = Table(
    "metrics",
    "Metrics on the test windows with 95 % two-way bootstrap intervals. kind: network, baseline or "
    "average; metric: base_rate, accuracy, ap, micro_ap, auc, brier and its parts (brier_reliability, "
    "brier_resolution, brier_uncertainty, brier_within), ece, ece_perfect, lift_10, lift_20. validation_ap: AP on "
    "validation, by which `used` was chosen.",
    ("target", "model", "metric"),
    {
        "target": "string",
        "model": "string",
        "kind": "string",
        "metric": "string",
        "value": "float64",
        "low": "float64?",
        "high": "float64?",
        "validation_ap": "float64",
        "used": "bool",
    },
)
ORIGINS = Table(
    "origins",
    "Only with a rolling split: METRICS of each origin (1 is the first, the last one is that of METRICS). first_day, "
    "last_day: of the anchor days of its test period; windows: how many test windows. used: chosen on the validation "
    "of that origin. Absent: an origin at which a block has one class only.",
    ("target", "origin", "model", "metric"),
    {
        "target": "string",
        "origin": "int32",
        "first_day": "date",
        "last_day": "date",
        "windows": "int64",
        "model": "string",
        "kind": "string",
        "metric": "string",
        "value": "float64",
        "low": "float64?",
        "high": "float64?",
        "validation_ap": "float64",
        "used": "bool",
    },
)
DIFFERENCES = Table(
    "differences",
    "AP of the used model minus AP of `versus` on test, paired two-way bootstrap over users and anchors.",
    ("target", "versus"),
    {
        "target": "string",
        "used": "string",
        "versus": "string",
        "versus_kind": "string",
        "difference": "float64",
        "low": "float64?",
        "high": "float64?",
    },
)
DIFFERENCES_BY_ANCHOR = Table(
    "differences_by_anchor",
    "AP of the used model minus AP of the best baseline, test anchor by test anchor (null where one class only).",
    ("target", "anchor_day"),
    {
        "target": "string",
        "anchor_day": "date",
        "versus": "string",
        "windows": "int64",
        "difference": "float64?",
    },
)
RELIABILITY = Table(
    "reliability",
    "Reliability on test in 10 equal-mass bins of the used model's p: means of p and of the ends of its intervals, and "
    "the share that came true with its Wilson 95 % interval low to high.",
    ("target", "model", "bin"),
    {
        "target": "string",
        "model": "string",
        "bin": "int32",
        "windows": "int64",
        "p_mean": "float64",
        "p_low": "float64",
        "p_high": "float64",
        "y_mean": "float64",
        "low": "float64",
        "high": "float64",
    },
)
CALIBRATION_CHOICE = Table(
    "calibration_choice",
    "How the used model's calibration was chosen: log loss and ECE that cross-fitting over the users of the "
    "calibration half gives each method, the simplest first; null where there was nothing to choose.",
    ("target", "model", "method"),
    {
        "target": "string",
        "model": "string",
        "method": "string",
        "log_loss": "float64?",
        "ece": "float64?",
        "chosen": "bool",
    },
)
TEST_INTERVALS = Table(
    "test_intervals",
    "The interval of the used model's p in PREDICTIONS, for the test windows: p_low ≤ p ≤ p_high. See "
    "models/venn_abers.py for what it covers.",
    ("user_id", "anchor_day", "target"),
    {"user_id": "id", "anchor_day": "date", "target": "string", "p_low": "float64", "p_high": "float64"},
)
TARGET_SUMMARY = Table(
    "target_summary",
    "One row per target: the used model, the best network (null without one), calibration method, "
    "rank correlation of the refit with the evaluated model on the open windows, "
    "and how often test has been evaluated in this run folder.",
    ("target",),
    {
        "target": "string",
        "used": "string",
        "best_network": "string?",
        "best_baseline": "string",
        "calibration": "string",
        "refit_spearman": "float64?",
        "epochs": "int32?",
        "test_evaluations": "int64",
    },
)
SCORES = Table(
    "scores",
    "Calibrated probability of the refitted used model, for the open windows of the newest anchor, and its interval: "
    "p_low ≤ p ≤ p_high (see models/venn_abers.py for what it covers).",
    ("user_id", "target"),
    {
        "user_id": "id",
        "anchor_day": "date",
        "target": "string",
        "p": "float64",
        "p_low": "float64",
        "p_high": "float64",
    },
)
OUT_OF_TIME = Table(
    "out_of_time",
    "The newest closed windows (those of test) as the list would have scored them: log-odds of the "
    "evaluated model, which has not seen them, under the refit's calibration. The priority threshold "
    "is learned on them.",
    ("user_id", "anchor_day", "target"),
    {"user_id": "id", "anchor_day": "date", "target": "string", "p": "float64"},
)

LOOKS, OUTCOMES = (3, 7, 14, 28), (7, 14, 28)  # days observed and days of outcome of the map, where the log allows
SUFFICIENCY = Table(
    "sufficiency",
    "How much must be observed: quick models on nothing but the daily features of the last observe_days, for an "
    "outcome of outcome_days; the same windows in all cells (of a target given that users stay, those of them who do), "
    "measured on validation and calibration (95 % two-way bootstrap). behind: AUC of the best look for this outcome "
    "minus this one's, behind_se its standard error; recommended: the shortest look that is at most one standard error "
    "behind.",
    ("target", "observe_days", "outcome_days"),
    {
        "target": "string",
        "observe_days": "int32",
        "outcome_days": "int32",
        "train_windows": "int64",
        "windows": "int64",
        "users": "int64",
        "anchors": "int64",
        "base_rate": "float64",
        "ap": "float64",
        "ap_low": "float64?",
        "ap_high": "float64?",
        "auc": "float64",
        "auc_low": "float64?",
        "auc_high": "float64?",
        "behind": "float64",
        "behind_se": "float64",
        "recommended": "bool",
    },
)
ANOMALY = Table(
    "anomaly",
    "How unusual the last week of a window at the newest anchor is, given the user's own weeks before it. measure: "
    "active_days, own_acts or received_acts, the one that is rarest; direction: 'quieter' or 'busier'; times: a week "
    "so far out in that direction is expected once in so many (1,000 at most); value: of the week, expected: its "
    "mean. Absent: users without weeks of their own to compare with.",
    ("user_id",),
    {
        "user_id": "id",
        "anchor_day": "date",
        "measure": "string",
        "direction": "string",
        "times": "float64",
        "value": "float64",
        "expected": "float64",
    },
)
ANOMALY_CALIBRATION = Table(
    "anomaly_calibration",
    "Whether the anomaly keeps its word: the share of weeks in each tenth of their predictive distribution (bin 0: the "
    "quietest), 0.1 if it does. block: 'train' (learned from) or 'later' (weeks of validation and calibration).",
    ("measure", "block", "bin"),
    {"measure": "string", "block": "string", "bin": "int32", "weeks": "int64", "share": "float64"},
)
ANOMALY_GAIN = Table(
    "anomaly_gain",
    "Whether the anomaly adds anything: the same quick model on what models see anyway ('usual'), on that and the "
    "anomaly ('usual_and_anomaly'), and on the anomaly alone ('anomaly'), measured on validation and calibration. "
    "difference: AP minus that of 'usual', with its 95 % paired two-way bootstrap interval; null for 'usual'.",
    ("target", "inputs"),
    {
        "target": "string",
        "inputs": "string",
        "windows": "int64",
        "base_rate": "float64",
        "ap": "float64",
        "auc": "float64",
        "difference": "float64?",
        "low": "float64?",
        "high": "float64?",
    },
)
