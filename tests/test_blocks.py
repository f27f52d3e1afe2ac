"""A long log in parts by days: every row in one of them, none much larger than asked for."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import chain, pairwise

import ibis
import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st

from tschurn import blocks

FIRST = date(2024, 2, 20)


@example(rows=[1, 1, 0], most=1)
@given(rows=st.lists(st.integers(0, 50), min_size=1, max_size=60), most=st.integers(1, 200))
def test_ranges_follow_each_other_and_are_about_as_large_as_asked(rows: list[int], most: int) -> None:
    days = [FIRST + timedelta(days=d) for d in range(len(rows))]
    found = list(blocks.cut(days, rows, most))
    if found == [(None, None)]:
        assert sum(rows) <= most
        return
    assert found[0][0] == days[0] and found[-1][1] == days[-1]
    assert all(after[0] - before[1] == timedelta(days=1) for before, after in pairwise(found))
    for first, last in found:
        held = rows[(first - FIRST).days : (last - FIRST).days + 1]
        assert first <= last and sum(held) <= most + 2 * max(rows)
    assert len(found) <= -(-sum(rows) // most)


def test_no_row_is_lost_at_the_edges_whatever_the_zone() -> None:
    utc = pd.date_range("2024-02-18", periods=240, freq="h", tz="UTC")
    for zone in ("Pacific/Kiritimati", "UTC", "Pacific/Niue"):
        log = pd.DataFrame({"event_time": utc, "day": utc.tz_convert(zone).date})
        table = ibis.duckdb.connect().create_table("log", log)
        days = sorted(set(log["day"]))
        parts = [
            blocks.within(table, first, last).execute()["event_time"].to_list()
            for first, last in blocks.cut(days, [24] * len(days), 50)
        ]
        assert len(parts) > 3 and sorted(chain(*parts)) == utc.to_list()
