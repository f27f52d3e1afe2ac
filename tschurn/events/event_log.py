"""raw logs → EVENT_LOG, an expression over them: parsed, checked at the door, never copied into Python."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from tschurn.config import Log
from tschurn.errors import LogError
from tschurn.events import engine
from tschurn.events.clock import Clock, clock
from tschurn.events.sources import RawLog

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

_DATE_ONLY = r"^\s*\d{4}-\d{2}-\d{2}\s*$"
_WITH_OFFSET = r"\d:?\d{2}(\.\d+)?\s*(Z|z|UTC|[+-]\d{2}(:?\d{2})?)\s*$"
ZONED, NAIVE, DATE = 0, 1, 2  # the forms a time comes in
_YEARS = [int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for year in (1800, 2300)]  # else no time at all
PLAIN_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"  # a text that is an integer, written as we would write it
MOST_VALUE = 1e12  # values are summed exactly, in millionths, as 64-bit integers


@dataclass(frozen=True)
class Survey:
    """One pass over the raw rows: counts, and what must be known to read them again in the same way.

    ids: 'int64' where every id is a whole number in its plain form, else 'string'. first_us, last_us: µs since
    1970 of the earliest and latest time, as written.
    """

    rows: int
    unreadable: int  # rows with a time or value that is there but cannot be read
    keyed: int  # the others, if they have user, actor, time and event
    null_user: int
    null_actor: int
    null_time: int
    null_event: int
    null_value: int
    bad_time: int
    bad_value: int
    naive: int
    date_only: int
    midnight: int  # keyed rows at 00:00 as written
    ids: str
    first_us: int | None
    last_us: int | None
    clean: list[str]  # roles whose columns can be taken as they are: no blanks, nulls or values that are no numbers

    @property
    def only_days(self) -> bool:
        """Whether the log has days and no times: all of it stands at midnight, in UTC if it names a zone."""
        return self.midnight == self.keyed

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Draft:
    """A raw log under our names, nothing cast yet that could fail.

    rows: user_id, actor_id, event_name, value, object; micros: µs since 1970 of the time as written, null where it
    cannot be read, with bad_time set where something was there; bad_value likewise; form: ZONED, NAIVE or DATE;
    instant: the time itself where the column holds instants. Of all rows: form, None if it varies; instant: whether
    the column holds instants.
    """

    rows: ir.Table
    form: int | None
    instant: bool


def draft(backend: BaseBackend, raw: RawLog, log: Log, clean: Collection[str] = (), keep: Sequence[str] = ()) -> Draft:
    """A raw log → Draft, with the raw columns `keep` as well.

    clean: see Survey; what cleans a column costs more than reading it. Raises LogError for a column of times
    or values that can be none.
    """
    table, columns = raw.table, raw.columns
    user, time = table[columns.user], table[columns.time]
    actor = table[columns.actor] if "actor" in raw.has else user
    value, bad_value = _value(backend, raw, "value" in clean)
    micros, form, instant = _time(backend, raw)
    unreadable = micros.isnull() & _blank_to_null(backend, time).notnull() if time.type().is_string() else False
    event = ibis.literal(raw.event) if raw.event else table[columns.event].cast("string")
    rows = table.select(
        user_id=user if "user" in clean else _id(backend, user),
        actor_id=actor if "user" in clean else _id(backend, actor),
        micros=micros,
        form=ibis.literal(form, "int8") if isinstance(form, int) else form,
        instant=instant,
        event_name=event if "event" in clean else _blank_to_null(backend, event),
        value=value,
        object=_blank_to_null(backend, table[columns.object].cast("string"))
        if "object" in raw.has
        else ibis.null("string"),
        bad_time=((micros < _YEARS[0]) | (micros > _YEARS[1]) | unreadable).fill_null(False),
        bad_value=bad_value,
        **{name: table[name] for name in keep},
    )
    zoned = time.type().is_timestamp() and time.type().timezone is not None
    return Draft(rows, form if isinstance(form, int) else None, zoned)


def _value(backend: BaseBackend, raw: RawLog, clean: bool) -> tuple[ir.Value, ir.BooleanValue]:
    """→ the value, null where there is none, and whether what is there is no number (or too large a one)."""
    if "value" not in raw.has:
        return ibis.literal("1").cast("float64"), ibis.literal(False)  # 1.0 would be a decimal to some engines
    column = raw.table[raw.columns.value]
    if clean and not column.type().is_string():
        return column.cast("float64"), ibis.literal(False)
    if not column.type().is_string():
        if not (column.type().is_numeric() or column.type().is_boolean()):
            raise LogError(f"{raw.name}, column `{raw.columns.value}`: expected numbers, found {column.type()}")
        value = column.cast("float64")
        if not (column.type().is_integer() or column.type().is_boolean()):
            value = ibis.ifelse(value.isnan() | value.isinf(), None, value)
        return value, (value.abs() > MOST_VALUE).fill_null(False)
    if engine.dialect(backend).typed:
        raise LogError(f"{raw.name}, column `{raw.columns.value}`: holds text; cast it to a number in a view")
    text = _blank_to_null(backend, column)
    value = text.try_cast("float64")
    bad = text.notnull() & (value.isnull() | (value.abs() > MOST_VALUE))
    return ibis.ifelse(value.isnan() | value.isinf(), None, value), bad & ~(value.isnan() | value.isinf()).fill_null(
        False
    )


def _time(backend: BaseBackend, raw: RawLog) -> tuple[ir.IntegerValue, ir.IntegerValue | int, ir.TimestampValue]:
    """→ micros, form and instant of Draft, by what the column holds.

    Dates without a time are calendar days of the experiment's zone, whatever `naive_time` says.
    """
    column, micros = raw.table[raw.columns.time], engine.dialect(backend).micros
    type_ = column.type()
    none = ibis.null(dt.Timestamp(timezone="UTC"))

    if type_.is_timestamp() and type_.timezone is not None:
        return micros(column), ZONED, column.cast(dt.Timestamp(timezone="UTC"))
    if type_.is_timestamp():
        return micros(column), NAIVE, none
    if type_.is_date():
        return micros(column.cast(dt.Timestamp())), DATE, none
    if not type_.is_string() or engine.dialect(backend).typed:
        raise LogError(
            f"{raw.name}: the time column `{raw.columns.time}` holds {type_}; expected dates or timestamps"
            + ("" if engine.dialect(backend).typed else ", or text such as 2024-03-31 10:00:00")
        )
    zoned = column.re_search(_WITH_OFFSET) & ~column.re_search(_DATE_ONLY)
    read = ibis.ifelse(
        zoned, micros(column.try_cast(dt.Timestamp(timezone="UTC"))), micros(column.try_cast(dt.Timestamp()))
    )
    form = ibis.cases((column.re_search(_DATE_ONLY), DATE), (zoned, ZONED), else_=NAIVE).cast("int8")
    return read, form, none


def names(drafted: Sequence[Draft]) -> list[str | None]:
    """Drafts with their event column as it is → its different names, as written."""
    found = [d.rows.select("event_name").distinct() for d in drafted]
    together = ibis.union(*found, distinct=True) if len(found) > 1 else found[0]
    return together.to_pyarrow()["event_name"].to_pylist()


def refuse_fractions(drafted: Sequence[Draft], name: str) -> None:
    """Raise LogError where ids are numbers with decimals, or too large for a float to tell them apart."""
    for one in drafted:
        for role in _IDS:
            column = one.rows[role]
            if column.type().is_floating():
                bad = ((column != column.floor()) | (column.abs() >= 2**53)).fill_null(False)
                if one.rows.agg(n=bad.sum()).to_pyarrow()["n"][0].as_py():
                    raise LogError(
                        f"{name}: the {role.removesuffix('_id')} ids are decimal numbers, not all of them whole and "
                        "below 2^53; store them as integers or texts"
                    )


def survey(drafted: Sequence[Draft]) -> Survey:
    """Drafts of all raw logs → Survey; one pass."""
    rows = union([d.rows for d in drafted])
    keyed = _keyed(rows)
    counts = {
        "rows": rows.count(),
        "unreadable": (rows.bad_time | rows.bad_value).sum(),
        "keyed": keyed.sum(),
        **{f"null_{c}": rows[n].isnull().sum() for c, n in _NULLS.items()},
        "null_time": (rows.micros.isnull() & ~rows.bad_time).sum(),
        "null_value": (rows.value.isnull() & ~rows.bad_value).sum(),
        "bad_time": rows.bad_time.sum(),
        "bad_value": rows.bad_value.sum(),
        "naive": (rows.form == NAIVE).sum(),
        "date_only": (rows.form == DATE).sum(),
        "midnight": (keyed & (rows.micros % 86_400_000_000 == 0)).sum(),
        "first_us": rows.micros.min(where=keyed),
        "last_us": rows.micros.max(where=keyed),
        **_id_tests(rows),
    }
    found = rows.agg(**counts).to_pyarrow().to_pylist()[0]
    whole = [found.pop(name) for name in list(found) if name.startswith("whole_")]
    number = all(rows[c].type().is_numeric() or rows[c].type().is_string() for c in _IDS)
    counted = {name: v if name in ("first_us", "last_us") else int(v or 0) for name, v in found.items()}
    clean = [] if counted["null_value"] or counted["bad_value"] else ["value"]
    # texts may have blanks around them, which are only taken off by looking at each
    clean += ["user"] if all(d.rows[c].type().is_integer() for d in drafted for c in _IDS) else []
    ids = "int64" if number and all(w is not False for w in whole) else "string"
    return Survey(ids=ids, clean=clean, **counted)


def users(drafted: Sequence[Draft]) -> tuple[int, int]:
    """Drafts → how many users they have, and how many with a row that has all it needs."""
    rows = union([d.rows for d in drafted])
    keyed = _keyed(rows)
    found = rows.filter(rows.user_id.notnull()).group_by("user_id").agg(keyed=keyed.any())
    row = found.agg(users=found.count(), keyed=found.keyed.sum()).to_pyarrow().to_pylist()[0]
    return row["users"], int(row["keyed"] or 0)


def _keyed(rows: ir.Table) -> ir.BooleanValue:
    present = rows.user_id.notnull() & rows.actor_id.notnull() & rows.micros.notnull() & rows.event_name.notnull()
    return present & ~rows.bad_value & ~rows.bad_time


_IDS = ("user_id", "actor_id")
_NULLS = {"user": "user_id", "actor": "actor_id", "event": "event_name"}


def _id_tests(rows: ir.Table) -> dict[str, ir.BooleanScalar]:
    """Whether all ids of a column of texts are whole numbers; floats were refused where they are not.

    "007" and "7" are two people: a text is a number only when it is written as we would write it.
    """
    tests = {}
    for name in _IDS:
        column = rows[name]
        if column.type().is_string():
            tests[f"whole_{name}"] = (column.isnull() | column.re_search(PLAIN_NUMBER)).all()
    return tests


def union(tables: Sequence[ir.Table]) -> ir.Table:
    """Drafts of several logs as one; ids become text where the logs do not agree on their type."""
    if len(tables) == 1:
        return tables[0]
    for name in _IDS:
        types = {str(t[name].type()) for t in tables}
        if len(types) > 1:
            common = "string" if "string" in types else "int64"
            tables = [t.mutate(**{name: _whole(t[name]).cast(common)}) for t in tables]
    return ibis.union(*tables)


def _whole(column: ir.Value) -> ir.Value:
    """Floats that were found to be whole → integers, so that as texts they are written like those."""
    return column.cast("int64") if column.type().is_floating() else column


def span(found: Survey) -> tuple[datetime, datetime]:
    """The earliest and the latest time of a log, give or take a zone."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + timedelta(microseconds=found.first_us), epoch + timedelta(microseconds=found.last_us)


def events(backend: BaseBackend, drafted: Sequence[Draft], found: Survey, log: Log) -> ir.Table:
    """Drafts → the columns of EVENT_LOG; rows without a key, or with a time or value that cannot be read, left out."""
    zone = clock(log.zone, *span(found))
    as_zoned = (ZONED,) if log.naive_time == "local" else (ZONED, NAIVE)
    result = [_events(backend, one, found, zone, as_zoned) for one in drafted]
    together = ibis.union(*result) if len(result) > 1 else result[0]
    return together.distinct() if log.drop_duplicates else together


def _events(backend: BaseBackend, drafted: Draft, found: Survey, zone: Clock, as_zoned: tuple[int, ...]) -> ir.Table:
    """as_zoned: the forms of times that are instants in UTC; others are wall-clock times."""
    rows = drafted.rows
    if found.keyed < found.rows:
        rows = rows.filter(_keyed(rows))
    engines = engine.dialect(backend)
    has_instant = drafted.instant and not found.only_days
    if found.only_days:  # calendar days, whatever zone they came with: never shifted
        local, utc = rows.micros, zone.utc(rows.micros)
    elif drafted.form in as_zoned:
        local, utc = zone.local(rows.micros), rows.micros
    elif drafted.form is not None:
        local, utc = rows.micros, zone.utc(rows.micros)
    else:
        zoned = rows.form.isin(as_zoned)
        local = ibis.ifelse(zoned, zone.local(rows.micros), rows.micros)
        utc = ibis.ifelse(zoned, rows.micros, zone.utc(rows.micros))
    return rows.select(
        user_id=_whole(rows.user_id).cast(found.ids),
        actor_id=_whole(rows.actor_id).cast(found.ids),
        event_time=rows.instant if has_instant else engines.instant(utc),
        day=engines.date(engine.day_number(local)),
        hour=engine.hour(local),
        event_name="event_name",
        value=rows.value if "value" in found.clean else rows.value.coalesce(1.0),
        object="object",
    )


def _id(backend: BaseBackend, column: ir.Value) -> ir.Value:
    """An id as it is to be compared: blanks and NaN are none; the rest of a column of floats or decimals is whole."""
    if column.type().is_floating() or column.type().is_decimal():
        number = column.cast("float64")
        return ibis.ifelse(number.isnan(), None, number)
    return _blank_to_null(backend, column)


def _blank_to_null(backend: BaseBackend, value: ir.Value) -> ir.Value:
    return engine.strip(backend, value).nullif("") if value.type().is_string() else value
