"""The engines that every machine has (DuckDB), and those that a test run starts for itself or skips with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pandas as pd
import pytest
from engines.logs import LOGS, Engine, everything, experiment, parquet
from engines.servers import Postgres, SparkCluster, end_session, missing_postgres, missing_spark

postgres_only = pytest.mark.postgres
spark_only = pytest.mark.spark
ENGINES = (
    "duckdb",
    pytest.param("postgres", marks=postgres_only),
    pytest.param("spark", marks=spark_only),
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A private PostgreSQL server whose password stands in PGPASSWORD."""
    if reason := missing_postgres():
        pytest.skip(reason)
    server = Postgres.create()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", server.password)
        yield server
    server.remove()


@pytest.fixture(scope="session")
def spark_local() -> Iterator[str]:
    """The master URL of Spark inside this process."""
    with _loopback():
        yield "local[2]"


@pytest.fixture(scope="session")
def spark_cluster() -> Iterator[SparkCluster]:
    """A standalone master with two workers."""
    with _loopback():
        cluster = SparkCluster.create()
        yield cluster
        end_session()
        cluster.remove()


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each engine in turn; tests that take it run on all of them, one engine after the other."""
    name, folder = request.param, tmp_path_factory.mktemp("engine")
    if name == "postgres":
        server = request.getfixturevalue("postgres")
        yield Engine(name, lambda log, table: {"path": server.url(server.load(log, table))})
        return
    keys = {"engine": "spark", "master": request.getfixturevalue("spark_local")} if name == "spark" else {}
    yield Engine(name, lambda log, table: {"path": str(parquet(log, folder / f"{table}.parquet")), **keys})
    if keys:
        end_session()


@pytest.fixture(scope="session")
def by_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, pd.DataFrame]]:
    """A name of LOGS → everything that DuckDB makes of it, which the other engines are compared with."""
    folder = tmp_path_factory.mktemp("by_duckdb")

    @cache
    def made(name: str) -> dict[str, pd.DataFrame]:
        make, keys = LOGS[name]
        path = str(parquet(make(), folder / f"{name}.parquet"))
        return everything(experiment({"path": path, **keys}), folder / name)

    return made


@contextmanager
def _loopback() -> Iterator[None]:
    """Keep Spark to this machine, whatever its host name is; skip where there is none."""
    if reason := missing_spark():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        yield
