"""nothing → a private PostgreSQL server, a private Spark cluster: processes of this test run alone, gone at its end.

Both listen on 127.0.0.1 and on ports that the system picks. `missing_postgres` and `missing_spark` say in a
sentence what this machine lacks; the fixtures of conftest.py skip with it.
"""

from __future__ import annotations

import glob
import importlib.util
import io
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.csv

HOST = "127.0.0.1"
PATIENCE = 120.0  # seconds until a server must answer: a Java machine that starts beside others takes its time


class DidNotStart(RuntimeError):
    """A server that this machine has, and that did not start: a fault, not a reason to skip."""


def missing_postgres() -> str | None:
    """→ why there can be no PostgreSQL server here, or None."""
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed (extra `postgres`)"
    if _postgres_program("initdb") is None or _postgres_program("postgres") is None:
        return "no PostgreSQL server found (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and _unprivileged() is None:
        return "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`"
    return None


def missing_spark() -> str | None:
    """→ why there can be no Spark here, or None."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed (extra `spark`)"
    if _java() is None:
        return "no Java found (Debian: apt-get install default-jre-headless)"
    return None


@dataclass
class Postgres:
    """A PostgreSQL server. The password is asked for (scram) and stands in no URL: pass it by PGPASSWORD."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    user: str = "reader of logs"  # a blank, which a URL must quote
    database: str = "platform"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)

    @classmethod
    def create(cls) -> Postgres:
        """Make a cluster and its database in a folder of its own, and start it."""
        folder = Path(tempfile.mkdtemp(prefix="tschurn-postgres-"))
        server = cls(_free_port(), folder)
        try:
            if (user := _unprivileged()) and os.geteuid() == 0:
                os.chown(folder, user.pw_uid, user.pw_gid)
            secret = folder / "password"
            secret.write_text(server.password)
            secret.chmod(0o644)  # inside a folder that only the server's user may enter
            _checked(
                [_postgres_program("initdb"), "-D", folder / "data", "-U", server.user, f"--pwfile={secret}",
                 "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
            )  # fmt: skip
            secret.unlink()
            server.start()
            with server.connection("postgres") as connection:
                connection.execute(f'CREATE DATABASE "{server.database}"')
        except BaseException:
            server.remove()
            raise
        return server

    def start(self) -> None:
        """Start the server on the same port and the same data; return when it answers."""
        import psycopg

        settings = {"listen_addresses": HOST, "unix_socket_directories": "", "fsync": "off", "shared_buffers": "32MB",
                    "full_page_writes": "off", "max_connections": "20"}  # fmt: skip
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        log = self.folder / "server.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [_postgres_program("postgres"), "-D", self.folder / "data", "-p", str(self.port), *options],
                stdout=out, stderr=out, cwd=self.folder, **_as_unprivileged(),
            )  # fmt: skip

        def answers() -> bool:
            with suppress(psycopg.OperationalError):
                self.connection("postgres").close()
                return True
            return False

        _wait(answers, self.process, log)

    def kill(self) -> None:
        """Take the server away as a power cut would: sessions break off in the middle of what they do."""
        _end(self.process, signal.SIGQUIT)
        self.process = None

    def remove(self) -> None:
        """Stop the server and delete its data, so it need not be tidied first."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, table: str = "", user: str | None = None) -> str:
        """`schema.table` → a URL without a password, as in [log] path."""
        query = f"?table={quote(table)}" if table else ""
        return f"postgresql://{quote(user or self.user)}@{HOST}:{self.port}/{quote(self.database)}{query}"

    def connection(self, database: str | None = None):
        """→ a psycopg connection that commits each statement."""
        import psycopg

        return psycopg.connect(
            host=HOST, port=self.port, user=self.user, password=self.password, dbname=database or self.database,
            autocommit=True, connect_timeout=10,
        )  # fmt: skip

    def service_file(self, path: Path, service: str) -> Path:
        """Write a service file with the password, for PGSERVICEFILE."""
        path.write_text(
            f"[{service}]\nhost={HOST}\nport={self.port}\ndbname={self.database}\n"
            f"user={self.user}\npassword={self.password}\n",
            encoding="utf-8",
        )
        path.chmod(0o600)
        return path

    def password_file(self, path: Path) -> Path:
        """Write a password file, for PGPASSFILE."""
        path.write_text(f"{HOST}:{self.port}:*:{self.user}:{self.password}\n", encoding="utf-8")
        path.chmod(0o600)
        return path

    def load(
        self, rows: pd.DataFrame | pa.Table, table: str, schema: str = "public", types: dict[str, str] | None = None
    ) -> str:
        """A frame or Arrow table → a table of the database, by COPY; → its name for `url`.

        types: column → SQL type, where the one that follows from the Arrow type is not meant.
        """
        from psycopg import sql

        rows = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
        kinds = {f.name: (types or {}).get(f.name) or _sql_type(f.type) for f in rows.schema}
        where = sql.Identifier(schema, table)
        columns = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(c), sql.SQL(k)) for c, k in kinds.items())
        # what is there is quoted, what is null is not: a blank id stays a blank id
        how = pa.csv.WriteOptions(include_header=False, quoting_style="all_valid")
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(where))
            cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(where, columns))
            with cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(where)) as copy:
                for batch in rows.to_batches(max_chunksize=100_000):
                    text = io.BytesIO()
                    pa.csv.write_csv(batch, text, how)
                    copy.write(text.getvalue())
        return f"{schema}.{table}"


@dataclass
class SparkCluster:
    """A standalone master with two workers of one core each, all on this machine."""

    master: str
    folder: Path
    processes: list[subprocess.Popen[bytes]]

    @classmethod
    def create(cls, workers: int = 2, memory: str = "1g") -> SparkCluster:
        """Start the master, then the workers; return when all of them have registered."""
        folder = Path(tempfile.mkdtemp(prefix="tschurn-spark-"))
        port = _free_port()
        cluster = cls(f"spark://{HOST}:{port}", folder, [])
        try:
            log = cluster._start("master.Master", "--port", str(port), "--webui-port", "0")
            _wait(lambda: "I have been elected leader" in _text(log), cluster.processes[0], log)
            for number in range(workers):
                cluster._start(
                    "worker.Worker", "--webui-port", "0", "--cores", "1", "--memory", memory,
                    "--work-dir", str(folder / f"work{number}"), cluster.master, name=f"worker{number}",
                )  # fmt: skip
            _wait(lambda: _text(log).count("Registering worker") >= workers, cluster.processes[0], log)
        except BaseException:
            cluster.remove()
            raise
        return cluster

    def kill_worker(self, number: int) -> None:
        """Take one worker away."""
        _end(self.processes[1 + number], signal.SIGKILL)

    def remove(self) -> None:
        """Stop all processes, the workers first, and delete their folders."""
        for process in reversed(self.processes):
            _end(process, signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, role: str, *options: str, name: str = "master") -> Path:
        import pyspark

        log = self.folder / f"{name}.log"
        jars = Path(pyspark.__file__).parent / "jars" / "*"
        command = [_java(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", str(jars),
                   f"org.apache.spark.deploy.{role}", "--host", HOST, *options]  # fmt: skip
        # what Spark's own scripts would say: the workers find the executors' jars by it
        scala = next(Path(pyspark.__file__).parent.glob("jars/scala-library-*.jar")).stem.split("-")[2]
        environment = os.environ | {
            "SPARK_HOME": str(Path(pyspark.__file__).parent),
            "SPARK_SCALA_VERSION": ".".join(scala.split(".")[:2]),
            "SPARK_LOCAL_IP": HOST,
        }
        with log.open("ab") as out:
            self.processes.append(subprocess.Popen(command, stdout=out, stderr=out, cwd=self.folder, env=environment))
        return log


def end_session() -> None:
    """Stop the Spark session that is there: a process has one master at a time."""
    from pyspark.sql import SparkSession

    if session := SparkSession.getActiveSession():
        session.stop()


def _sql_type(type_: pa.DataType) -> str:
    if pa.types.is_timestamp(type_):
        return "timestamptz" if type_.tz else "timestamp"
    tests = {pa.types.is_boolean: "boolean", pa.types.is_integer: "bigint", pa.types.is_floating: "double precision",
             pa.types.is_date: "date"}  # fmt: skip
    return next((name for test, name in tests.items() if test(type_)), "text")


def _postgres_program(name: str) -> str | None:
    """→ its path: what is in PATH, or the newest that Debian keeps out of it."""
    versions = glob.glob(f"/usr/lib/postgresql/*/bin/{name}") + glob.glob(f"/usr/pgsql-*/bin/{name}")
    newest = max(versions, key=lambda p: [int(n) for n in re.findall(r"\d+", p)], default=None)
    return shutil.which(name) or newest


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    inside = Path(home) / "bin" / "java" if home else None
    return str(inside) if inside and inside.is_file() else shutil.which("java")


def _unprivileged() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _as_unprivileged() -> dict[str, object]:
    """→ arguments for subprocess that leave root behind, which PostgreSQL refuses to run as."""
    user = _unprivileged()
    if os.geteuid() != 0 or user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _checked(command: list[object]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=PATIENCE, **_as_unprivileged())
    if done.returncode:
        raise DidNotStart(f"{Path(str(command[0])).name}: {done.stderr.strip()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise DidNotStart(f"{log.stem} did not start: {_text(log)[-2000:]}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
