"""[log] of an experiment → a stage folder: DAILY, what was removed, and what must be known to read the log again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow.parquet as pq

from tschurn.blocks import within
from tschurn.config import POSTGRES, Experiment, Log
from tschurn.contracts import DAILY, EVENT_LOG, USERS, Progress
from tschurn.errors import LogError
from tschurn.events import daily, engine, event_log, lists, quality, refused, sources
from tschurn.events.event_log import Survey
from tschurn.runs import write_parquet

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

DAILY_FILE, USERS_FILE, SURVEY_FILE = f"{DAILY.name}.parquet", f"{USERS.name}.parquet", "survey.json"
COPY_FILE = f"{EVENT_LOG.name}.parquet"  # only where reading the source again and again would cost more


def connect(experiment: Experiment) -> BaseBackend:
    """[log] → a connection to the engine that the log is read with."""
    log, run = experiment.log, experiment.run
    if log.engine == "spark":
        return engine.spark(log.master, run.threads)
    if log.path and log.path.startswith(POSTGRES):
        return engine.postgres(sources.place(log.path).path)
    return engine.local(run.threads, run.memory_mib)


def log_name(log: Log) -> str:
    """What messages call the log."""
    return log.dataset or log.path.partition("?")[0]


def read(experiment: Experiment, folder: Path, progress: Progress) -> dict[str, pd.DataFrame]:
    """→ the tables of `events.read_log`."""
    with _Reader(experiment, folder, progress) as reader, engine.reading(reader.name):
        reader.survey()
        reader.group()
        return reader.tables()


@contextmanager
def event_log_of(experiment: Experiment, folder: Path) -> Iterator[ir.Table]:
    """A folder that `read` filled → EVENT_LOG."""
    log, run = experiment.log, experiment.run
    copied = (folder / COPY_FILE).exists()
    backend = engine.local(run.threads, run.memory_mib) if copied else connect(experiment)
    try:
        with engine.reading(log_name(log)):
            if copied:
                table = backend.read_parquet(folder / COPY_FILE)
            else:
                survey = Survey(**json.loads((folder / SURVEY_FILE).read_text()))
                drafts = [event_log.draft(backend, raw, log, survey.clean) for raw in sources.open_logs(backend, log)]
                table = event_log.events(backend, drafts, survey, log)
            yield kept(backend, table, log, folder)
    finally:
        engine.close(backend)


@contextmanager
def daily_of(experiment: Experiment, folder: Path) -> Iterator[ir.Table]:
    """A folder that `read` filled → DAILY."""
    backend = engine.local(experiment.run.threads, experiment.run.memory_mib)
    try:
        with engine.enough(log_name(experiment.log)):
            yield backend.read_parquet(folder / DAILY_FILE)
    finally:
        engine.close(backend)


def kept(backend: BaseBackend, events: ir.Table, log: Log, folder: Path) -> ir.Table:
    """All events → those of the users that are kept, in the period, without excluded people."""
    if log.exclude:
        events = lists.without(backend, events, log.exclude)
    events = within(events, log.since, log.until)
    users = lists.table(backend, pq.read_table(folder / USERS_FILE))
    return events.filter(events.user_id.isin(users.user_id)).select(*EVENT_LOG.columns)


def state(experiment: Experiment) -> list[dict[str, Any]]:
    """→ path, rows and newest time of each log in a database server; nothing for files."""
    if not (experiment.log.path or "").startswith(POSTGRES):
        return []
    backend = connect(experiment)
    try:
        with engine.reading(log_name(experiment.log)):
            found = []
            for raw in sources.open_logs(backend, experiment.log):
                time = raw.table[raw.columns.time]
                row = (
                    raw.table.agg(rows=raw.table.count(), newest=time.max().cast("string")).to_pyarrow().to_pylist()[0]
                )
                found.append({"path": raw.name, "table": raw.place.table, **row})
            return found
    finally:
        engine.close(backend)


class _Reader:
    """Reads the log of one experiment into a stage folder, step by step."""

    def __init__(self, experiment: Experiment, folder: Path, progress: Progress) -> None:
        self.experiment, self.log, self.folder, self.progress = experiment, experiment.log, folder, progress
        self.name = log_name(experiment.log)
        self.filters: list[dict[str, Any]] = []
        self.temporary: list[Path] = []

    def __enter__(self) -> Self:
        run = self.experiment.run
        self.backend = connect(self.experiment)
        shared = self.backend.name == "duckdb"
        self.local = self.backend if shared else engine.local(run.threads, run.memory_mib)
        return self

    def __exit__(self, *_: object) -> None:
        engine.close(self.backend)
        if self.local is not self.backend:
            engine.close(self.local)
        for path in self.temporary:
            path.unlink(missing_ok=True)

    def survey(self) -> None:
        """Open the logs and look at every row once; refuse what cannot be read."""
        self.logs = [self._imported(k, raw) for k, raw in enumerate(sources.open_logs(self.backend, self.log))]
        names = event_log.names(self._drafts(["event"]))
        daily.refuse_too_many_names(self.name, len(names), self.log.columns.event)
        plain = ["event"] if all(n and n == n.strip() for n in names) else []
        event_log.refuse_fractions(self._drafts(plain), self.name)
        found = event_log.survey(self._drafts(plain))
        broken = len(engine.broken_lines(self.backend))
        if broken >= engine.MOST_BROKEN:
            raise LogError(f"{self.name}: {broken:,} lines or more do not fit its header; is it a log?")
        self.found = found = replace(
            found, clean=[*found.clean, *plain], rows=found.rows + broken, unreadable=found.unreadable + broken
        )
        if found.rows == 0:
            raise LogError(f"{self.name}: the log has no rows")
        if self.log.bad_rows == "stop" and (found.bad_time or found.bad_value):
            raise refused.first_unreadable(self.backend, self.logs, self.log, found)
        self.rows = found.rows
        self.users, keyed_users = event_log.users(self._drafts(found.clean))
        if self.log.bad_rows == "refuse":
            self._count("unreadable", found.rows - found.unreadable, self.users)
        self._count("missing_key", found.keyed, keyed_users)
        (self.folder / SURVEY_FILE).write_text(json.dumps(found.to_dict()))

    def _imported(self, k: int, raw: sources.RawLog) -> sources.RawLog:
        """A raw log of text, parsed once: its columns as texts, in a file that the engine reads faster."""
        if self.backend.name != "duckdb" or raw.place.kind != "csv":
            return raw
        self.progress("log", 0, 1, "reading")
        path = self.folder / f".{k}.raw.parquet"
        needed = set(raw.columns.model_dump().values())
        self.backend.to_parquet(raw.table.select(*(c for c in raw.table.columns if c in needed)), path)
        self.temporary.append(path)
        return replace(raw, table=self.backend.read_parquet(path))

    def _drafts(self, clean: Sequence[str]) -> list[event_log.Draft]:
        return [event_log.draft(self.backend, raw, self.log, clean) for raw in self.logs]

    def group(self) -> None:
        """EVENT_LOG → DAILY of the users that are kept, and their list; every filter is counted."""
        self.events = self._copied(event_log.events(self.backend, self._drafts(self.found.clean), self.found, self.log))
        daily.write(self._filtered(self.events), self.rows, self.folder / DAILY_FILE, self.progress)
        path = self.folder / DAILY_FILE
        everybody = self.local.read_parquet(path)
        own = everybody.side == "own"
        users = (
            everybody.group_by("user_id").agg(rows=everybody.n.sum(), active=own.any()).order_by("user_id").to_pyarrow()
        )
        active = users.filter(users["active"])
        write_parquet(self.folder / USERS_FILE, active.select(["user_id"]))
        before = self.rows
        self._count("no_own_activity", sum(active["rows"].to_pylist()), len(active))
        if self.rows < before:
            kept = everybody.semi_join(self.local.read_parquet(self.folder / USERS_FILE), "user_id")
            beside = path.with_name("kept.parquet")
            self.local.to_parquet(kept.order_by(*DAILY.grain), beside, compression="zstd")
            beside.replace(path)

    def _copied(self, events: ir.Table) -> ir.Table:
        """EVENT_LOG, copied once where its source is text, joined, or must be made distinct."""
        text = any(raw.place.kind == "csv" for raw in self.logs)
        if self.backend.name != "duckdb" or not (text or self.log.dataset or self.log.drop_duplicates):
            return events
        path = self.folder / COPY_FILE
        if self.log.dataset or self.log.drop_duplicates:  # which have no order of their own
            events = events.order_by("event_time", "user_id", "actor_id", "event_name", "value", "object")
        self.progress("log", 0, 1, "reading")
        self.backend.to_parquet(events, path, compression="zstd")
        return self.backend.read_parquet(path)

    def _filtered(self, events: ir.Table) -> ir.Table:
        """The filters that rows are taken out by, each counted."""
        if self.log.drop_duplicates:
            self._count("repeated", *_size(events))
        if self.log.exclude:
            events = lists.without(self.backend, events, self.log.exclude)
            self._count("excluded", *_size(events))
        if self.log.since or self.log.until:
            events = within(events, self.log.since, self.log.until)
            self._count("outside_period", *_size(events))
        if self.log.creators:
            listed = lists.ids(self.backend, events, self.log.creators, "creators")
            events = events.filter(events.user_id.isin(listed.user_id))
            self._count("not_in_creator_list", *_size(events))
        return events

    def tables(self) -> dict[str, pd.DataFrame]:
        """→ what `events.read_log` returns."""
        grouped = self.local.read_parquet(self.folder / DAILY_FILE)
        names = daily.event_names(grouped)
        events = kept(self.backend, self.events, self.log, self.folder)
        filters = pd.DataFrame(self.filters)
        summary = self._summary(events, grouped)
        days = quality.platform_days(grouped, summary["first_day"][0], summary["last_day"][0])
        findings = quality.findings(
            events, grouped, days, self._checks(), filters, self.log, datetime.now(UTC),
            lambda stage, done, total, note="": self.progress(stage, done, total + 1, note),
        )  # fmt: skip
        repeated = findings.loc[findings["check"] == "repeated_rows", "rows"]
        summary["repeated_rows"] = int(repeated.fillna(0).sum())
        return {
            "filters": filters,
            "log_summary": summary,
            "event_names": names,
            "platform_days": days,
            "quality": findings,
            "refused": refused.listed(self.backend, self.logs, self.log, self.found),
            "facts": lists.facts(self.local, grouped, self.log.facts),
        }

    def _checks(self) -> quality.Checks:
        found = self.found
        return quality.Checks(
            rows_read=found.rows, null_user=found.null_user, null_actor=found.null_actor, null_time=found.null_time,
            null_event=found.null_event, null_value=found.null_value, naive_rows=found.naive,
            date_only_rows=found.rows - found.null_time - found.bad_time if found.only_days else found.date_only,
            unreadable_times=found.bad_time, unreadable_values=found.bad_value,
        )  # fmt: skip

    def _summary(self, events: ir.Table, grouped: ir.Table) -> pd.DataFrame:
        """→ LOG_SUMMARY, its repeated rows still to be counted."""
        own = grouped.side == "own"
        row = grouped.agg(
            rows=grouped.n.sum(), own_rows=ibis.ifelse(own, grouped.n, 0).sum(), users=grouped.user_id.nunique(),
            first_day=grouped.day.min(), last_day=grouped.day.max(),
        ).to_pyarrow().to_pandas()  # fmt: skip
        row["received_rows"] = row["rows"] - row["own_rows"]
        row["actors"] = events.agg(actors=events.actor_id.nunique()).to_pyarrow()["actors"][0].as_py()
        row["days"] = (row["last_day"][0] - row["first_day"][0]).days + 1
        row["only_days"] = self.found.only_days
        row["rows_read"] = self.found.rows
        return row

    def _count(self, name: str, rows: int, users: int) -> None:
        self.filters.append(
            {"filter": name, "rows_removed": self.rows - rows, "users_removed": self.users - users,
             "rows_left": rows, "users_left": users}
        )  # fmt: skip
        self.rows, self.users = rows, users
        if not rows:
            steps = ", ".join(f"{f['filter']} removed {f['rows_removed']}" for f in self.filters if f["rows_removed"])
            raise LogError(f"{self.name}: none of its {self.found.rows} rows is left: {steps}")


def _size(table: ir.Table) -> tuple[int, int]:
    row = table.agg(rows=table.count(), users=table.user_id.nunique()).to_pyarrow().to_pylist()[0]
    return int(row["rows"]), int(row["users"])
