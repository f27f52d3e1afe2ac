"""A log in PostgreSQL: the password is nowhere, reading is enough, and what goes wrong is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines.logs import everything, experiment, plain
from engines.servers import Postgres

from tschurn import events
from tschurn.config import Experiment
from tschurn.errors import LogError, UserError

pytestmark = pytest.mark.postgres
CUT_OFF = """
    CREATE OR REPLACE FUNCTION cut_off(id bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$ BEGIN
    IF nextval('rows_read') = THAT_ROW THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN id; END $$"""


@pytest.fixture
def in_postgres(postgres: Postgres) -> Experiment:
    return experiment({"path": postgres.url(postgres.load(plain(), "log", schema='a.b "c"'))})


def sentence(raised: pytest.ExceptionInfo[UserError], server: Postgres) -> str:
    """The message, which is one line and tells no password."""
    message = str(raised.value)
    assert "\n" not in message
    assert server.password not in message
    return message


def test_the_password_is_nowhere(postgres: Postgres, in_postgres: Experiment, tmp_path: Path) -> None:
    everything(in_postgres, tmp_path / "log")
    written = b"".join(p.read_bytes() for p in (tmp_path / "log").rglob("*") if p.is_file())
    assert written
    assert postgres.password.encode() not in written
    assert postgres.password not in repr(events.input_state(in_postgres)) + repr(in_postgres) + repr(postgres)


def test_without_a_password_nothing_is_read(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.url(postgres.load(plain(), "log"))
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    with pytest.raises(LogError) as raised:
        everything(experiment({"path": url}), tmp_path / "log")
    assert "password" in sentence(raised, postgres)


@pytest.mark.parametrize("by", ["password file", "service file"])
def test_the_password_may_stand_in_a_file(
    postgres: Postgres, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = postgres.load(plain(), "log")
    monkeypatch.delenv("PGPASSWORD")
    url = postgres.url(table)
    if by == "password file":
        monkeypatch.setenv("PGPASSFILE", str(postgres.password_file(tmp_path / "passwords")))
    else:
        monkeypatch.setenv("PGSERVICEFILE", str(postgres.service_file(tmp_path / "services", "mine")))
        url = f"postgresql:///?service=mine&table={table}"
    found = everything(experiment({"path": url}), tmp_path / "log")
    assert found["acts"]["n"].sum() == found["log_summary"]["rows"][0] > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url, server: url.replace("platform", "nowhere"), "nowhere"),
        (lambda url, server: url.replace(str(server.port), "1"), "refused"),
        (lambda url, server: url.replace("public.log", "public.lgo"), "public.log"),
        (lambda url, server: url.replace("reader", "stranger"), "stranger"),
        (lambda url, server: url.replace("@", ":pass%20word@"), "password"),
    ],
    ids=["database", "port", "table", "user", "password"],
)
def test_what_is_wrong_with_the_url_is_said(postgres: Postgres, change, said: str, tmp_path: Path) -> None:
    url = change(postgres.url(postgres.load(plain(), "log")), postgres)
    with pytest.raises(UserError) as raised:
        everything(experiment({"path": url}), tmp_path / "log")
    message = sentence(raised, postgres)
    assert said in message
    assert "pass%20word" not in message and "pass word" not in message


@pytest.mark.parametrize("scans", [0.5, 1.5, 2.5])
def test_a_database_that_goes_away_halfway(postgres: Postgres, scans: float, tmp_path: Path) -> None:
    """The session is cut after so many rows, in the middle of whatever is being read."""
    log = plain()
    postgres.load(log, "whole")
    with postgres.connection() as connection:
        connection.execute("DROP SEQUENCE IF EXISTS rows_read CASCADE")
        connection.execute("CREATE SEQUENCE rows_read")
        connection.execute(CUT_OFF.replace("THAT_ROW", str(int(scans * len(log)))))
        connection.execute("DROP VIEW IF EXISTS cut")
        connection.execute(
            "CREATE VIEW cut AS SELECT cut_off(user_id) AS user_id, actor_id, timestamp, event, value FROM whole"
        )
    with pytest.raises(LogError) as raised:
        everything(experiment({"path": postgres.url("public.cut")}), tmp_path / "log")
    assert postgres.url() in sentence(raised, postgres)


def test_a_server_that_is_gone_between_two_stages(postgres: Postgres, in_postgres: Experiment, tmp_path: Path) -> None:
    before = events.read_log(in_postgres, tmp_path)
    postgres.kill()
    try:
        with pytest.raises(LogError) as raised, events.open_log(in_postgres, tmp_path) as log:
            log.count().to_pyarrow()
        sentence(raised, postgres)
    finally:
        postgres.start()
    with events.open_log(in_postgres, tmp_path) as log:
        assert log.count().to_pyarrow().as_py() == before["log_summary"]["rows"][0]


def test_a_role_that_may_only_read_is_enough(
    postgres: Postgres, in_postgres: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = postgres.load(plain(), "log")
    with postgres.connection() as connection:
        connection.execute("DROP OWNED BY guest CASCADE" if _has_role(connection, "guest") else "SELECT 1")
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'only to read'")
        connection.execute(f'REVOKE TEMPORARY, CREATE ON DATABASE "{postgres.database}" FROM PUBLIC')
        connection.execute(f"GRANT SELECT ON {table} TO guest")
    monkeypatch.setenv("PGPASSWORD", "only to read")
    found = everything(experiment({"path": postgres.url(table, user="guest")}), tmp_path / "log")
    assert len(found["acts"])


def _has_role(connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None
