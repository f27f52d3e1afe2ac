"""raw rows that cannot become events → the sentence about the first one, or the list of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

from tschurn.config import Log
from tschurn.errors import LogError
from tschurn.events import engine, event_log
from tschurn.events.event_log import Survey
from tschurn.events.sources import Place, RawLog, open_place

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

MOST_LISTED = 1_000
_EXPECTED = {
    "time": "a date or time such as 2024-03-31 or 2024-03-31 10:00:00+09:00",
    "value": f"a number up to {event_log.MOST_VALUE:.0e}",
}


def first_unreadable(backend: BaseBackend, logs: Sequence[RawLog], log: Log, found: Survey) -> LogError:
    """→ the error about the first time or value that cannot be read: which file, row, column, what was found."""
    role = "time" if found.bad_time else "value"
    count = found.bad_time if found.bad_time else found.bad_value
    for row in _rows(backend, logs, log, lambda t: t[f"bad_{role}"], 1):
        place = f"{row['source']}" + (f", row {row['row']}" if row["row"] is not None else "")
        where = f"{place}, column `{row[f'{role}_column']}`"
        more = f" ({count:,} such rows in all)" if count > 1 else ""
        return LogError(
            f"{where}: expected {_EXPECTED[role]}, found {row[role]!r:.100}{more}; "
            'correct or remove the row, or set bad_rows = "refuse" under [log] to leave such rows out and listed'
        )
    return LogError(f"{logs[0].name}: {count:,} rows have no readable {role}; expected {_EXPECTED[role]}")


def listed(backend: BaseBackend, logs: Sequence[RawLog], log: Log, found: Survey) -> pd.DataFrame:
    """→ REFUSED: the first rows without a key, and, where they are left out, those that cannot be read."""
    rows = [
        {"source": file, "row": row, "reason": "unreadable", "event": text}
        for file, row, text in engine.broken_lines(backend)[:MOST_LISTED]
    ]
    if found.bad_time or found.bad_value:
        rows += _rows(backend, logs, log, lambda t: t.bad_time | t.bad_value, MOST_LISTED, "unreadable")
    if found.rows - found.unreadable > found.keyed:
        rows += _rows(backend, logs, log, _keyless, MOST_LISTED, "missing_key")
    frame = pd.DataFrame(rows, columns=["source", "row", "reason", "user", "time", "event", "value"])
    return frame.astype(
        {"row": "Int64", **dict.fromkeys(("source", "reason", "user", "time", "event", "value"), "str")}
    )


def _keyless(rows: ir.Table) -> ir.BooleanValue:
    missing = rows.user_id.isnull() | rows.actor_id.isnull() | rows.micros.isnull() | rows.event_name.isnull()
    return missing & ~rows.bad_time & ~rows.bad_value


def _with_broken(row: int, broken: Sequence[int]) -> int:
    """The number of a row among those that fit their file's header → its number among all; `broken` in order."""
    for other in broken:
        row += other <= row
    return row


def _rows(
    backend: BaseBackend, logs: Sequence[RawLog], log: Log, chosen, most: int, reason: str = ""
) -> Iterator[dict]:
    """The first `most` raw rows that `chosen` (rows of a Draft → condition) picks, with their texts."""
    left_out = engine.broken_lines(backend)
    for raw in _numbered(backend, logs, log):
        broken = sorted(row for file, row, _ in left_out if file == raw.name)
        table, columns = raw.table, raw.columns
        texts = {"user": columns.user, "time": columns.time, "value": columns.value, "event": columns.event}
        present = {role: name for role, name in texts.items() if name in table.columns}
        shown = table.mutate(**{f"shown_{role}": table[name].cast("string") for role, name in present.items()})
        keep = ["row", *(f"shown_{role}" for role in present)]
        drafted = event_log.draft(backend, replace(raw, table=shown), log, keep=keep).rows
        picked = drafted.filter(chosen(drafted)).select(*keep)
        if raw.table.row.type().is_integer():
            picked = picked.order_by("row")
        for row in picked.limit(most).to_pyarrow().to_pylist():
            found = {role: row.get(f"shown_{role}") for role in texts}
            number = None if row["row"] is None else _with_broken(row["row"], broken)
            yield {"source": raw.name, "row": number, "reason": reason, **found,
                   "time_column": columns.time, "value_column": columns.value}  # fmt: skip
            most -= 1
        if most <= 0:
            return


def _numbered(backend: BaseBackend, logs: Sequence[RawLog], log: Log) -> Iterator[RawLog]:
    """Each log with a column `row`: file by file, 1 for the first after the header; null where rows have no order."""
    for raw in logs:
        if log.dataset or backend.name != "duckdb" or raw.place.kind not in ("csv", "parquet"):
            yield replace(raw, table=raw.table.mutate(row=ibis.null("int64")))
            continue
        for file in raw.place.files:
            place = Place(str(file), [file])
            table = open_place(backend, place, log.bad_rows == "refuse")
            absent = {name: ibis.null(type_) for name, type_ in raw.table.schema().items() if name not in table.columns}
            table = table.mutate(**absent) if absent else table
            yield replace(raw, place=place, table=table.mutate(row=ibis.row_number() + 1))
