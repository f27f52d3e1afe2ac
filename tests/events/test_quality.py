"""A fault planted in a small log → exactly that finding; a clean log → none; and plain pandas as the oracle."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn import blocks
from tschurn.config import Log
from tschurn.contracts import DAILY, EVENT_LOG, PLATFORM_DAYS, QUALITY, silent
from tschurn.events import quality, quality_finding
from tschurn.events.quality import Checks

FIRST = pd.Timestamp("2024-01-01", tz="UTC")
DAYS, USERS = 100, 60
NOW = datetime(2024, 7, 1, tzinfo=UTC)
SHARED = Path("/work/shared/data")
HOURLY = np.array([1, 1, 1, 1, 1, 1, 2, 5, 9, 10, 9, 8, 9, 9, 8, 8, 9, 11, 14, 18, 22, 20, 12, 5]) / 194
NOTHING = Checks(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def clean_log(seed: int = 0, days: int = DAYS, users: int = USERS, fans: int = 150, rate: float = 3.0) -> pd.DataFrame:
    """A log without a fault: own and received events, a weekly and a daily rhythm; without day and hour."""
    random = np.random.default_rng(seed)
    week = np.resize([1.0, 1.1, 1.0, 1.2, 1.3, 0.7, 0.6], days)
    taste = random.gamma(2.0, 0.5, users)
    counts = random.poisson(rate * taste[:, None] * week[None, :])
    user, day = (np.repeat(part.ravel(), counts.ravel()) for part in np.indices(counts.shape))
    n = len(user)
    own = random.random(n) < 0.5
    second = random.choice(24, n, p=HOURLY) * 3600 + random.integers(0, 3600, n)
    micro = random.integers(0, 10**6, n)
    frame = pd.DataFrame(
        {
            "user_id": user,
            "actor_id": np.where(own, user, 1_000 + random.integers(0, fans, n)),
            "event_time": FIRST + pd.to_timedelta(day, unit="D") + pd.to_timedelta(second * 10**6 + micro, unit="us"),
            "event_name": np.where(
                own, random.choice(["post", "chat"], n), random.choice(["like", "reply"], n, p=[0.9, 0.1])
            ),
            "value": 1.0,
        }
    )
    return frame.sort_values("event_time", kind="stable", ignore_index=True)


def tables(frame: pd.DataFrame, zone: str = "UTC"):
    """→ EVENT_LOG and DAILY as tables of an engine, made in pandas."""
    local = frame["event_time"].dt.tz_convert(zone)
    log = frame.assign(day=local.dt.date, hour=local.dt.hour.astype("int8"), object=pd.Series(dtype="string"))
    side = np.where(log["user_id"] == log["actor_id"], "own", "received")
    acts = (
        log.assign(side=side, valued=log["value"] != 1)
        .groupby(["user_id", "day", "side", "event_name"], as_index=False)
        .agg(n=("value", "size"), value=("value", "sum"), valued=("valued", "sum"),
             first_hour=("hour", "min"), last_hour=("hour", "max"))
    )  # fmt: skip
    EVENT_LOG.check(log.head(100))
    engine = ibis.duckdb.connect(threads=1)
    engine.raw_sql("SET TimeZone = 'UTC'")
    return (
        engine.create_table("log", log[list(EVENT_LOG.columns)]),
        engine.create_table("acts", DAILY.check(acts)),
        log,
    )


def findings(
    frame: pd.DataFrame,
    *,
    zone: str = "UTC",
    filters: tuple = (),
    now: datetime = NOW,
    log: dict | None = None,
    **checks,
) -> pd.DataFrame:
    """QUALITY of a raw frame; `checks` are counts of Checks."""
    event_log, acts, local = tables(frame, zone)
    days = quality.platform_days(acts, local["day"].min(), local["day"].max())
    PLATFORM_DAYS.check(days)
    removed = pd.DataFrame(filters, columns=["filter", "rows_removed", "users_removed", "rows_left", "users_left"])
    counted = replace(NOTHING, **{"rows_read": len(frame)} | checks)
    settings_ = Log(path="x.csv", timezone=zone, **log or {})
    found = quality.findings(event_log, acts, days, counted, removed, settings_, now, silent)
    QUALITY.check(found)
    return found


def faults(found: pd.DataFrame) -> list[tuple]:
    """Warnings and notes as (check, severity, subject, first day, last day)."""
    grave = found[found["severity"] != "info"]
    return [
        (f.check, f.severity, f.subject, f.first_day and str(f.first_day), f.last_day and str(f.last_day))
        for f in grave.itertuples()
    ]


def day(i: int) -> str:
    return str((FIRST + timedelta(days=i)).date())


def on(frame: pd.DataFrame, first: int, last: int | None = None) -> pd.Series:
    """Whether a row lies on day `first` (to `last`) of the log."""
    at = (frame["event_time"] - FIRST).dt.days
    return at.between(first, first if last is None else last)


CLEAN = clean_log()


# --- a clean log ----------------------------------------------------------------------------------
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    users=st.sampled_from([3, 30, 150]),
    rate=st.sampled_from([0.2, 1.0, 4.0]),
    days=st.integers(45, 160),
)
def test_a_clean_log_has_no_warning_and_no_note(seed, users, rate, days):
    frame = clean_log(seed, days, users, fans=users, rate=rate)
    at = (frame["event_time"] - FIRST).dt.days
    if at.max() - at.min() >= quality.SHORT_LOG:
        assert faults(findings(frame)) == []


def test_a_clean_log_has_its_span_and_filters():
    found = findings(CLEAN, filters=(("missing_key", 0, 0, 9, 9), ("excluded", 400, 3, 5, 5)), rows_read=10_000)
    assert list(zip(found["check"], found["severity"], strict=True)) == [
        ("filter", "info"), ("filter", "info"), ("span", "info")
    ]  # fmt: skip
    span = found.iloc[-1]
    assert (str(span["first_day"]), str(span["last_day"]), span["value"], span["rows"]) == (
        day(0),
        day(99),
        100,
        10_000,
    )
    assert list(found["subject"][:2]) == ["excluded", "missing_key"]
    assert list(found["share"][:2]) == [0.04, 0.0]


def test_equal_logs_in_any_order_have_equal_findings():
    frame = pd.concat([CLEAN, CLEAN[on(CLEAN, 3)]])
    pd.testing.assert_frame_equal(findings(frame), findings(frame.sample(frac=1, random_state=1)))


# --- days -----------------------------------------------------------------------------------------
def test_days_equal_a_plain_count():
    frame = CLEAN[~on(CLEAN, 40, 41)]
    _, acts, local = tables(frame)
    days = quality.platform_days(acts, date(2023, 12, 30), date(2024, 4, 9))
    assert [str(d) for d in days["day"]] == [day(i) for i in range(-2, DAYS)]
    own = local[local["user_id"] == local["actor_id"]]
    for column, counted in (("rows", local.groupby("day").size()), ("own_rows", own.groupby("day").size()),
                            ("active_users", own.groupby("day")["user_id"].nunique())):  # fmt: skip
        assert list(days[column]) == list(counted.reindex(days["day"], fill_value=0))
    assert {str(d): f for d, f in zip(days["day"], days["flag"], strict=True) if f} == {
        day(40): "silent", day(41): "silent"
    }  # fmt: skip


def test_days_without_a_row_are_one_finding():
    found = findings(CLEAN[~on(CLEAN, 40, 43)])
    assert faults(found) == [("silent_days", "warning", None, day(40), day(43))]
    assert (found["rows"][0], found["value"][0]) == (0, 0.0)


def test_days_far_below_their_rhythm_are_one_finding_with_the_share_seen():
    few = on(CLEAN, 40, 42) & (np.arange(len(CLEAN)) % 10 > 0)
    found = findings(CLEAN[~few])
    assert faults(found) == [("low_days", "warning", None, day(40), day(42))]
    assert found["rows"][0] == on(CLEAN[~few], 40, 42).sum()
    assert found["value"][0] == pytest.approx(0.1, abs=0.03)


def test_the_worst_outage_comes_first():
    found = faults(findings(CLEAN[~on(CLEAN, 30, 31) & ~on(CLEAN, 60, 65)]))
    assert [f[3] for f in found] == [day(60), day(30)]


def test_own_events_that_fail_alone_are_found():
    failed = on(CLEAN, 50, 52) & (CLEAN["user_id"] == CLEAN["actor_id"])
    found = findings(CLEAN[~failed])
    assert faults(found) == [("own_silent_days", "warning", None, day(50), day(52))]
    assert (found["rows"][0], found["value"][0]) == (0, 0.0)


def test_a_platform_closed_at_week_ends_is_no_fault_and_two_silent_weeks_are_one():
    open_ = CLEAN[CLEAN["event_time"].dt.day_of_week < 5]
    assert faults(findings(open_)) == []
    assert faults(findings(open_[~on(open_, 42, 53)])) == [("silent_days", "warning", None, day(42), day(53))]


def test_a_cut_last_day_is_told():
    cut = on(CLEAN, 99) & (CLEAN["event_time"].dt.hour >= 8)
    assert faults(findings(CLEAN[~cut])) == [("incomplete_end", "warning", None, day(99), day(99))]


def test_the_end_of_the_platform_is_no_outage():
    random = np.random.default_rng(0)
    gone = on(CLEAN, 70, 99) & (random.random(len(CLEAN)) > 0.01)
    found = findings(CLEAN[~gone])
    end = str(CLEAN[~gone]["event_time"].max().date())
    assert faults(found) == [("platform_end", "warning", None, day(70), end)]
    assert 0 < found["value"][0] < 0.03
    _, acts, local = tables(CLEAN[~gone])
    days = quality.platform_days(acts, local["day"].min(), local["day"].max())
    assert days["flag"][:70].isna().all()
    assert days["flag"][70:].notna().all()


def test_many_who_stop_at_once_are_told_though_others_go_on():
    course = (CLEAN["user_id"] < 30) & on(CLEAN, 60, 99)
    found = findings(CLEAN[~course])
    assert faults(found) == [("mass_stop", "warning", None, day(56), day(62))]  # the week of Monday, 2024-02-26
    assert 27 <= found["value"][0] <= 30
    assert found["share"][0] == pytest.approx(0.5, abs=0.03)
    newcomers = [CLEAN[on(CLEAN, 57, 99)].assign(user_id=lambda f, i=i: f["user_id"] + i * 5_000) for i in (1, 2, 3)]
    newcomers = [new.assign(actor_id=new["user_id"]) for new in newcomers]  # of the next course: they hide the end
    assert faults(findings(pd.concat([CLEAN[~course], *newcomers])))[0] == (
        "mass_stop",
        "warning",
        None,
        day(56),
        day(62),
    )
    assert faults(findings(CLEAN[~((CLEAN["user_id"] < 9) & on(CLEAN, 60, 99))])) == []


def test_a_short_log_is_told():
    assert [f[:2] for f in faults(findings(CLEAN[on(CLEAN, 0, 40)]))] == [("short_log", "warning")]
    assert faults(findings(CLEAN[on(CLEAN, 0, 41)])) == []


# --- times ----------------------------------------------------------------------------------------
def test_rows_in_the_future_are_told_and_nothing_else():
    now = datetime(2024, 4, 10, 12, tzinfo=UTC)  # a day after the log's last
    ahead = CLEAN.tail(3).assign(event_time=FIRST + pd.to_timedelta([120, 150, 4_000], unit="D"))
    found = findings(pd.concat([CLEAN, ahead]), now=now)
    assert faults(found) == [("future", "warning", None, day(120), day(4_000))]
    assert (found["rows"][0], found["share"][0]) == (3, 3 / (len(CLEAN) + 3))
    wrong = findings(CLEAN, now=datetime(2020, 1, 1, tzinfo=UTC))  # the clock is wrong throughout
    assert faults(wrong) == [("future", "warning", None, day(0), day(99))]
    assert wrong["share"][0] == 1.0
    tomorrow = CLEAN.assign(event_time=CLEAN["event_time"] + timedelta(days=2))
    assert faults(findings(tomorrow, now=now)) == []  # zones and clocks may differ by a day


@pytest.mark.parametrize(("moved", "check"), [(-400, "implausible_start"), (400, "implausible_end")])
def test_a_few_rows_far_away_name_the_day_on_which_the_log_really_begins_or_ends(moved, check):
    far = CLEAN[on(CLEAN, 0)].head(4).assign(event_time=lambda f: f["event_time"] + timedelta(days=moved))
    found = findings(pd.concat([CLEAN, far]), now=datetime(2030, 1, 1, tzinfo=UTC))
    span = (day(-400), day(0)) if moved < 0 else (day(99), day(400))
    assert faults(found) == [(check, "warning", None, *span)]
    assert found["rows"][0] == 4


def test_rows_at_the_clocks_zero_are_told_though_they_are_many():
    zero = CLEAN.sample(frac=0.05, random_state=1).assign(event_time=pd.Timestamp("1970-01-01", tz="UTC"))
    found = faults(findings(pd.concat([CLEAN, zero])))
    assert ("implausible_start", "warning", None, "1970-01-01", day(0)) in found
    assert {f[0] for f in found} <= {"implausible_start", "same_instant", "repeated_rows"}


@pytest.mark.parametrize("shift", [-9, 1, 9])
def test_a_clock_jump_is_told_with_its_hours(shift):
    frame = clean_log(3, rate=8.0)
    late = on(frame, 60, DAYS)
    frame["event_time"] = frame["event_time"].where(~late, frame["event_time"] + timedelta(hours=shift))
    frame = frame[on(frame, 0, DAYS - 2)]
    found = findings(frame)
    check, severity, subject, first, _ = faults(found)[0]
    assert (check, severity, subject, len(faults(found))) == ("clock_jump", "warning", None, 1)
    assert abs(pd.Timestamp(first) - pd.Timestamp(day(60))) <= timedelta(days=1)
    assert found["value"][0] == shift


def dates_only(zone: str) -> pd.DataFrame:
    """Calendar days as midnights of a zone; repeats are then natural, so values differ."""
    midnight = CLEAN["event_time"].dt.tz_localize(None).dt.normalize().dt.tz_localize(zone).dt.tz_convert("UTC")
    return CLEAN.assign(event_time=midnight, value=np.arange(len(CLEAN)) + 1.0)


def test_a_log_of_dates_has_no_clock():
    found = findings(dates_only("Europe/London"), zone="Europe/London")
    assert faults(found) == []
    assert "only_days" in set(found["check"])
    assert faults(findings(dates_only("UTC"), zone="Europe/London")) == []  # an hour after midnight from April on


def test_midnights_of_another_zone_are_told_where_they_move_the_day():
    found = findings(dates_only("UTC"), zone="America/New_York")
    assert [f[:2] for f in faults(found)] == [("shifted_days", "warning")]
    assert found["share"][0] == 1.0
    assert faults(findings(dates_only("UTC"), zone="Asia/Seoul")) == []


def test_a_batch_at_one_instant_is_told():
    batch = CLEAN.sample(400, random_state=2).assign(event_time=FIRST + timedelta(days=50, hours=3), value=2.0)
    batch["value"] = np.arange(400) + 2.0
    found = findings(pd.concat([CLEAN, batch]))
    assert faults(found) == [("same_instant", "note", None, day(50), day(50))]
    assert (found["rows"][0], found["value"][0]) == (400, 3)
    assert faults(findings(pd.concat([CLEAN, batch.head(80)]))) == []


ZONES = [
    ({"naive_rows": 500, "rows_read": 500}, {}, [("naive_times", "note", "Asia/Seoul")]),
    ({"naive_rows": 500, "rows_read": 500}, {"naive_time": "utc"}, [("naive_times", "note", "UTC")]),
    ({"naive_rows": 100, "rows_read": 500}, {}, [("mixed_zones", "warning", "Asia/Seoul")]),
    ({"naive_rows": 100, "date_only_rows": 400, "rows_read": 500}, {},
     [("naive_times", "note", "Asia/Seoul"), ("mixed_dates", "note", None)]),
    ({"naive_rows": 490, "null_time": 4, "unreadable_times": 6, "rows_read": 500}, {},
     [("naive_times", "note", "Asia/Seoul"), ("unreadable_times", "warning", None), ("null_time", "note", None)]),
]  # fmt: skip


@pytest.mark.parametrize(("counts", "keys", "expected"), ZONES)
def test_times_without_a_zone_are_told_with_the_zone_assumed(counts, keys, expected):
    found = findings(CLEAN, zone="Asia/Seoul", log=keys, **counts)
    assert sorted(f[:3] for f in faults(found)) == sorted(expected)
    first = found[found["check"].isin(["naive_times", "mixed_zones"])].iloc[0]
    assert (first["rows"], first["share"]) == (counts["naive_rows"], counts["naive_rows"] / 500)


# --- cells and filters ----------------------------------------------------------------------------
CELLS = [f"null_{role}" for role in ("user", "actor", "time", "event", "value")] + [
    "unreadable_times",
    "unreadable_values",
]


@pytest.mark.parametrize("rows", [1, 100, 101])
def test_empty_and_unreadable_cells_are_told_by_their_share(rows):
    found = findings(CLEAN, rows_read=10_000, **dict.fromkeys(CELLS, rows))
    told = found[found["severity"] != "info"]
    grave = {"warning"} if rows > 100 else {"note"}
    assert {check: set(part["severity"]) for check, part in told.groupby("check")} == {
        name: {"note"} if name == "null_value" else grave for name in CELLS
    }
    assert set(told["rows"]) == {rows}
    assert set(told["share"]) == {rows / 10_000}


def test_each_count_has_its_own_finding():
    counts = {name: i + 1 for i, name in enumerate(CELLS)}
    found = findings(CLEAN, rows_read=10_000, **counts)
    assert dict(zip(found["check"], found["rows"], strict=True)).items() >= counts.items()


def test_filters_are_told_by_their_share():
    rows = [("a", 500, 1, 0, 0), ("b", 501, 2, 0, 0), ("c", 5_001, 3, 0, 0)]
    found = findings(CLEAN, rows_read=10_000, filters=rows)
    assert [(f.subject, f.severity, f.value) for f in found.itertuples() if f.check == "filter"] == [
        ("c", "warning", 3), ("b", "note", 2), ("a", "info", 1)
    ]  # fmt: skip


# --- events ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("share", "severity"), [(0.06, "note"), (0.5, "warning")])
def test_new_and_vanished_events_are_told_with_their_life(share, severity):
    chosen = np.random.default_rng(5).random(len(CLEAN)) < share
    for part, check in ((on(CLEAN, 60, 99), "new_event"), (on(CLEAN, 0, 39), "vanished_event")):
        frame = CLEAN.assign(event_name=CLEAN["event_name"].where(~(chosen & part), "'; DROP TABLE log; --"))
        found = findings(frame)
        life = (day(60), day(99)) if check == "new_event" else (day(0), day(39))
        assert faults(found) == [(check, severity, "'; DROP TABLE log; --", *life)]
        assert found["rows"][0] == (chosen & part).sum()
        assert found["share"][0] == (chosen & part).sum() / part.sum()


def test_rare_and_bursty_events_are_no_news():
    some = np.random.default_rng(5).random(len(CLEAN)) < 0.3
    bursts = sum((on(CLEAN, d, d + 1) for d in (30, 60)), start=on(CLEAN, 96, 97)).astype(bool) & some
    assert faults(findings(CLEAN.assign(event_name=CLEAN["event_name"].where(~bursts, "monthly")))) == []
    weekly = sum((on(CLEAN, d) for d in range(45, 100, 6)), start=on(CLEAN, 99)).astype(bool) & some
    assert faults(findings(CLEAN.assign(event_name=CLEAN["event_name"].where(~weekly, "every six days")))) == []
    spells = (on(CLEAN, 30, 40) | on(CLEAN, 60, 97)) & some
    assert faults(findings(CLEAN.assign(event_name=CLEAN["event_name"].where(~spells, "in spells")))) == []
    rare = on(CLEAN, 60, 99) & (np.random.default_rng(5).random(len(CLEAN)) < 0.005)
    assert faults(findings(CLEAN.assign(event_name=CLEAN["event_name"].where(~rare, "rare")))) == []


# --- rows and actors ------------------------------------------------------------------------------
@pytest.mark.parametrize("block_rows", [10**7, 2_000])
def test_repeats_equal_a_plain_count(monkeypatch, block_rows):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", block_rows)
    again = CLEAN.sample(300, random_state=3, replace=True)
    other = CLEAN.sample(50, random_state=4).assign(value=7.0)  # all but the value: no repeat
    frame = pd.concat([CLEAN, again, again.head(20), other])
    found = findings(frame)
    assert [f[:2] for f in faults(found)] == [("repeated_rows", "note")]
    repeats = frame[frame.duplicated()]
    assert found["rows"][0] == len(repeats) == 320
    assert found["share"][0] == 320 / len(frame)
    assert found["subject"][0] == repeats["event_name"].value_counts().index[0]
    assert found["value"][0] == repeats["event_name"].value_counts().iloc[0] / 320


def test_repeats_are_graver_the_more_there_are():
    few = pd.concat([CLEAN, CLEAN.head(3)])
    assert list(findings(few)["severity"][:1]) == ["info"]
    thrice = findings(pd.concat([CLEAN, CLEAN, CLEAN]))
    assert faults(thrice)[0][:2] == ("repeated_rows", "warning")


def bot(actor: int, days: int, per_day: int, first_hour: int = 0, hours: int = 24) -> pd.DataFrame:
    """An actor with so many rows on each of so many days, spread over some hours, towards user 1."""
    second = np.linspace(first_hour * 3600, (first_hour + hours) * 3600 - 1, per_day).astype(int)
    times = [FIRST + timedelta(days=20 + d) + pd.to_timedelta(second, unit="s") for d in range(days)]
    n = days * per_day
    return pd.DataFrame({"user_id": 1, "actor_id": actor, "event_time": np.concatenate(times), "event_name": "like",
                         "value": np.arange(n) + 1.0}).astype({"event_time": CLEAN["event_time"].dtype})  # fmt: skip


@pytest.mark.parametrize("block_rows", [10**7, 3_000])
def test_an_impossible_rate_is_told_with_the_most_rows_of_an_hour(monkeypatch, block_rows):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", block_rows)
    found = findings(pd.concat([CLEAN, bot(7_777, 2, 2_500, 10, 1)]))
    assert faults(found) == [("impossible_rate", "warning", "7777", day(20), day(21))]
    assert (found["rows"][0], found["value"][0]) == (5_000, 2_500)
    assert found["share"][0] == 5_000 / (len(CLEAN) + 5_000)


def test_a_busy_hour_is_no_impossible_rate():
    assert faults(findings(pd.concat([CLEAN, bot(7_777, 2, 1_200, 10, 1)]))) == []
    busy = pd.concat([bot(2_000 + i, 10, 120, 8, 12) for i in range(30)])  # where all are busy, more is needed
    assert faults(findings(pd.concat([CLEAN, busy, bot(7_777, 1, 2_000, 10, 1)]))) == []


@pytest.mark.parametrize("block_rows", [10**7, 500])
def test_who_never_sleeps_is_told(monkeypatch, block_rows):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", block_rows)
    found = findings(pd.concat([CLEAN, bot(7_777, 6, 48)]))
    assert faults(found) == [("tireless", "note", "7777", day(20), day(25))]
    assert (found["rows"][0], found["value"][0]) == (288, 6)
    assert faults(findings(pd.concat([CLEAN, bot(7_777, 4, 48)]))) == []
    assert faults(findings(pd.concat([CLEAN, bot(7_777, 12, 60, 2, 20)]))) == []


def test_where_all_are_machines_none_is_an_exception():
    machines = pd.concat([bot(actor, 60, 48) for actor in (1, 2, 3)])
    assert not {"tireless", "impossible_rate"} & set(findings(machines)["check"])


def test_a_day_of_rows_under_one_date_is_no_rate():
    frame = pd.concat([dates_only("UTC"), bot(7_777, 30, 2_500, 10, 1)]).assign(
        event_time=lambda f: f["event_time"].dt.normalize()
    )
    assert not {"impossible_rate"} & set(findings(frame)["check"])


def test_at_most_so_many_are_listed_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(quality_finding, "LISTED", 3)
    frame = pd.concat([CLEAN, *(bot(7_000 + i, 5 + i, 48) for i in range(8))])
    found = findings(frame)
    assert [f[2] for f in faults(found) if f[0] == "tireless"] == ["7007", "7006", "7005"]
    more = found[found["check"] == "more"].iloc[0]
    assert (more["subject"], more["severity"], more["value"]) == ("tireless", "note", 5)


# --- all together ---------------------------------------------------------------------------------
def test_faults_are_ordered_by_their_gravity():
    frame = pd.concat([CLEAN[~on(CLEAN, 40, 43)], CLEAN[on(CLEAN, 10)], bot(7_777, 6, 48)])
    found = findings(frame, null_user=1, rows_read=10_000)
    assert list(found["check"]) == ["silent_days", "null_user", "tireless", "repeated_rows", "span"]
    order = found["severity"].map({"warning": 0, "note": 1, "info": 2})
    assert order.is_monotonic_increasing


def test_text_ids_and_progress():
    frame = pd.concat([CLEAN, bot(7_777, 6, 48)])
    text = frame.assign(user_id="u" + frame["user_id"].astype(str), actor_id="u" + frame["actor_id"].astype(str))
    assert [f[:3] for f in faults(findings(text))] == [("tireless", "note", "u7777")]
    said = []
    event_log, acts, local = tables(CLEAN)
    days = quality.platform_days(acts, local["day"].min(), local["day"].max())
    nothing = pd.DataFrame(columns=["filter", "rows_removed"])
    checks = replace(NOTHING, rows_read=len(CLEAN))
    quality.findings(event_log, acts, days, checks, nothing, Log(path="x"), NOW, lambda *a: said.append(a))
    assert [s[1] for s in said] == list(range(said[0][2] + 1))


def real(name: str, zone: str) -> pd.DataFrame:
    path = SHARED / name / "events.parquet"
    if not path.is_file():
        pytest.skip(f"the log {name} is not on this machine")
    frame = pd.read_parquet(path).rename(columns={"timestamp": "event_time", "event": "event_name"})
    return findings(frame, zone=zone, now=datetime(2026, 8, 20, tzinfo=UTC))


def test_oulad_shows_the_end_of_a_course():
    found = real("oulad", "Europe/London")
    assert [f[:2] for f in faults(found)] == [("mass_stop", "warning"), ("repeated_rows", "note")]
    stop = found.iloc[0]
    assert stop["first_day"] <= date(2013, 9, 30) <= stop["last_day"]
    assert found["rows"][1] == 64_316
    assert "only_days" in set(found["check"])


def test_coreboot_is_sound():
    found = real("coreboot", "UTC")
    assert faults(found) == []
    assert found["rows"][0] == 55
