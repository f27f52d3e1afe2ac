"""[log] of the experiment file → the raw log as an Ibis table, and the files that it lies in."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from tschurn.config import Columns, Log
from tschurn.errors import LogError, did_you_mean
from tschurn.events import datasets, engine

_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


@dataclass(frozen=True)
class Source:
    """The raw log: `name` for messages, its files, and the columns under the log's own names."""

    name: str
    files: list[Path]
    table: ir.Table
    columns: Columns
    has_actor: bool
    has_value: bool


def files_of(log: Log) -> list[Path]:
    """The files that a log consists of, in a stable order. Raises LogError when there is none."""
    if log.dataset:
        return datasets.files(log.dataset)
    path = Path(log.path)
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.is_file() and _kind(p)]
        if not found:
            raise LogError(f"{path}: the folder has no file that ends in {_endings()}")
    elif path.is_file():
        found = [path]
    else:
        found = [Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file()]
        if not found:
            raise LogError(f"{path}: no such file (from the working directory {Path.cwd()}){_near(path)}")
    for file in found:
        if not _kind(file):
            raise LogError(f"{file}: expected a file that ends in {_endings()}")
        if file.stat().st_size == 0:
            raise LogError(f"{file}: the file is empty (0 bytes)")
    if len({_kind(f) for f in found}) > 1:
        raise LogError(f"{path}: holds CSV and Parquet files; give a path to one of the two kinds")
    return sorted(found)


def open_source(backend: Backend, log: Log) -> Source:
    """[log] → Source. Raises LogError for files or columns that are missing or cannot be read."""
    files = files_of(log)
    if log.dataset:
        return Source(log.dataset, files, datasets.table(backend, log.dataset), Columns(), True, True)
    with engine.reading(log.path):
        table = engine.read(backend, files)
    columns = log.columns
    present = list(table.columns)
    optional = {"actor", "value"} - columns.model_fields_set
    for role in ("user", "time", "event", "actor", "value"):
        name = getattr(columns, role)
        if name not in present and role not in optional:
            raise LogError(
                f"{log.path}: no column `{name}` (the log's `{role}`); it has: {', '.join(present[:30])}; "
                f"name it under [log] columns = {{ {role} = ... }}{did_you_mean(name, present)}"
            )
    return Source(log.path, files, table, columns, columns.actor in present, columns.value in present)


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    return "csv" if name.endswith(_CSV) else "parquet" if engine.is_parquet(path) else None


def _endings() -> str:
    return ", ".join((*_CSV, *engine.PARQUET))


def _near(path: Path) -> str:
    folder = path.parent
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    return did_you_mean(path.name, names, str(folder / "{}"))
