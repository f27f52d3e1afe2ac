"""Mondays by the commands themselves: a run on a simulated platform, then a score a week, without a change and with one
after the first of them; prints Markdown.

    python benchmarks/mondays.py [--seeds 11,12] [--changes ,tired_creators] [--mondays N] [--creators N] [--folder DIR]

Each seed and change is a platform of its own. `tschurn run` is given its log up to a Sunday, with a short search;
`tschurn score --fail-on recalibrate` the log up to each Sunday after it. The change begins on the Monday after the
first score: the second score sees a week of it, and the outcomes that the first had. The seeds were not looked at
while drift was made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from itertools import product
from pathlib import Path

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
    for seed, change in product(map(int, options.seeds.split(",")), options.changes.split(",")):
        name = f"{seed}_{change or 'nothing'}"
        folder = _simulated(place / name, seed, change, options)
        run = _run(folder)
        for monday in range(1, options.mondays + 1):
            as_of = _sunday(WEEKS + monday)
            told, code = _scored(run, folder, as_of)
            seen, planted = (monday - 1, change) if change else (0, "nothing")
            print(f"| {seed} | {planted} | {as_of} | {seen} | {told['recommendation']} | {_why(folder / 'list')} | "
                  f"{code} | {told['seconds']:.0f} |", flush=True)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="11,12")
    parser.add_argument("--changes", default=",tired_creators", help="separated by commas; nothing is none")
    parser.add_argument("--mondays", type=int, default=4)
    parser.add_argument("--creators", type=int, default=750)
    parser.add_argument("--folder", help="what is there already is not made again")
    return parser.parse_args()


def _sunday(weeks: int) -> date:
    return FIRST_DAY + timedelta(days=7 * weeks - 1)


def _simulated(folder: Path, seed: int, change: str, options: argparse.Namespace) -> Path:
    days = 7 * (WEEKS + options.mondays)
    if not (folder / "truth.parquet").exists():
        given = {"creators": options.creators, "fans": 8_000, "rows": 13 * options.creators * days, "days": days,
                 "seed": seed, "first-day": FIRST_DAY}  # fmt: skip
        if change:
            given |= {"change": change, "change-day": 7 * (WEEKS + 1), "change-strength": STRENGTH[change]}
        _tschurn("simulate", folder, *(part for name, value in given.items() for part in (f"--{name}", value)))
    return folder


def _run(folder: Path) -> Path:
    file = folder / "mondays.toml"
    file.write_text(TOML.format(folder=folder, until=_sunday(WEEKS)), encoding="utf-8")
    _tschurn("run", file, "--reports", folder / "reports")
    return folder / "reports" / "mondays" / "latest"


def _scored(run: Path, folder: Path, as_of: date) -> tuple[dict, int]:
    log, out = folder / "events.parquet", folder / "list"
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
