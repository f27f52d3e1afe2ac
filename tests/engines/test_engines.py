"""The same log on every engine: the same tables, row for row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from engines.logs import LOGS, Engine, everything, experiment, in_order, odd, parquet, plain, windows
from synthetic import make_log

from tschurn.contracts import DAILY
from tschurn.events import reader, sources


def test_a_plain_group_by(engine: Engine, tmp_path: Path) -> None:
    """The engine itself, without any of our code but the connection."""
    log = odd()
    where = experiment(engine.put(log, "bare"))
    backend = reader.connect(where)
    table = sources.open_logs(backend, where.log)[0].table
    counted = table.group_by("event").agg(n=table.count(), users=table.user_id.nunique()).to_pyarrow().to_pandas()
    expected = log.groupby("event", dropna=False).agg(n=("event", "size"), users=("user_id", "nunique")).reset_index()
    pd.testing.assert_frame_equal(in_order(counted), in_order(expected), check_dtype=False)


@pytest.mark.parametrize("name", LOGS)
def test_every_table_is_that_of_duckdb(engine: Engine, name: str, by_duckdb, tmp_path: Path) -> None:
    make, keys = LOGS[name]
    found = everything(experiment({**engine.put(make(), name), **keys}), tmp_path / "log")
    expected = by_duckdb(name)
    assert found.keys() == expected.keys()
    for table in expected:
        pd.testing.assert_frame_equal(found[table], expected[table], check_exact=True, obj=f"{engine.name}: {table}")


def test_acts_are_those_of_pandas(engine: Engine, tmp_path: Path) -> None:
    """A slow oracle that shares no line with the engines."""
    log = plain()
    found = everything(experiment({**engine.put(log, "oracle"), "timezone": "Asia/Seoul"}), tmp_path / "log")
    owners = log.loc[log["user_id"] == log["actor_id"], "user_id"].unique()
    log = log[log["user_id"].isin(owners)]
    side = np.where(log["user_id"] == log["actor_id"], "own", "received")
    expected = (
        log.assign(day=log["timestamp"].dt.date, side=side, hour=log["timestamp"].dt.hour, other=log["value"] != 1)
        .groupby(["user_id", "day", "side", "event"])
        .agg(n=("event", "size"), value=("value", "sum"), valued=("other", "sum"), first_hour=("hour", "min"),
             last_hour=("hour", "max"))
        .reset_index()
        .rename(columns={"event": "event_name"})
    )  # fmt: skip
    pd.testing.assert_frame_equal(in_order(found["acts"]), in_order(expected[list(DAILY.columns)]), check_dtype=False)


@pytest.mark.parametrize("people", ["day", "event"])
def test_windows_are_those_of_duckdb(engine: Engine, people: str, tmp_path: Path) -> None:
    """Features, supporters, history and labels: what is counted in the engine and what is made of it."""
    log = make_log(seed=8)
    sections = {
        "targets": {"sticker": {"events": ["sticker"]}},
        "features": {"actors": people},
    }
    asked = {"timezone": "Europe/London", "supporter_events": ["like", "reply", "sticker"], "post_events": ["post"],
             "reply_events": ["reply"]}  # fmt: skip
    file = parquet(log, tmp_path / "log.parquet")
    tables, panel, history = windows(experiment({"path": str(file), **asked}, **sections), tmp_path / "duckdb")
    found = windows(experiment({**engine.put(log, "windows"), **asked}, **sections), tmp_path / "found")
    assert found[0].keys() == tables.keys()
    for name, table in tables.items():
        pd.testing.assert_frame_equal(found[0][name], table, check_exact=True, obj=f"{engine.name}: {name}")
    np.testing.assert_array_equal(found[1], panel)
    np.testing.assert_array_equal(found[2], history)
    assert panel.any() and history.any()
