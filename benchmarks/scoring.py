"""Scoring a million users with a finished run: time and memory, beside the bare scan of the log; prints Markdown.

    python benchmarks/scoring.py [RUN] [--users 100000,1000000] [--folder DIR]

RUN: a finished run of a small log of creators (made in FOLDER if none is given: a few minutes). The larger log is that
log's users over and over, under new ids, each with a random four fifths of their acts. Every score is a process of its
own; the floor is DuckDB counting the same file's rows and users.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
USERS, DAYS = 150, 98  # of the small log
KEPT = 8  # of ten acts


def main() -> None:
    """The table."""
    options = _options()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="tschurn-scoring-"))
    folder.mkdir(parents=True, exist_ok=True)
    run = Path(options.run) if options.run else _small_run(folder)
    print(f"`python benchmarks/scoring.py --users {options.users}`, {os.cpu_count()} cores\n")
    print("| users | rows of the log | scanned (floor) | scored | unscored | seconds | times the floor | peak memory |")
    print("|---|---|---|---|---|---|---|---|")
    for users in (int(n) for n in options.users.split(",")):
        log = _large_log(folder, users)
        floor, rows = _floor(log)
        told = _score(run, log, folder / "list")
        left_out, peak = sum(told["unscored"].values()), told["peak_memory_mib"]
        print(f"| {told['scored'] + left_out:,} | {rows:,} | {floor:.1f} s | {told['scored']:,} | {left_out:,} | "
              f"{told['seconds']:.0f} | {told['seconds'] / floor:.0f} | {peak} MiB |", flush=True)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?")
    parser.add_argument("--users", default="100000,1000000")
    parser.add_argument("--folder")
    return parser.parse_args()


def _small_run(folder: Path) -> Path:
    """→ a finished run of the small log."""
    from conftest import QUICK, STICKER
    from synthetic import make_log

    make_log(USERS, DAYS).to_csv(folder / "events.csv", index=False)
    file = folder / "small.toml"
    text = f'[experiment]\nname = "small"\n[log]\npath = "{folder / "events.csv"}"\n{STICKER}{QUICK}'
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "tschurn", "run", file, "--reports", folder / "reports"]
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
    return folder / "reports" / "small" / "latest"


def _large_log(folder: Path, users: int) -> Path:
    """→ a Parquet file of about so many users, made once."""
    import duckdb
    from synthetic import make_log

    path = folder / f"log_{users}.parquet"
    if path.exists():
        return path
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as engine:
        engine.execute("SET temp_directory = ?", [spill])
        small = make_log(USERS, DAYS)
        copies = -(-users // small["user_id"].nunique())
        engine.register("small", small)
        engine.execute(
            f"""COPY (SELECT user_id + {10 * USERS} * k AS user_id,
                CASE WHEN actor_id = user_id THEN user_id + {10 * USERS} * k
                     ELSE actor_id + 10000000000 + k % 1000 * 1000 END AS actor_id,
                timestamp::TIMESTAMPTZ AS timestamp, event, value
                FROM small, range({copies}) copies(k) WHERE hash(user_id, timestamp, k) % 10 < {KEPT} ORDER BY k)
                TO '{path}' (FORMAT PARQUET, COMPRESSION zstd)"""
        )
    return path


def _floor(log: Path) -> tuple[float, int]:
    """→ seconds of the bare scan of every column, and the rows."""
    import duckdb

    with duckdb.connect() as engine:
        began = time.perf_counter()
        rows, *_ = engine.execute(
            "SELECT count(*), count(DISTINCT user_id), max(actor_id), max(timestamp), max(event), sum(value) FROM "
            "read_parquet(?)", [str(log)],
        ).fetchone()  # fmt: skip
        return time.perf_counter() - began, rows


def _score(run: Path, log: Path, out: Path) -> dict:
    """→ score.json of a process of its own."""
    command = [sys.executable, "-m", "tschurn", "score", run, "--log", log, "--out", out, "--quiet"]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return json.loads((out / "score.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
