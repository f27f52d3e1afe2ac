"""Run folders: whole or not at all, reused only when nothing changed, one run at a time."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faults.damage import DAMAGES, damage
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.errors import MachineError, RunFolderError
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


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", ["x.npy", "stage.json"])
def test_a_damaged_stage_is_computed_again_and_what_rests_on_it_is_not(tmp_path: Path, kind: str, name: str) -> None:
    two_stages(tmp_path, 1, 1)
    file = tmp_path / "stages" / "a" / name
    whole = file.read_bytes()
    random = np.random.default_rng(1)
    damage(file, kind, random)
    with Run(tmp_path) as run:
        calls: list[str] = []
        run.stage("a", {"v": 1}, [], counted(calls, "a"))
        run.stage("b", {"v": 1}, ["a"], counted(calls, "b"))
        assert calls == ["a"] and run.damaged == {"a": [name]} and run.reused == ["b"]
    assert file.read_bytes() == whole or name == "stage.json"
    assert two_stages(tmp_path, 1, 1) == []


def test_logs_of_libraries_may_change(tmp_path: Path) -> None:
    def compute(out: StageFolder) -> None:
        (out.path / "work.log").write_text("epoch 1")

    for _ in range(2):
        with Run(tmp_path) as run:
            run.stage("a", {}, [], compute)
            (tmp_path / "stages" / "a" / "work.log").write_text("more")
    assert run.reused == ["a"]


class Pipeline:
    """A made-up one: each stage reads some keys of a configuration and the results of some stages before it. `stands`
    says what the folder should hold that is whole and done."""

    def __init__(self, folder: Path, graph: list[tuple[set[int], set[int]]]) -> None:
        self.folder, self.graph = folder, graph
        self.configuration = [0, 0, 0]
        self.stands: dict[int, str] = {}

    def value(self, stage: int) -> str:
        """What a stage's result must be."""
        keys, after = self.graph[stage]
        return f"{stage} of {[self.configuration[i] for i in sorted(keys)]}, {[self.value(a) for a in sorted(after)]}"

    def attempt(self, killed_in: int | None = None) -> None:
        """Run; exactly what has to be computed is."""
        computed: list[int] = []
        expected = [k for k in range(len(self.graph)) if self.stands.get(k) != self.value(k)]
        if killed_in in expected:
            expected = expected[: expected.index(killed_in) + 1]
        try:
            with Run(self.folder) as run:
                for k in range(len(self.graph)):
                    self._stage(run, k, computed, killed_in)
        except KeyboardInterrupt:
            pass
        assert computed == expected
        self.stands |= {k: self.value(k) for k in computed if k != killed_in}

    def _stage(self, run: Run, k: int, computed: list[int], killed_in: int | None) -> None:
        keys, after = self.graph[k]

        def compute(out: StageFolder) -> None:
            computed.append(k)
            before = [(self.folder / "stages" / str(a) / "out").read_text() for a in sorted(after)]
            (out.path / "out").write_text(f"{k} of {[self.configuration[i] for i in sorted(keys)]}, {before}")
            if k == killed_in:
                raise KeyboardInterrupt

        run.stage(
            str(k), {"read": [self.configuration[i] for i in sorted(keys)]}, [str(a) for a in sorted(after)], compute
        )

    def damage(self, stage: int, name: str, kind: str, random: np.random.Generator) -> None:
        file = self.folder / "stages" / str(stage) / name
        if file.exists():
            before = file.read_bytes()
            damage(file, kind, random)
            if not file.exists() or file.read_bytes() != before:  # zeros for zeros are no damage
                self.stands.pop(stage, None)


def graphs(stages: int) -> st.SearchStrategy[list[tuple[set[int], set[int]]]]:
    def one(k: int) -> st.SearchStrategy[tuple[set[int], set[int]]]:
        return st.tuples(st.sets(st.integers(0, 2)), st.sets(st.integers(0, k - 1)) if k else st.just(set()))

    return st.tuples(*map(one, range(stages))).map(list)


EVENTS = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("kill"), st.integers(0, 4)),
    st.tuples(st.just("run")),
    st.tuples(st.just("damage"), st.integers(0, 4), st.sampled_from(["out", "stage.json"]), st.sampled_from(DAMAGES)),
)


@given(st.integers(1, 5).flatmap(graphs), st.lists(EVENTS, max_size=8), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_after_changes_kills_and_damage_a_run_redoes_what_it_must_and_no_more(graph, events, seed) -> None:
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        pipeline = Pipeline(Path(place), graph)
        for what, *how in events:
            if what == "change":
                pipeline.configuration[how[0]] = how[1]
            elif what == "damage":
                pipeline.damage(*how, random)
            else:
                pipeline.attempt(*how)
        pipeline.attempt()
        results = Path(place, "stages")
        for k in range(len(graph)):
            assert (results / str(k) / "out").read_text() == pipeline.value(k)
        assert not list(results.glob(".*"))


# --- machines ---------------------------------------------------------------------------------------
HOLDER = """
    import sys, time
    from pathlib import Path
    from tschurn.runs import Run
    with Run(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
"""


def test_a_second_process_in_the_same_folder_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), tmp_path], stdout=subprocess.PIPE, text=True
    )
    with first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(RunFolderError, match="another run"), Run(tmp_path):
            pass
        first.send_signal(signal.SIGKILL)
    with Run(tmp_path):
        pass


def test_what_a_killed_run_left_half_written_goes_and_what_it_has_kept_stays(tmp_path: Path) -> None:
    with Run(tmp_path):
        pass
    (tmp_path / ".index.html.partial").write_text("<!doc")
    (tmp_path / "stages" / ".a.partial").mkdir()
    (tmp_path / "stages" / ".a.partial" / "x.npy").write_text("")
    (tmp_path / "stages" / ".a.unfinished.123").mkdir()
    with Run(tmp_path):
        assert {p.name for p in tmp_path.iterdir()} == {".lock", "stages"}
        assert [p.name for p in (tmp_path / "stages").iterdir()] == [".a.unfinished.123"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    def fill(out: StageFolder) -> None:
        (out.path / "x").write_text("much")
        raise OSError(number, os.strerror(number))

    with Run(tmp_path) as run, pytest.raises(MachineError, match=r"no room left .* what is finished stays"):
        run.stage("a", {}, [], fill)
    assert not list((tmp_path / "stages").iterdir())
    with pytest.raises(MachineError, match=str(tmp_path)), writing(tmp_path / "list.csv"):
        raise OSError(number, os.strerror(number))
    assert not (tmp_path / "list.csv").exists()


def test_a_real_limit_on_files_is_told_as_one(tmp_path: Path) -> None:
    """By NumPy too, which swallows the number of the error."""
    code = """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from tschurn.errors import MachineError
        from tschurn.runs import Run
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        with Run(Path(sys.argv[1])) as run:
            try:
                run.stage("a", {}, [], lambda out: out.write_array("x", np.zeros(100_000)))
            except MachineError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), tmp_path], capture_output=True, text=True)
    assert "no room left" in done.stdout, done.stderr


@pytest.mark.parametrize("rows", [3, 300_000])  # met at the end of the file, and before
def test_a_table_that_finds_no_room_is_told_once(tmp_path: Path, rows: int) -> None:
    """By the error alone: nothing more is tried, and printed, when what writes it is let go."""
    code = """
        import resource, sys
        from pathlib import Path
        import numpy as np, pyarrow as pa
        from tschurn.runs import parquet_writer, write_parquet
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        path, table = Path(sys.argv[1]), pa.table({"a": np.random.default_rng(0).random(int(sys.argv[2]))})
        try:
            write_parquet(path, table)
        except OSError as error:
            print(error)

        def writing():
            with parquet_writer(path, table.schema) as writer:
                yield
                writer.write_table(table)
                yield

        at_work = writing()
        next(at_work)
        del at_work
        at_work = writing()
        try:
            next(at_work), next(at_work)
        except OSError:
            pass
        del at_work
    """
    given = [sys.executable, "-c", textwrap.dedent(code), tmp_path / "a.parquet", str(rows)]
    done = subprocess.run(given, capture_output=True, text=True)
    assert "File too large" in done.stdout and done.stderr == ""


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


# --- counters ---------------------------------------------------------------------------------------
def test_counters_outlive_a_run(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert run.count("looks") == 1
    with Run(tmp_path) as run:
        assert run.count("looks") == 2
        run.write_manifest({}, {})
    assert json.loads((tmp_path / "manifest.json").read_text())["counters"] == {"looks": 2}


def looked(folder: Path, value: int) -> int:
    with Run(folder) as run:
        run.stage("a", {"v": value}, [], lambda out: None, deferred=True)
        return run.count("looks", "a")


def test_the_same_look_is_counted_once_however_often_it_was_interrupted(tmp_path: Path) -> None:
    assert [looked(tmp_path, value) for value in (1, 1, 2, 1, 2, 3)] == [1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("lost", ["counters.json", ".counters.json"])
def test_one_record_of_the_counters_may_be_damaged(tmp_path: Path, lost: str, kind: str) -> None:
    looked(tmp_path, 1)
    damage(tmp_path / lost, kind, np.random.default_rng(2))
    assert looked(tmp_path, 2) == 2
    with Run(tmp_path) as run:
        assert run.counters() == {"looks": 2}


def test_counters_that_are_lost_are_said_to_be(tmp_path: Path) -> None:
    looked(tmp_path, 1)
    looked(tmp_path, 2)
    with Run(tmp_path) as run:
        run.write_manifest({}, {})
    for name in ("counters.json", ".counters.json"):
        (tmp_path / name).write_bytes(b"\0" * 40)
    with Run(tmp_path) as run:
        assert run.counters() == {"looks": 2, "counters_lost": 1}  # as the manifest had them
    (tmp_path / "manifest.json").write_text("{")
    assert looked(tmp_path, 1) == 1
    with Run(tmp_path) as run:
        run.write_manifest({}, {})
    assert json.loads((tmp_path / "manifest.json").read_text())["counters"] == {"counters_lost": 1, "looks": 1}


def test_counters_of_earlier_versions_go_on(tmp_path: Path) -> None:
    with Run(tmp_path):
        (tmp_path / "counters.json").write_text('{"looks": 3}')
    assert looked(tmp_path, 1) == 4


# --- manifest ---------------------------------------------------------------------------------------
def test_the_manifest_has_time_and_memory_of_each_stage(tmp_path: Path) -> None:
    held: Callable[[StageFolder], None] = lambda out: out.write_array("x", np.ones(12_000_000))  # noqa: E731
    for _ in range(2):
        with Run(tmp_path) as run:
            run.stage("large", {}, [], held)
            run.stage("small", {}, [], lambda out: None)
            run.write_manifest({}, {})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    stages = manifest["stages"]
    assert list(stages) == ["large", "small"] == manifest["reused"]
    for stage in stages.values():
        assert set(stage) == {"seconds", "peak_memory_mib", "reused", "finished"} and stage["reused"]
    if sys.platform == "linux":
        assert stages["large"]["peak_memory_mib"] > stages["small"]["peak_memory_mib"] + 60
    else:
        assert stages["large"]["peak_memory_mib"] is None
