"""[log] → an Ibis connection to where the log lies, and the few things Ibis leaves to the database.

The only module that imports what belongs to DuckDB, PostgreSQL or Spark.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from tschurn.errors import LogError, MissingExtraError
from tschurn.events.complaints import enough, memory_left, reading

if TYPE_CHECKING:
    from ibis.backends import BaseBackend
    from pyspark.sql import DataFrame

PARQUET = (".parquet", ".pq")
MOST_BROKEN = 100_000  # lines of text files
DATABASE = (".duckdb", ".ddb", ".db")
_UTC = dt.Timestamp(timezone="UTC")
_HOUR_US = 3_600_000_000
_EPOCH = date(1970, 1, 1)


@ibis.udf.scalar.builtin(name="epoch_us")
def _duckdb_micros(instant: dt.Timestamp()) -> dt.int64: ...


@ibis.udf.scalar.builtin(name="make_date")
def _duckdb_date(days: dt.int32) -> dt.date: ...


@ibis.udf.scalar.builtin(name="make_timestamptz")
def _duckdb_instant(micros: dt.int64) -> dt.Timestamp(timezone="UTC"): ...


@ibis.udf.scalar.builtin(name="extract")
def _postgres_part(part: str, instant: dt.Timestamp()) -> dt.Decimal(38, 6): ...


@ibis.udf.scalar.builtin(name="date_pli")
def _postgres_date(first: dt.date, days: dt.int32) -> dt.date: ...


@ibis.udf.scalar.builtin(name="to_timestamp")
def _postgres_instant(seconds: dt.float64) -> dt.Timestamp(timezone="UTC"): ...


@ibis.udf.scalar.builtin(name="unix_micros")
def _spark_micros(instant: dt.Timestamp(timezone="UTC")) -> dt.int64: ...


@ibis.udf.scalar.builtin(name="date_from_unix_date")
def _spark_date(days: dt.int32) -> dt.date: ...


@ibis.udf.scalar.builtin(name="timestamp_micros")
def _spark_instant(micros: dt.int64) -> dt.Timestamp(timezone="UTC"): ...


@dataclass(frozen=True)
class Dialect:
    """What each engine calls three conversions. micros: a timestamp, without a zone read as if in UTC → µs since
    1970; date: days since 1970 → date; instant: µs since 1970 → timestamp in UTC. typed: whether columns of
    times and values must come with such types, since the engine cannot try whether a text is one."""

    micros: Callable[[ir.TimestampValue], ir.IntegerValue]
    date: Callable[[ir.IntegerValue], ir.DateValue]
    instant: Callable[[ir.IntegerValue], ir.TimestampValue]
    typed: bool = False


_DIALECTS = {
    "duckdb": Dialect(_duckdb_micros, lambda days: _duckdb_date(days.cast("int32")), _duckdb_instant),
    "postgres": Dialect(
        lambda instant: (_postgres_part("epoch", instant) * 1_000_000).cast("int64"),
        lambda days: _postgres_date(ibis.date(_EPOCH), days.cast("int32")),
        lambda micros: _postgres_instant(micros.cast("float64") / 1e6),
        typed=True,
    ),
    "pyspark": Dialect(
        lambda instant: _spark_micros(instant.cast(_UTC)),
        lambda days: _spark_date(days.cast("int32")),
        _spark_instant,
    ),
}


def dialect(backend: BaseBackend) -> Dialect:
    """The conversions of a connection's engine."""
    return _DIALECTS[backend.name]


def day_number(micros: ir.IntegerValue) -> ir.IntegerValue:
    """µs since 1970 → whole days since 1970."""
    return (micros // _HOUR_US) // 24


def hour(micros: ir.IntegerValue) -> ir.IntegerValue:
    """µs since 1970 → hour of the day, 0 to 23."""
    hours = micros // _HOUR_US
    return (hours - hours // 24 * 24).cast("int8")


# --- connections ----------------------------------------------------------------------------------
def local(threads: int, memory_mib: int = 1024) -> BaseBackend:
    """→ an in-process engine that knows no other zone than UTC and goes to disk beyond `memory_mib`, or beyond half of
    what a limit leaves to the process. Raises MachineError where that is too little."""
    memory_mib = min(memory_mib, memory_left(threads) // 2)
    with enough("the in-process engine"):
        backend = ibis.duckdb.connect(threads=threads)
    spill = Path(tempfile.gettempdir()) / f"tschurn-{os.getpid()}"
    # its own progress bar would go to the output between ours
    settings = "SET TimeZone = 'UTC'", f"SET memory_limit = '{int(memory_mib)}MiB'", "SET enable_progress_bar = false"
    for setting in settings:
        backend.raw_sql(setting)
    backend.con.execute("SET temp_directory = ?", [str(spill)])
    return backend


def postgres(url: str) -> BaseBackend:
    """postgresql://user@host/database → a connection; the password comes from PGPASSWORD, a pgpass or a service file.

    Raises LogError when the database does not answer; MissingExtraError without the driver.
    """
    try:
        import psycopg
    except ImportError:
        raise MissingExtraError(_needs("PostgreSQL", "postgres")) from None
    with reading(url):
        return ibis.postgres.from_connection(psycopg.connect(url, autocommit=True, connect_timeout=15))


def spark(master: str | None, threads: int) -> BaseBackend:
    """A master's URL, or None for the session that is there, else one on this machine → a connection.

    Raises LogError when a session of another master is running, or none can be had.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtraError(_needs("Spark", "spark")) from None
    with reading(f"Spark ({master or 'this machine'})"):
        session = SparkSession.getActiveSession() or SparkSession._instantiatedSession
        if session is not None and master and session.sparkContext.master != master:
            raise LogError(
                f"a Spark session with master {session.sparkContext.master} is running, expected {master} (key "
                "`log.master`); stop it, or leave the key out to use it"
            )
        if session is None:
            if not master:  # executors are processes of this machine, and score with what this one has
                os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
                os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
            settings = SparkSession.builder.master(master or f"local[{threads}]").appName("tschurn")
            for key, value in (_SPARK | {"spark.sql.shuffle.partitions": str(2 * threads)}).items():
                settings = settings.config(key, value)
            session = settings.getOrCreate()
        # a session of our own beside it: Ibis sets the zone, which must stay as it was in the other one
        return _spark_backend()().connect(session.newSession())


def _spark_backend() -> type[BaseBackend]:
    """Ibis' Spark, whose results come as Arrow: through pandas a NaN would become null, and a null id a float."""
    from ibis.backends.pyspark import Backend

    class ArrowBackend(Backend):
        def to_pyarrow(self, expr, /, *, params=None, limit=None, **_):
            self._run_pre_execute_hooks(expr)
            query = expr.as_table()
            found = self._session.sql(self.compile(query, params=params, limit=limit)).toArrow()
            return expr.__pyarrow_result__(found.cast(query.schema().to_pyarrow()))

    ArrowBackend.register_options()
    return ArrowBackend


_SPARK = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.log.level": "ERROR",
}


def _needs(what: str, extra: str) -> str:
    return f"reading from {what} needs the extra `{extra}`: pip install 'tschurn[{extra}]'"


# --- files and tables -----------------------------------------------------------------------------
def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return path.name.lower().endswith(PARQUET)


def is_database(path: Path) -> bool:
    """Whether a file is a DuckDB database, by its name."""
    return path.name.lower().endswith(DATABASE)


def read_parquet(backend: BaseBackend, files: Sequence[Path]) -> ir.Table:
    """Parquet files → a table with their own types."""
    names = [str(f) for f in files]
    if backend.name == "pyspark":
        frame = backend._session.read.option("mergeSchema", "true").parquet(*_escaped(names))
        return _spark_table(backend, frame)
    table = backend.read_parquet(_as_they_are(names), union_by_name=True, hive_partitioning=False)
    # Ibis does not know instants by the nanosecond
    unknown = {n: table[n].cast(_UTC) for n, t in table.schema().items() if t.is_unknown() and "TIMESTAMPTZ" in str(t)}
    return table.mutate(**unknown) if unknown else table


def read_text(
    backend: BaseBackend, files: Sequence[Path], columns: Sequence[str], separator: str, skip_broken: bool = False
) -> ir.Table:
    """CSV files (gzip too) with the same header → a table of texts; an empty cell is null.

    skip_broken: lines that do not fit the header are left out (see `broken_lines`), instead of an error; not by Spark.
    """
    names = [str(f) for f in files]
    if backend.name == "pyspark":
        from pyspark.sql.types import StringType, StructField, StructType

        options = {"header": "true", "sep": separator, "escape": '"', "multiLine": "true", "enforceSchema": "true"}
        options["mode"] = "FAILFAST"  # what Spark drops it does not count, so that nothing is dropped
        texts = StructType([StructField(name, StringType()) for name in columns])
        return _spark_table(backend, backend._session.read.options(**options).schema(texts).csv(_escaped(names)))
    skipping = {"ignore_errors": True, "store_rejects": True, "rejects_limit": MOST_BROKEN} if skip_broken else {}
    return backend.read_csv(
        _as_they_are(names), columns=dict.fromkeys(columns, "VARCHAR"), auto_detect=False, header=True, quote='"',
        escape='"', delim=separator, hive_partitioning=False, **skipping,
    )  # fmt: skip


def broken_lines(backend: BaseBackend) -> list[tuple[str, int, str]]:
    """File, row (1 is the first after the header) and text of the lines that were left out so far, once each."""
    if backend.name != "duckdb":
        return []
    known = backend.raw_sql("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchall()
    if not known:
        return []
    return backend.raw_sql(
        "SELECT DISTINCT file_path, line - 1, left(csv_line, 200) FROM reject_errors JOIN reject_scans USING "
        "(scan_id, file_id) ORDER BY ALL"
    ).fetchall()


def _as_they_are(names: list[str]) -> list[str]:
    """Paths that DuckDB does not read as patterns. (Nor, told so, as values of columns: user_id=7/events.csv.)"""
    return ["".join(f"[{c}]" if c in "*?[" else c for c in name) for name in names]


def _escaped(names: list[str]) -> list[str]:
    """Paths that Spark does not read as patterns."""
    return ["".join(f"\\{c}" if c in "\\{}[]*?" else c for c in name) for name in names]


def _spark_table(backend: BaseBackend, frame: DataFrame) -> ir.Table:
    """A Spark frame → a table that tells instants from wall-clock times, as Ibis alone does not."""
    from pyspark.sql.types import TimestampType

    view = ibis.util.gen_name("tschurn_read")
    frame.createOrReplaceTempView(view)
    table = backend.table(view)
    instants = {f.name for f in frame.schema.fields if type(f.dataType) is TimestampType}
    return table.mutate(**{name: table[name].cast(_UTC) for name in instants}) if instants else table


def strip(backend: BaseBackend, text: ir.StringValue) -> ir.StringValue:
    """Without the blanks around it. (What Ibis makes of `strip` takes the letters v and f off in Spark.)"""
    return text.re_replace(r"^[ \t\n\r\f\x0b]+|[ \t\n\r\f\x0b]+$", "") if backend.name == "pyspark" else text.strip()


def attach(backend: BaseBackend, file: Path) -> str:
    """Attach a DuckDB database file, read only, unless it is; → its catalogue."""
    name = f"log_{hashlib.blake2b(str(file.resolve()).encode(), digest_size=6).hexdigest()}"
    if (name,) not in backend.raw_sql("SELECT database_name FROM duckdb_databases()").fetchall():
        backend.attach(file, name=name, read_only=True)
    return name


def tables(backend: BaseBackend, catalogue: str | None = None) -> dict[str, tuple[str, str, str]]:
    """The tables and views of a database: schema.name → catalogue, schema, name."""
    source = backend.table("tables", database=("system" if backend.name == "duckdb" else _current(backend), _SCHEMA))
    rows = source.filter(
        source.table_catalog == (catalogue or _current(backend)), source.table_schema.notin(("pg_catalog", _SCHEMA))
    )
    found = rows.select(*("table_" + c for c in ("catalog", "schema", "name"))).order_by("table_schema", "table_name")
    return {f"{s}.{n}": (c, s, n) for c, s, n in (row.values() for row in found.to_pyarrow().to_pylist())}


_SCHEMA = "information_schema"


def _current(backend: BaseBackend) -> str:
    return backend.current_catalog


def table(backend: BaseBackend, where: tuple[str, str, str]) -> ir.Table:
    """Catalogue, schema and name → that table."""
    catalogue, schema, name = where
    return backend.table(name, database=(catalogue, schema))


def in_process(table: ir.Table) -> bool:
    """Whether a table is computed by the in-process engine, which writes files itself."""
    return table._find_backend().name == "duckdb"


def dialect_name(table: ir.Table) -> str:
    """The engine that computes a table."""
    return table._find_backend().name


def spark_frame(table: ir.Table) -> DataFrame:
    """A table of Spark's → its frame, for what Spark does with Python functions."""
    backend = table._find_backend()
    backend._run_pre_execute_hooks(table)
    return backend._session.sql(backend.compile(table))


def spark_slots(table: ir.Table) -> int:
    """How many tasks a table's Spark does at a time."""
    return int(table._find_backend()._session.sparkContext.defaultParallelism)


def close(backend: BaseBackend) -> None:
    """End a connection; a Spark session stays, since it may be the caller's."""
    if backend.name != "pyspark":
        backend.disconnect()
