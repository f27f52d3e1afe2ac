"""a seed and a number → so many faults injected into real runs, and whether each ended as if nothing had happened.

    PYTHONPATH=tests python -m faults.injector 200      # the table of benchmarks/FAULTS.md

A life is a run folder into which faults are injected one after the other, the run started again after each: while the
run grows, processes are killed and the disk is full at a random moment of a random stage; between attempts, and once
the run is finished, files of its folder are damaged. Whenever a run ends well, its folder is compared with that of an
undisturbed run, byte for byte but for times. The plan of a life follows from its seed; the moments do with it, as far
as the machine is as fast as before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from faults.attempt import Attempt
from faults.damage import DAMAGES, damage, files_of
from faults.folder import differences, half_written
from faults.little_disk import LittleDisk
from synthetic import make_log

PER_LIFE = 20
AT_WORK = ("killed", "run killed, its processes left", "a process of it killed", "disk full", "file size limit")
KINDS = (*AT_WORK, *DAMAGES)
_SMALLEST = 512  # bytes of room, or of a file
_OTHERWISE = 5.0  # seconds that starting, or drawing the report, takes
_PATIENCE = 1800  # seconds that an attempt may take
_TOML = """
[experiment]
name = "life"
[log]
path = "{log}"
{target}
[search]
seeds = 1
trials = 2
trial_epochs = 1
epochs = 1
[explain]
boruta_trials = 5
[run]
threads = {threads}
"""
_STICKER = '[targets.sticker]\nevents = ["sticker"]\n'


@dataclass
class Injection:
    """One fault: what, where, and what was wrong afterwards (nothing: survived)."""

    life: int
    kind: str
    where: str
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Undisturbed:
    """An experiment, and the folder that a run of it leaves when nothing happens."""

    toml: Path
    folder: Path
    stages: dict[str, float]  # → seconds, in their order
    size: int  # bytes
    largest: int  # bytes of a file


def undisturbed(place: Path, targets: int = 1) -> Undisturbed:
    """A tiny log and its run. targets: 1 in one process, or 2 side by side."""
    place.mkdir(parents=True)
    make_log(users=60, days=70).to_csv(place / "events.csv", index=False)
    toml = place / "life.toml"
    toml.write_text(
        _TOML.format(log=place / "events.csv", target=_STICKER if targets == 2 else "", threads=targets),
        encoding="utf-8",
    )
    attempt = Attempt(toml, place / "undisturbed")
    ended = attempt.wait(_PATIENCE)
    if ended.code != 0:
        raise RuntimeError(f"the undisturbed run failed: {ended.said}")
    folder = place / "undisturbed" / "life" / "latest"
    manifest = json.loads((folder / "manifest.json").read_text())
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    seconds = {name: stage["seconds"] for name, stage in manifest["stages"].items()}
    return Undisturbed(toml, folder, seconds, sum(sizes), max(sizes))


class Life:
    """One run folder and what happens to it."""

    def __init__(self, number: int, seed: int, place: Path, pattern: Undisturbed) -> None:
        self.number = number
        self.pattern = pattern
        self.random = np.random.default_rng([seed, number])
        self.injections: list[Injection] = []
        self._place = place
        self._folder = place / "life" / "latest"
        self._open: list[Injection] = []  # not yet known to be survived
        self._damaged: set[str] = set()  # files that no run has seen since

    def live(self, injections: int) -> list[Injection]:
        """→ so many injections."""
        with LittleDisk(self._place, 3 * self.pattern.size) as disk:
            while len(self.injections) < injections:
                missing = [name for name in self.pattern.stages if not (self._folder / "stages" / name).exists()]
                left = injections - len(self.injections)
                growing = len(missing) > 0 and left > injections // 3
                if growing or self.random.random() < 0.4:
                    ended_well = self._disturbed(missing, disk)
                else:
                    self._damage()
                    ended_well = self.random.random() < 0.8 and self._attempt()
                if not ended_well and self._folder.exists() and self.random.random() < 0.3:
                    self._damage()  # such as what a search has kept of its trials
            if self._open:
                self._attempt()
        return self.injections

    # --- faults ---------------------------------------------------------------------------------------
    def _disturbed(self, missing: Sequence[str], disk: LittleDisk) -> bool:
        """Inject a fault into a run at work; → whether the run ended well all the same."""
        ahead = [*missing[:4], "report"] if missing else ["start", "report"]
        stage = str(self.random.choice(ahead))
        fraction = float(self.random.random())
        kinds = AT_WORK if disk.is_one else [kind for kind in AT_WORK if kind != "disk full"]
        # a full disk is met where most is written, at the end: a run that grows is mostly killed
        weights = np.array([3 if missing and "full" not in kind and "limit" not in kind else 1 for kind in kinds])
        kind = str(self.random.choice(kinds, p=weights / weights.sum()))
        room = int(_SMALLEST * max(1.0, (self.pattern.size - disk.used()) / _SMALLEST) ** fraction)
        limit = int(_SMALLEST * (self.pattern.largest / _SMALLEST) ** fraction)
        if kind == "file size limit":
            attempt = Attempt(self.pattern.toml, self._place, file_limit=limit)
        else:
            attempt = Attempt(self.pattern.toml, self._place)
        if kind == "disk full":
            where = f"with {room:,} bytes of room"
            with disk.filled(room):
                ended = attempt.wait(_PATIENCE)
        elif kind == "file size limit":
            where = f"at {limit:,} bytes"
            ended = attempt.wait(_PATIENCE)
        else:
            where = f"in {stage}"
            if attempt.reaches(self._folder, stage):
                attempt.wait(fraction * self.pattern.stages.get(stage, _OTHERWISE), still=True)
            attempt.kill(kind, self.random)
            ended = attempt.wait(_PATIENCE)
        if ended.code == 0:
            return self._judge(ended)  # it had enough room, or had ended before: no fault was injected
        found = self._record(kind, where)
        found.lost += ended.complaints(killed=kind in AT_WORK[:2])
        found.lost += [
            f"half a file: {name}" for name in half_written(self._folder, self.pattern.folder, self._damaged)
        ]
        found.lost += attempt.left_behind()
        self._tell(found.lost)
        return False

    def _damage(self) -> None:
        """Damage a file or a few of the folder."""
        kind = str(self.random.choice(DAMAGES))
        files = files_of(self._folder, self.random, most=int(self.random.integers(1, 4)))
        if not files:
            return
        for file in files:
            damage(file, kind, self.random)
        names = [file.relative_to(self._folder).as_posix() for file in files]
        self._damaged |= set(names)
        self._record(kind, ", ".join(names))

    # --- what comes of them ---------------------------------------------------------------------------
    def _attempt(self) -> bool:
        """Run without a fault."""
        return self._judge(Attempt(self.pattern.toml, self._place).wait(_PATIENCE))

    def _judge(self, ended: Any) -> bool:
        wrong = [f"exit code {ended.code}: {ended.said}"] if ended.code else ended.complaints(killed=False)
        wrong += differences(self._folder, self.pattern.folder) if not ended.code else []
        for injection in self._open:
            injection.lost += wrong
        self._tell(wrong)
        self._open.clear()
        self._damaged.clear()
        return not wrong

    def _tell(self, wrong: Sequence[str]) -> None:
        if wrong:
            print(f"life {self.number}: LOST: {wrong}", file=sys.stderr, flush=True)

    def _record(self, kind: str, where: str) -> Injection:
        found = Injection(self.number, kind, where)
        self.injections.append(found)
        self._open.append(found)
        print(f"life {self.number}, {len(self.injections)}: {kind}: {where}", file=sys.stderr, flush=True)
        return found


def inject(number: int, seed: int, place: Path, at_once: int = 1) -> list[Injection]:
    """So many faults in lives of PER_LIFE each; every fourth life has two targets."""
    patterns = {1: undisturbed(place / "one")}
    lives = -(-number // PER_LIFE)
    if lives > 3:
        patterns[2] = undisturbed(place / "two", targets=2)
    made = [Life(n, seed, place / f"life {n}", patterns[2 if n % 4 == 3 else 1]) for n in range(lives)]
    counts = [min(PER_LIFE, number - n * PER_LIFE) for n in range(lives)]
    with ThreadPoolExecutor(at_once) as threads:
        return [i for found in threads.map(Life.live, made, counts) for i in found]


def as_markdown(injections: Sequence[Injection], seed: int, seconds: float) -> str:
    """Injections → the table, and each that was lost."""
    injected, lost = Counter(i.kind for i in injections), Counter(i.kind for i in injections if i.lost)
    rows = [(kind, injected[kind], injected[kind] - lost[kind], lost[kind]) for kind in KINDS]
    rows.append(("all", len(injections), len(injections) - lost.total(), lost.total()))
    lines = [
        "# Faults", "",
        f"`make faults`: {len(injections)} faults in {len({i.life for i in injections})} lives of a run folder, "
        f"seed {seed}, {seconds / 60:.0f} minutes on {os.cpu_count()} cores, Python {platform.python_version()}. "
        "Survived: the next run went on, and in the end the folder was that of an undisturbed run, byte for byte but "
        "for times; no traceback, no half file under a final name, no lock and no process that stayed.", "",
        "| fault | injected | survived | lost |", "|---|---:|---:|---:|",
        *(f"| {kind} | {n} | {well} | {badly} |" for kind, n, well, badly in rows),
    ]  # fmt: skip
    lines += ["", *(f"- life {i.life}, {i.kind}, {i.where}: {'; '.join(i.lost)}" for i in injections if i.lost)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="a file that takes the table as well")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        found = inject(options.number, options.seed, Path(place), options.at_once)
    table = as_markdown(found, options.seed, time.monotonic() - began)
    print(table, end="")
    if options.out:
        options.out.write_text(table, encoding="utf-8")
    return int(any(i.lost for i in found))


if __name__ == "__main__":
    sys.exit(main())
