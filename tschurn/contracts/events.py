"""Tables of the log."""

from __future__ import annotations

from tschurn.contracts.table import Table

EVENT_LOG = Table(
    "event_log",
    "One row per event of the users that are kept: an Ibis expression over the log where it lies, never a "
    "copy in memory. actor_id == user_id: an own event, otherwise a received one. `day` and `hour` are "
    "those of the experiment's time zone; `object`: what was acted on, null where the log has no such column.",
    (),
    {
        "user_id": "id",
        "actor_id": "id",
        "event_time": "timestamp",
        "day": "date",
        "hour": "int8",
        "event_name": "string",
        "value": "float64",
        "object": "string?",
    },
)
DAILY = Table(
    "daily",
    "The log, grouped once: what happened to a user on a day under each name, by side ('own', 'received'). "
    "value: exact sum to six decimals; valued: rows whose value is not 1; first_hour, last_hour: of the "
    "experiment's time zone.",
    ("user_id", "day", "side", "event_name"),
    {
        "user_id": "id",
        "day": "date",
        "side": "string",
        "event_name": "string",
        "n": "int64",
        "value": "float64",
        "valued": "int64",
        "first_hour": "int8",
        "last_hour": "int8",
    },
)
USERS = Table("users", "The users that are kept.", ("user_id",), {"user_id": "id"})
REFUSED = Table(
    "refused",
    "Rows that could not become events, the first of each reason: where (a file and its row, or the table), "
    "why (a FILTERS name), and their text.",
    (),
    {
        "source": "string",
        "row": "int64?",
        "reason": "string",
        "user": "string?",
        "time": "string?",
        "event": "string?",
        "value": "string?",
    },
)
PLATFORM_DAYS = Table(
    "platform_days",
    "Every day of the log, the empty ones too: rows, users with an own event, the rows that the weekly rhythm "
    "leads one to expect (the lesser of the weeks before and after, 0 where nothing is known), and what is wrong "
    "with the day: 'silent' (no row), 'low' (all rows, or the own ones, far below their rhythm, or after the "
    "platform's end) or null.",
    ("day",),
    {
        "day": "date",
        "rows": "int64",
        "own_rows": "int64",
        "active_users": "int64",
        "expected": "float64",
        "flag": "string?",
    },
)
QUALITY = Table(
    "quality",
    "Findings about the log, the gravest first. check: what was looked at (the report's texts are keyed by it); "
    "severity: 'warning' (the results may mislead), 'note' (worth a look) or 'info'. subject: the event, user, "
    "column or filter concerned, null for the whole log; rows and share: the rows concerned, of the raw rows for "
    "what was found in reading and filtering, else of those kept; value: the figure that the check is about, in its "
    "own unit (of an outage, the share seen of what was expected). implausible_start ends on the day on which the "
    "log really starts.",
    ("check", "subject", "first_day"),
    {
        "check": "string",
        "severity": "string",
        "subject": "string?",
        "first_day": "date?",
        "last_day": "date?",
        "rows": "int64?",
        "share": "float64?",
        "value": "float64?",
    },
)
FILTERS = Table(
    "filters",
    "What each filter removed, in the order in which they ran.",
    ("filter",),
    {
        "filter": "string",
        "rows_removed": "int64",
        "users_removed": "int64",
        "rows_left": "int64",
        "users_left": "int64",
    },
)
LOG_SUMMARY = Table(
    "log_summary",
    "One row: the log in numbers. rows_read are the raw rows; all else is of the filtered log.",
    (),
    {
        "rows_read": "int64",
        "rows": "int64",
        "own_rows": "int64",
        "received_rows": "int64",
        "repeated_rows": "int64",
        "users": "int64",
        "actors": "int64",
        "first_day": "date",
        "last_day": "date",
        "days": "int64",
        "only_days": "bool",  # every event at local midnight: the log has days, no times
    },
)
EVENT_NAMES = Table(
    "event_names",
    "Rows, users and value by side and event.",
    ("side", "event_name"),
    {
        "side": "string",
        "event_name": "string",
        "rows": "int64",
        "users": "int64",
        "value": "float64",
        "first_day": "date",
        "last_day": "date",
    },
)
CONTACTS = Table(
    "contacts",
    "Who was contacted on which day, of the users of the log.",
    ("user_id", "contacted_on"),
    {"user_id": "id", "contacted_on": "date"},
)
CONTACTS_READ = Table(
    "contacts_read",
    "One row: what the files of contacts held: files, rows, rows with a day and an id (contacted), of these such whose "
    "id is none of the log's (unknown); then contacts (a user, a day), their users, first and last day.",
    (),
    {
        "files": "int64",
        "rows": "int64",
        "contacted": "int64",
        "unknown": "int64",
        "contacts": "int64",
        "users": "int64",
        "first_day": "date?",
        "last_day": "date?",
    },
)
