"""EVENT_LOG → DAILY: the log grouped once, by user, day, side and event; all else about the log follows from it.

A long log is grouped some days at a time, so that memory does not grow with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from tschurn import blocks
from tschurn.blocks import Days
from tschurn.contracts import DAILY, Progress
from tschurn.errors import LogError
from tschurn.events import engine
from tschurn.runs import parquet_writer

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMES = 20_000
_ROW_GROUP = 131_072  # small enough to skip most of a block for some users


def daily(events: ir.Table) -> ir.Table:
    """EVENT_LOG → DAILY, in the engine, ordered by its key."""
    keyed = events.mutate(
        received=events.user_id != events.actor_id, millionths=(events.value * 1e6).round().cast("int64")
    )
    grouped = keyed.group_by("user_id", "day", "received", "event_name").agg(
        n=keyed.count(),
        value=keyed.millionths.sum().cast("float64") / 1e6,
        valued=(keyed.value != 1.0).sum(),
        first_hour=keyed.hour.min(),
        last_hour=keyed.hour.max(),
    )
    sided = grouped.mutate(side=ibis.ifelse(grouped.received, "received", "own"))
    return sided.order_by("user_id", "day", "received", "event_name").select(*DAILY.columns)


def write(events: ir.Table, rows: int, path: Path, progress: Progress) -> None:
    """EVENT_LOG of about `rows` rows → DAILY in one Parquet file, block by block of days."""
    found = _blocks(events, rows)
    if len(found) == 1 and engine.in_process(events):
        progress("log", 0, 1, "grouping")
        daily(events).to_parquet(path, compression="zstd", row_group_size=_ROW_GROUP)
        return
    ids = events.user_id.type().to_pyarrow()
    schema = pa.schema([pa.field(n, ids if t == "id" else _ARROW[t], nullable=False) for n, t in DAILY.columns.items()])
    with parquet_writer(path, schema) as writer:
        for k, (first, last) in enumerate(found):
            progress("log", k, len(found), "grouping")
            table = daily(blocks.within(events, first, last)).to_pyarrow()
            writer.write_table(table.select(schema.names).cast(schema), row_group_size=_ROW_GROUP)


_ARROW = {"date": pa.date32(), "string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "int8": pa.int8()}


def _blocks(events: ir.Table, rows: int) -> list[Days]:
    if rows <= blocks.BLOCK_ROWS:
        return [(None, None)]
    days = events.group_by("day").agg(n=events.count()).order_by("day").to_pyarrow()
    return list(blocks.cut(days["day"].to_pylist(), days["n"].to_pylist()))


def event_names(table: ir.Table) -> pd.DataFrame:
    """DAILY → EVENT_NAMES, most frequent first."""
    return (
        table.group_by("side", "event_name")
        .agg(
            rows=table.n.sum(),
            users=table.user_id.nunique(),
            value=table.value.cast("decimal(38, 6)").sum().cast("float64"),
            first_day=table.day.min(),
            last_day=table.day.max(),
        )
        .order_by("side", ibis.desc("rows"), "event_name")
        .execute()
    )


def refuse_too_many_names(name: str, names: int, column: str) -> None:
    """Raise LogError where the events have so many names that they can be no kinds of acts."""
    if names > MOST_NAMES:
        raise LogError(
            f"{name}: the column `{column}` has {names:,} different names, expected kinds of acts (at most "
            f"{MOST_NAMES:,}); name the column that says what was done under [log.columns] event = ..."
        )
