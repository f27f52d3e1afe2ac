"""engine name → an Ibis connection, and the few things Ibis leaves to the database.

The only module that names DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from tschurn.errors import LogError

PARQUET = (".parquet", ".pq")


@ibis.udf.scalar.builtin(name="timezone")
def _local_to_utc(zone: str, local: dt.Timestamp()) -> dt.Timestamp(timezone="UTC"): ...


@ibis.udf.scalar.builtin(name="timezone")
def _utc_to_local(zone: str, utc: dt.Timestamp(timezone="UTC")) -> dt.Timestamp(): ...


def connect(threads: int) -> Backend:
    """→ an in-process engine that uses `threads` threads and knows no other zone than UTC by itself."""
    backend = ibis.duckdb.connect(threads=threads)
    backend.raw_sql("SET TimeZone = 'UTC'")
    return backend


def local_to_utc(local: ir.TimestampValue, zone: str) -> ir.TimestampValue:
    """A wall-clock time in `zone` → the instant; a time that daylight saving skips moves on by an hour."""
    return _local_to_utc(zone, local)


def utc_to_local(utc: ir.TimestampValue, zone: str) -> ir.TimestampValue:
    """An instant → the wall-clock time in `zone`."""
    return _utc_to_local(zone, utc)


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return path.name.lower().endswith(PARQUET)


def read(backend: Backend, files: Sequence[Path]) -> ir.Table:
    """Files of one kind → a table: Parquet with its own types, CSV (gzip too) with text columns."""
    if is_parquet(files[0]):
        return backend.read_parquet([str(f) for f in files], union_by_name=True)
    return backend.read_csv([str(f) for f in files], all_varchar=True, header=True, union_by_name=True)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn the engine's complaints about the user's files into one sentence that begins with `what`."""
    try:
        yield
    except duckdb.Error as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise LogError(f"{what}: cannot be read: {first[:300]}") from error
