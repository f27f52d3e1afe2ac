"""Tables of a simulated log only: the truth, and how a run stands against it."""

from __future__ import annotations

from tschurn.contracts.table import Table

CAUSES = (
    "supporters_quiet",  # the top supporter stops coming
    "unanswered_posts",  # posts get no first comment any more
    "falling_reach",  # the platform stops recommending the room
    "burnout",  # exhaustion after a burst of night lives
    "price_change",  # the fee of one group rises on a known day
    "seasonal_leave",  # announced leaves; they come back
    "chance",  # life: no log shows it
)
NO_CAUSE = "none"  # in TRUTH_FIGURES.about: of the windows without a true cause
TRUTH = Table(
    "truth",
    "What only a simulator knows, per creator and day from the day on which they joined. engagement: log-odds of an "
    "act on an ordinary next day. p_churn_true: probability of no own act in the outcome, given all that "
    "had happened by the end of the day; p_sticker_true: of at least one sticker. cause: the cause "
    "without which p_churn_true were lowest, by `drop`; null where no cause lowers it by the stated "
    "least drop. without_<cause>: p_churn_true of that day in the same world run again without the cause.",
    ("user_id", "day"),
    {
        "user_id": "id",
        "day": "date",
        "engagement": "float64",
        "p_churn_true": "float64",
        "p_sticker_true": "float64",
        "cause": "string?",
        "drop": "float64",
    },
    open_columns=True,
)
WEEKLY_RHYTHM = Table(
    "weekly_rhythm",
    "Rows of the event log by weekday (0 = Monday), hour of the experiment's time zone, and side.",
    ("weekday", "hour", "side"),
    {"weekday": "int32", "hour": "int32", "side": "string", "rows": "int64"},
)
USER_ACTIVITY = Table(
    "user_activity",
    "Rows per user in the whole event log, and days with an own act.",
    ("user_id",),
    {"user_id": "id", "own_rows": "int64", "received_rows": "int64", "active_days": "int64"},
)
ENGAGEMENT_PATHS = Table(
    "engagement_paths",
    "The engagement of a few creators day by day (see TRUTH), whether they acted, and the true cause of the day.",
    ("user_id", "day"),
    {"user_id": "id", "day": "date", "engagement": "float64", "active": "bool", "cause": "string?"},
)
TRUTH_FIGURES = Table(
    "truth_figures",
    "A run marked by the truth; see simulator/judgement.py for each figure. about: the cause or the "
    "group of features it is of, empty for all. value: null where there is nothing to measure; low, "
    "high: 95 % interval where there is one; n: windows or features that it rests on.",
    ("target", "figure", "about"),
    {
        "target": "string",
        "figure": "string",
        "about": "string",
        "value": "float64?",
        "low": "float64?",
        "high": "float64?",
        "n": "int64",
    },
)
