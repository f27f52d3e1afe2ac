"""A short run of the fuzzer, the inputs that once failed, and whether the fuzzer would notice."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fuzzer
from doors import DOORS, SHARES
from fuzz import fuzz
from fuzzer import Broken, Door, attempt, changed, one_sentence, watch

from tschurn.errors import LogError

SECONDS = 45


@pytest.mark.slow
def test_the_doors_hold() -> None:
    """With the code of `make fuzz`, for 45 seconds."""
    found = fuzz(SECONDS, seed=5)
    assert found.keys() == DOORS.keys()
    for name, door in found.items():
        assert not door.failures, (name, door.failures)
        assert door.tried > 3, name


@pytest.mark.parametrize("name", SHARES)
def test_good_inputs_are_taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcomes = [attempt(door, seed, tmp_path) for door in [DOORS[name]()] for seed in door.seeds[:6]]
    assert sum("Error" not in outcome for outcome in outcomes) >= 2, outcomes


# Inputs that failed once: name of the door, the bytes.
ONCE = [
    ("log", b'{"name": "a.csv", "keys": {}}\nuser_id,timestamp,event\n1,' + b"{0}" * 500 + b",a\n"),  # a long sentence
    ("log", b'{"name": "a.csv", "keys": {}}\nuser_id,timestamp,event\r1,2024-01-01,a\r'),  # csv.Error
    (
        "log",
        b'{"name": "a.csv", "keys": {}}\n"",user_id,timestamp,event\n1,1,2024-01-01,a\n',
    ),  # a column without a name
    ("log", b'{"name": "a.csv", "keys": {}}\n' + b'"' + b"x" * 140_000 + b'",user_id\n'),  # csv's own limit
    ("experiment", b"[log]\nx = " + b"9" * 5000),  # no error of TOML, but of int
    ("experiment", b"x = " + b"[" * 5000),  # RecursionError
    ("experiment", b"a" + b".a" * 100_000 + b" = 1"),  # 23 GiB
    ("experiment", b"[experiment]\nname = 'x'\n[log]\ndataset = 'creator_platform'\n"),  # not read as it was written
    ("experiment", b"[experiment]\nname = 'x'\n[log]\npath = 'x'\n[search]\nseconds = inf\n"),  # not to be written
    ("lists", b"contacts.csv\nuser_id,contacted_on\n" + b"1" * 3000 + b",x\n"),
]


@pytest.mark.parametrize(("name", "data"), ONCE, ids=range(len(ONCE)))
def test_what_failed_once(name: str, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    attempt(DOORS[name](), data, tmp_path)


# --- the fuzzer -----------------------------------------------------------------------------------
def test_a_bad_refusal_is_a_failure() -> None:
    assert (
        one_sentence(LogError("a.csv, row 3: expected `x`, found 'y'"), ["a.csv"])
        == "LogError: FILE0 row 0: expected X0 found X"
    )
    for message in ("", "a.csv:\nno", "a.csv " + "x" * 2000, "something is wrong"):
        with pytest.raises(Broken):
            one_sentence(LogError(message), ["a.csv"])


def test_so_is_a_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for k, where in enumerate(("../beside/x", "../x")):
        folder = tmp_path / str(k)
        folder.mkdir()
        door = Door("d", [b""], [], lambda _, inside, where=where: str((inside / where).write_text("x")))
        with pytest.raises(Broken, match="outside"):
            attempt(door, b"", folder)


def test_changes_are_many_and_follow_from_the_seed() -> None:
    seeds = [b"a,b\n1,2\n3,4\n", b"x;y\n5;6\n"]
    made = [changed(seeds[0], random.Random(k), [b"tok"], seeds) for k in range(300)]
    assert made == [changed(seeds[0], random.Random(k), [b"tok"], seeds) for k in range(300)]
    assert len(set(made)) > 200


WORKER = """
import sys, time, os
sys.path[:0] = [{here!r}, {tests!r}]
from pathlib import Path
from fuzzer import Door, work
def enter(data, folder):
    if b"X" in data:
        {harm}
    return str(len(data) > 5)
work(Door("d", [b"good", b"X"], [], enter), 1, Path(sys.argv[-2]), Path(sys.argv[-1]))
"""


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("raise KeyError('x')", "KeyError"),
        ("os.abort()", "ended with -6"),
        ("os.kill(os.getpid(), 11)", "ended with -11"),
        ("time.sleep(60)", "no answer"),
    ],
)
def test_exceptions_crashes_and_hangs_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, told: str
) -> None:
    monkeypatch.setattr(fuzzer, "HANG_SECONDS", 3)
    here = Path(__file__).parent
    program = tmp_path / "worker.py"
    program.write_text(WORKER.format(here=str(here), tests=str(here.parent), harm=harm))
    found = watch("d", 60, 1, tmp_path / "run", most_failures=1, program=program)
    assert len(found.failures) == 1 and told in found.failures[0][0] and found.failures[0][1] == b"X"
