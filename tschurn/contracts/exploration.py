"""Tables of what the data looks like."""

from __future__ import annotations

from tschurn.contracts.table import Table

SEASONALITY = Table(
    "seasonality",
    "STL of daily usage with a weekly season. series: active_users, own_events, received_events, "
    "sticker_events. observed = trend + seasonal + remainder.",
    ("series", "day"),
    {
        "series": "string",
        "day": "date",
        "observed": "float64",
        "trend": "float64",
        "seasonal": "float64",
        "remainder": "float64",
    },
)
PROCESS_SUMMARY = Table(
    "process_summary",
    "One row: what a case is. case_kind: 'session' or 'day_states'; reason: 'sessions_ok', "
    "'only_days' or 'shared_timestamps'; shared_share: share of the rows that share their timestamp "
    "with another row of their session; discovery: 'pm4py', or why there is none.",
    (),
    {
        "case_kind": "string",
        "reason": "string",
        "shared_share": "float64",
        "cases": "int64",
        "steps": "int64",
        "variants": "int64",
        "discovery": "string",
    },
)
DIRECTLY_FOLLOWS = Table(
    "directly_follows",
    "Directly-follows graph: how often `target` comes right after `source` in a case. Null source: "
    "the case starts with target; null target: the case ends with source.",
    ("source", "target"),
    {"source": "string?", "target": "string?", "n": "int64"},
)
VARIANTS = Table(
    "variants",
    "The most frequent sequences of steps; `steps` is a JSON list.",
    ("steps",),
    {"steps": "string", "length": "int64", "cases": "int64", "share": "float64"},
)
PATHS = Table(
    "paths",
    "Main paths for the Sankey: of the cases, how many go from `source` at position `step` to "
    "`target` at `step + 1` (rare names folded into 'other', null target: the case ended).",
    ("step", "source", "target"),
    {"step": "int32", "source": "string", "target": "string?", "n": "int64"},
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
