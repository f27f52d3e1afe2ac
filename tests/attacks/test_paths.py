"""Names of files that are more than letters: the file that is named is read, and no other; what is none is told."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from tschurn import config, events
from tschurn.errors import ConfigError, LogError, UserError

HEADER = "user_id,actor_id,timestamp,event,value\n"
ROWS = "".join(f"{u},{u},2024-01-{d:02d} 10:00:00,x,1\n" for u in range(5) for d in range(1, 29))
ODD_NAMES = [
    "a b", "한글 폴더/로그", "e😀", "👨\u200d👩\u200d👧", "q'uote", 'd"q', "p%41", "h#", "what?", "g[ab]",
    "g[!c]", "st*r", "**", "-dash", "x" * 240, "a;b", "http:/a", "s3:/x", "back\\slash", "{a,b}", "$HOME", "~x",
    "event=zz/a", "user_id=9/a", "$$", "a\u3000b", "..a", "deep/../deeper/../deep/a", "',NULL);--",
]  # fmt: skip


def door(tmp_path: Path, path: object, **log: object) -> dict[str, pd.DataFrame]:
    experiment = config.parse({"experiment": {"name": "t"}, "log": {"path": str(path), **log}}, "t.toml")
    (tmp_path / "stage").mkdir(exist_ok=True)
    return events.read_log(experiment, tmp_path / "stage")


def make(path: Path, rows: str) -> Path:
    (path.parent.parent / "deeper").mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + rows, encoding="utf-8")
    if path.suffix == ".parquet":
        pd.read_csv(path, dtype=str).to_parquet(path.with_name("written"))
        path.with_name("written").replace(path)
    return path


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_file_that_is_named_is_read(tmp_path: Path, name: str, ending: str) -> None:
    folder = tmp_path / "data"
    for other in ("ga", "gb", "star", "stir", "whatx", "a", "b", "pA"):  # what a pattern would take for it
        make(folder / f"{other}{ending}", ROWS * 2)
    path = make(folder / f"{name}{ending}", ROWS)
    tables = door(tmp_path, path)
    assert tables["log_summary"]["rows_read"].iloc[0] == 140
    assert tables["event_names"]["event_name"].to_list() == ["x"]  # not what a folder is called


@pytest.mark.parametrize("key", ["creators", "exclude", "facts"])
def test_so_are_the_files_beside_it(tmp_path: Path, key: str) -> None:
    log = make(tmp_path / "log.csv", ROWS)
    for name in ("u[ab].csv", "한글 '목록' #1?.csv"):
        (tmp_path / "ua.csv").write_text("id,x\n3,1\n4,1\n")
        (tmp_path / name).write_text("id,x\n1,1\n")
        tables = door(tmp_path, log, **{key: str(tmp_path / name)})
        users = tables["log_summary"]["users"].iloc[0]
        assert {"creators": users == 1, "exclude": users == 4, "facts": len(tables["facts"]) == 1}[key]


def refused(tmp_path: Path, path: object, **log: object) -> str:
    with pytest.raises(UserError) as caught:
        door(tmp_path, path, **log)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000
    return message


@pytest.mark.parametrize("key", ["path", "creators", "exclude", "facts"])
def test_what_is_no_file_is_told_at_once(tmp_path: Path, key: str) -> None:
    log = make(tmp_path / "log.csv", ROWS)
    os.mkfifo(tmp_path / "fifo.csv")
    os.symlink("/dev/zero", tmp_path / "zero.csv")
    os.symlink(tmp_path / "nowhere", tmp_path / "broken.csv")
    os.symlink("loop.csv", tmp_path / "loop.csv")
    (tmp_path / "folder.csv").mkdir()
    long = {f"/{'a' * 300}.csv": "File name too long", f"{'/a' * 2000}/x.csv": "no such file",
            f"{'/a' * 3000}/x.csv": "at most 4096"}  # fmt: skip
    pipes = {str(tmp_path / n): "is no file but a pipe" for n in ("fifo.csv", "zero.csv", "broken.csv", "loop.csv")}
    others = {"/dev/zero": "is no file but", str(tmp_path / "folder.csv"): "the folder has no file",
              "a\0b.csv": "control character", "a\nb.csv": "control character", "": "at least 1 character",
              str(tmp_path / "no" / ".." / "log.csv"): "no such file", "[": "no such file"}  # fmt: skip
    for path, told in (long | pipes | others).items():
        message = refused(tmp_path, path) if key == "path" else refused(tmp_path, log, **{key: path})
        assert told in message, (path, message)
        assert "did you mean" not in message  # it is there, but cannot be read
        assert key == "path" or f"log.{key}" in message


def test_files_of_a_folder_whose_names_cannot_be_said(tmp_path: Path) -> None:
    for name in (b"a\xff.csv", b"a\n.csv"):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / os.fsdecode(name)).write_text(HEADER + ROWS)
        assert "rename it" in refused(tmp_path, folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    log = make(tmp_path / "log.csv", ROWS)
    log.chmod(0)
    assert "Permission denied" in refused(tmp_path, log)


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "a\nb", "", "x" * 81, "a\0", "/etc", "..", "con|x"])
def test_the_name_of_an_experiment_is_the_name_of_a_folder(name: str) -> None:
    with pytest.raises(ConfigError, match=r"`experiment\.name`"):
        config.parse({"experiment": {"name": name}, "log": {"path": "x.csv"}}, "t.toml")


@pytest.mark.parametrize("name", ["한글 실험", "a-b.c", "2024", "x" * 80])
def test_and_may_be_korean(name: str) -> None:
    assert config.parse({"experiment": {"name": name}, "log": {"path": "x.csv"}}, "t.toml").experiment.name == name


def test_an_experiment_file_that_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.toml")
    os.symlink("loop.toml", tmp_path / "loop.toml")
    for path, told in (("/dev/zero", "no plain file"), (tmp_path / "fifo.toml", "no plain file"),
                       (tmp_path, "Is a directory"), (tmp_path / "loop.toml", "symbolic links"),
                       (f"/{'a' * 300}.toml", "File name too long"), ("/a" * 3000, "File name too long"),
                       (tmp_path / "no.toml", "no such experiment file")):  # fmt: skip
        with pytest.raises(ConfigError, match=told) as caught:
            config.load(path)
        assert len(str(caught.value)) < 1000


ODD_COLUMNS = ["", "'", '""', "a'b", "x'}, auto_detect=true, columns={'y", "select", "user_id ", "\\", "{}", "--", "/*",
               "%s", "$1", "a)b", "한글", "😀", "null", "1"]  # fmt: skip


def test_columns_of_a_header_are_names_and_nothing_else(tmp_path: Path) -> None:
    """Whatever stands in a header goes into a statement of the engine as the name of a column."""
    for k, odd in enumerate(ODD_COLUMNS):
        quoted = '"' + odd.replace('"', '""') + '"'
        file = tmp_path / f"{k}.csv"
        file.write_text(f"{quoted},user_id,timestamp,event\n" + "z,1,2024-01-01,a\n" * 3, encoding="utf-8")
        assert door(tmp_path, file)["log_summary"]["rows"].iloc[0] == 3, odd
        named = tmp_path / f"{k}-named.csv"
        named.write_text(f"{quoted},who,timestamp\n" + "z,1,2024-01-01\n" * 3, encoding="utf-8")
        if odd:
            tables = door(tmp_path, named, columns={"user": "who", "event": odd})
            assert tables["event_names"]["event_name"].to_list() == ["z"], odd


def test_a_log_error_is_what_a_missing_log_gets(tmp_path: Path) -> None:
    with pytest.raises(LogError):
        door(tmp_path, tmp_path / "no.csv")
