"""The process map of the same log on every engine: the same tables."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from engines.logs import LOGS, Engine, experiment, parquet

from tschurn import events
from tschurn.exploration.followed_by import Blocks
from tschurn.exploration.process_map import explore_process


def mapped(keys: dict[str, object], folder: Path, only_days: bool) -> tuple[dict[str, pd.DataFrame], str]:
    folder.mkdir()
    where = experiment(keys)
    log = events.read_log(where, folder)["log_summary"].iloc[0].to_dict() | {"only_days": only_days}
    blocks = Blocks(log["first_day"], log["last_day"] - timedelta(days=3), 7, 7)
    with events.open_log(where, folder) as event_log:
        tables = explore_process(event_log, log, blocks, where.targets, users_csv=folder / "users.csv")
    rows = (folder / "users.csv").read_text(encoding="utf-8-sig").splitlines()
    return tables, "\n".join(sorted(rows))


@pytest.mark.parametrize("name", ["plain", "odd"])
@pytest.mark.parametrize("only_days", [False, True])
def test_the_process_map_is_that_of_duckdb(engine: Engine, name: str, only_days: bool, tmp_path: Path) -> None:
    make, keys = LOGS[name]
    path = str(parquet(make(), tmp_path / "log.parquet"))
    expected, users = mapped({"path": path, **keys}, tmp_path / "duckdb", only_days)
    found, its_users = mapped(
        {**engine.put(make(), f"process_{name}_{only_days}"), **keys}, tmp_path / "found", only_days
    )
    for table, frame in expected.items():
        pd.testing.assert_frame_equal(found[table], frame, obj=f"{engine.name}: {table}")
    assert its_users == users
    assert len(expected["follows_difference"]) and len(users)
