"""A log that Spark reads: on one machine and on a cluster, rows stay where they are, sessions as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from engines.logs import LOGS, everything, experiment, odd, parquet, plain
from engines.servers import SparkCluster, end_session, missing_spark

from tschurn import events
from tschurn.errors import LogError

pytestmark = pytest.mark.spark


@pytest.fixture(autouse=True)
def no_session() -> Iterator[None]:
    """A process has one session: each test starts without one and leaves none."""
    if missing_spark() is None:
        end_session()
    yield
    if missing_spark() is None:
        end_session()


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each result had that Spark handed to the driver."""
    from pyspark.sql.classic.dataframe import DataFrame

    sizes: list[int] = []

    def watched(name: str) -> None:
        original = getattr(DataFrame, name)

        def call(self, *args, **kwargs):
            result = original(self, *args, **kwargs)
            sizes.append(len(result))
            return result

        monkeypatch.setattr(DataFrame, name, call)

    for name in ("collect", "toPandas", "toArrow"):
        watched(name)
    return sizes


def test_no_raw_rows_reach_the_driver(spark_local: str, collected: list[int], tmp_path: Path) -> None:
    log = pd.concat([plain()] * 20, ignore_index=True)
    file = parquet(log, tmp_path / "log.parquet")
    found = events.read_log(experiment({"path": str(file), "engine": "spark", "master": spark_local}), tmp_path)
    acts = len(pd.read_parquet(tmp_path / "daily.parquet"))
    assert found["log_summary"]["rows"][0] > 0.9 * len(log)
    assert collected
    assert max(collected) <= acts < len(log) / 20


@pytest.mark.parametrize("name", ["odd", "days"])
def test_a_cluster_makes_what_duckdb_makes(spark_cluster: SparkCluster, by_duckdb, name: str, tmp_path: Path) -> None:
    from pyspark.sql import SparkSession

    make, keys = LOGS[name]
    file = parquet(make(), tmp_path / "log.parquet")
    where = {"path": str(file), "engine": "spark", "master": spark_cluster.master, **keys}
    found = everything(experiment(where), tmp_path / "log")
    for table, expected in by_duckdb(name).items():
        pd.testing.assert_frame_equal(found[table], expected, check_exact=True, obj=table)
    context = SparkSession.getActiveSession().sparkContext
    assert context.master == spark_cluster.master
    assert context._jsc.sc().getExecutorMemoryStatus().size() == 3  # the driver and two workers


def test_another_master_than_the_running_one_is_refused(spark_local: str, tmp_path: Path) -> None:
    """One process has one Spark: the log must not be read on another cluster than the one that was named."""
    file = parquet(plain(), tmp_path / "log.parquet")
    events.read_log(experiment({"path": str(file), "engine": "spark", "master": spark_local}), tmp_path)
    with pytest.raises(LogError) as raised:
        events.read_log(experiment({"path": str(file), "engine": "spark", "master": "local[1]"}), tmp_path)
    assert "local[1]" in str(raised.value) and spark_local in str(raised.value)


def test_a_session_that_is_there_is_used_and_left_alone(spark_local: str, tmp_path: Path) -> None:
    from pyspark.sql import SparkSession

    mine = SparkSession.builder.master(spark_local).config("spark.ui.enabled", "false").getOrCreate()
    mine.conf.set("spark.sql.session.timeZone", "Asia/Seoul")
    file = parquet(odd(), tmp_path / "log.parquet")
    found = everything(experiment({"path": str(file), "engine": "spark"}), tmp_path / "spark")
    expected = everything(experiment({"path": str(file)}), tmp_path / "duckdb")
    pd.testing.assert_frame_equal(found["event_log"], expected["event_log"])
    assert mine.conf.get("spark.sql.session.timeZone") == "Asia/Seoul"
    assert mine.range(3).count() == 3


def test_files_of_all_kinds(spark_local: str, tmp_path: Path) -> None:
    """Texts that are read by Spark as by DuckDB: names that are globs, quotes, two files with other columns first."""
    folder = tmp_path / "a folder [with] {globs}*"
    folder.mkdir()
    log = odd()
    log["timestamp"] = log["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f%z")
    log.iloc[:300].to_csv(folder / "part [1].csv", index=False)
    log.iloc[300:, ::-1].to_csv(folder / "part [2].csv.gz", index=False)
    keys = {"path": str(folder), "timezone": "Europe/London", "columns": {"object": "object"}}
    expected = everything(experiment(keys), tmp_path / "duckdb")
    found = everything(experiment({**keys, "engine": "spark", "master": spark_local}), tmp_path / "spark")
    for table in expected:
        pd.testing.assert_frame_equal(found[table], expected[table], check_exact=True, obj=table)
