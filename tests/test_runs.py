"""Run folders: whole or not at all, reused only when nothing changed, one run at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tschurn.errors import RunFolderError
from tschurn.runs import Run, StageFolder, fingerprint, writing


def counted(calls: list[str], name: str):
    def compute(out: StageFolder) -> None:
        calls.append(name)
        out.write_array("x", np.arange(3))

    return compute


def two_stages(folder: Path, first: int, second: int) -> list[str]:
    calls: list[str] = []
    with Run(folder) as run:
        run.stage("a", {"v": first}, [], counted(calls, "a"))
        run.stage("b", {"v": second}, ["a"], counted(calls, "b"))
    return calls


def test_only_what_changed_is_computed_again(tmp_path: Path) -> None:
    assert two_stages(tmp_path, 1, 1) == ["a", "b"]
    assert two_stages(tmp_path, 1, 1) == []
    assert two_stages(tmp_path, 1, 2) == ["b"]
    assert two_stages(tmp_path, 2, 2) == ["a", "b"]  # b rests on a


def test_a_stage_that_fails_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    def fail(out: StageFolder) -> None:
        out.write_array("half", np.arange(3))
        raise RuntimeError

    with Run(tmp_path) as run, pytest.raises(RuntimeError):
        run.stage("a", {}, [], fail)
    assert not (tmp_path / "stages" / "a").exists()
    assert two_stages(tmp_path, 1, 1) == ["a", "b"]


def test_what_a_stage_keeps_is_found_again_by_the_same_key_and_goes_when_it_is_complete(tmp_path: Path) -> None:
    def killed(run: Run, value: int) -> Path:
        run.stage("a", {"v": value}, [], lambda out: None, deferred=True)
        place = run.unfinished("a")
        place.mkdir(exist_ok=True)
        return place

    with Run(tmp_path) as run:
        first = killed(run, 1)
    (first / "trial").write_text("done")
    with Run(tmp_path) as run:
        assert killed(run, 1) == first and (first / "trial").read_text() == "done"
    with Run(tmp_path) as run:
        other = killed(run, 2)
        assert other != first and not list(other.iterdir())
        run.finish("a")
    assert {p.name for p in (tmp_path / "stages").iterdir()} == {"a"}


def test_a_damaged_stage_note_means_compute_again(tmp_path: Path) -> None:
    two_stages(tmp_path, 1, 1)
    (tmp_path / "stages" / "a" / "stage.json").write_text('{"key": "')
    assert two_stages(tmp_path, 1, 1) == ["a"]


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path), pytest.raises(RunFolderError, match="another run"), Run(tmp_path):
        pass
    with Run(tmp_path):  # the first has gone
        pass


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(RunFolderError, match="taken"), Run(tmp_path / "taken"):
        pass


def test_an_interrupted_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), writing(path) as beside:
        beside.write_text("ha")
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["list.csv"]


def test_arrays_of_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    stage = StageFolder(tmp_path)
    with pytest.raises(ValueError):
        stage.write_array("x", np.array([{}]))
    np.save(tmp_path / "evil.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError):
        stage.read_array("evil")


def test_the_fingerprint_sees_a_change(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("a,b\n1,2\n")
    before = fingerprint([file])
    file.write_text("a,b\n1,3\n")
    assert fingerprint([file]) != before


def test_counters_outlive_a_run(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert run.count("looks") == 1
    with Run(tmp_path) as run:
        assert run.count("looks") == 2
        run.write_manifest({}, {})
    assert json.loads((tmp_path / "manifest.json").read_text())["counters"] == {"looks": 2}
