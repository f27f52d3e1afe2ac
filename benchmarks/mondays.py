"""Mondays by the commands themselves: a run on a simulated platform, then a score a week, beside the same platform
where something changes after the first of them; prints Markdown.

    python benchmarks/mondays.py [--seeds 11,12] [--changes tired_creators] [--mondays N] [--creators N] [--folder DIR]

Of each seed the platform is simulated without and with each change; up to the day of the change the logs are the same,
which is looked at, so that one run does for all of them. `tschurn run` is given the log up to a Sunday, with a short
search; `tschurn score --fail-on recalibrate` the log up to each Sunday after it. The change begins on the first Monday
after the first score: the second score sees a week of it, and the outcomes that it had.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import duckdb

FIRST_DAY = date(2022, 11, 7)  # a Monday
WEEKS = 41  # that the run is given: all leaves and campaigns of the platform lie in them
STRENGTH = {"tired_creators": 1.0, "fickle_creators": 1.0, "bored_fans": 0.8, "renamed_event": 1.0}
TOML = """
[experiment]
name = "mondays"
[log]
path = "{folder}/events.parquet"
creators = "{folder}/creators.csv"
timezone = "Asia/Seoul"
drop_duplicates = true
until = {until}
[targets.sticker]
events = ["sticker_small", "sticker_medium", "sticker_large"]
[search]
seeds = 1
trials = 2
trial_epochs = 3
epochs = 10
[explain]
boruta_trials = 10
"""


def main() -> None:
    """A row per seed, change and Monday."""
    options = _options()
    place = Path(options.folder or tempfile.mkdtemp(prefix="tschurn-mondays-"))
    print("| seed | planted | score as of | weeks of the change seen | advice | because of | exit code | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for seed in (int(n) for n in options.seeds.split(",")):
        quiet = _simulated(place, seed, None, options)
        run = _run(place, seed, quiet)
        for change in (None, *filter(None, options.changes.split(","))):
            folder = _simulated(place, seed, change, options)
            _same_before(quiet, folder)
            for monday in range(1, options.mondays + 1):
                as_of = _sunday(WEEKS + monday)
                told, code = _scored(run, folder, as_of, place / "list")
                seen = max(0, monday - 1) if change else 0
                print(f"| {seed} | {change or 'nothing'} | {as_of} | {seen} | {told['recommendation']} | "
                      f"{_why(place / 'list')} | {code} | {told['seconds']:.0f} |", flush=True)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="11,12")
    parser.add_argument("--changes", default="tired_creators")
    parser.add_argument("--mondays", type=int, default=4)
    parser.add_argument("--creators", type=int, default=750)
    parser.add_argument("--folder", help="what is there already is not made again")
    return parser.parse_args()


def _sunday(weeks: int) -> date:
    return FIRST_DAY + timedelta(days=7 * weeks - 1)


def _simulated(place: Path, seed: int, change: str | None, options: argparse.Namespace) -> Path:
    folder, days = place / f"{seed}_{change or 'nothing'}", 7 * (WEEKS + options.mondays)
    if not (folder / "truth.parquet").exists():
        given = {"creators": options.creators, "fans": 8_000, "rows": 13 * options.creators * days, "days": days,
                 "seed": seed, "first-day": FIRST_DAY}  # fmt: skip
        if change:
            given |= {"change": change, "change-day": 7 * (WEEKS + 1), "change-strength": STRENGTH[change]}
        _tschurn("simulate", folder, *(part for name, value in given.items() for part in (f"--{name}", value)))
    return folder


def _same_before(quiet: Path, changed: Path) -> None:
    """Raise ValueError where the logs differ before the day of the change."""
    first = FIRST_DAY + timedelta(days=7 * (WEEKS + 1))
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'Asia/Seoul'")
        of = [f"(SELECT * FROM '{folder / 'events.parquet'}' WHERE timestamp::DATE < '{first}')" for folder in
              (quiet, changed)]  # fmt: skip
        differ = engine.execute(
            f"SELECT count(*) FROM ({of[0]} EXCEPT ALL {of[1]} UNION ALL ({of[1]} EXCEPT ALL {of[0]}))"
        )
        if found := differ.fetchone()[0]:
            raise ValueError(f"{changed}: {found} rows before {first} are not those of {quiet}")


def _run(place: Path, seed: int, folder: Path) -> Path:
    file = place / f"mondays_{seed}.toml"
    file.write_text(TOML.format(folder=folder, until=_sunday(WEEKS)), encoding="utf-8")
    reports = place / f"reports_{seed}"
    _tschurn("run", file, "--reports", reports)
    return reports / "mondays" / "latest"


def _scored(run: Path, folder: Path, as_of: date, out: Path) -> tuple[dict, int]:
    log = folder / "events.parquet"
    code = _tschurn("score", run, "--log", log, "--as-of", as_of, "--out", out, "--fail-on", "recalibrate", fine=(0, 3))
    return json.loads((out / "score.json").read_text(encoding="utf-8")), code


def _why(out: Path) -> str:
    """→ of each target what drift made of it."""
    targets = json.loads((out / "drift.json").read_text(encoding="utf-8"))["targets"]
    return "; ".join(f"{name}: {found['advice']} ({found['reason']})" for name, found in targets.items())


def _tschurn(*arguments: object, fine: tuple[int, ...] = (0,)) -> int:
    command = [sys.executable, "-m", "tschurn", *map(str, arguments), "--quiet"]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code not in fine:
        raise subprocess.CalledProcessError(code, command)
    return code


if __name__ == "__main__":
    main()
