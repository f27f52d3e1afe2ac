"""The servers of these tests: what they say where they cannot be, what they keep, what they leave behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from engines import servers
from engines.logs import ODD
from engines.servers import Postgres


def test_a_machine_without_the_programs_is_told_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(servers.glob, "glob", lambda pattern: [])
    monkeypatch.setattr(servers.importlib.util, "find_spec", lambda name: object())
    assert "apt-get install postgresql" in servers.missing_postgres()
    assert "apt-get install default-jre-headless" in servers.missing_spark()
    monkeypatch.setattr(servers.importlib.util, "find_spec", lambda name: None)
    assert "psycopg" in servers.missing_postgres()
    assert "pyspark" in servers.missing_spark()


@pytest.mark.postgres
def test_a_server_leaves_nothing_behind(postgres: Postgres) -> None:
    """Another server beside the session's: it starts, answers, and is gone with its folder."""
    other = Postgres.create()
    process = other.process
    assert other.port != postgres.port
    other.remove()
    assert not other.folder.exists()
    assert process.poll() is not None
    with pytest.raises(subprocess.TimeoutExpired):
        postgres.process.wait(0.01)


@pytest.mark.postgres
def test_loading_keeps_what_is_there(postgres: Postgres) -> None:
    """The fixture itself: nothing changes on the way into the database."""
    log = pa.table({"text": ["", None, "\\N", 'a"b', *ODD], "number": pa.array([1, None] * (2 + len(ODD) // 2))})
    schema, _, name = postgres.load(log, "kept").partition(".")
    with postgres.connection() as connection:
        rows = connection.execute(f"SELECT text, number FROM {schema}.{name}").fetchall()
    assert rows == list(zip(log["text"].to_pylist(), log["number"].to_pylist(), strict=True))
