"""Tables of who is looked after first, and of the proof that it pays."""

from __future__ import annotations

from tschurn.contracts.table import Table

SEGMENTS = ("priority", "other_churners", "favourites", "rest")
SCORES_COMPARED = (
    "priority",
    "value_at_risk",
    "p_churn",
    "p_churn_value_28",
    "recency",
    "stickers_7",
    "lightgbm",
    "random",
)
PRIORITY = Table(
    "priority",
    "The scored users at the newest anchor, best first. p_sticker is null without a sticker "
    "target; then priority = p_churn. segment: one of SEGMENTS. low, high: intervals of SCORES. "
    "value_at_risk: p_churn × the value of stickers expected in the outcome of a user who stays, or of the last 28 "
    "days, as the experiment says (null without a sticker target).",
    ("user_id",),
    {
        "user_id": "id",
        "anchor_day": "date",
        "rank": "int64",
        "segment": "string",
        "p_churn": "float64",
        "p_churn_low": "float64",
        "p_churn_high": "float64",
        "p_sticker": "float64?",
        "p_sticker_low": "float64?",
        "p_sticker_high": "float64?",
        "priority": "float64",
        "log_priority": "float64",
        "value_at_risk": "float64?",
    },
)
JOINT = Table(
    "joint",
    "The product against what happens: test windows of both used models, in 10 equal-mass bins of p_churn × p_sticker. "
    "Means of the product and the two probabilities; the shares that churned, that had a sticker, and both, the last "
    "with its Wilson 95 % interval low to high. Empty without a sticker target, or where the two cannot both happen.",
    ("bin",),
    {
        "bin": "int32",
        "windows": "int64",
        "product": "float64",
        "p_churn": "float64",
        "p_sticker": "float64",
        "churned": "float64",
        "sticker": "float64",
        "both": "float64",
        "low": "float64",
        "high": "float64",
    },
)
THRESHOLD = Table(
    "threshold",
    "One row: the rule that cuts (the experiment's, or 'quantile' where that found none; THRESHOLDS says why) and its "
    "parameter (null: it has none), the least score of the group, what it was learned on ('out_of_time' windows, the "
    "'scored' users, or 'given' in the experiment file), the p_churn from which a user counts as likely to churn, the "
    "p_sticker from which one who is not is a favourite (null: nobody is), the score that ranks ('priority', or "
    "'value_at_risk' where the experiment asks for it and values are expected), and the sizes of the segments.",
    (),
    {
        "method": "string",
        "parameter": "float64?",
        "threshold": "float64",
        "learned_on": "string",
        "learned_windows": "int64",
        "likely_churn": "float64",
        "likely_sticker": "float64?",
        "score": "string",
        "priority": "int64",
        "other_churners": "int64",
        "favourites": "int64",
        "rest": "int64",
    },
)
THRESHOLDS = Table(
    "thresholds",
    "What each rule would choose: 'value', 'quantile', 'capacity' (where the experiment file has their parameter), "
    "'knee' and 'mixture'; the one that cuts the list is chosen. threshold, how many scored users reach it; jaccard: "
    "of that group with the chosen one. note: a code of why a rule found none ('no_knee', 'one_component', 'overlap': "
    "of the two components, 'too_few', 'no_spread', 'other_score': the value is meant for a score that could not be "
    "computed); then what is not known is null.",
    ("method",),
    {
        "method": "string",
        "chosen": "bool",
        "parameter": "float64?",
        "threshold": "float64?",
        "learned_on": "string",
        "learned_windows": "int64",
        "users": "int64?",
        "jaccard": "float64?",
        "note": "string?",
    },
)
SEED_SCORES = Table(
    "seed_scores",
    "The used model fitted again under other seeds, on what the refit learned from: probabilities of the scored users, "
    "calibrated as those of the list.",
    ("target", "seed", "user_id"),
    {"target": "string", "seed": "int32", "user_id": "id", "p": "float64"},
)
EXPECTED_VALUES = Table(
    "expected_values",
    "The value of stickers expected in the outcome of a user who stays. fit: 'evaluated' (learned from windows before "
    "test, for the test windows) or 'refit' (from all closed windows, for the users of the list).",
    ("fit", "user_id", "anchor_day"),
    {"fit": "string", "user_id": "id", "anchor_day": "date", "expected": "float64"},
)
VALUE_MODEL = Table(
    "value_model",
    "How good expected values are on the test windows of users who stayed: 'model', and beside it 'last_28_days' (the "
    "value of the last 28 days, scaled to the outcome) and 'mean' (of training). Means of what was and of what was "
    "expected, mean absolute error, Spearman's rank correlation (null for a constant), the share of all value that "
    "the tenth with the largest expectation had, and D2: the share of Tweedie deviance that it explains.",
    ("by",),
    {
        "by": "string",
        "windows": "int64",
        "mean": "float64",
        "expected": "float64",
        "error": "float64",
        "spearman": "float64?",
        "top_decile": "float64?",
        "d2": "float64?",
    },
)
LIST_STABILITY = Table(
    "list_stability",
    "The same rule under other circumstances. kind: 'seed' (the used model under another seed; other: which) or "
    "'anchor' (the list of an anchor against that of the next; other: its day). users: scored both times; group, "
    "other_group: how many of them were chosen, both: both times; jaccard, chance: the Jaccard similarity that two "
    "random groups of those sizes would have; correlation: Spearman's, of the scores.",
    ("kind", "anchor_day", "other"),
    {
        "kind": "string",
        "anchor_day": "date",
        "other": "string",
        "users": "int64",
        "group": "int64",
        "other_group": "int64",
        "both": "int64",
        "jaccard": "float64?",
        "chance": "float64?",
        "correlation": "float64?",
    },
)
FIRMNESS = Table(
    "firmness",
    "How sure a user's place in the priority group is. chosen: share of the lists (this one, other seeds, and the "
    "anchor before where the user was scored then) that hold the user. firm: 'firm' (all), 'swing' (some), 'out' "
    "(none), null where there is no other list to compare with.",
    ("user_id",),
    {"user_id": "id", "lists": "int32", "chosen": "float64", "firm": "string?"},
)
LIST = Table(
    "list",
    "What callers and analysts get, as CSV and as Parquet: the scored users, best first; the priority group alone has "
    "those who are held out at its end, and nobody who is `resting` (contacted too recently). segment and firm: told "
    "in the experiment's language. holdout: to be left alone, so that the effect of contacting can be measured. "
    "contacted_on: to be filled in. action: of the first reason that has one, or that the user is not to be contacted. "
    "Then up to three reasons of churn, whether they hold for this user, when and how often the user acts, the "
    "probabilities, and of each reason its feature and what it adds to the log-odds. What is not known is null: "
    "supporters of users without any, money without a sticker target, most "
    "habits without history. user_id: the log's, or a pseudonym.",
    ("user_id",),
    {
        "user_id": "id",
        "rank": "int64",
        "segment": "string",
        "holdout": "bool",
        "contacted_on": "date?",
        "action": "string?",
        "reason_1": "string?",
        "reason_2": "string?",
        "reason_3": "string?",
        "reasons_reliable": "bool?",
        "last_active_day": "date?",
        "days_since_last_act": "int32?",
        "usual_rhythm": "string?",
        "active_days_of_last_28": "int32?",
        "days_since_first_act": "int32?",
        "top_supporter_quiet": "bool?",
        "value_of_last_28_days": "float64?",
        "firm": "string?",
        "p_churn": "float64",
        "p_churn_low": "float64",
        "p_churn_high": "float64",
        "p_sticker": "float64?",
        "p_sticker_low": "float64?",
        "p_sticker_high": "float64?",
        "priority": "float64",
        "log_priority": "float64",
        "value_at_risk": "float64?",
        "reason_1_feature": "string?",
        "reason_2_feature": "string?",
        "reason_3_feature": "string?",
        "reason_1_contribution": "float64?",
        "reason_2_contribution": "float64?",
        "reason_3_contribution": "float64?",
        "resting": "bool",
        "anchor_day": "date",
        "outcome_days": "int32",
    },
)
PLANE = Table(
    "plane",
    "The churn × sticker plane in cells: churn_from ≤ p_churn < churn_to, likewise sticker (the last cell ends at 1 "
    "and holds it). Scored users there, and their value of the last 28 days; of test windows how many, the shares that "
    "churned and had a sticker, and their value of the 28 days before. Null where there is none.",
    ("churn_from", "sticker_from"),
    {
        "churn_from": "float64",
        "churn_to": "float64",
        "sticker_from": "float64",
        "sticker_to": "float64",
        "users": "int64",
        "value_28": "float64?",
        "windows": "int64",
        "churned": "float64?",
        "sticker": "float64?",
        "windows_value_28": "float64?",
    },
)
PROFILE = Table(
    "profile",
    "What the groups are compared on: one row per scored user, one column per variable.",
    ("user_id",),
    {"user_id": "id"},
    open_columns=True,
)
COMPARISON = Table(
    "comparison",
    "The priority group against `versus` ('others' = everybody else, 'other_churners', or 'matched': other users of "
    "the same p_churn, as of MATCHING), variable by variable, one row per user: Welch's t with its p, Mann-Whitney's "
    "rank_p beside it, q: Benjamini-Hochberg over the larger of p and rank_p, Hedges' g with interval. circular: the "
    "variable enters the score; its q is null. Welch's statistics are null where a group has fewer "
    "than two users or no variance, hedges_g and rank_p where both together have none. Of 'matched' t, df, p and the "
    "interval are those of the pairs' differences, rank_p is Wilcoxon's; null where all differences are the same.",
    ("versus", "variable"),
    {
        "versus": "string",
        "variable": "string",
        "circular": "bool",
        "n_priority": "int64",
        "n_versus": "int64",
        "mean_priority": "float64?",
        "mean_versus": "float64?",
        "difference": "float64?",
        "difference_low": "float64?",
        "difference_high": "float64?",
        "t": "float64?",
        "df": "float64?",
        "p": "float64?",
        "q": "float64?",
        "hedges_g": "float64?",
        "g_low": "float64?",
        "g_high": "float64?",
        "rank_p": "float64?",
    },
)
MATCHING = Table(
    "matching",
    "One row: how the priority group was matched. users: of the group; matched: those for whom another user was found "
    "within the caliper (on the log-odds of p_churn), with which COMPARISON's 'matched' is made; mean p_churn of "
    "either side, and the largest distance.",
    (),
    {
        "users": "int64",
        "matched": "int64",
        "caliper": "float64?",
        "p_churn_priority": "float64?",
        "p_churn_matched": "float64?",
        "distance": "float64?",
    },
)
DIVERGENCE = Table(
    "divergence",
    "How the mix of events of a segment's users (in their observations) differs from everybody's: `share` of the "
    "events of a side that are of this kind, beside everybody's; contribution: share · ln(share / everybody), in nats; "
    "they add up to the Kullback-Leibler divergence of the segment, side by side. users: of the segment, with events "
    "of that side. chance: the divergence that 95 % of groups of as many users drawn at random stay below. Absent: "
    "kinds of event that nobody has, and segments without any event of a side.",
    ("segment", "side", "event"),
    {
        "segment": "string",
        "side": "string",
        "event": "string",
        "label_en": "string",
        "label_ko": "string",
        "share": "float64",
        "everybody": "float64",
        "contribution": "float64",
        "users": "int64",
        "chance": "float64",
    },
)
ECDF = Table(
    "ecdf",
    "Distribution of one number in each segment and for 'all': the share of users with at most x, at up to 101 points "
    "(all values where they are no more). variable: 'ratio' (numerator / denominator, two features), 'p_churn' or "
    "'value_28'; users: those who have it, the others are left out.",
    ("variable", "segment", "x"),
    {
        "variable": "string",
        "numerator": "string?",
        "denominator": "string?",
        "segment": "string",
        "x": "float64",
        "share": "float64",
        "users": "int64",
    },
)
RULES = Table(
    "rules",
    "Leaves of a shallow tree that tells a segment from everybody else, by variables that do not enter the score. "
    "conditions: a JSON list of [variable, '<=', '>' or '=', number], all of which hold in the leaf (empty: the tree "
    "found nothing to split by); the number is whole (3, not 3.0) where all values of the variable are; '=' where no "
    "scored user has another value that fits. users in the leaf, how many of the segment, their share with its Wilson "
    "95 % interval, on the users that the tree was grown on; auc: of such trees on users they have not seen, by "
    "cross-validation (null: too few).",
    ("segment", "leaf"),
    {
        "segment": "string",
        "leaf": "int32",
        "conditions": "string",
        "users": "int64",
        "members": "int64",
        "share": "float64",
        "low": "float64",
        "high": "float64",
        "auc": "float64?",
    },
)
SUBGROUPS = Table(
    "subgroups",
    "Errors of the used model on test windows by subgroup of the users. attribute: a fact of the user, or a band of "
    "tenure, activity or value; 'all' with the group 'all' is everybody. cut: from which p on a window is positive. "
    "tpr_gap, fpr_gap: the group's rate minus everybody's, with intervals that hold for all gaps of the target at "
    "once. calibration: mean p minus the share that came true. Rates are null where nobody is there to be counted, "
    "intervals where too few users are.",
    ("target", "attribute", "group"),
    {
        "target": "string",
        "attribute": "string",
        "group": "string",
        "cut": "float64",
        "windows": "int64",
        "users": "int64",
        "prevalence": "float64",
        "predicted": "float64",
        "accuracy": "float64",
        "tpr": "float64?",
        "tpr_low": "float64?",
        "tpr_high": "float64?",
        "precision": "float64?",
        "precision_low": "float64?",
        "precision_high": "float64?",
        "specificity": "float64?",
        "npv": "float64?",
        "fpr": "float64?",
        "fdr": "float64?",
        "fnr": "float64?",
        "for": "float64?",
        **{f"{rate}_gap{end}": "float64?" for rate in ("tpr", "fpr") for end in ("", "_low", "_high")},
        "auc": "float64?",
        "calibration": "float64",
    },
)
RFM = Table(
    "rfm",
    "Recency (days from the last active day to the period's last), frequency (active days) and value (of stickers; "
    "own acts without a sticker target) of each user in each of two periods; r, f, m: from 1 (least) to the number of "
    "cuts; their weighted score, up to 100, and its class: 'best', 'good', 'fair', 'other', or 'absent' (no activity; "
    "all else null). Without users who are absent in both. Empty where the log is shorter than two periods.",
    ("period", "user_id"),
    {
        "period": "int8",
        "user_id": "id",
        "first_day": "date",
        "last_day": "date",
        "recency": "int32?",
        "frequency": "float64?",
        "value": "float64?",
        "r": "int8?",
        "f": "int8?",
        "m": "int8?",
        "score": "float64?",
        "class": "string",
    },
)
RFM_TRANSITIONS = Table(
    "rfm_transitions",
    "From the class of the first period to that of the second: users, their share of the first class and of all, how "
    "many of them are scored now, and which share of those is in the priority group (null where none is scored).",
    ("from", "to"),
    {
        "from": "string",
        "to": "string",
        "users": "int64",
        "share_of_from": "float64?",
        "share_of_all": "float64",
        "scored": "int64",
        "priority": "float64?",
    },
)
BACKTEST = Table(
    "backtest",
    "What lists by each score (SCORES_COMPARED) would have caught in the test weeks. At each test anchor the users are "
    "ranked; `share` of them is called. caught: 'value' (of the value at risk: the 28 days' stickers of those who "
    "churned) or 'users' (of the churners who held a sticker in those 28 days); found: the share of it that the list "
    "held, with its interval (users and anchors drawn anew); lift: found / share.",
    ("score", "caught", "share"),
    {
        "score": "string",
        "caught": "string",
        "share": "float64",
        "calls": "float64",
        "found": "float64",
        "found_low": "float64?",
        "found_high": "float64?",
        "lift": "float64",
    },
)
BACKTEST_SCORES = Table(
    "backtest_scores",
    "Each score in one line: lift at a tenth and at a fifth with intervals, quality (the mean lift over all sizes of "
    "the list, less chance, as a share of what a list that knew would have: 0 is random, 100 perfect, negative worse "
    "than random), and how far it is behind the priority's quality (negative: ahead of it), with its interval (null "
    "for the priority itself).",
    ("score", "caught"),
    {
        "score": "string",
        "caught": "string",
        "windows": "int64",
        "anchors": "int64",
        "at_risk": "float64",
        "lift_10": "float64?",
        "lift_10_low": "float64?",
        "lift_10_high": "float64?",
        "lift_20": "float64?",
        "lift_20_low": "float64?",
        "lift_20_high": "float64?",
        "quality": "float64?",
        "quality_low": "float64?",
        "quality_high": "float64?",
        "behind": "float64?",
        "behind_low": "float64?",
        "behind_high": "float64?",
    },
)
GAIN = Table(
    "gain",
    "Expected gain a week of calling the first `calls` users by the experiment's score, with the costs of the "
    "experiment file: success × margin × value at risk that they hold − cost × calls, averaged over the test anchors, "
    "with its interval; from 0 calls on, which gain nothing. best: at the size with the largest gain (best_low to "
    "best_high: the interval of that size, in its row). Empty without [costs], and where nothing was at risk.",
    ("calls",),
    {
        "calls": "int64",
        "gain": "float64",
        "gain_low": "float64?",
        "gain_high": "float64?",
        "best": "bool",
        "best_low": "int64?",
        "best_high": "int64?",
    },
)
