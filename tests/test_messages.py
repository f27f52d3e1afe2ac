"""What is said, where: lines, bars, one JSON object; through a real process where streams and encodings matter."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tschurn as package
from tschurn import messages
from tschurn.cli import main

Call = Callable[..., tuple[int, str, str]]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (DEBUG|INFO|WARNING|ERROR) \S.*")
TINY = ("--creators", "60", "--fans", "500", "--rows", "120000", "--days", "60")
TSCHURN = (sys.executable, "-m", "tschurn")


def started(*arguments: object, **keys: object) -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own; env: added to this one's."""
    keys["env"] = os.environ | keys.pop("env", {})
    return subprocess.run([*TSCHURN, *map(str, arguments)], check=False, timeout=300, **(
        {"capture_output": True} | keys if "stdout" not in keys and "stderr" not in keys else keys
    ))  # fmt: skip


# --- lines ----------------------------------------------------------------------------------------
@given(st.text())
def test_any_text_is_one_line_that_a_terminal_shows_as_it_is(text: str) -> None:
    line = messages.one_line(text)
    assert len(line.splitlines()) <= 1
    assert not set(line) & {chr(c) for c in (*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E, 0x2066)}
    line.encode("utf-8")


@pytest.mark.parametrize(
    "text", ["창작자 목록.csv: 없음", "a\\n ~ é 🙂", "postgresql://analyst@db:5432/shop?table=a.b"]
)
def test_what_people_can_read_stays(text: str) -> None:
    assert messages.one_line(text) == text


def test_a_forged_line_and_a_terminals_commands_are_escaped() -> None:
    assert messages.one_line("x\n2026-01-01T00:00:00Z ERROR y\x1b[2J\r\u202e") == (
        "x\\n2026-01-01T00:00:00Z ERROR y\\x1b[2J\\r\\u202e"
    )


@given(st.text(st.characters(blacklist_characters="/@:?# ", categories=("L", "N", "P", "S")), min_size=4))
def test_a_password_in_an_address_is_masked(password: str) -> None:
    assert messages.one_line(f"at postgresql://me:{password}@db/shop") == "at postgresql://me:***@db/shop"


def test_stderr_is_lines_with_time_and_level(tmp_path: Path) -> None:
    done = started("simulate", tmp_path / "p", *TINY)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0 and len(lines) > 2
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert " INFO simulate of tschurn " in lines[0] and lines[-1].endswith("exit code 0")
    assert any(re.search(r" INFO \w+ done in \d+\.\d s", line) for line in lines)


def test_a_mistake_is_a_line_with_its_level_and_a_sentence_for_people() -> None:
    forged = "no\n2026-01-01T00:00:00Z INFO forged\x1b[2J.toml"
    lines = started("run", forged).stderr.decode().splitlines()
    assert [bool(LINE.fullmatch(line)) for line in lines] == [True, True, False]
    sentence = lines[2].removeprefix("tschurn: ")
    assert lines[1].partition(" ERROR ")[2] == sentence and "no such experiment file" in sentence


def test_quiet_leaves_what_matters(tmp_path: Path) -> None:
    assert started("simulate", tmp_path / "p", *TINY, "--quiet").stderr == b""
    lines = started("simulate", tmp_path / "p", *TINY, "--quiet").stderr.decode().splitlines()
    assert len(lines) == 2 and " ERROR " in lines[0] and lines[1].startswith("tschurn: ")


def test_the_log_file_gets_all_lines_of_all_commands_also_of_quiet_ones(tmp_path: Path) -> None:
    file = tmp_path / "로그 파일.log"
    assert started("simulate", tmp_path / "p", *TINY, "--quiet", "--log-file", file).returncode == 0
    first = file.read_text("utf-8")
    assert started("report", tmp_path / "없는 폴더", "--log-file", file).returncode == 2
    lines = file.read_text("utf-8").removeprefix(first).splitlines()
    assert first and file.read_text("utf-8").startswith(first) and "없는 폴더" in lines[-1]
    assert all(LINE.fullmatch(line) for line in [*first.splitlines(), *lines])
    assert " INFO simulate done in " in first and " ERROR " in lines[-1]


@pytest.mark.parametrize(("level", "levels"), [("ERROR", {"ERROR"}), ("DEBUG", {"INFO", "ERROR"})])
def test_the_level_holds_for_both(tschurn: Call, tmp_path: Path, level: str, levels: set[str]) -> None:
    _, _, err = tschurn("report", tmp_path, "--log-level", level, "--log-file", tmp_path / "log")
    shown = [line for line in err.splitlines() if LINE.fullmatch(line)]
    assert {line.split()[1] for line in shown} == levels and shown == (tmp_path / "log").read_text().splitlines()


@pytest.mark.parametrize("where", ["nowhere/log", "."])
def test_a_log_file_that_cannot_be_written(tschurn: Call, tmp_path: Path, where: str) -> None:
    code, out, err = tschurn("report", tmp_path, "--log-file", tmp_path / where)
    assert code == 2 and out == "" and err.startswith(f"tschurn: --log-file {tmp_path}") and len(err.splitlines()) == 1


def test_a_log_file_on_a_full_disk_ends_no_run(tmp_path: Path) -> None:
    done = started("simulate", tmp_path / "p", *TINY, "--log-file", "/dev/full")
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr


# --- the logger -----------------------------------------------------------------------------------
def test_nothing_stays_behind(tschurn: Call, tmp_path: Path) -> None:
    logger, root, showwarning = logging.getLogger("tschurn"), logging.getLogger(), warnings.showwarning
    before = (logger.handlers[:], logger.level, root.handlers[:])
    tschurn("report", tmp_path, "--log-file", tmp_path / "log")
    assert (logger.handlers, logger.level, root.handlers) == before and warnings.showwarning is showwarning


def test_whoever_imports_the_package_takes_the_logger_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "tschurn"):
        main(["report", str(tmp_path)])
    assert [r.levelname for r in caplog.records if r.name == "tschurn"] == ["INFO", "ERROR"]


def test_warnings_of_libraries_are_for_those_who_look_and_ours_for_all(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = str(Path(package.__file__).parent / "somewhere.py")
    with caplog.at_level("DEBUG", "tschurn"), messages.Messages(level="DEBUG") as spoken:
        warnings.warn_explicit("of theirs\nin two lines", UserWarning, "/site-packages/theirs.py", 7, "theirs")
        warnings.warn_explicit("of ours", UserWarning, ours, 7, "somewhere")
        logging.getLogger("theirs").warning("through their logger")
    told = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "tschurn"]
    assert [level for level, _ in told] == ["DEBUG", "WARNING", "DEBUG"]
    assert spoken.warnings == [told[1][1]] and "of ours" in told[1][1] and told[2][1] == "theirs: through their logger"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(LINE.fullmatch(line) for line in lines)


def test_a_warning_of_a_library_does_not_spill_over_the_screen() -> None:
    code = (
        "import logging, warnings; from tschurn import messages\n"
        "with messages.Messages() as spoken:\n"
        "    warnings.warn('of theirs'); logging.getLogger('theirs').warning('of theirs')\n"
        "warnings.warn('after it')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "of theirs" not in done.stderr and "after it" in done.stderr


def test_a_long_stage_tells_every_ten_seconds_and_when_it_is_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [100.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: clock[0])
    progress = messages.Messages().progress
    with caplog.at_level("INFO", "tschurn"):
        for second in range(24):
            clock[0] = 100.0 + second
            progress("models.churn", second, 24, f"trial {second}")
        progress("models.churn", 24, 24)
        progress("models.churn", 24, 24)
        progress("log", 1, 1, "unchanged")
    assert [r.getMessage() for r in caplog.records] == [
        "models.churn 10 of 24: trial 10", "models.churn 20 of 24: trial 20", "models.churn done in 23.0 s",
        "log done in 0.0 s: unchanged",
    ]  # fmt: skip


# --- a terminal -----------------------------------------------------------------------------------
def on_terminal(*arguments: object) -> tuple[int, str, str]:
    """The command with a terminal as its stderr → exit code, stdout, what the terminal was sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*TSCHURN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 1 << 16):
            shown += part
    except OSError:  # how a terminal says that the other end is closed
        pass
    os.close(ours)
    out = process.communicate(timeout=60)[0]
    return process.returncode, out.decode(), shown.decode()


def test_a_terminal_shows_bars_and_no_lines(tmp_path: Path) -> None:
    code, out, shown = on_terminal("simulate", tmp_path / "p", *TINY, "--log-file", tmp_path / "log")
    assert code == 0 and "120,000 rows" in out and "━" in shown and not LINE.search(shown)
    assert " INFO simulate done in " in (tmp_path / "log").read_text()
    assert "━" not in on_terminal("simulate", tmp_path / "q", *TINY, "--quiet")[2]


def test_a_terminal_shows_a_mistake_once(tmp_path: Path) -> None:
    code, out, shown = on_terminal("report", tmp_path / "nowhere")
    assert code == 2 and out == "" and shown.count("no finished run") == 1 and "tschurn: " in shown


# --- results --------------------------------------------------------------------------------------
def test_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    done = started("simulate", tmp_path / "플랫폼", *TINY, "--json", "--quiet")
    answer = json.loads(done.stdout)
    assert done.stdout.count(b"\n") == 1 and done.stderr == b""
    assert list(answer) == [
        "command", "version", "outcome", "exit_code", "paths", "summary", "warnings", "seconds"
    ]  # fmt: skip
    assert answer["command"] == "simulate" and answer["outcome"] == "done" and answer["exit_code"] == 0
    assert answer["paths"]["log"] == str(tmp_path / "플랫폼" / "events.parquet") and "플랫폼".encode() in done.stdout
    assert answer["summary"]["rows"] == 120_000 and answer["warnings"] == [] and answer["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "command", "told"),
    [
        (("report", "없는 폴더"), "report", "없는 폴더: no finished run"),
        (("report", "a", "b", "c"), None, "unrecognized arguments: c"),
        (("score",), None, "RUN"),
        (("scores", "a"), None, "invalid choice: 'scores'"),
        (("report", "a", "--log-level", "LOUD"), None, "LOUD"),
        (("run", "postgresql://me:hunter2@db"), "run", "***"),
    ],
)
def test_json_of_a_mistake(tschurn: Call, arguments: tuple, command: str | None, told: str) -> None:
    code, out, err = tschurn(*arguments, "--json")
    answer = json.loads(out)
    assert code == answer["exit_code"] == 2 and answer["command"] == command and answer["outcome"] == "mistake"
    assert told in answer["error"]["message"] and answer["error"]["class"].endswith("Error") and "hunter2" not in out
    assert err.splitlines()[-1].startswith("tschurn: ") and "usage" not in err and "hunter2" not in err


def test_what_is_no_number_is_null_and_all_the_rest_is_json() -> None:
    import numpy as np
    import pandas as pd

    value = {"a": float("nan"), "b": np.float32(0.5), 3: (np.int64(4), True, None), "p": Path("/x"),
             "day": pd.Timestamp("2026-11-22").date(), "inf": -np.inf, "flag": np.bool_(False)}  # fmt: skip
    assert json.loads(messages.as_json(value)) == {
        "a": None, "b": 0.5, "3": [4, True, None], "p": "/x", "day": "2026-11-22", "inf": None, "flag": False
    }  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_korean_survives_any_encoding(tmp_path: Path, encoding: str) -> None:
    env = {"PYTHONIOENCODING": encoding, "LANG": "C", "LC_ALL": "C"}
    made = started("simulate", tmp_path / "플랫폼", *TINY, env=env)
    assert made.returncode == 0 and b"events.parquet" in made.stdout, made.stderr
    lost = started("report", tmp_path / "없음", env=env)
    assert lost.returncode == 2 and b"no finished run" in lost.stderr and b"Traceback" not in lost.stderr
    told = json.loads(started("report", tmp_path / "없음", "--json", env=env).stdout.decode("utf-8"))
    assert "없음" in told["error"]["message"]


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    """File names are bytes; those that are not UTF-8 reach Python as halves of characters."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")
    done = started("report", name, "--json")
    assert done.returncode == 2 and "no finished run" in json.loads(done.stdout.decode("utf-8"))["error"]["message"]
    assert rb"\udcff" in done.stderr


# --- readers that are gone, disks that are full ----------------------------------------------------
@pytest.mark.parametrize("arguments", [("simulate", "p", *TINY), ("--help",), ("report", "nowhere", "--json")])
@pytest.mark.parametrize("both", [False, True])
def test_a_reader_that_is_gone_is_no_error(tmp_path: Path, arguments: tuple, both: bool) -> None:
    """As in `tschurn ... | head -0`, and in `tschurn ... 2>&1 | head -0`."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = started(*arguments, stdout=theirs, stderr=theirs if both else subprocess.PIPE, cwd=tmp_path)
    os.close(theirs)
    assert done.returncode == (2 if "nowhere" in arguments else 0), done.stderr
    assert both or not re.search(b"Traceback|Exception|Broken", done.stderr), done.stderr
    assert "simulate" not in arguments or (tmp_path / "p" / "events.parquet").exists()


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_a_result_that_cannot_be_written_is_the_machines_fault(tmp_path: Path, extra: tuple) -> None:
    with open("/dev/full", "wb") as full:
        done = started("simulate", tmp_path / "p", *TINY, *extra, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4, done.stderr
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("tschurn: the disk is full") and b"Traceback" not in done.stderr
