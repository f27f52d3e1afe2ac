"""Tables of the explanations, one set per target."""

from __future__ import annotations

from tschurn.contracts.table import Table

COLLINEARITY = Table(
    "collinearity",
    "VIF removal on the flattened training windows: vif when the column was removed or, for a kept "
    "one, at the end (null: constant, or a perfect combination of others); step: order of removal; "
    "stands_for: the kept column with which a removed one correlates most.",
    ("column",),
    {
        "column": "string",
        "kept": "bool",
        "reason": "string",  # kept, constant, perfect, vif
        "vif": "float64?",
        "step": "int32?",
        "stands_for": "string?",
        "correlation": "float64?",
    },
)
SELECTION = Table(
    "selection",
    "Boruta-SHAP: decision 'accepted', 'tentative' or 'rejected', how many of `trials` the column "
    "beat the best shadow, its mean importance and that of the best shadow.",
    ("target", "column"),
    {
        "target": "string",
        "column": "string",
        "decision": "string",
        "hits": "int32",
        "trials": "int32",
        "importance": "float64",
        "shadow_max": "float64",
    },
)
# From this R² of a surrogate to the model's log-odds on, its explanation counts as the model's.
RELIABLE_R2 = 0.8
SURROGATES = Table(
    "surrogates",
    "What stands behind an explanation. how: 'surrogate' (LightGBM fitted to the model's "
    "uncalibrated log-odds; fidelity on held-out users at test anchors) or 'direct' (the model "
    "explains itself; fidelity null). explained: whether reasons are taken from it. columns: it looks at, added: of "
    "them, beyond the selected ones. windows, users: the test windows that the fidelity (direct: the importance) was "
    "measured on. direction_agreement: share of moves of a feature in the model in which the surrogate moves the same "
    "way; attribution_agreement: rank correlation of its attributions with those made without a surrogate; "
    "strongest_agreement: share of windows in which both name the same kind of act as the weightiest.",
    ("target", "model"),
    {
        "target": "string",
        "model": "string",
        "how": "string",
        "explained": "bool",
        "columns": "int32",
        "added": "int32",
        "windows": "int64",
        "users": "int64",
        "r2": "float64?",
        "spearman": "float64?",
        "top_decile_overlap": "float64?",
        "direction_agreement": "float64?",
        "attribution_agreement": "float64?",
        "strongest_agreement": "float64?",
    },
)
IMPORTANCE = Table(
    "importance",
    "Mean |SHAP| in log-odds on test windows, and direction: Spearman correlation of the column's "
    "value with its SHAP value (+: more of it, higher target; null for a constant), with its 95 % interval over "
    "users, direction_low to direction_high (null with fewer than two of them).",
    ("target", "model", "column"),
    {
        "target": "string",
        "model": "string",
        "column": "string",
        "importance": "float64",
        "direction": "float64?",
        "direction_low": "float64?",
        "direction_high": "float64?",
        "rank": "int32",
    },
)
SHAP_SAMPLE = Table(
    "shap_sample",
    "SHAP values of a sample of test windows for the most important columns, for the beeswarm.",
    (),
    {
        "target": "string",
        "model": "string",
        "column": "string",
        "value": "float64?",
        "shap": "float64",
    },
)
DEPENDENCE = Table(
    "dependence",
    "How the SHAP value of the most important columns (rank 1 first) depends on their value, and on the column with "
    "which it interacts most: `partner`, with its value in the same window. interaction: mean |correlation| of SHAP "
    "value and partner among windows of about equal value; null, as the partner, where none is stronger than noise. "
    "A sample of test windows.",
    (),
    {
        "target": "string",
        "model": "string",
        "column": "string",
        "rank": "int32",
        "partner": "string?",
        "interaction": "float64?",
        "value": "float64?",
        "shap": "float64",
        "partner_value": "float64?",
    },
)
GAMES = ("days", "groups", "cells")
ATTRIBUTION = Table(
    "attribution",
    "What parts of a user's life add to the answer of the used model itself, without a surrogate: Shapley values in "
    "log-odds and in probability. game 'days': what came before the observation ('before') and its days ('-6' to '0', "
    "or blocks of days); 'groups': groups of features; 'cells': groups on days ('-6|own:post'), sampled, with the "
    "standard error of log_odds. base: the mean answer of the background, full: the model's own answer, both log-odds.",
    ("target", "game", "user_id", "anchor_day", "player"),
    {
        "target": "string",
        "game": "string",
        "user_id": "id",
        "anchor_day": "date",
        "player": "string",
        "log_odds": "float64",
        "probability": "float64",
        "error": "float64?",
        "base": "float64",
        "full": "float64",
    },
)
ATTRIBUTION_GAMES = Table(
    "attribution_games",
    "The games of ATTRIBUTION: the model, its background ('typical': so many real windows of comparison; 'nothing'), "
    "how many windows were asked about and how many players there are. gap: by how much the values, summed, miss at "
    "most what they explain; unfaithful: by how much the answer for all of a life misses at most the model's own, as "
    "it was given before (log-odds both).",
    ("target", "game"),
    {
        "target": "string",
        "game": "string",
        "model": "string",
        "background": "string",
        "references": "int32",
        "windows": "int64",
        "players": "int32",
        "gap": "float64",
        "unfaithful": "float64",
    },
)
PLAYERS = Table(
    "players",
    "Who plays in the games 'days' and 'groups', in order, and how much of the answer is theirs: mean |Shapley value| "
    "in log-odds and in probability, and the mean itself.",
    ("target", "game", "player"),
    {
        "target": "string",
        "game": "string",
        "player": "string",
        "label_en": "string",
        "label_ko": "string",
        "importance": "float64",
        "importance_probability": "float64",
        "mean": "float64",
    },
)
LEVERS = Table(
    "levers",
    "What the used model would say if an event that the platform can move were, on the observed days, as frequent as "
    "is typical of comparable active users: an association, not an effect. Absent where a user has as many, or more.",
    ("target", "user_id", "event"),
    {
        "target": "string",
        "user_id": "id",
        "anchor_day": "date",
        "event": "string",
        "label_en": "string",
        "label_ko": "string",
        "value": "float64",
        "typical": "float64",
        "p": "float64",
        "p_moved": "float64",
    },
)
MOST_REASONS = 3  # per window and target
REASONS = Table(
    "reasons",
    "Up to three reasons per scored window and target: the features that push the user's log-odds most "
    "towards the target. contribution: SHAP values summed over the feature's columns; value: of a daily "
    "feature its sum over the observation (null where there is none: never a sticker), typical: the average one (of "
    "times the median), of those who have one, before: what was usual for this user in as many days (null where that "
    "is not known); reliable: whether the explanation agrees with the model for this window; and a sentence.",
    ("target", "user_id", "anchor_day", "rank"),
    {
        "target": "string",
        "user_id": "id",
        "anchor_day": "date",
        "rank": "int32",
        "feature": "string",
        "value": "float64?",
        "typical": "float64?",
        "before": "float64?",
        "contribution": "float64",
        "reliable": "bool",
        "sentence_en": "string",
        "sentence_ko": "string",
    },
)
SHARED_REASONS = Table(
    "shared_reasons",
    "Segments of the scored users by the reasons they share. kind: 'shared' (one or two reasons; level: on which side "
    "of its average the feature is, 'less', 'same', 'more', or 'unknown' where there is none), then 'other' (reasons "
    "that too few share) and 'none' (no reason). Everybody is in one of them. expected: the sum of p, how many are "
    "expected to have the target; of the segments that share reasons the most expected come first. reliable: share "
    "of the users with reasons for whom the explanation agrees with the model. The sentences tell the reasons as they "
    "are for the middle one of the users.",
    ("target", "segment"),
    {
        "target": "string",
        "segment": "int32",
        "kind": "string",
        "users": "int64",
        "share": "float64",
        "p_mean": "float64",
        "expected": "float64",
        "reliable": "float64?",
        "feature_1": "string?",
        "level_1": "string?",
        "sentence_1_en": "string?",
        "sentence_1_ko": "string?",
        "feature_2": "string?",
        "level_2": "string?",
        "sentence_2_en": "string?",
        "sentence_2_ko": "string?",
    },
)

SHARING = Table(
    "sharing",
    "In which segment of SHARED_REASONS each scored user is.",
    ("target", "user_id"),
    {"target": "string", "user_id": "id", "segment": "int32"},
)
ABLATION = Table(
    "ablation",
    "What the columns are worth that were removed before explaining: models retrained with the settings that searches "
    "found. inputs: 'all', 'independent' (without collinear ones), 'kept' (those with more than chance). columns: "
    "how many are left; daily_features: only of a model that reads whole lives, how many of these it still sees (one "
    "goes only when none of its columns is left, and history such a model never reads). Fitted on training, stopped by "
    "validation, measured on the calibration half; figures are means over fits under different seeds, with 95 % "
    "two-way bootstrap intervals that draw the fits as well. Differences: minus that of 'all', paired; null for 'all'.",
    ("target", "model", "inputs"),
    {
        "target": "string",
        "model": "string",
        "inputs": "string",
        "columns": "int32",
        "daily_features": "int32?",
        "windows": "int64",
        "base_rate": "float64",
        "ap": "float64",
        "ap_low": "float64?",
        "ap_high": "float64?",
        "ap_difference": "float64?",
        "ap_difference_low": "float64?",
        "ap_difference_high": "float64?",
        "auc": "float64",
        "auc_low": "float64?",
        "auc_high": "float64?",
        "auc_difference": "float64?",
        "auc_difference_low": "float64?",
        "auc_difference_high": "float64?",
    },
)
STABILITY = Table(
    "stability",
    "Whether an explanation would come out the same again: agreement of the importances of features (mean |SHAP|, the "
    "columns of a feature summed) between two of several. over: 'seeds' (fitted again under other seeds), 'folds' "
    "(fitted on four fifths of the users each), 'anchors' (one explanation, on the windows of a test anchor and on "
    "those of the next that shares no observed day). measure: 'spearman', or 'top_overlap', the share of the most "
    "important features that both have, top being how many these are. mean, low and high: of the pairs, their mean "
    "and range; null where nothing can be compared. chance: what rankings at random would show. note: 'few_features' "
    "(fewer than ten: the top is half of them), 'one_feature', 'constant' (nothing is important), 'few_anchors', "
    "'few_users', 'no_windows', or null.",
    ("target", "model", "over", "measure"),
    {
        "target": "string",
        "model": "string",
        "over": "string",
        "measure": "string",
        "features": "int32",
        "top": "int32",
        "pairs": "int32",
        "mean": "float64?",
        "low": "float64?",
        "high": "float64?",
        "chance": "float64?",
        "note": "string?",
    },
)
