"""Tables of windows."""

from __future__ import annotations

from tschurn.contracts.table import Table

SUPPORTERS = Table(
    "supporters",
    "Who acts towards a user, day by day, from the user's first received act on (or first post, where answers are "
    "configured). active, new (first act ever), "
    "returning (after quiet_days or more without one), quiet (the day on which a supporter with regular_days "
    "active days has been gone for quiet_days); top_share: of the received acts, weighted by recency, those "
    "of the top supporter; top_value_share: the same of the stickers' value and the top giver, null until "
    "the first; top_recency: days since the top supporter's last act; answered, unanswered: yesterday's posts that "
    "had, or had not, a reply by the end of this day. Everything is known at the end of the day.",
    ("user_id", "day"),
    {
        "user_id": "id",
        "day": "date",
        "active": "int32",
        "new": "int32",
        "returning": "int32",
        "quiet": "int32",
        "top_share": "float64",
        "top_value_share": "float64?",
        "top_recency": "int32",
        "answered": "int32?",
        "unanswered": "int32?",
    },
)
VOCABULARY = Table(
    "vocabulary",
    "The events of DAILY: which have daily features of their own, learned on the training days, and which are "
    "folded into 'other'. rows: on the training days; has_value: whether the values say more than the count.",
    ("side", "event_name"),
    {"side": "string", "event_name": "string", "rows": "int64", "has_value": "bool", "folded": "bool"},
)
USER_DAYS = Table(
    "user_days",
    "A user's day in all: whether there was activity (own events that count for churn), own and received rows, "
    "stickers and their value, first and last hour of own events (null without one), and how many different "
    'people acted towards the user; with [features] actors = "event" also by received event.',
    ("user_id", "day"),
    {
        "user_id": "id",
        "day": "date",
        "active": "bool",
        "own": "int64",
        "received": "int64",
        "stickers": "int64",
        "sticker_value": "float64",
        "first_hour": "int8?",
        "last_hour": "int8?",
        "actors": "int64",
    },
    open_columns=True,
)
FACTS = Table(
    "facts",
    "What is known of users apart from the log and does not change: a number or a text for each fact.",
    ("user_id", "fact"),
    {"user_id": "id", "fact": "string", "number": "float64?", "text": "string?"},
)
FEATURES = Table(
    "features",
    "The model's inputs. kind 'daily': a column of the daily panel; kind 'history': known at the "
    "anchor day from before and including the window. measure: count, value, actors, or the name "
    "of the history measure; lookback: days looked back (history only). label_en and label_ko are "
    "for people.",
    ("feature",),
    {
        "feature": "string",
        "kind": "string",
        "side": "string?",
        "event_name": "string?",
        "measure": "string",
        "lookback": "int32?",
        "label_en": "string",
        "label_ko": "string",
    },
)
FLAT_COLUMNS = Table(
    "flat_columns",
    "Columns of the flattened window: `feature` of FEATURES, on day `day_offset` (0 = anchor day, "
    "-6 = oldest of seven; null for history).",
    ("column",),
    {
        "column": "string",
        "feature": "string",
        "day_offset": "int32?",
        "kind": "string",
        "label_en": "string",
        "label_ko": "string",
    },
)
SPLITS = ("train", "validation", "calibration", "test", "purged", "excluded", "open")
MONEY = Table(
    "money",
    "What each window's user gave or received in stickers: their number in the last 7 days and in the 28 days up to "
    "the anchor, their value in the latter, and in the outcome (null where it is open). recency: days since the last "
    "own act. Days before the log count as none. All null but recency without a sticker target.",
    ("user_id", "anchor_day"),
    {
        "user_id": "id",
        "anchor_day": "date",
        "recency": "int32",
        "stickers_7": "float64?",
        "stickers_28": "float64?",
        "value_28": "float64?",
        "value_next": "float64?",
    },
)
WINDOWS = Table(
    "windows",
    "Eligible windows. user and anchor are the positions of user_id and anchor_day in the panel. "
    "churned and sticker are null for open windows (and sticker where there is no such target). "
    "split: one of SPLITS; 'validation' is the half of the validation users by which models are "
    "chosen, 'calibration' the other half; 'purged' lies across two blocks, 'excluded' touches a day on which "
    "the platform's log fails, or one on which the user was contacted (EXCLUSIONS).",
    ("user_id", "anchor_day"),
    {
        "user_id": "id",
        "user": "int32",
        "anchor_day": "date",
        "anchor": "int32",
        "closed": "bool",
        "churned": "int8?",
        "sticker": "int8?",
        "split": "string",
    },
)
# The column of WINDOWS that says what happened, by target.
LABELS = {"churn": "churned", "sticker": "sticker"}
NEXT_ACTS = Table(
    "next_acts",
    "How long after the anchor of each window the user acts again, and has the next sticker, in days; null: not in "
    "this log. One row per row of WINDOWS, in its order.",
    ("user_id", "anchor_day"),
    {"user_id": "id", "anchor_day": "date", "next_act": "int32?", "next_sticker": "int32?"},
)
UNSCORED = Table(
    "unscored",
    "Users who cannot be scored at the newest anchor, and why: 'not_active' (no own event in the "
    "observation) or 'too_new' (known for less than min_history_days); last_day is their last own event up to the "
    "anchor, null where there was none yet.",
    ("user_id",),
    {"user_id": "id", "reason": "string", "last_day": "date?"},
)
EXCLUSIONS = Table(
    "exclusions",
    "Why windows have the split 'excluded': 'outage' (a day on which the platform's log fails) or 'contact' (a day on "
    "which the user was contacted), in the observation or the outcome; 'contact' counts those that no outage touches.",
    ("reason",),
    {"reason": "string", "windows": "int64", "users": "int64"},
)
LIST_OUTCOMES = Table(
    "list_outcomes",
    "What happened after the anchors of listed users. status: 'closed' (what happened is known), 'open' (the log ends "
    "inside the outcome), 'before' (the log begins inside the observation), 'unknown' (the log has no such user), or "
    "'inactive' (it has no own act of the user in the observation, so the list was made from another log). churned and "
    "sticker are null unless closed, sticker also without such a target.",
    ("user_id", "anchor_day"),
    {"user_id": "id", "anchor_day": "date", "status": "string", "churned": "int8?", "sticker": "int8?"},
)
