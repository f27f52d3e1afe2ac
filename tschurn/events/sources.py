"""[log] of the experiment file → the raw logs as Ibis tables, and the files that they lie in."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

import ibis
import ibis.expr.types as ir

from tschurn.config import POSTGRES, Columns, Log
from tschurn.errors import LogError, did_you_mean
from tschurn.events import datasets, engine, texts, unpacked

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_SHOWN = 400  # characters of names in a message
_NO_LETTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # line breaks and the like; what is not UTF-8
OPTIONAL = ("actor", "value", "object")


@dataclass(frozen=True)
class Place:
    """Where one log lies: files, or a table of a database."""

    path: str
    files: list[Path] = field(default_factory=list)
    table: str | None = None

    @property
    def kind(self) -> str:
        """'csv', 'parquet', 'duckdb' or 'postgres'."""
        if self.path.startswith(POSTGRES):
            return "postgres"
        return _kind(self.files[0]) or "csv"


@dataclass(frozen=True)
class RawLog:
    """One raw log under its own column names. event: the name of all its events, if no column names them."""

    place: Place
    table: ir.Table
    columns: Columns
    has: frozenset[str]  # of OPTIONAL
    event: str | None = None

    @property
    def name(self) -> str:
        return self.place.path


def places(log: Log) -> list[Place]:
    """Where the logs of [log] lie, the main one first. Raises LogError when one is missing."""
    if log.dataset:
        return [Place(log.dataset, datasets.files(log.dataset))]
    paths = [log.path, *(part.path for part in (log.received, log.stickers) if part)]
    return [place(path) for path in paths]


def place(path: str) -> Place:
    """A path, glob or database URL → Place. Raises LogError when there is nothing there."""
    if path.startswith(POSTGRES):
        url, _, query = path.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        table = options.pop("table", None)
        return Place(f"{url}?{urlencode(options, quote_via=quote)}" if options else url, table=table)
    plain, _, table = path.partition("?table=")
    return Place(plain, _files(Path(plain)), table or None)


def _files(path: Path) -> list[Path]:
    """The files that a log consists of, in a stable order."""
    try:
        found = _found(path)
        empty = [file for file in found if file.stat().st_size == 0]
    except OSError as error:
        raise LogError(f"{str(path)[:_SHOWN]}: cannot be read ({error.strerror})") from None
    for file in found:
        if _NO_LETTER.search(str(file)):  # an engine would take it for another name, or for none
            raise LogError(f"{ascii(str(file))[1:-1]}: its name holds what is no letter; rename it")
        if not _kind(file):
            raise LogError(f"{file}: expected a file that ends in {_endings()}")
    if empty:
        raise LogError(f"{empty[0]}: the file is empty (0 bytes)")
    if len({_kind(f) for f in found}) > 1:
        raise LogError(f"{path}: holds CSV and Parquet files; give a path to one of the two kinds")
    return sorted(found)


def _found(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.is_file() and _kind(p) in ("csv", "parquet")]
        missing = f"{path}: the folder has no file that ends in {_endings()}"
    elif path.exists() or path.is_symlink():
        raise LogError(f"{path}: is no file but a pipe, a device, or a link that leads nowhere")
    else:
        found = [Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file()]
        missing = f"{str(path)[:_SHOWN]}: no such file (from the working directory {Path.cwd()}){_near(path)}"
    if not found:
        raise LogError(missing)
    return found


def open_place(backend: BaseBackend, where: Place, skip_broken: bool = False) -> ir.Table:
    """Place → its raw table. Raises LogError for what cannot be read, naming the broken file among good ones."""
    if where.kind == "csv":
        for file in where.files:
            texts.refuse_if_none(file)
        return _texts(backend, where, skip_broken)
    if where.kind == "parquet":
        for file in where.files:
            unpacked.refuse_parquet(file)
        try:
            with engine.reading(where.path):
                return engine.read_parquet(backend, where.files)
        except LogError:
            for file in where.files if len(where.files) > 1 else []:
                with engine.reading(str(file)):
                    engine.read_parquet(backend, [file])
            raise
    with engine.reading(where.path):
        catalogue = engine.attach(backend, where.files[0]) if where.kind == "duckdb" else None
        present = engine.tables(backend, catalogue)
        return engine.table(backend, _chosen(where, present))


def _texts(backend: BaseBackend, where: Place, skip_broken: bool) -> ir.Table:
    """Text files as one table: files with the same header at once, columns that one lacks are null there."""
    groups: dict[tuple[str, tuple[str, ...]], list[Path]] = {}
    for file in where.files:
        groups.setdefault((texts.separator(file), texts.apart(texts.header(file))), []).append(file)
    with engine.reading(where.path):
        tables = [engine.read_text(backend, f, names, mark, skip_broken) for (mark, names), f in groups.items()]
    if len(tables) == 1:
        return tables[0]
    every = list(dict.fromkeys(name for table in tables for name in table.columns))
    return ibis.union(
        *(t.select(**{n: t[n] if n in t.columns else ibis.null("string") for n in every}) for t in tables)
    )


def open_logs(backend: BaseBackend, log: Log) -> list[RawLog]:
    """[log] → its raw logs, the main one first. Raises LogError for tables, files or columns that are missing."""
    main, *others = places(log)
    if log.dataset:
        table = datasets.table(backend, log.dataset)
        return [RawLog(main, table, Columns(), frozenset(("actor", "value")))]
    logs = _raw_logs(backend, main, log, log.columns)
    for where, part, key in zip(others, (p for p in (log.received, log.stickers) if p), _part_keys(log), strict=True):
        if where.path != main.path and "postgres" in (where.kind, main.kind):
            raise LogError(f"{where.path}: lies in another place than {main.path}; one database must hold all logs")
        parts = _raw_logs(backend, where, log, part.columns, part.event, f"log.{key}.columns")
        if "actor" not in parts[0].has:
            raise LogError(
                f"{where.path}: no column `{part.columns.actor}`; the log of `log.{key}` must say who did it: "
                f"name the column under [log.{key}] columns = {{ actor = ... }}"
            )
        logs += parts
    return logs


def _raw_logs(
    backend: BaseBackend, where: Place, log: Log, columns: Columns, event: str | None = None,
    section: str = "log.columns",
) -> list[RawLog]:  # fmt: skip
    """The log in one place; Parquet files whose times or ids differ in kind apart, since engines make them alike."""
    groups: dict[tuple[str, ...], list[Path]] = {}
    if where.kind == "parquet" and len(where.files) > 1:
        for file in where.files:
            groups.setdefault(_kinds(file, columns), []).append(file)
    places = [Place(where.path, files) for files in groups.values()] if len(groups) > 1 else [where]
    tables = [open_place(backend, place, log.bad_rows == "refuse") for place in places]
    every = {name: type_ for table in tables for name, type_ in table.schema().items()}
    tables = [
        table.mutate(**{n: ibis.null(t) for n, t in every.items() if n not in table.columns})
        if len(tables) > 1
        else table
        for table in tables
    ]
    return [_raw_log(p, t, columns, event, section) for p, t in zip(places, tables, strict=True)]


def _kinds(file: Path, columns: Columns) -> tuple[str, ...]:
    """What a Parquet file's times and ids are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise LogError(f"{file}: cannot be read: {str(error).splitlines()[0][:200]}") from None
    types = [schema.field(n).type if n in schema.names else None for n in (columns.user, columns.actor, columns.time)]
    return tuple(
        f"timestamp {type_.tz is None}" if type_ is not None and pa.types.is_timestamp(type_)
        else "number" if type_ is not None and pa.types.is_integer(type_) else str(type_)
        for type_ in types
    )  # fmt: skip


def _part_keys(log: Log) -> list[str]:
    return [key for key in ("received", "stickers") if getattr(log, key)]


def _raw_log(
    where: Place, table: ir.Table, columns: Columns, event: str | None = None, section: str = "log.columns"
) -> RawLog:
    """Check that the columns are there, once each."""
    present = list(table.columns)
    given = columns.model_fields_set
    roles = ["user", "time", *([] if event else ["event"]), *OPTIONAL]
    for role in roles:
        name = getattr(columns, role)
        alike = [p for p in present if p.lower() == name.lower()]
        if name not in present and (role not in OPTIONAL or role in given or alike):
            raise LogError(
                f"{where.path}: no column `{name}` (the log's `{role}`); it has: {_shown(present)}; "
                f"name it under [{section}] {role} = ...{did_you_mean(name, present)}"
            )
    _refuse_twins(where, [getattr(columns, role) for role in roles])
    return RawLog(where, table, columns, frozenset(r for r in OPTIONAL if getattr(columns, r) in present), event)


def _refuse_twins(where: Place, names: list[str]) -> None:
    """Raise LogError when a column that is asked for is there twice (engines rename or merge the second one)."""
    for file in where.files if where.kind in ("csv", "parquet") else []:
        header = [name.lower() for name in _names_in(file)]
        for name in names:
            if header.count(name.lower()) > 1:
                raise LogError(
                    f"{file}: column `{name}` is there {header.count(name.lower())} times; rename or remove one"
                )


def _names_in(file: Path) -> list[str]:
    """The columns of a file, those that are there twice as well."""
    import pyarrow.parquet as pq

    return pq.read_schema(file).names if _kind(file) == "parquet" else texts.header(file)


def _chosen(where: Place, present: dict[str, tuple[str, str, str]]) -> tuple[str, str, str]:
    """The table that is meant, among those that are there by schema.name."""
    shown = _shown(list(present)[:20]) or "no table at all"
    if where.table is None:
        if len(present) == 1:
            return next(iter(present.values()))
        raise LogError(f"{where.path}: which table is the log? It has: {shown}; add ?table=NAME to the path")
    matches = [full for full, (_, _, name) in present.items() if where.table in (full, name)]
    if not matches:
        hint = did_you_mean(where.table, [*present, *(name for _, _, name in present.values())])
        raise LogError(f"{where.path}: no table `{where.table}`; it has: {shown}{hint}")
    if len(matches) > 1:
        raise LogError(f"{where.path}: `{where.table}` is there as {' and '.join(matches)}; name the schema as well")
    return present[matches[0]]


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    if name.endswith(_CSV):
        return "csv"
    return "parquet" if engine.is_parquet(path) else "duckdb" if engine.is_database(path) else None


def _endings() -> str:
    return ", ".join((*_CSV, *engine.PARQUET, *engine.DATABASE))


def _shown(names: list[str]) -> str:
    """Names of columns or tables, as far as they fit into a sentence."""
    text = ", ".join(_NO_LETTER.sub("?", name) for name in names[:30])
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _near(path: Path) -> str:
    folder = path.parent
    names = sorted(p.name for p in folder.iterdir() if not _NO_LETTER.search(p.name)) if folder.is_dir() else []
    return did_you_mean(path.name, names, str(folder / "{}"))
