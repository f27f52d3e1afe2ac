"""Times the way from a raw log to windows ready for training, side by side with other ways; prints Markdown.

    python benchmarks/windows.py [--rows 0.1] [--times 1,10,40] [--repeats 3] [--only NAME ...] [--table NAME ...]

Every run is a process of its own (windows_worker.py); the engines take turns, so that what else the machine does
meets all of them. No time is printed unless all results are equal: the panel, the index and a batch by their digests,
history number by number, the sampled engines window by window.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import windows_log
from tables import head, row

ENGINES = {
    "scan_duckdb": "bare scan: DuckDB, a sum over each column",
    "scan_arrow": "bare scan: pyarrow `read_table`",
    "tschurn": "**tschurn**",
    "tschurn_checked": "tschurn with its quality report",
    "numpy_sort": "numpy, one sort of packed keys",
    "numba": "numba, one pass",
    "polars": "Polars, lazy and streaming",
    "duckdb_masks": "DuckDB, integer keys and bit masks",
    "duckdb_two_stage": "DuckDB in two stages",
    "pandas": "pandas vectorised (the reference)",
    "duckdb_plain": "DuckDB, plain `count(DISTINCT) FILTER`",
    "pandas_loop": "pandas pivot and a Python loop over windows",
    "tsfresh": "tsfresh `roll_time_series` on a finished daily table",
    "tschurn_spark": "tschurn on Spark",
}
SCAN, REFERENCE, SAMPLED = "scan_duckdb", "pandas", ("pandas_loop", "tsfresh")
KINDS = {"history": "the 36, history", "supporters": "the 36, supporters by day", "both": "all of it"}
GROWTH = (SCAN, "tschurn", "duckdb_masks", "polars")  # the peers up to PEERS_UP_TO times the rows
PEERS_UP_TO, GROWTH_STRIDE = 10, 7
GOALS_MIB = {1: 500, 10: 1536, 40: 2560}
SMALL = 0.02  # of the rows: the log that every process begins with
EQUAL = ("panel", "users", "index", "batch", "shape")


@dataclass
class Bench:
    """The options, the folders, and the engine that is run next."""

    rows: float
    threads: int
    repeats: int
    only: tuple[str, ...]
    logs: Path
    scratch: Path
    runs: int = 0
    missing: dict[str, str] = field(default_factory=dict)

    def wanted(self, engines: Iterable[str], always: Sequence[str] = ()) -> list[str]:
        return [e for e in engines if not self.only or e in self.only or e in always]

    def run(self, engine: str, times: int = 1, **task: Any) -> dict[str, Any] | None:
        """One engine in a fresh process → what windows_worker.py says; None if it could not run here."""
        if engine in self.missing:
            return None
        self.runs += 1
        folder = self.scratch / f"run {self.runs}"
        folder.mkdir()
        task |= {
            "engine": engine, "folder": str(folder), "threads": self.threads,
            "log": str(windows_log.cached(self.logs, self.rows, times)),
            "small": str(windows_log.cached(self.logs, SMALL)),
        }  # fmt: skip
        pools = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")
        threads = {f"{pool}_NUM_THREADS": str(self.threads) for pool in pools}
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("windows_worker.py")), json.dumps(task)],
            env=os.environ | threads | {"POLARS_MAX_THREADS": str(self.threads)}, capture_output=True, text=True,
        )  # fmt: skip
        shutil.rmtree(folder / "full", ignore_errors=True)  # its files are the engine's own
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            self.missing[engine] = f"ended with {done.returncode}: {last[:120]}"
            return None
        result = json.loads(done.stdout.splitlines()[-1])
        if "missing" in result:
            self.missing[engine] = f"not installed ({result['missing']})"
            return None
        print(f"{engine:<18} {task.get('kind', 'panel'):<11} × {times:<3} {result['wall']:8.2f} s", file=sys.stderr)
        return result | {"folder": folder}

    def turns(self, engines: Sequence[str], repeats: int, **task: Any) -> dict[str, list[dict[str, Any]]]:
        """All engines in turn, `repeats` times, each round beginning with another one."""
        found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
        for k in range(repeats):
            for engine in [*engines[k % len(engines) :], *engines[: k % len(engines)]]:
                once = engine in SAMPLED and k > 0
                result = None if once else self.run(engine, keep=engine == REFERENCE and k == 0, **task)
                if result:
                    found[engine].append(result)
        return found


# --- are the results equal ------------------------------------------------------------------------
def check(found: dict[str, list[dict[str, Any]]], reference: str) -> None:
    """End the program unless every run gave what the reference's first run gave."""
    if not found.get(reference):
        sys.exit("the reference did not run, so no result can be checked")
    right = found[reference][0]
    for engine, results in found.items():
        for result in results:
            for name in EQUAL if "panel" in result else ():
                if result[name] != right[name]:
                    sys.exit(f"{engine}: {name} differs from that of {reference}: {result[name]} {right[name]}")
            if "history" in right and engine != reference:
                _same_history(engine, result["history"], right["history"])
            if "rows" in result and result["rows"] != found[SCAN][0]["rows"]:
                sys.exit(f"{engine}: read {result['rows']} rows instead of {found[SCAN][0]['rows']}")
            if "sample" in result:
                _extrapolate(engine, result, right, found[SCAN][0]["rows"])


def _same_history(engine: str, path: str, right: str) -> None:
    ours, theirs = np.load(path), np.load(right)
    if ours.shape != theirs.shape:
        sys.exit(f"{engine}: history is {ours.shape}, not {theirs.shape}")
    far = ~np.isclose(ours, theirs, rtol=1e-5, atol=1e-6)
    if far.any():
        place, column = np.argwhere(far)[0]
        sys.exit(f"{engine}: history differs in {far.sum()} places, first in row {place}, column {column}")


def _extrapolate(engine: str, result: dict[str, Any], right: dict[str, Any], rows: int) -> None:
    """Check a sample's windows one by one against the reference's, and set what all users would have taken."""
    sample, everything = np.load(result["sample"]), np.load(right["folder"] / "index.npz")
    panel = np.load(right["folder"] / "panel.npy", mmap_mode="r")
    place = np.searchsorted(everything["users"], sample["users"])
    here = np.isin(everything["user"], place)
    user, anchor = everything["user"][here], everything["anchor"][here]
    days = sample["windows"].shape[1]
    same = (
        np.array_equal(place[sample["user"]], user)
        and np.array_equal(sample["anchor"], anchor)
        and np.array_equal(sample["churned"], everything["churned"][here])
        and np.array_equal(sample["windows"], panel[user[:, None], anchor[:, None] + np.arange(1 - days, 1)])
    )
    if not same:
        sys.exit(f"{engine}: the windows of its {len(place)} users differ from those of the reference")
    factor = {"fixed": 1.0, "users": len(everything["users"]) / len(place), "rows": rows / max(1, int(sample["rows"]))}
    for name in ("wall", "cpu"):
        result[name] = sum(factor[part] * seconds for part, seconds in result[f"{name}_parts"].items())
    result["about"] = f"{len(place)} of {len(everything['users']):,} users, extrapolated"


# --- tables ---------------------------------------------------------------------------------------
def engines_table(bench: Bench) -> None:
    """From the raw file to windows, the 36 daily features, stride 1."""
    engines = bench.wanted([e for e in ENGINES if e != "tschurn_spark"], always=(SCAN, REFERENCE))
    found = bench.turns(engines, bench.repeats)
    check(found, REFERENCE)
    right = found[REFERENCE][0]
    users, days, features = right["shape"]
    print(f"\n{found[SCAN][0]['rows']:,} rows, {users:,} users × {days} days × {features} features → "
          f"{right['windows']:,} closed windows, {right['churn']:.3f} churned; equal in all rows.\n")  # fmt: skip
    head("engine", "wall s", "CPU s", "wall ÷ pandas", "CPU ÷ pandas", "wall ÷ scan", "peak MiB", "before s", "n")
    for engine in engines:
        runs = found[engine]
        if not runs:
            print(f"| {ENGINES[engine]} | {bench.missing[engine]} |" + " |" * 7)
            continue
        about = f" ({runs[0]['about']})" if "about" in runs[0] else ""
        peak = "–" if about else f"{max(r['mib'] for r in runs):,.0f}"
        row(
            ENGINES[engine] + about, _spread(runs, "wall"), _median(runs, "cpu"),
            _ratio(runs, found[REFERENCE], "wall"), _ratio(runs, found[REFERENCE], "cpu"),
            _ratio(runs, found[SCAN], "wall"), peak, _median(runs, "first"), len(runs),
        )  # fmt: skip


def people_table(bench: Bench) -> None:
    """History and supporters, against pandas with the same outputs."""
    rows = []
    for kind in KINDS:
        found = bench.turns(bench.wanted((REFERENCE, "tschurn"), always=(REFERENCE,)), bench.repeats, kind=kind)
        check(found, REFERENCE)
        rows += [(kind, engine, runs, found[REFERENCE]) for engine, runs in found.items() if runs]
    print()
    head("outputs", "engine", "wall s", "CPU s", "wall ÷ pandas", "CPU ÷ pandas", "peak MiB", "n")
    for kind, engine, runs, reference in rows:
        row(
            KINDS[kind], ENGINES[engine], _spread(runs, "wall"), _median(runs, "cpu"), _ratio(runs, reference, "wall"),
            _ratio(runs, reference, "cpu"), f"{max(r['mib'] for r in runs):,.0f}", len(runs),
        )  # fmt: skip


def growth_table(bench: Bench, times: Sequence[int]) -> None:
    """More rows, more users: how time and memory grow; stride 7, one run each but for the first size."""
    lines, base, once = [], {}, {}
    for size in times:
        engines = [e for e in bench.wanted(GROWTH, always=(SCAN,)) if e in GROWTH[:2] or size <= PEERS_UP_TO]
        found = bench.turns(engines, bench.repeats if size == 1 else 1, times=size, stride=GROWTH_STRIDE)
        built = {e: runs for e, runs in found.items() if runs and "panel" in runs[0]}
        check(found, next(iter(built), SCAN))
        for engine, runs in built.items():
            once.setdefault("windows", runs[0]["windows"] / size)
            if runs[0]["windows"] != once["windows"] * size:
                sys.exit(f"{engine}: {runs[0]['windows']} windows of {size} times the rows, not {size} times as many")
        lines += [(size, engine, runs) for engine, runs in found.items() if runs]
    print()
    head("rows", "engine", "wall s", "CPU s", "growth of wall", "growth of CPU", "peak MiB", "goal MiB", "n")
    for size, engine, runs in lines:
        wall, cpu = (statistics.median(r[name] for r in runs) for name in ("wall", "cpu"))
        base.setdefault(engine, (wall, cpu))
        goal = GOALS_MIB.get(size, "") if engine == "tschurn" else ""
        row(
            f"× {size}", ENGINES[engine], _spread(runs, "wall"), _median(runs, "cpu"), f"{wall / base[engine][0]:.1f}",
            f"{cpu / base[engine][1]:.1f}", f"{max(r['mib'] for r in runs):,.0f}", goal, len(runs),
        )  # fmt: skip


def spark_table(bench: Bench) -> None:
    """The same code on Spark, on this machine; one run."""
    found = bench.turns(bench.wanted(("tschurn", "tschurn_spark"), always=("tschurn",)), 1)
    check(found, "tschurn")
    print()
    head("engine", "wall s", "CPU s", "wall ÷ DuckDB", "peak MiB, server included", "before s", "n")
    for engine, runs in found.items():
        if not runs:
            print(f"| {ENGINES[engine]} | {bench.missing[engine]} |" + " |" * 5)
            continue
        row(
            ENGINES[engine], _spread(runs, "wall"), _median(runs, "cpu"), _ratio(runs, found["tschurn"], "wall"),
            f"{runs[0]['mib']:,.0f}", _median(runs, "first"), len(runs),
        )  # fmt: skip


def _median(runs: list[dict[str, Any]], name: str) -> str:
    return f"{statistics.median(r[name] for r in runs):.2f}"


def _spread(runs: list[dict[str, Any]], name: str) -> str:
    """Median (least–most)."""
    values = [r[name] for r in runs]
    return _median(runs, name) + (f" ({min(values):.2f}–{max(values):.2f})" if len(values) > 1 else "")


def _ratio(runs: list[dict[str, Any]], reference: list[dict[str, Any]], name: str) -> str:
    """Median of the rounds' ratios (least–most)."""
    ratios = [ours[name] / theirs[name] for ours, theirs in zip(runs, reference, strict=False)]
    return f"{statistics.median(ratios):.2f}" + (f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else "")


TABLES = {"engines": engines_table, "people": people_table, "growth": growth_table, "spark": spark_table}


def main(arguments: argparse.Namespace) -> None:
    """Print the tables asked for."""
    names = ("numpy", "pandas", "pyarrow", "duckdb", "ibis-framework")
    print(f"Python {platform.python_version()}, {', '.join(f'{n} {version(n)}' for n in names)}; "
          f"{os.cpu_count()} cores, {arguments.threads} threads each.")  # fmt: skip
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(
            arguments.rows, arguments.threads, arguments.repeats, tuple(arguments.only), arguments.folder, Path(scratch)
        )
        for name, table in TABLES.items():
            if arguments.table and name not in arguments.table:
                continue
            print(f"\n### {table.__doc__.partition('.')[0]}")
            growth = ([int(times) for times in arguments.times.split(",")],) if table is growth_table else ()
            table(bench, *growth)
            sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time the way from a raw log to windows against other ways.")
    parser.add_argument("--rows", type=float, default=1.0, help="share of the 5,186,966 rows")
    parser.add_argument("--times", default="1,10,40", help="sizes of the third table")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", default=[], choices=ENGINES, metavar="NAME", help=", ".join(ENGINES))
    parser.add_argument("--table", action="append", default=[], choices=TABLES)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tschurn-benchmarks",
                        help="where the logs are kept from one run to the next")  # fmt: skip
    main(parser.parse_args())
