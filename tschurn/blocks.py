"""EVENT_LOG → parts of it by days or by users, so that what a long log takes in memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

BLOCK_ROWS = 4_000_000
_FIRST, _LAST = date(1700, 1, 1), date(2400, 1, 1)  # beyond which there are no times, and engines have their own limits
Days = tuple[date | None, date | None]  # first and last, both inside; None: no limit


def cut(days: Sequence[date], rows: Sequence[int], most: int | None = None) -> Iterator[Days]:
    """Days in order and the rows of each → ranges of days of about equal size, of at most `most` rows and a day.

    (None, None) alone where everything fits into one. most: BLOCK_ROWS where it is left out.
    """
    most, total = BLOCK_ROWS if most is None else most, sum(rows)
    parts = -(-total // most)
    if parts <= 1:
        yield None, None
        return
    first, seen, made = days[0], 0, 1
    for day, following, n in zip(days, days[1:], rows, strict=False):
        seen += n
        if total * made <= seen * parts < total * parts:  # days without rows at the end are no block of their own
            yield first, day
            first, made = following, seen * parts // total + 1
    yield first, days[-1]


def within(event_log: ir.Table, first: date | None, last: date | None) -> ir.Table:
    """EVENT_LOG from the day `first` to the day `last`.

    The filter on the instant is wider by more than a zone: sources that know the range of their parts by
    time (Parquet, indexes, partitions) then read no more than those.
    """
    if first and first > _FIRST:
        event_log = event_log.filter(event_log.event_time >= _midnight(first, -2), event_log.day >= first)
    if last and last < _LAST:
        event_log = event_log.filter(event_log.event_time < _midnight(last, 2), event_log.day <= last)
    return event_log


def of_users(table: ir.Table, ids: pd.Index) -> ir.Table:
    """EVENT_LOG or DAILY, and some of its users, neighbours in the order of ids → their rows.

    In a way that needs no table of ours in the log's database; texts are named one by one, since databases differ in
    how they order them.
    """
    user = table.user_id
    if user.type().is_integer():
        return table.filter(user >= int(ids[0]), user <= int(ids[-1]))
    return table.filter(user.isin(ids.tolist()))


def _midnight(day: date, later: int) -> ir.TimestampScalar:
    import ibis

    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=later)
    return ibis.timestamp(at.isoformat(), timezone="UTC")
