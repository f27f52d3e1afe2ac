"""Where logs may lie and how they go wrong: a mistake is one sentence, what is left out is counted and listed."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from tschurn import config, events
from tschurn.contracts import FACTS, REFUSED
from tschurn.errors import LogError

HEADER = "user_id,actor_id,timestamp,event,value\n"
ROWS = "".join(f"{u},{u},2024-01-{d:02d} 10:00:00,x,1\n" for u in range(5) for d in range(1, 29))


def read(path: object, out: Path, **log: object) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """→ EVENT_LOG in an order of its own, and the tables of the stage."""
    experiment = config.parse({"experiment": {"name": "t"}, "log": {"path": str(path), **log}}, "t.toml")
    folder = out / "stage"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    tables = events.read_log(experiment, folder)
    REFUSED.check(tables["refused"])
    FACTS.check(tables["facts"])
    with events.open_log(experiment, folder) as event_log:
        frame = event_log.to_pyarrow().to_pandas()
    left = sorted(p.name for p in folder.iterdir() if p.name.startswith("."))
    assert not left, left
    order = ["user_id", "event_time", "event_name", "actor_id", "value"]
    return frame.sort_values(order, ignore_index=True), tables


def log_frame(rows: int = 2_000) -> pd.DataFrame:
    user = np.arange(rows) % 40
    times = pd.date_range("2024-01-01", periods=rows, freq="37min", tz="UTC")
    return pd.DataFrame({"user_id": user, "actor_id": user, "timestamp": times, "event": "x", "value": 1.0})


def write(folder: Path, name: str, content: str | bytes | pd.DataFrame) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pd.DataFrame):
        content.to_parquet(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet_bytes(folder: Path) -> bytes:
    return write(folder, "whole.parquet", log_frame()).read_bytes()


GZIP = gzip.compress((HEADER + ROWS * 50).encode())


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.csv.gz": GZIP[: len(GZIP) // 2]}, "a.csv.gz: cannot be read: Compressed file ended"),
        ({"a.csv.gz": HEADER + ROWS}, "a.csv.gz: cannot be read: Not a gzipped file"),
        ({"a.csv": HEADER + ROWS, "b.csv": b"\x00\x01\x02" * 900}, "b.csv: is not text"),
        ({"a.csv": HEADER + ROWS, "b.csv": HEADER + "1,1\n"}, "b.csv, row 1: Expected Number of Columns: 5 Found: 2"),
        ({"a.csv": HEADER + "1,1,2024-01-01,x,1,9\n"}, "row 1: Expected Number of Columns: 5 Found: 6"),
        ({"a.csv": (HEADER + ROWS).encode() + "1,1,2024-01-01,é,1\n".encode("latin-1")}, "row 141: Invalid unicode"),
        ({"a.csv": (HEADER + ROWS).encode("utf-16")}, "a.csv: is not text"),
        ({"a.csv": b",".join([b"x"] * 10_000_000)}, "has a line of more than"),
        ({"a.csv": (HEADER + ROWS).encode() + b",".join([b"x"] * 10_000_000)}, "has a line of more than"),
        ({"a.csv": HEADER.replace("value", "user_id") + ROWS}, "column `user_id` is there 2 times"),
        ({"a.csv": HEADER.replace("value", "User_ID") + ROWS}, "column `user_id` is there 2 times"),
        ({"a.csv": HEADER}, "the log has no rows"),
        ({"a.csv": b""}, "0 bytes"),
        ({"a.csv": HEADER + ROWS, "b.csv": b""}, "b.csv: the file is empty"),
        ({"a.duckdb": b"nonsense" * 500}, "not a valid DuckDB database file"),
    ],
)  # fmt: skip
def test_broken_text_is_one_sentence(tmp_path: Path, files: dict[str, bytes], told: str) -> None:
    for name, content in files.items():
        write(tmp_path / "log", name, content)
    path = tmp_path / "log" if len(files) > 1 else tmp_path / "log" / next(iter(files))
    with pytest.raises(LogError) as caught:
        read(path, tmp_path)
    assert told in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_broken_parquet_is_named_among_good_files(tmp_path: Path) -> None:
    whole = parquet_bytes(tmp_path)
    write(tmp_path / "log", "a.parquet", whole)
    broken = write(tmp_path / "log", "b.parquet", whole[: len(whole) // 2])
    with pytest.raises(LogError, match=r"b\.parquet: cannot be read"):
        read(tmp_path / "log", tmp_path)
    broken.write_bytes(whole[:200] + bytes(2_000) + whole[2_200:])  # its footer is right, its pages are not
    with pytest.raises(LogError, match="cannot be read"):
        read(tmp_path / "log", tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"timestamp": 1.0}, "the time column `timestamp` holds float64"),
        ({"value": "much"}, "column `value`: expected a number up to 1e+12, found 'much' (2,000 such rows in all)"),
        ({"value": 1e300}, "column `value`: expected a number up to 1e+12, found '1e+300'"),
        ({"user_id": None}, "none of its 2000 rows is left: missing_key removed 2000"),
        ({"event": [f"e{i}" for i in range(2_000)]}, "has 2,000 different names"),
    ],
)
def test_columns_of_the_wrong_kind(tmp_path: Path, change: dict, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tschurn.events.daily.MOST_NAMES", 1_000)
    with pytest.raises(LogError) as caught:
        read(write(tmp_path, "log.parquet", log_frame().assign(**change)), tmp_path)
    assert told in str(caught.value)


def test_rows_that_cannot_be_read_are_left_out_counted_and_listed(tmp_path: Path) -> None:
    bad = "1,1,soon,x,1\n1,1,2024-01-05,x,many\n1,1\n,1,2024-01-05,x,1\n"
    file = write(tmp_path, "log.csv", HEADER + ROWS + bad)
    with pytest.raises(LogError, match="row 143"):
        read(file, tmp_path)
    frame, tables = read(file, tmp_path, bad_rows="refuse")
    assert len(frame) == 140 and tables["log_summary"]["rows_read"].item() == 144
    removed = tables["filters"].set_index("filter")["rows_removed"]
    assert removed["unreadable"] == 3 and removed["missing_key"] == 1
    listed = tables["refused"]
    assert sorted(zip(listed["reason"], listed["row"], strict=True)) == [
        ("missing_key", 144), ("unreadable", 141), ("unreadable", 142), ("unreadable", 143),
    ]  # fmt: skip
    assert {"soon"} <= set(listed["time"].dropna()) and {"many"} <= set(listed["value"].dropna())


def test_ids_of_two_kinds_and_times_of_all_kinds_come_together(tmp_path: Path) -> None:
    frame = log_frame()
    write(tmp_path / "log", "a.parquet", frame)
    texts = {c: frame[c].astype(str) for c in ("user_id", "actor_id")}
    write(tmp_path / "log", "b.parquet", frame.assign(**texts))
    read_back, _ = read(tmp_path / "log", tmp_path)
    assert len(read_back) == 4_000 and read_back["user_id"].dtype == np.int64 and read_back["user_id"].nunique() == 40
    write(tmp_path / "log", "b.parquet", frame.assign(**{c: "u" + v for c, v in texts.items()}))
    read_back, _ = read(tmp_path / "log", tmp_path)
    assert read_back["user_id"].nunique() == 80 and {"7", "u7"} <= set(read_back["user_id"])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Seoul"])
def test_timestamps_of_every_unit_and_zone_are_the_same_instants(tmp_path: Path, unit: str, zone: str | None) -> None:
    frame = log_frame(300)
    times = frame["timestamp"].dt.tz_convert(zone) if zone else frame["timestamp"].dt.tz_localize(None)
    file = write(tmp_path, "log.parquet", frame.assign(timestamp=times.dt.as_unit(unit)))
    found, _ = read(file, tmp_path, timezone="Europe/London", naive_time="utc")
    assert (found["event_time"].sort_values().to_numpy() == frame["timestamp"].to_numpy()).all()
    assert (found["hour"].to_numpy() == found["event_time"].dt.tz_convert("Europe/London").dt.hour).all()


def test_separators_line_ends_quotes_and_marks_make_no_difference(tmp_path: Path) -> None:
    text = HEADER + '1,1,2024-01-01 10:00:00,"a, ""b""\nc",1\n' + ROWS
    expected, _ = read(write(tmp_path, "a.csv", text), tmp_path)
    assert 'a, "b"\nc' in set(expected["event_name"])
    for name, content in {
        "bom.csv": b"\xef\xbb\xbf" + text.encode(),
        "tabs.tsv": text.replace(",", "\t").replace("a\t ", "a, ").encode(),
        "semicolons.csv": text.replace(",", ";").replace("a; ", "a, ").encode(),
        "packed.csv.gz": gzip.compress(text.encode()),
    }.items():
        found, _ = read(write(tmp_path, name, content), tmp_path)
        pd.testing.assert_frame_equal(found, expected)


def test_files_with_other_columns_are_joined_by_name(tmp_path: Path) -> None:
    write(tmp_path / "log", "a.csv", HEADER + ROWS)
    write(tmp_path / "log", "b.csv", "event,timestamp,user_id,more\ny,2024-01-05 11:00:00,3,z\n")
    found, tables = read(tmp_path / "log", tmp_path)
    assert len(found) == 140 and tables["filters"]["rows_removed"].iloc[0] == 1  # without an actor it is nobody's
    found, _ = read(tmp_path / "log", tmp_path, columns={"actor": "user_id"})
    assert len(found) == 141 and found["value"].eq(1).all()


def test_tables_of_a_duckdb_file(tmp_path: Path) -> None:
    frame = log_frame()
    expected, _ = read(write(tmp_path, "log.parquet", frame), tmp_path)
    for statement in (
        "CREATE TABLE events AS FROM log",
        'CREATE SCHEMA "a.b"; CREATE TABLE "a.b"."Odd ""; DROP" AS FROM log',
    ):
        with duckdb.connect(str(tmp_path / "log.duckdb")) as connection:
            connection.register("log", frame)
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(statement)
        if "SCHEMA" not in statement:
            pd.testing.assert_frame_equal(read(tmp_path / "log.duckdb", tmp_path)[0], expected)
    for table in ("events", "main.events", 'Odd "; DROP', 'a.b.Odd "; DROP'):
        pd.testing.assert_frame_equal(read(f"{tmp_path / 'log.duckdb'}?table={table}", tmp_path)[0], expected)
    with pytest.raises(LogError, match=r"which table is the log\? It has: a\.b\.Odd .*, main\.events"):
        read(tmp_path / "log.duckdb", tmp_path)
    with pytest.raises(LogError, match=r"no table `event`.*did you mean `events`"):
        read(f"{tmp_path / 'log.duckdb'}?table=event", tmp_path)


def test_own_received_and_sticker_logs_are_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        "own.csv",
        "who,at,what\n" + "".join(f"{u},2024-01-{d:02d} 10:00:00,post\n" for u in "ab" for d in range(1, 29)),
    )
    write(tmp_path, "fans.csv", "room,fan,at,what\na,f1,2024-01-03 11:00:00,like\nb,f2,2024-01-04 12:00:00,like\n")
    write(tmp_path, "gifts.parquet", pd.DataFrame(
        {"to": ["a"], "by": ["f1"], "at": pd.to_datetime(["2024-01-05 09:00:00"]), "won": [1000]}))  # fmt: skip
    own = {"user": "who", "time": "at", "event": "what"}
    fans = {"user": "room", "time": "at", "event": "what"}
    gifts = {"user": "to", "actor": "by", "time": "at", "value": "won"}
    received = {"path": str(tmp_path / "fans.csv"), "columns": fans | {"actor": "fan"}}
    stickers = {"path": str(tmp_path / "gifts.parquet"), "event": "sticker", "columns": gifts}
    found, tables = read(tmp_path / "own.csv", tmp_path, columns=own, received=received, stickers=stickers)
    fans_acts = found[found["user_id"] != found["actor_id"]]
    assert fans_acts[["user_id", "actor_id", "event_name", "value"]].to_numpy().tolist() == [
        ["a", "f1", "like", 1.0], ["a", "f1", "sticker", 1000.0], ["b", "f2", "like", 1.0],
    ]  # fmt: skip
    assert tables["log_summary"][["own_rows", "received_rows"]].to_numpy().tolist() == [[56, 3]]
    with pytest.raises(LogError, match=r"fans\.csv: no column `actor_id`; the log of `log\.received` must say who"):
        read(tmp_path / "own.csv", tmp_path, columns=own, received=received | {"columns": fans})


def test_people_may_be_left_out_as_users_and_as_actors(tmp_path: Path) -> None:
    fans = "1,9,2024-01-05 10:00:00,like,1\n2,8,2024-01-05 10:00:00,like,1\n"
    file = write(tmp_path, "log.csv", HEADER + ROWS + fans)
    write(tmp_path, "bots.csv", "id\n9\n3\n")
    found, tables = read(file, tmp_path, exclude=str(tmp_path / "bots.csv"))
    assert set(found["user_id"]) == {0, 1, 2, 4} and set(found["actor_id"]) == {0, 1, 2, 4, 8}
    assert tables["filters"].set_index("filter")["rows_removed"]["excluded"] == 29


def test_facts_are_numbers_or_texts_of_users_of_the_log(tmp_path: Path) -> None:
    file = write(tmp_path, "log.csv", HEADER + ROWS)
    write(tmp_path, "facts.csv", "id,age,plan\n1,31,free\n2,,paid\n77,20,free\n")
    _, tables = read(file, tmp_path, facts=str(tmp_path / "facts.csv"))
    known = {(r.user_id, r.fact): (r.number if r.fact == "age" else r.text) for r in tables["facts"].itertuples()}
    assert known == {(1, "age"): 31.0, (1, "plan"): "free", (2, "plan"): "paid"}
    for content, told in (
        ("id,age\n1,3\n1,4\n", "the user '1' is there more than once"),
        ("id\n1\n", "at least one fact"),
        ("id,age\n77,3\n", "none of the ids in its first column 'id'"),
    ):
        write(tmp_path, "facts.csv", content)
        with pytest.raises(LogError, match=told):
            read(file, tmp_path, facts=str(tmp_path / "facts.csv"))


def test_files_whose_times_differ_in_kind_keep_their_own_meaning(tmp_path: Path) -> None:
    """A wall-clock time beside instants is no instant in UTC, and a date beside them is a calendar day."""
    at = pd.Timestamp("2024-01-05 22:00")
    frames = {"naive": at, "zoned": at.tz_localize("UTC"), "dates": at.date()}
    for name, time in frames.items():
        frame = pd.DataFrame({"user_id": [1], "actor_id": [1], "timestamp": [time], "event": [name], "value": [1.0]})
        write(tmp_path / "log", f"{name}.parquet", frame)
    for zone, zoned_day in (("Asia/Seoul", 6), ("America/New_York", 5)):
        found, _ = read(tmp_path / "log", tmp_path, timezone=zone)
        days = {name: day.day for name, day in zip(found["event_name"], found["day"], strict=True)}
        assert days == {"naive": 5, "zoned": zoned_day, "dates": 5}


def test_ids_that_floats_would_merge_stay_apart(tmp_path: Path) -> None:
    large = 2**60 + np.arange(5)
    base = {"timestamp": pd.Timestamp("2024-01-05", tz="UTC"), "event": "x", "value": 1.0}
    write(tmp_path / "log", "a.parquet", pd.DataFrame({"user_id": large, "actor_id": large, **base}))
    floats = [1.0, 2.0, np.nan]
    write(tmp_path / "log", "b.parquet", pd.DataFrame({"user_id": floats, "actor_id": floats, **base}))
    found, tables = read(tmp_path / "log", tmp_path)
    assert set(found["user_id"]) == {1, 2, *large} and tables["filters"]["rows_removed"].iloc[0] == 1
    for ids in ([1.5], [2.0**60]):
        file = write(tmp_path, "c.parquet", pd.DataFrame({"user_id": ids, "actor_id": ids, **base}))
        with pytest.raises(LogError, match="decimal numbers"):
            read(file, tmp_path)


def test_float_users_and_text_actors_are_the_same_people(tmp_path: Path) -> None:
    base = {"timestamp": pd.Timestamp("2024-01-05 10:00", tz="UTC"), "event": "x", "value": 1.0}
    rows = pd.DataFrame({"user_id": [0.0, 1.0], "actor_id": ["0", "fan"], **base})
    found, _ = read(write(tmp_path, "log.parquet", pd.concat([rows, rows.assign(actor_id=["0", "1"])])), tmp_path)
    assert sorted(zip(found["user_id"], found["actor_id"], strict=True)) == [
        ("0", "0"),
        ("0", "0"),
        ("1", "1"),
        ("1", "fan"),
    ]


@pytest.mark.parametrize("type_", ["Int64", "boolean", "Float64", "object"])
def test_a_missing_value_counts_as_one_whatever_its_type(tmp_path: Path, type_: str) -> None:
    values = pd.Series([1, None, 0] * 20, dtype=type_)
    frame = log_frame(60).assign(value=values)
    found, tables = read(write(tmp_path, "log.parquet", frame), tmp_path)
    assert len(found) == 60 == tables["log_summary"]["rows"].item() and found["value"].sum() == 40
    assert tables["quality"].query("check == 'null_value'")["rows"].item() == 20


def test_large_values_are_summed_all_the_same(tmp_path: Path) -> None:
    frame = log_frame(40).assign(user_id=1, actor_id=1, value=1e12, timestamp=pd.Timestamp("2024-01-05", tz="UTC"))
    _, tables = read(write(tmp_path, "log.parquet", frame), tmp_path)
    assert tables["event_names"]["value"].item() == 4e13


@pytest.mark.parametrize("time", ["0001-01-01", "9999-12-31", "1700-06-01"])
def test_times_of_no_year_that_can_be_are_not_times(tmp_path: Path, time: str) -> None:
    file = write(tmp_path, "log.csv", HEADER + ROWS + f"1,1,{time},x,1\n")
    with pytest.raises(LogError, match=f"row 141, column `timestamp`.*{time}"):
        read(file, tmp_path)
    found, tables = read(file, tmp_path, bad_rows="refuse")
    assert len(found) == 140 and tables["filters"]["rows_removed"].iloc[0] == 1
    open_ended, _ = read(
        write(tmp_path, "log.csv", HEADER + ROWS), tmp_path, since=date(1, 1, 1), until=date(9999, 12, 31)
    )
    assert len(open_ended) == 140


def test_a_list_without_a_header_loses_nobody(tmp_path: Path) -> None:
    file = write(tmp_path, "log.csv", HEADER + ROWS)
    with pytest.raises(LogError, match="its first line is '1', an id; expected a header"):
        read(file, tmp_path, exclude=str(write(tmp_path, "bots.csv", "1\n2\n")))
    found, _ = read(file, tmp_path, exclude=str(write(tmp_path, "bots.csv", "id\n1\n002\n")))
    assert set(found["user_id"]) == {0, 2, 3, 4}


def test_two_tables_of_one_duckdb_file_and_two_files_are_one_log(tmp_path: Path) -> None:
    own, fans = log_frame(), log_frame().assign(actor_id=900)
    for name, tables in {"one.duckdb": {"own": own, "fans": fans}, "two.duckdb": {"fans": fans}}.items():
        with duckdb.connect(str(tmp_path / name)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for table, frame in tables.items():
                connection.register("frame", frame)
                connection.execute(f"CREATE TABLE {table} AS FROM frame")
                connection.unregister("frame")
    for other in ("one", "two"):
        received = {"path": f"{tmp_path / other}.duckdb?table=fans"}
        found, _ = read(f"{tmp_path / 'one.duckdb'}?table=own", tmp_path, received=received)
        assert (found["actor_id"] == 900).sum() == (found["actor_id"] != 900).sum() == 2_000


def test_a_column_in_another_case_is_not_overlooked(tmp_path: Path) -> None:
    file = write(tmp_path, "log.csv", HEADER.replace("value", "Value") + ROWS)
    with pytest.raises(LogError, match=r"no column `value`.*did you mean `Value`"):
        read(file, tmp_path)


def test_events_that_are_named_but_do_not_occur_are_told(tmp_path: Path) -> None:
    file = write(tmp_path, "log.csv", HEADER + ROWS + "1,9,2024-01-05 10:00:00,like,1\n")
    _, tables = read(file, tmp_path, supporter_events=["like", "x"], post_events=["x"], reply_events=["answer"])
    told = tables["quality"].query("check == 'absent_event'")["subject"]
    assert list(told) == ["x (supporter_events)", "answer (reply_events)"]  # `x` is an own act only
