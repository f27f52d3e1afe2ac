"""Tables of what the data looks like."""

from __future__ import annotations

from tschurn.contracts.table import Table

KINDS_DECOMPOSED = 30  # event kinds with a series of their own: the most frequent ones
SEASONALITY = Table(
    "seasonality",
    "STL of daily usage with a weekly season. series: active_users, own_events, received_events, sticker_events, and "
    "'side:event_name' for the KINDS_DECOMPOSED most frequent event kinds (side, event_name: null for the totals). "
    "observed = trend + seasonal + remainder. outage: a day on which the platform's log fails; the fit saw the "
    "neighbours of its weekday in its place, so that its remainder is what is missing. robust: whether single days "
    "were kept from bending the fit, as the experiment says; never where half of the days or more are 0, since there "
    "the days with events would be the outliers. No rows for a log of less than two weeks.",
    ("series", "day"),
    {
        "series": "string",
        "side": "string?",
        "event_name": "string?",
        "day": "date",
        "observed": "float64",
        "trend": "float64",
        "seasonal": "float64",
        "remainder": "float64",
        "outage": "bool",
        "robust": "bool",
    },
)

ALARM_DAYS = 28  # who is back within so many days of having been called churned was a false alarm
RETURN_TIMES = Table(
    "return_times",
    "How many of the churned come back: one row per day from the end of the outcome on, days counted from the anchor. "
    "Counted are silences (several windows of a user may lie in one). at_risk: silences that are known to have "
    "lasted so long; share: of all silences, those that are over by the end of the day (Kaplan-Meier), with 95 % "
    "intervals; false_alarms: of those silent until this day, the share that comes back within ALARM_DAYS after it "
    "(null where the curve ends before).",
    ("day",),
    {
        "day": "int32",
        "at_risk": "int64",
        "share": "float64",
        "low": "float64",
        "high": "float64",
        "false_alarms": "float64?",
    },
)

# Periods of whole weeks into which cohorts are cut: the shortest that gives no more than MOST_PERIODS of them.
COHORT_WEEKS = (1, 4, 13, 52)
MOST_PERIODS = 26
MIXED_DAYS = 28  # who is first seen so early in the log may have been there before
COHORTS = Table(
    "cohorts",
    "Retention by first period: users whose first own-active day lies in the `period_days` from `cohort` on, counted "
    "from the log's first day. age: periods since. active: those with an own-active day in that very period (classic); "
    "still: in that period or a later one (rolling; since nobody knows what comes after the log, it falls to the "
    "classic share in the newest period). Shares with their Wilson 95 % intervals. Only periods that lie whole inside "
    "the log count. mixed: the cohort begins in the first MIXED_DAYS of the log and mixes old users with new ones.",
    ("cohort", "age"),
    {
        "cohort": "date",
        "period_days": "int32",
        "age": "int32",
        "mixed": "bool",
        "users": "int64",
        "active": "int64",
        "classic": "float64",
        "classic_low": "float64",
        "classic_high": "float64",
        "still": "int64",
        "rolling": "float64",
        "rolling_low": "float64",
        "rolling_high": "float64",
    },
)

GONE_DAYS = 28  # who has been silent for longer than this when the log ends counts as gone
SURVIVAL = Table(
    "survival",
    "How long users stay: Kaplan-Meier of the days from the first own-active day to the last, of users who are gone "
    "(silent for more than GONE_DAYS at the end of the log); all others were known not to be gone GONE_DAYS before its "
    "end, and are censored there. Users first seen later than that say nothing and are left out. group: 'all', and "
    "the halves 'early' and 'late' by first day (first_from to first_to). at_risk: users followed for so many days who "
    "had not left before; gone: who left on this day; share: of all, who are there for longer than so many days, with "
    "pointwise 95 % intervals (log-log, null where nobody or everybody is left). The curve ends where fewer than 20 "
    "users are left.",
    ("group", "day"),
    {
        "group": "string",
        "first_from": "date",
        "first_to": "date",
        "users": "int64",
        "day": "int32",
        "at_risk": "int64",
        "gone": "int64",
        "share": "float64",
        "low": "float64?",
        "high": "float64?",
    },
)

CURRENT_DAYS = 7  # days after an act in which silence is still usual
DORMANT_DAYS = 28  # days after an act beyond which a silent user sleeps
CENSUS = Table(
    "census",
    "Known users (those with an own-active day so far) on every day of the log by state. new: the first own-active day "
    "was at most CURRENT_DAYS ago; returned: was dormant, and is back since at most CURRENT_DAYS; current: any other "
    "whose last own-active day was at most CURRENT_DAYS ago; at_risk: it was up to DORMANT_DAYS ago; dormant: longer. "
    "joined, came_back, fell_dormant: those for whom new, returned, dormant begins on this day.",
    ("day",),
    {
        "day": "date",
        "known": "int64",
        "new": "int64",
        "current": "int64",
        "returned": "int64",
        "at_risk": "int64",
        "dormant": "int64",
        "joined": "int64",
        "came_back": "int64",
        "fell_dormant": "int64",
    },
)

DECILE_WINDOWS = 100_000  # of training windows looked at; beyond it whole users are drawn
DECILES = Table(
    "deciles",
    "How often churn and stickers follow, by value of each variable of PROFILE: training windows in bins of about a "
    "tenth, equal values together, zeros in a bin of their own where they are a tenth or more, missing values in the "
    "last bin (from, to null). rate with its 95 % interval: Wilson's at the effective number of windows that follows "
    "from the standard error clustered by user, since windows of one user are not independent (null for one user). "
    "spread: the highest rate minus the lowest, of bins with at least 20 users and a hundredth of the windows (null "
    "with fewer than two such bins); rank: variables by their spread, the largest first.",
    ("target", "variable", "bin"),
    {
        "target": "string",
        "variable": "string",
        "rank": "int32",
        "spread": "float64?",
        "bin": "int32",
        "from": "float64?",
        "to": "float64?",
        "windows": "int64",
        "users": "int64",
        "rate": "float64",
        "low": "float64?",
        "high": "float64?",
    },
)
