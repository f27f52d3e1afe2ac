"""Every table that crosses a stage: columns, types, grain; one check at each door.

A stage gives and takes pandas frames; `Table.check` casts a frame to its contract or raises
ContractError. The words are those of docs/guide: own and received events, anchor day, observation,
outcome, eligible, closed, history, priority.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tschurn.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from tschurn.config import WindowShape

# Parquet types by the short names used below. "id" is int64 when the log's ids are integers and
# string otherwise, so that people can join our tables with their own.
_TYPES = ("id", "string", "int8", "int32", "int64", "float32", "float64", "bool", "date", "timestamp")


@dataclass(frozen=True)
class Table:
    """The contract of one table.

    name: file name in the run folder. grain: the columns that identify a row (empty: no key).
    columns: name → type; a type that ends in "?" may be null.
    open_columns: whether further float columns may follow (a wide table of variables).
    """

    name: str
    about: str
    grain: tuple[str, ...]
    columns: dict[str, str]
    open_columns: bool = False

    def check(self, frame: pd.DataFrame) -> pa.Table:
        """frame → Arrow table with exactly this contract's columns and types.

        Raises ContractError when a column is missing, surplus, of another type, null where it may
        not be, or when the grain is not unique.
        """
        import pyarrow as pa

        missing = [c for c in self.columns if c not in frame.columns]
        surplus = [c for c in frame.columns if c not in self.columns]
        if missing or (surplus and not self.open_columns):
            raise ContractError(f"table {self.name}: missing columns {missing}, surplus columns {surplus}")
        arrays, fields = [], []
        for column in frame.columns if self.open_columns else self.columns:
            kind = self.columns.get(column, "float64?")
            values = frame[column]
            type_ = _arrow_type(kind.rstrip("?"), values)
            try:
                array = pa.Array.from_pandas(values, type=type_, safe=not pa.types.is_floating(type_))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise ContractError(f"table {self.name}, column {column}: expected {kind}: {error}") from error
            if array.null_count and not kind.endswith("?"):
                raise ContractError(f"table {self.name}, column {column}: {array.null_count} null values")
            arrays.append(array)
            fields.append(pa.field(column, type_, nullable=kind.endswith("?")))
        if self.grain and frame.duplicated(list(self.grain)).any():
            raise ContractError(f"table {self.name}: rows repeat for the key {self.grain}")
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _arrow_type(kind: str, values: pd.Series) -> pa.DataType:
    import pandas as pd
    import pyarrow as pa

    if kind == "id":
        return pa.int64() if pd.api.types.is_integer_dtype(values) else pa.string()
    return {
        "string": pa.string(),
        "int8": pa.int8(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float32": pa.float32(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }[kind]


class Lives(Protocol):
    """All days of all users, in the order of the panel: what models that read whole lives may ask."""

    active: np.ndarray  # [users × days] bool: own acts that count as activity
    stickers: np.ndarray  # [users × days] float32, rows
    first: np.ndarray  # [users], the first day on which each acts
    shape: WindowShape
    first_weekday: int  # of day 0; 0 is Monday
    of_staying: frozenset[str]  # targets that are learned from, and measured on, only where the user stays

    def outcome(self, target: str, users: np.ndarray) -> np.ndarray:
        """→ [n × days] int8: what follows each day, as after an anchor: 0 or 1, -1 where it does not count."""


class Windows(Protocol):
    """Windows as views: what models and explanations may ask of features.windows.WindowSet.

    `rows` are positions in `index`; nothing is materialised for windows nobody asks for.
    """

    index: pd.DataFrame  # WINDOWS
    features: pd.DataFrame  # FEATURES
    lives: Lives

    def days(self, users: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Users [n] and days [n × d] → [n × d × daily features] float32."""

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × observe_days × daily features] float32, oldest day first."""

    def history(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × history features] float32; n × 0 with `history = "none"`."""

    def flat(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × (observe_days · daily + history features)] float32, columns as in `flat_columns`."""

    def flat_columns(self) -> pd.DataFrame:
        """→ FLAT_COLUMNS."""


@runtime_checkable
class SharedDays(Windows, Protocol):
    """Windows that have many days in common: whoever computes day by day may compute each of them once."""

    def distinct_days(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """→ the days that occur [u × daily features], and which of them each window has [n × observe_days]."""

    def pasts(self, rows: np.ndarray) -> np.ndarray:
        """→ [n] int: the same for windows that have all days before the observation in common."""


class Groups(Protocol):
    """Groups of features."""

    table: pd.DataFrame  # group, label_en, label_ko
    of_feature: np.ndarray  # of each daily feature the position of its group


class Mixable(Windows, Protocol):
    """Windows whose lives can be mixed with those of others: explanations ask what would have been."""

    observe_days: int

    def groups(self, order: Sequence[str] = (), most: int = 12) -> Groups:
        """→ at most `most` groups of features; the events of the features in `order` first on their own."""

    def mixed(self, groups: Groups, rows: np.ndarray, others: np.ndarray, own: np.ndarray) -> SharedDays:
        """→ the windows `rows` [n] as they would be with cells of the windows `others` [n] (-1: a life in which nothing
        has happened); own [n × (1 + observe_days)]: bits of the groups that stay the user's own before the observation,
        and on each of its days."""


class Progress(Protocol):
    """How a long step tells how far it is. The command line draws it; libraries never print."""

    def __call__(self, stage: str, done: float, total: float, note: str = "") -> None: ...


def silent(stage: str, done: float, total: float, note: str = "") -> None:
    """A Progress that says nothing."""


# --- events -------------------------------------------------------------------------------------
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

# --- exploration --------------------------------------------------------------------------------
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

# --- features -----------------------------------------------------------------------------------
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
WINDOWS = Table(
    "windows",
    "Eligible windows. user and anchor are the positions of user_id and anchor_day in the panel. "
    "churned and sticker are null for open windows (and sticker where there is no such target). "
    "split: one of SPLITS; 'validation' is the half of the validation users by which models are "
    "chosen, 'calibration' the other half; 'purged' lies across two blocks, 'excluded' touches a day on which "
    "the platform's log fails.",
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
    "observation) or 'too_new' (known for less than min_history_days); last_day is their last own event.",
    ("user_id",),
    {"user_id": "id", "reason": "string", "last_day": "date?"},
)

# --- simulator: only where the log is simulated -------------------------------------------------------
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

# --- models: one set of tables per target -------------------------------------------------------
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

# --- explain ------------------------------------------------------------------------------------
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

# --- segments -----------------------------------------------------------------------------------
SEGMENTS = ("priority", "other_churners", "rest")
PRIORITY = Table(
    "priority",
    "The scored users at the newest anchor, best first. p_sticker is null without a sticker "
    "target; then priority = p_churn. segment: one of SEGMENTS. low, high: intervals of SCORES.",
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
    "One row: the method, the value of the priority threshold, what it was learned on ('out_of_time' "
    "windows, the 'scored' users, or 'given' in the experiment file), the p_churn from "
    "which a user counts as likely to churn, and the sizes of the segments.",
    (),
    {
        "method": "string",
        "parameter": "float64",
        "threshold": "float64",
        "learned_on": "string",
        "learned_windows": "int64",
        "likely_churn": "float64",
        "priority": "int64",
        "other_churners": "int64",
        "rest": "int64",
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
    "The priority group against `versus` ('others' = everybody else, or 'other_churners'), "
    "variable by variable, one row per user: Welch's t with its p, Mann-Whitney's rank_p beside it, "
    "q: Benjamini-Hochberg over the larger of p and rank_p, Hedges' g with interval. circular: the "
    "variable enters the score; its q is null. Welch's statistics are null where a group has fewer "
    "than two users or no variance, hedges_g and rank_p where both together have none.",
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
