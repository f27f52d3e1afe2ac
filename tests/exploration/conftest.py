"""Small event logs as Ibis tables, for every test of the stage."""

import ibis
import pandas as pd
import pytest

from tschurn.config import parse

COLUMNS = {"user_id": "int64", "actor_id": "int64", "event_name": "str", "value": "float64"}


@pytest.fixture(scope="session")
def to_log():
    """Frame with user_id, actor_id, event_time and event_name → EVENT_LOG as an Ibis table, days in UTC."""

    def build(frame: pd.DataFrame):
        times = pd.to_datetime(frame["event_time"], utc=True).astype("datetime64[us, UTC]")
        rows = frame.assign(value=1.0).astype(COLUMNS).assign(event_time=times)
        table = ibis.memtable(rows[["user_id", "actor_id", "event_time", "event_name", "value"]])
        return table.mutate(day=table.event_time.date())

    return build


@pytest.fixture(scope="session")
def experiment():
    """→ a function that builds an Experiment with the given [targets]."""

    def build(**targets):
        return parse({"experiment": {"name": "test"}, "log": {"path": "log.csv"}, "targets": targets}, "test")

    return build


@pytest.fixture(scope="session")
def summary_of():
    """The columns of LOG_SUMMARY that the stage reads, from a log and its flag."""

    def build(log, only_days=False):
        days = log.agg(first=log.day.min(), last=log.day.max()).to_pyarrow().to_pylist()[0]
        return pd.DataFrame({"first_day": [days["first"]], "last_day": [days["last"]], "only_days": [only_days]})

    return build
