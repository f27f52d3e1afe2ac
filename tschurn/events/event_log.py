"""raw log → EVENT_LOG, checked at the door, with what each filter removed.

Everything runs in the engine; only counts reach Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from tschurn.config import Log
from tschurn.contracts import EVENT_LOG
from tschurn.errors import LogError
from tschurn.events import engine
from tschurn.events.sources import Source

_DATE_ONLY = r"^\s*\d{4}-\d{2}-\d{2}\s*$"
_WITH_OFFSET = r"\d:?\d{2}(\.\d+)?\s*(Z|z|UTC|[+-]\d{2}(:?\d{2})?)\s*$"


@dataclass(frozen=True)
class EventLog:
    """The checked log: `events` as in EVENT_LOG (an engine table), FILTERS, and the raw row count."""

    events: ir.Table
    filters: pd.DataFrame
    rows_read: int


def build(backend: Backend, source: Source, log: Log) -> EventLog:
    """Source → EventLog.

    Raises LogError when a time or value cannot be read (file, row, value), or nothing is left.
    """
    with engine.reading(source.name):
        parsed = backend.create_table("parsed_log", _parsed(source, log), temp=True)
    rows_read = int(parsed.count().execute())
    if rows_read == 0:
        raise LogError(f"{source.name}: the log has no rows")
    _refuse_unreadable(backend, source, parsed)
    ids = _id_type(parsed)
    events = parsed.mutate(user_id=parsed.user_id.cast(ids), actor_id=parsed.actor_id.cast(ids))
    kept, filters = _filtered(backend, events, log)
    if not filters or filters[-1]["rows_left"] == 0:
        steps = ", ".join(f"{f['filter']} removed {f['rows_removed']}" for f in filters if f["rows_removed"])
        raise LogError(f"{source.name}: none of its {rows_read} rows is left: {steps}")
    return EventLog(kept.select(*EVENT_LOG.columns), pd.DataFrame(filters), rows_read)


def write(backend: Backend, log: EventLog, path: Path) -> None:
    """EVENT_LOG → Parquet, in an order that does not depend on the order of the source."""
    order = ["user_id", "event_time", "event_name", "actor_id", "value"]
    backend.to_parquet(log.events.order_by(order), path, compression="zstd")


def summary(events: ir.Table, rows_read: int, zone: str) -> pd.DataFrame:
    """EVENT_LOG → LOG_SUMMARY."""
    own = events.user_id == events.actor_id
    local = engine.utc_to_local(events.event_time, zone)
    row = events.agg(
        rows=events.count(),
        own_rows=own.sum(),
        users=events.user_id.nunique(),
        actors=events.actor_id.nunique(),
        first_day=events.day.min(),
        last_day=events.day.max(),
        timed_rows=(local != events.day.cast("timestamp")).sum(),
    ).execute()
    row["repeated_rows"] = row["rows"] - int(events.distinct().count().execute())
    row["received_rows"] = row["rows"] - row["own_rows"]
    first, last = pd.Timestamp(row["first_day"][0]), pd.Timestamp(row["last_day"][0])
    row["days"] = (last - first).days + 1
    row["only_days"] = row.pop("timed_rows") == 0
    row["rows_read"] = rows_read
    return row


def event_names(events: ir.Table) -> pd.DataFrame:
    """EVENT_LOG → EVENT_NAMES, most frequent first."""
    own = events.user_id == events.actor_id
    sided = events.mutate(side=ibis.ifelse(own, "own", "received"))
    return (
        sided.group_by("side", "event_name")
        .agg(
            rows=sided.count(),
            users=sided.user_id.nunique(),
            value=sided.value.sum(),
            first_day=sided.day.min(),
            last_day=sided.day.max(),
        )
        .order_by("side", ibis.desc("rows"), "event_name")
        .execute()
    )


def _parsed(source: Source, log: Log) -> ir.Table:
    """The raw columns under our names, times as instants; unreadable ones null beside their text."""
    table, columns = source.table, source.columns
    user, time = table[columns.user], table[columns.time]
    raw_value = table[columns.value] if source.has_value else ibis.literal(1.0)
    value = raw_value.try_cast("float64")
    event_time = _instant(time, log, source.name)
    event = table[columns.event].cast("string").strip()
    return table.select(
        user_id=_blank_to_null(user),
        actor_id=_blank_to_null(table[columns.actor] if source.has_actor else user),
        event_time=event_time,
        day=engine.utc_to_local(event_time, log.timezone).date(),
        event_name=event.nullif(""),
        value=ibis.ifelse(value.isnan() | value.isinf(), None, value).coalesce(1.0),
        bad_time=event_time.isnull() & _blank_to_null(time).notnull(),
        bad_value=value.isnull() & _blank_to_null(raw_value).notnull(),
    )


def _instant(time: ir.Value, log: Log, name: str) -> ir.TimestampValue:
    """A column of times → instants in UTC, by what the column holds.

    With a zone: that instant. Without: wall clock in the experiment's zone, or UTC, by `naive_time`.
    Dates without a time are calendar days of the experiment's zone, whatever `naive_time` says.
    """
    type_ = time.type()
    if type_.is_timestamp() and type_.timezone is not None:
        return time.cast(dt.Timestamp(timezone="UTC"))
    if type_.is_date():
        return engine.local_to_utc(time.cast("timestamp"), log.timezone)
    zone = log.timezone if log.naive_time == "local" else "UTC"
    if type_.is_timestamp():
        return engine.local_to_utc(time, zone)
    if not type_.is_string():
        raise LogError(
            f"{name}: the time column holds {type_}; expected dates, timestamps or text such as 2024-03-31 10:00:00"
        )
    naive = time.try_cast("timestamp")
    return ibis.cases(
        (time.re_search(_DATE_ONLY), engine.local_to_utc(naive, log.timezone)),
        (time.re_search(_WITH_OFFSET), time.try_cast(dt.Timestamp(timezone="UTC"))),
        else_=engine.local_to_utc(naive, zone),
    )


def _blank_to_null(value: ir.Value) -> ir.Value:
    return value.strip().nullif("") if value.type().is_string() else value


def _refuse_unreadable(backend: Backend, source: Source, parsed: ir.Table) -> None:
    """Raise LogError for the first time or value that is there but cannot be read."""
    bad_times, bad_values = parsed.agg(t=parsed.bad_time.sum(), v=parsed.bad_value.sum()).execute().iloc[0]
    for count, role, expected in (
        (bad_times, "time", "a date or time such as 2024-03-31 or 2024-03-31 10:00:00+09:00"),
        (bad_values, "value", "a number"),
    ):
        if count:
            column = getattr(source.columns, role)
            where, text = _first_bad(backend, source, column, role)
            more = f" ({count:,} such rows in all)" if count > 1 else ""
            raise LogError(
                f"{where}, column `{column}`: expected {expected}, found {text!r}{more}; correct or remove the row"
            )


def _first_bad(backend: Backend, source: Source, column: str, role: str) -> tuple[str, str]:
    """→ (file and row, text) of the first value that cannot be read; row 1 is the first after the header."""
    type_ = "timestamp" if role == "time" else "float64"
    for file in source.files:
        numbered = engine.read(backend, [file]).mutate(row=ibis.row_number() + 1)
        text = _blank_to_null(numbered[column])
        unreadable = text.notnull() & text.try_cast(type_).isnull()
        first = numbered.filter(unreadable).order_by("row").limit(1).select("row", text=column).execute()
        if len(first):
            return f"{file}, row {int(first['row'][0])}", str(first["text"][0])[:80]
    return source.name, "?"


def _id_type(parsed: ir.Table) -> str:
    """'int64' when every user and actor id is a whole number in its plain form, else 'string'."""
    tests = []
    for name in ("user_id", "actor_id"):
        column = parsed[name]
        if column.type().is_integer():
            continue
        if column.type().is_string():
            # "007" and "7" are two people: a number only counts when it is written as we would write it
            tests.append(column.isnull() | (column.try_cast("int64").cast("string") == column))
        elif column.type().is_floating():
            tests.append(column.isnull() | (column == column.round()))
        else:
            return "string"
    whole = [t.fill_null(False).all() for t in tests]
    return (
        "int64"
        if not whole or all(parsed.agg(**{f"t{i}": t for i, t in enumerate(whole)}).execute().iloc[0])
        else "string"
    )


def _filtered(backend: Backend, events: ir.Table, log: Log) -> tuple[ir.Table, list[dict[str, object]]]:
    """Run the filters in order; → the table left, and one FILTERS row for each."""
    filters: list[dict[str, object]] = []
    rows, users = _size(events)

    def keep(name: str, table: ir.Table) -> ir.Table:
        nonlocal rows, users
        kept_rows, kept_users = _size(table)
        filters.append(
            {"filter": name, "rows_removed": rows - kept_rows, "users_removed": users - kept_users,
             "rows_left": kept_rows, "users_left": kept_users}
        )  # fmt: skip
        rows, users = kept_rows, kept_users
        return table

    whole = events.user_id.notnull() & events.event_time.notnull() & events.event_name.notnull()
    events = keep("missing_key", events.filter(whole & events.actor_id.notnull()))
    if log.since or log.until:
        inside = ibis.literal(True)
        inside = inside & (events.day >= log.since) if log.since else inside
        inside = inside & (events.day <= log.until) if log.until else inside
        events = keep("outside_period", events.filter(inside))
    if log.creators:
        events = keep("not_in_creator_list", events.semi_join(_creators(backend, events, log.creators), "user_id"))
    if log.drop_duplicates:
        events = keep("repeated", events.distinct())
    active = events.filter(events.user_id == events.actor_id).select("user_id").distinct()
    return keep("no_own_activity", events.semi_join(active, "user_id")), filters


def _size(table: ir.Table) -> tuple[int, int]:
    row = table.agg(rows=table.count(), users=table.user_id.nunique()).execute().iloc[0]
    return int(row["rows"]), int(row["users"])


def _creators(backend: Backend, events: ir.Table, path: str) -> ir.Table:
    """A file with the users to keep (first column, CSV or Parquet) → user_id."""
    file = Path(path)
    if not file.is_file():
        raise LogError(f"{path}: no such file (the list of creators, key `log.creators`)")
    with engine.reading(path):
        table = engine.read(backend, [file])
        first = table[table.columns[0]]
        ids = first.try_cast(events.user_id.type())
        return table.select(user_id=ids).filter(ids.notnull()).distinct()
