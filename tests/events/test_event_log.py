"""The door of the log: what comes in as what, what is removed and counted, what is refused and how."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tschurn import config, events
from tschurn.contracts import (
    DAILY,
    EVENT_LOG,
    EVENT_NAMES,
    FACTS,
    FILTERS,
    LOG_SUMMARY,
    PLATFORM_DAYS,
    QUALITY,
    REFUSED,
)
from tschurn.errors import LogError


def read(path: object, out: Path, **log: object) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    experiment = config.parse({"experiment": {"name": "t"}, "log": {"path": str(path), **log}}, "t.toml")
    folder = out / "stage"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tables = events.read_log(experiment, folder)
    for contract in (FILTERS, LOG_SUMMARY, EVENT_NAMES, REFUSED, PLATFORM_DAYS, QUALITY, FACTS):
        contract.check(tables[contract.name])
    order = ["user_id", "event_time", "event_name", "actor_id", "value"]
    with events.open_log(experiment, folder) as event_log:
        frame = event_log.order_by(order).to_pyarrow().to_pandas()
    EVENT_LOG.check(frame)
    with events.open_daily(experiment, folder) as acts:
        DAILY.check(acts.to_pyarrow().to_pandas())
    return frame, tables


def csv(folder: Path, text: str, name: str = "log.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_times_by_zone_and_kind(tmp_path: Path) -> None:
    file = csv(
        tmp_path,
        "user_id,timestamp,event\n"
        "1,2024-03-01T00:30:00+09:00,zoned\n"  # 15:30 UTC the day before; 00:30 in Seoul
        "1,2024-03-01 00:30:00,naive\n"
        "1,2024-03-01,date\n",
    )
    frame, _ = read(file, tmp_path, timezone="Asia/Seoul")
    utc = dict(zip(frame["event_name"], frame["event_time"].astype(str), strict=True))
    assert utc == {
        "zoned": "2024-02-29 15:30:00+00:00",
        "naive": "2024-02-29 15:30:00+00:00",
        "date": "2024-02-29 15:00:00+00:00",
    }
    assert set(frame["day"]) == {date(2024, 3, 1)}
    frame, _ = read(file, tmp_path, timezone="Asia/Seoul", naive_time="utc")
    utc = dict(zip(frame["event_name"], frame["event_time"].astype(str), strict=True))
    assert utc["naive"] == "2024-03-01 00:30:00+00:00"
    assert utc["date"] == "2024-02-29 15:00:00+00:00"  # a calendar day is never shifted


def test_days_are_cut_with_daylight_saving(tmp_path: Path) -> None:
    times = pd.to_datetime(["2024-07-01 23:30", "2024-01-01 23:30"], utc=True)
    log = pd.DataFrame({"user_id": 1, "actor_id": 1, "timestamp": times, "event": ["summer", "winter"]})
    log.to_parquet(tmp_path / "log.parquet")
    frame, _ = read(tmp_path / "log.parquet", tmp_path, timezone="Europe/London")
    assert dict(zip(frame["event_name"], frame["day"], strict=True)) == {
        "summer": date(2024, 7, 2),
        "winter": date(2024, 1, 1),
    }


@pytest.mark.parametrize(
    ("users", "actors", "type_"),
    [(["1", "2"], ["1", "2"], "int64"), (["1", "2"], ["1", "bot"], "str"), (["007", "7"], ["007", "7"], "str")],
)
def test_ids_are_numbers_only_when_they_are_written_so(
    tmp_path: Path, users: list[str], actors: list[str], type_: str
) -> None:
    rows = "".join(f"{u},{a},2024-01-01,x\n" for u, a in zip(users, actors, strict=True))
    frame, _ = read(
        csv(tmp_path, "user_id,actor_id,timestamp,event\n" + rows + f"{users[1]},{users[1]},2024-01-02,x\n"), tmp_path
    )
    assert str(frame["user_id"].dtype) == str(frame["actor_id"].dtype) == type_
    assert frame["user_id"].nunique() == 2


def test_what_is_removed_is_counted(tmp_path: Path) -> None:
    file = csv(
        tmp_path,
        "user_id,actor_id,timestamp,event,value\n"
        "1,1,2024-01-05,post,\n1,1,2024-01-05,post,\n1,9,2024-01-06,like,2.5\n"
        ",1,2024-01-06,post,1\n1,1,,post,1\n1,1,2024-01-06, ,1\n"  # no user, no time, no event
        "1,,2024-01-06,post,1\n"  # nobody did it
        "2,1,2024-01-06,like,1\n"  # 2 never acts
        "3,3,2024-01-06,post,1\n"  # 3 is no creator
        "1,1,2023-12-31,post,1\n",
    )
    csv(tmp_path, "creator\n1\n2\n", "creators.csv")
    frame, tables = read(file, tmp_path, since=date(2024, 1, 1), creators=str(tmp_path / "creators.csv"))
    removed = tables["filters"].set_index("filter")["rows_removed"].to_dict()
    assert removed == {"missing_key": 4, "outside_period": 1, "not_in_creator_list": 1, "no_own_activity": 1}
    summary = tables["log_summary"].iloc[0]
    assert (summary["rows_read"], summary["rows"], summary["own_rows"], summary["repeated_rows"]) == (10, 3, 2, 1)
    assert sorted(frame["value"]) == [1.0, 1.0, 2.5]  # no amount counts as one
    assert bool(summary["only_days"])
    _, tables = read(file, tmp_path, drop_duplicates=True)
    assert tables["filters"].set_index("filter")["rows_removed"]["repeated"] == 1


def test_without_an_actor_every_event_is_the_users_own(tmp_path: Path) -> None:
    frame, _ = read(
        csv(tmp_path, "who,at,what\na,2024-01-01,x\n"), tmp_path, columns={"user": "who", "time": "at", "event": "what"}
    )
    assert (frame["user_id"] == frame["actor_id"]).all() and frame["value"].eq(1).all()


def test_folder_glob_and_gzip_give_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "로그 with space"
    folder.mkdir()
    header, rows = "user_id,timestamp,event\n", [f"{u},2024-01-0{d},x\n" for u in (1, 2) for d in (1, 2, 3)]
    csv(folder, header + "".join(rows[:3]), "a.csv")
    (folder / "b.csv.gz").write_bytes(gzip.compress((header + "".join(rows[3:])).encode()))
    one, _ = read(csv(tmp_path, header + "".join(reversed(rows))), tmp_path)
    for path in (folder, folder / "*.csv*"):
        frame, _ = read(path, tmp_path)
        pd.testing.assert_frame_equal(frame, one)


@pytest.mark.parametrize(
    ("text", "log", "told"),
    [
        ("user_id,timestamp,event\n1,2024-01-01,x\n1,yesterday,x\n", {}, ["row 2", "`timestamp`", "'yesterday'"]),
        ("user_id,timestamp,event\n1,2024-13-01,x\n", {}, ["row 1", "'2024-13-01'"]),
        ("user_id,timestamp,event,value\n1,2024-01-01,x,1\n1,2024-01-01,x,lots\n", {}, ["row 2", "`value`", "'lots'"]),
        ("user_id,timestamp\n1,2024-01-01\n", {}, ["no column `event`", "user_id, timestamp"]),
        ("user_id,time_stamp,event\n1,2024-01-01,x\n", {}, ["no column `timestamp`", "did you mean `time_stamp`?"]),
        ("user_id,timestamp,event\n1,2024-01-01,x\n", {"columns": {"actor": "by"}}, ["no column `by`"]),
        ("user_id,timestamp,event\n", {}, ["no rows"]),
        ("", {}, ["0 bytes"]),
        ("user_id,actor_id,timestamp,event\n1,2,2024-01-01,x\n", {}, ["none of its 1 rows is left", "no_own_activity"]),
        ("user_id,timestamp,event\n1,2024-01-01,x\n", {"creators": "nowhere.csv"}, ["nowhere.csv", "no such file"]),
    ],
)
def test_a_mistake_in_the_log_is_one_sentence(tmp_path: Path, text: str, log: dict, told: list[str]) -> None:
    with pytest.raises(LogError) as caught:
        read(csv(tmp_path, text), tmp_path, **log)
    for part in told:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_or_broken_are_said(tmp_path: Path) -> None:
    csv(tmp_path, "x\n", "events.csv")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "notes.txt").write_text("x")
    for path, told in (
        (tmp_path / "event.csv", r"no such file .*did you mean .*events\.csv"),
        (tmp_path / "broken.parquet", r"broken\.parquet: cannot be read"),
        (tmp_path / "notes.txt", "expected a file that ends in"),
        (tmp_path, "CSV and Parquet"),
    ):
        with pytest.raises(LogError, match=told):
            read(path, tmp_path)


def test_names_are_data(tmp_path: Path) -> None:
    names = [
        "'; DROP TABLE parsed_log; --",
        "<script>alert(1)</script>",
        "=1+1",
        "이벤트",
        "x" * 5000,
        "{}",
        "%s",
        "a\nb",
    ]
    log = pd.DataFrame({"user_id": names, "actor_id": names, "timestamp": pd.Timestamp("2024-01-01"), "event": names})
    log.to_parquet(tmp_path / "log.parquet")
    frame, _ = read(tmp_path / "log.parquet", tmp_path)
    assert sorted(frame["event_name"]) == sorted(names) == sorted(frame["user_id"])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(12)), zone=st.sampled_from(["UTC", "Asia/Seoul", "America/New_York"]))
def test_the_order_of_rows_does_not_matter(tmp_path: Path, order: list[int], zone: str) -> None:
    log = pd.DataFrame(
        {"user_id": [1, 2, 3] * 4, "actor_id": [1, 2, 3, 2] * 3, "event": list("abcd") * 3,
         "timestamp": pd.date_range("2024-01-01", periods=12, freq="5h")}
    )  # fmt: skip
    path = tmp_path / "log.parquet"
    log.to_parquet(path)
    one, _ = read(path, tmp_path, timezone=zone)
    log.iloc[order].to_parquet(path)
    other, _ = read(path, tmp_path, timezone=zone)
    pd.testing.assert_frame_equal(one, other)


def test_the_default_dataset_is_as_counted(tmp_path: Path, write_experiment: Callable) -> None:
    experiment = config.load("experiments/complete_journey.toml")
    tables = events.read_log(experiment, tmp_path)
    summary = tables["log_summary"].iloc[0]
    assert (summary["users"], summary["rows"], summary["days"]) == (2469, 1_653_486, 366)
    names = tables["event_names"].set_index(["side", "event_name"])["rows"]
    assert names["own", "basket"] == 155_848 and names["own", "coupon"] == 21_889
    assert len(names["own"]) == 15  # 12 departments, other, basket, coupon
