"""Files that are more than they look, and machines that are less: stated limits, and one sentence."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tschurn import config, events, spreadsheet
from tschurn.errors import ConfigError, ListError, LogError, MachineError
from tschurn.events import complaints, texts, unpacked

HEADER = b"user_id,actor_id,timestamp,event,value\n"
ROW = b"1,1,2024-01-01 10:00:00,x,1\n"
MIB = 1 << 20


def door(tmp_path: Path, path: Path, **log: object) -> int:
    experiment = config.parse({"experiment": {"name": "t"}, "log": {"path": str(path), **log}}, "t.toml")
    (tmp_path / "stage").mkdir(exist_ok=True)
    return int(events.read_log(experiment, tmp_path / "stage")["log_summary"]["rows_read"].iloc[0])


def bomb(path: Path, block: bytes, times: int) -> Path:
    """A gzip file of members that all are the same: cheap to make, as long as one likes."""
    member = gzip.compress(block, 9)
    path.write_bytes(gzip.compress(HEADER) + member * times)
    return path


@pytest.mark.parametrize("line", [b"\n", ROW, b"x" * 64, b"1,1,2024-01-01," + b"x" * 200_000 + b",1\n"], ids=len)
def test_a_gzip_bomb_is_refused_before_the_engine_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(unpacked, "MOST_BYTES", 32 * MIB)
    path = bomb(tmp_path / "a.csv.gz", line * (MIB // len(line)), 64)
    with pytest.raises(LogError, match=r"unpack to more than 33,554,432|has a line of more than"):
        door(tmp_path, path)
    monkeypatch.setattr(unpacked, "MOST_TIMES", 2_000)  # what is packed no tighter than this is let be
    unpacked.refuse_text(path)


def test_what_a_log_is_packed_to_is_far_from_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "MOST_BYTES", 1000)
    rows = b"".join(b"%d,%d,2024-01-%02d 10:%02d:00,post,1\n" % (u, u, 1 + u % 28, u % 60) for u in range(20_000))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(HEADER + rows, 9))
    assert len(rows) > 1000 and door(tmp_path, path) == 20_000


def test_gzip_is_read_to_its_end_and_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = gzip.compress(HEADER + ROW * 40_000)
    path.write_bytes(whole + gzip.compress(ROW * 2))
    assert door(tmp_path, path) == 40_002
    for damaged in (whole[:-9], whole[: len(whole) // 2], whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:],
                    whole + b"more", gzip.compress(whole)):  # fmt: skip
        path.write_bytes(damaged)
        with pytest.raises(LogError, match=r"a\.csv\.gz: (cannot be read|is not text)"):
            door(tmp_path, path)


def test_a_parquet_file_that_says_it_holds_billions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 2_000_000
    table = pa.table({"user_id": pa.array([1]).take(pa.array([0] * rows)), "event": pa.repeat(pa.scalar("x"), rows),
                      "timestamp": pa.repeat(pa.scalar("2024-01-01"), rows)})  # fmt: skip
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, compression="zstd")
    assert rows > 20 * path.stat().st_size  # it is a bomb, but a small one
    assert door(tmp_path, path) == rows
    monkeypatch.setattr(unpacked, "MOST_ROWS", 1_000_000)
    with pytest.raises(LogError, match="hold 2,000,000 rows"):
        door(tmp_path, path)
    with pytest.raises(LogError, match="hold 2,000,000 rows"):
        door(tmp_path, path, creators=str(path))
    long = pa.table({"user_id": ["u"], "timestamp": ["2024-01-01"], "event": ["x" * (8 * MIB)]})
    pq.write_table(long, path, compression="zstd", use_dictionary=False)
    monkeypatch.setattr(unpacked, "MOST_BYTES", MIB)
    with pytest.raises(LogError, match="bytes, unpacked"):
        door(tmp_path, path)


def test_lists_have_limits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "MOST_CELLS", 1000)
    monkeypatch.setattr(spreadsheet, "MOST_BYTES", 1000)
    pq.write_table(pa.table({"user_id": [1] * 2000}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("user_id\n" + "1\n" * 1000)
    for name, told in (("a.parquet", "2,000 cells"), ("a.csv", "2,008 bytes")):
        with pytest.raises(ListError, match=told):
            spreadsheet.read(tmp_path / name, ["user_id"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n", "has a line of more than"),
        (b",".join(b"c%d" % i for i in range(9_000)) + b"\n1\n", f"at most {texts.MOST_COLUMNS:,}"),
        (b"\n" + HEADER + ROW, "its first line is empty"),
        (b"\xef\xbb\xbf", "its first line is empty"),
        (b"\n\n\n", "its first line is empty"),
        (HEADER, "has no rows"),
        (HEADER.strip(), "has no rows"),
        (HEADER + b"1,1,2024-01-01\0,x,1\n", "is not text"),
        (HEADER + ROW * 50_000 + ROW[:-1] + b"\r\n" * 3 + ROW, None),
        (HEADER.replace(b"\n", b"\r\n") * 2 + ROW * 9, "line"),
        (b'"' + b"a" * 200_000 + b'"\n', "is no list of columns"),
        (b'"', "no column `user_id`"),
        (b"sep=,\n" + HEADER, "no column `user_id`"),
        (HEADER + ROW + "1,1,2024-01-01,글,1\n".encode("cp949"), "Invalid unicode"),
        (HEADER + ROW + b'1,1,"2024-01-01', "row 2"),
    ],
    ids=range(15),
)
def test_texts_that_are_no_logs(tmp_path: Path, content: bytes, told: str | None) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    try:
        door(tmp_path, path)
    except LogError as error:
        assert (told or "a.csv") in str(error) and "\n" not in str(error) and len(str(error)) < 1000
    else:
        assert told is None


def test_carriage_returns_end_lines_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes((HEADER + ROW * 5).replace(b"\n", b"\r"))
    assert door(tmp_path, path) == 5


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"# " + b"x" * (2 * MIB), "more than 1,048,576 bytes"),
        (b"x = " + b"[" * 500_000, "nested too deeply"),
        (b"a" + b".a" * 100_000 + b" = 1", "a.toml"),
        (b"[log]\nx = " + b"{a=" * 5_000, "nested too deeply"),
        (b"x = " + b"9" * 900_000, "is not valid TOML"),
        (b"[experiment]\nname = 'x'\n[log]\npath = 'x.csv'\n[run]\nmemory_mib = " + b"9" * 4_000, "run.memory_mib"),
        (b"[experiment]\nname = 'x'\n[log]\npath = 'x.csv'\n[search]\nseconds = inf", "search.seconds"),
        (b"[experiment]\nname = 'x'\n[log]\npath = 'x.csv'\n[costs]\nsuccess = nan\ncontact = inf", "costs.contact"),
        (b"\xff\xfe[\0l\0", "is not UTF-8"),
    ],
    ids=range(9),
)
def test_experiment_files_that_are_too_much(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        config.load(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


# --- a machine that is too small ------------------------------------------------------------------
LIMITED = """
import resource, sys
from pathlib import Path
limit, log, stage, memory = int(sys.argv[1]) << 20, sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
from tschurn import config, events
import tschurn.events.reader, tschurn.contracts, pandas, pyarrow.parquet, pyarrow.compute
from tschurn.errors import TschurnError
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
run = {"threads": 2, "memory_mib": memory}
try:
    experiment = config.parse({"experiment": {"name": "t"}, "log": {"path": log}, "run": run}, "t.toml")
    print("read", events.read_log(experiment, stage)["log_summary"]["rows_read"].iloc[0])
except TschurnError as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def large_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "log.csv"
    with path.open("w") as file:
        file.write("user_id,actor_id,timestamp,event\n")
        file.writelines(
            f"{k % 30_011},{k % 40_009},2024-01-{1 + k % 28:02d} 10:00:00,e{k % 7}\n" for k in range(400_000)
        )
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
@pytest.mark.parametrize("mib", [300, 500, 700, 900, 1100, 4000])
def test_too_little_memory_is_one_sentence(tmp_path: Path, large_log: Path, mib: int) -> None:
    """Of the process, by RLIMIT_AS (ulimit -v): it ends with a sentence and code 4, or reads the log."""
    (tmp_path / "stage").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(mib), str(large_log), str(tmp_path / "stage"), "1024"],
        capture_output=True, text=True, timeout=300, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    told = done.stdout.strip()
    if done.returncode == 0:
        assert told == "read 400000"
    else:
        assert done.returncode == 4, (done.returncode, told, done.stderr[-500:])
        assert told.startswith("MachineError") and "not enough memory" in told and "\n" not in told
    assert mib > 300 or done.returncode == 4
    assert mib < 4000 or done.returncode == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError("cannot"), "lower `memory_mib`"),
        (pa.ArrowMemoryError("malloc of size 8 failed"), "give the process more"),
        (RuntimeError("std::bad_alloc"), "lower `memory_mib`"),
        (RuntimeError("can't start new thread"), "`threads`"),
        (OSError(28, "No space left on device"), "no room left"),
    ],
)
def test_what_a_machine_lacks_is_not_laid_to_the_log(error: Exception, told: str) -> None:
    with pytest.raises(MachineError) as caught, complaints.reading("a.csv"):
        raise error
    assert told in str(caught.value) and str(caught.value).startswith("a.csv: ")


def test_the_engines_own_limit_is_another_matter(tmp_path: Path) -> None:
    """What DuckDB may use is said by memory_mib, so more of it is the way out."""
    import duckdb

    text = "Out of Memory Error: could not allocate block of size 256.0 KiB (256.0 MiB/256.0 MiB used)"
    with pytest.raises(MachineError, match="raise `memory_mib`"), complaints.reading("a.csv"):
        raise duckdb.OutOfMemoryException(text)


def test_other_mistakes_stay_what_they_are() -> None:
    for error in (ValueError("x"), RuntimeError("x"), KeyError("x")):
        with pytest.raises(type(error)), complaints.reading("a.csv"):
            raise error
