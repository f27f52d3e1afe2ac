"""time zone → what it adds to UTC, as integer arithmetic that every engine does alike and fast.

Engines differ in their zone rules, and their own conversions of a timestamp cost more than reading it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

_US = 1_000_000
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Clock:
    """A zone between two instants: offsets[0] holds before changes[0], offsets[i] from changes[i - 1] on.

    changes: µs since 1970 in UTC; offsets: µs to add to UTC.
    """

    changes: tuple[int, ...]
    offsets: tuple[int, ...]

    def local(self, utc: ir.IntegerValue) -> ir.IntegerValue:
        """µs in UTC → µs on the wall clock."""
        return utc + _steps(utc, self.changes, self.offsets)

    def utc(self, local: ir.IntegerValue) -> ir.IntegerValue:
        """µs on the wall clock → µs in UTC.

        An hour that daylight saving skips moves on by it; one that comes twice is the first.
        """
        pairs = zip(self.changes, self.offsets[:-1], self.offsets[1:], strict=True)
        return local - _steps(local, tuple(at + max(before, after) for at, before, after in pairs), self.offsets)


def clock(zone: ZoneInfo, first: datetime, last: datetime) -> Clock:
    """The changes of a zone from `first` to `last` (aware), with two days to spare on both sides."""
    at = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 2 * _DAY
    offset = _offset(zone, at)
    changes, offsets = [], [offset]
    while at < last + 2 * _DAY:
        after = at + _DAY
        if (next_offset := _offset(zone, after)) != offset:
            changes.append(_change(zone, at, after, offset))
            offsets.append(next_offset)
        at, offset = after, next_offset
    return Clock(tuple(changes), tuple(offsets))


def _change(zone: ZoneInfo, low: datetime, high: datetime, before: int) -> int:
    """The second at which the offset stops being `before`, as µs since 1970."""
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return int(high.timestamp()) * _US


def _offset(zone: ZoneInfo, at: datetime) -> int:
    return int(at.astimezone(zone).utcoffset().total_seconds()) * _US


def _steps(micros: ir.IntegerValue, changes: tuple[int, ...], offsets: tuple[int, ...]) -> ir.IntegerValue | int:
    if not changes:
        return offsets[0]
    return ibis.cases(*((micros < at, offset) for at, offset in zip(changes, offsets, strict=False)), else_=offsets[-1])
