"""files beside the log → lists of ids that it is cut by, and static facts of users."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from tschurn.errors import LogError
from tschurn.events import engine, event_log, sources

if TYPE_CHECKING:
    from ibis.backends import BaseBackend


MOST_LITERALS = 50_000
_MOST_NUMBER = 1e30  # of a fact: models see it as a 32-bit float


def table(backend: BaseBackend, listed: pa.Table) -> ir.Table:
    """user_id, a few of ours → a table of the log's engine, in PostgreSQL without the right to make tables.

    To be asked with `isin`: of several semi-joins in a row, not all reach PostgreSQL as such.
    """
    if backend.name == "postgres" and len(listed) <= MOST_LITERALS:
        return ibis.array(listed["user_id"].to_pylist()).unnest().name("user_id").as_table()
    return ibis.memtable(listed)


def ids(backend: BaseBackend, events: ir.Table, path: str, key: str) -> ir.Table:
    """A file with ids in its first column (CSV or Parquet) → user_id, as the log has it, in the log's engine."""
    frame = _read(path, key)
    if re.search(event_log.PLAIN_NUMBER, frame.column_names[0]):
        raise LogError(
            f"{path}: its first line is {frame.column_names[0]!r:.80}, an id; expected a header such as `id` "
            f"(key `log.{key}`)"
        )
    own = engine.local(1)
    try:
        column = ibis.memtable(frame)[frame.column_names[0]]
        type_ = events.user_id.type()
        if column.type().is_string():
            column = column.strip().nullif("")
            if type_.is_integer():  # "007" is no id of a log that has 7
                column = ibis.ifelse(column.re_search(event_log.PLAIN_NUMBER), column, None)
        as_logged = column.try_cast(type_)
        found = own.to_pyarrow(as_logged.name("user_id").as_table().filter(lambda t: t.user_id.notnull()).distinct())
    finally:
        engine.close(own)
    if not len(found):
        raise LogError(f"{path}: its first column {frame.column_names[0]!r:.80} has no id like those of the log "
                       f"({events.user_id.type()}) (key `log.{key}`)")  # fmt: skip
    return table(backend, found)


def without(backend: BaseBackend, events: ir.Table, path: str) -> ir.Table:
    """Events without those that a listed person did or received."""
    listed = ids(backend, events, path, "exclude")
    return events.filter(events.user_id.notin(listed.user_id), events.actor_id.notin(listed.user_id))


def facts(local: BaseBackend, acts: ir.Table, path: str | None) -> pd.DataFrame:
    """A file with a row per user (ids in its first column) → FACTS of the users in DAILY, a row for each known fact."""
    empty = pd.DataFrame({"user_id": [], "fact": [], "number": [], "text": []})
    if path is None:
        return empty.astype({"user_id": "int64", "fact": "str", "number": "float64", "text": "str"})
    frame = _read(path, "facts")
    name, *others = frame.column_names
    if not others:
        raise LogError(f"{path}: expected a column of ids and at least one fact beside it (key `log.facts`)")
    known = local.to_pyarrow(acts.select("user_id").distinct())["user_id"].to_pandas()
    wide = frame.to_pandas(types_mapper=None)
    key = _as_text(wide[name])
    if key.dropna().duplicated().any():
        twice = key[key.duplicated() & key.notna()].iloc[0]
        raise LogError(f"{path}: the user {twice!r:.80} is there more than once; give one row for each")
    by_text = pd.Series(known.to_numpy(), index=known.astype("str"))
    users = key.map(by_text)
    wide, users = wide[users.notna()], users[users.notna()].astype(known.dtype)
    if wide.empty:
        raise LogError(
            f"{path}: none of the ids in its first column {name!r:.80} is a user of the log (key `log.facts`)"
        )
    return pd.concat([_fact(wide[fact], users, fact) for fact in others], ignore_index=True)


def _as_text(ids: pd.Series) -> pd.Series:
    """Ids as texts; whole floats, which is how integers with gaps come, without their point."""
    whole = pd.api.types.is_float_dtype(ids) and (ids.dropna() % 1 == 0).all()
    return (ids.astype("Int64") if whole else ids).dropna().astype("str").str.strip().reindex(ids.index)


def _fact(values: pd.Series, users: pd.Series, fact: str) -> pd.DataFrame:
    """One column of facts → FACTS: numbers where every value is one, else texts. What is not finite is not known."""
    given = values.notna() & values.astype("str").str.strip().ne("")
    number = pd.to_numeric(values.where(given), errors="coerce").astype("float64")
    numeric = bool(number[given].notna().all())
    known = given & (number.abs() < _MOST_NUMBER) if numeric else given
    text = values.astype("str").str.strip()
    rows = pd.DataFrame(
        {"user_id": users, "fact": fact, "number": number if numeric else None, "text": None if numeric else text}
    )
    return rows[known]


def _read(path: str, key: str) -> pa.Table:
    try:
        where = sources.place(path)
    except LogError as error:
        raise LogError(f"{error} (key `log.{key}`)") from None
    backend = engine.local(1)
    try:
        with engine.reading(path):
            return backend.to_pyarrow(sources.open_place(backend, where))
    finally:
        engine.close(backend)
