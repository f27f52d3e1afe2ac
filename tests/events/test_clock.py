"""Integer arithmetic on µs against the zone rules of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.events import engine
from tschurn.events.clock import clock

ZONES = [
    "UTC",
    "Asia/Seoul",
    "Europe/London",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
]
START, END = datetime(1999, 1, 1, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    return (at.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def evaluate(values: list[int], make) -> pd.DataFrame:
    table = ibis.memtable(pd.DataFrame({"us": values}))
    return engine.local(1).execute(table.select(**make(table.us)))


def near_changes(zone: str) -> list[datetime]:
    """Instants at, just before and just after each change of a zone's offset."""
    found = clock(ZoneInfo(zone), START, END).changes
    return [EPOCH + timedelta(microseconds=c + d) for c in found for d in (-3_600_000_000, -1, 0, 1, 3_600_000_000)]


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=15, deadline=None)
@given(drawn=st.lists(st.datetimes(datetime(1999, 1, 1), datetime(2027, 12, 31)), min_size=1, max_size=20))
def test_an_instant_has_the_day_and_hour_of_its_zone(zone: str, drawn: list[datetime]) -> None:
    instants = [d.replace(tzinfo=UTC) for d in drawn] + near_changes(zone)[-40:]
    rules = clock(ZoneInfo(zone), START, END)
    found = evaluate(
        [micros(i) for i in instants],
        lambda us: {"day": engine.day_number(rules.local(us)), "hour": engine.hour(rules.local(us))},
    )
    local = [i.astimezone(ZoneInfo(zone)) for i in instants]
    assert found["day"].to_list() == [(at.date() - EPOCH.date()).days for at in local]
    assert found["hour"].to_list() == [at.hour for at in local]


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=15, deadline=None)
@given(drawn=st.lists(st.datetimes(datetime(1999, 1, 1), datetime(2027, 12, 31)), min_size=1, max_size=20))
def test_a_wall_clock_time_is_the_first_instant_that_shows_it(zone: str, drawn: list[datetime]) -> None:
    """Those that the zone skips move on by what it skips: as PEP 495 has it with fold=0."""
    where = ZoneInfo(zone)
    walls = drawn + [i.astimezone(where).replace(tzinfo=None) for i in near_changes(zone)[-40:]]
    rules = clock(where, START, END)
    found = evaluate([micros(w) for w in walls], lambda us: {"utc": rules.utc(us)})
    expected = [micros(w.replace(tzinfo=where, fold=0).astimezone(UTC)) for w in walls]
    assert found["utc"].to_list() == expected


def test_days_before_1970_and_far_from_now_are_whole() -> None:
    days = [-30_000, -1, 0, 1, 60_000, 80_000]
    edges = [
        (d * 86_400_000_000 + at, d, at // 3_600_000_000) for d in days for at in (0, 1, 3_599_999_999, 86_399_999_999)
    ]
    found = evaluate([us for us, _, _ in edges], lambda us: {"day": engine.day_number(us), "hour": engine.hour(us)})
    assert found["day"].to_list() == [day for _, day, _ in edges]
    assert found["hour"].to_list() == [hour for _, _, hour in edges]
