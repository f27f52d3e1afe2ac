"""A run folder: stage results, each written whole or not at all, reused when nothing they rest on changed.

    reports/<experiment>/<run>/
      manifest.json              what was run, with what, how long each stage took, and how much memory
      counters.json              how often test was looked at, and by what; .counters.json is its copy
      stages/<stage>/            tables (.parquet), arrays (.npy), other files; stage.json = its key, and a hash of each

A stage is computed into a folder beside its place, brought to the disk and renamed when complete, so that what stands
under a final name is whole; before it is used again, its files are compared with their hashes. Its key is a hash of
what it depends on: the keys of the stages before it, the parts of the configuration it reads, its source code and the
versions of the libraries.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn import __version__, disk
from tschurn.counters import Counters
from tschurn.errors import ContractError, RunFolderError
from tschurn.memory import PeakMemory

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    from tschurn.contracts import Table

PACKAGES = (
    "tensorflow", "keras", "keras-tuner", "lightgbm", "shap", "BorutaShap", "statsmodels", "scipy", "scikit-learn",
    "pm4py", "flaml", "xgboost", "jax", "numpy", "pandas", "pyarrow", "duckdb", "ibis-framework", "plotly", "pydantic",
)  # fmt: skip


class StageFolder:
    """The results of one stage: tables by contract, arrays and JSON by name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, table: Table, frame: pd.DataFrame) -> None:
        """Check a frame against its contract and write it as Parquet, whole or not at all."""
        with writing(self.path / f"{table.name}.parquet") as beside:
            write_parquet(beside, table.check(frame))

    def read(self, table: Table, filters: Sequence[tuple[str, str, Any]] | None = None) -> pd.DataFrame:
        """A table of this stage as a pandas frame; of a large one only the rows that pass all filters, such as
        ("model", "==", "gru") or ("user_id", "in", ids), are read."""
        import pandas as pd

        return pd.read_parquet(self.table_path(table), filters=list(filters) if filters else None)

    def table_path(self, table: Table) -> Path:
        """Where a table lies, for engines that read it themselves."""
        path = self.path / f"{table.name}.parquet"
        if not path.exists():
            raise ContractError(f"stage {self.path.name} has no table {table.name}")
        return path

    def damaged(self, suffix: str = "") -> list[str]:
        """Its files, those with a suffix, that are not as its note says; none are known where there is no note."""
        note = disk.read_sealed(self.path / "stage.json")
        if note is None:
            return ["stage.json"] if (self.path / "stage.json").exists() else []
        return disk.damaged(self.path, {name: was for name, was in note["files"].items() if name.endswith(suffix)})

    def write_array(self, name: str, array: np.ndarray) -> None:
        """Write an array as .npy; objects are refused, so that reading never unpickles."""
        import numpy as np

        np.save(self.path / f"{name}.npy", array, allow_pickle=False)

    def read_array(self, name: str) -> np.ndarray:
        """An array of this stage, memory-mapped."""
        import numpy as np

        return np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)


class Run:
    """One run folder.

    Only one process may hold it at a time; `with Run(...)` takes and releases the lock, and removes what a run that was
    killed left half-written. reused: the stages that were not computed; damaged: the files for which a stage that
    stood there was computed again, by stage.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stages = folder / "stages"
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []
        self.damaged: dict[str, list[str]] = {}
        self._notes: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}
        self._started: dict[str, tuple[float, PeakMemory]] = {}
        self._lock: int | None = None
        self._began = time.perf_counter()

    def __enter__(self) -> Run:
        import fcntl

        try:
            self.stages.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR)
        except OSError as error:
            raise RunFolderError(f"{self.folder}: cannot be used as a run folder ({error.strerror})") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise RunFolderError(
                f"{self.folder}: another run is at work in this folder; "
                "wait for it, or give this one its own name with --run NAME"
            ) from None
        self._clear()
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)  # closing releases the lock
            self._lock = None

    def stage(
        self,
        name: str,
        inputs: Mapping[str, Any],
        after: Sequence[str],
        compute: Callable[[StageFolder], None],
        deferred: bool = False,
    ) -> StageFolder | None:
        """The results of stage `name`: those that stand if its key is unchanged, else computed now.

        inputs: what it depends on besides the stages in `after`, as JSON-able values. With
        `deferred`, compute only learns the folder to fill, and `finish` completes the stage; → None.
        """
        self._keys[name] = _digest([name, inputs, [self._keys[a] for a in after]])
        final = self.stages / name
        note = self._standing(name)
        if note is not None:
            self.reused.append(name)
            self._notes[name] = note
            self.seconds[name] = note["seconds"]
            return StageFolder(final)
        partial = self._partial(name)
        shutil.rmtree(partial, ignore_errors=True)
        self._started[name] = time.perf_counter(), PeakMemory()
        try:
            with disk.room(self.folder):
                partial.mkdir(parents=True)
                compute(StageFolder(partial))
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)  # a full disk needs the room
            raise
        return None if deferred else self.finish(name)

    def finish(self, name: str) -> StageFolder:
        """Give a computed stage its note and its final name. What a deferred one has noted of itself, its seconds and
        its peak of memory, stays."""
        began, memory = self._started[name]
        partial, final = self._partial(name), self.stages / name
        itself = disk.read_sealed(partial / "stage.json") or {}
        seconds = float(itself.get("seconds", time.perf_counter() - began))
        peak = itself["peak_memory_mib"] if itself else memory.mib()
        with disk.room(self.folder):
            note = {"key": self._keys[name], "seconds": round(seconds, 3), "peak_memory_mib": peak, "finished": _now(),
                    "files": disk.contents(partial)}  # fmt: skip
            write_json(partial / "stage.json", disk.sealed(note))
            disk.sync_all(partial)
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
            disk.sync(self.stages)
        self.seconds[name], self._notes[name] = seconds, note
        for left in self.stages.glob(f".{name}.unfinished.*"):
            shutil.rmtree(left, ignore_errors=True)
        return StageFolder(final)

    def _standing(self, name: str) -> dict[str, Any] | None:
        """The note of the finished stage if it has its key and its files are as the note says; else None, and `damaged`
        tells what is not."""
        final = self.stages / name
        note = disk.read_sealed(final / "stage.json")
        if note is None:
            if final.exists():
                self.damaged[name] = ["stage.json"]
            return None
        if note["key"] != self._keys[name]:
            return None
        if found := disk.damaged(final, note["files"]):
            self.damaged[name] = found
            return None
        return note

    def _clear(self) -> None:
        """Remove what a run that was killed left half-written."""
        for left in self.stages.glob(".*.partial"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self.folder.glob(".*.partial"):
            left.unlink(missing_ok=True)

    def unfinished(self, name: str) -> Path:
        """A folder in which a stage may keep what it has done so far: found again by the next attempt with the same
        key, removed when the stage is complete."""
        return self.stages / f".{name}.unfinished.{self._keys[name]}"

    def _partial(self, name: str) -> Path:
        return self.stages / f".{name}.partial"

    def count(self, what: str, stage: str | None = None) -> int:
        """Raise a counter that outlives stage results (how often test was evaluated) and return it.

        stage: for which it is counted. A stage with the same key as before is not counted again: it was killed, or
        damaged, and shows nothing that was not to be seen before. Without a stage every call counts.
        """
        counters = Counters(self.folder)
        number = counters.count(what, self._keys[stage] if stage else None)
        self._keep(counters)
        return number

    def counters(self) -> dict[str, int]:
        """All counters of this folder; see `Counters`."""
        return Counters(self.folder).numbers()

    def _keep(self, counters: Counters) -> None:
        for file, record in counters.records.items():
            write_json(file, record)

    def write_manifest(self, experiment: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
        """manifest.json: configuration, versions, commit, seed, data, times, peak memory."""
        peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        peaks += [self._notes[n]["peak_memory_mib"] or 0 for n in self._notes if n not in self.reused]
        counters = Counters(self.folder)
        self._keep(counters)  # a record that was lost is there twice again
        write_json(
            self.folder / "manifest.json",
            {
                "experiment": experiment,
                "tschurn": __version__,
                "versions": versions(),
                "python": platform.python_version(),
                "platform": platform.platform(),
                "commit": commit(),
                "seconds": {
                    k: round(v, 2) for k, v in {"total": time.perf_counter() - self._began, **self.seconds}.items()
                },
                "reused": self.reused,
                "peak_memory_mib": round(max(peaks)),  # PeakMemory has made the system forget peaks of this process
                "stages": {
                    name: {"seconds": round(self.seconds[name], 2), "peak_memory_mib": note["peak_memory_mib"],
                           "reused": name in self.reused, "finished": note["finished"]}
                    for name, note in self._notes.items()
                },
                "counters": counters.numbers(),
                "finished": _now(),
                **extra,
            },
        )  # fmt: skip


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the final name only when the block ends well, and is on the disk.

    Raises MachineError where there is no room.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        with disk.room(path.parent):
            yield beside
            disk.sync(beside)
            beside.replace(path)
            disk.sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def write_parquet(beside: Path, table: pa.Table) -> None:
    """Write a table as Parquet to a path that `writing` gave; same table, same bytes.

    But for dictionary columns: Arrow 26 ends their dictionaries with bytes that it never set.
    """
    with parquet_writer(beside, table.schema) as writer:
        writer.write_table(table)


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema) -> Iterator[ParquetWriter]:
    """A Parquet file for one table after the other, whole when the block ends well."""
    from pyarrow.parquet import ParquetWriter

    writer = ParquetWriter(path, schema, compression="zstd")
    try:
        yield writer
        writer.close()
    finally:
        writer.is_open = False  # a file that was not ended would be ended when it is let go, or its fault be printed


def write_json(path: Path, value: Any) -> None:
    """Write JSON (UTF-8, stable order as given, no NaN), whole or not at all."""
    with writing(path) as beside:
        beside.write_text(
            json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False, default=str), encoding="utf-8"
        )


def versions() -> dict[str, str]:
    """Versions of the libraries that decide results, as installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def source_digest(*packages: str) -> str:
    """A hash of the source files of some of tschurn's packages or modules, by name."""
    root = Path(__file__).parent
    files = sorted(
        file
        for name in packages
        for file in ((root / name).rglob("*") if (root / name).is_dir() else [root / f"{name}.py"])
        if file.suffix in {".py", ".toml", ".html", ".css", ".js", ".j2"}
    )
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def fingerprint(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What identifies input files without reading them whole: size, time of change, hash of both ends."""
    ends = 1 << 20
    prints = []
    for path in sorted(paths):
        size = path.stat().st_size
        digest = hashlib.blake2b(digest_size=16)
        with path.open("rb") as file:
            digest.update(file.read(ends))
            file.seek(max(size - ends, 0))
            digest.update(file.read(ends))
        prints.append(
            {"path": str(path), "size": size, "changed_ns": path.stat().st_mtime_ns, "ends": digest.hexdigest()}
        )
    return prints


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> str | None:
    """The commit of the source tree that tschurn runs from, if it is one."""
    head = Path(__file__).parent.parent / ".git" / "HEAD"
    try:
        text = head.read_text().strip()
        return text if not text.startswith("ref: ") else (head.parent / text[5:]).read_text().strip()
    except OSError:
        return None
