"""Weekly cycles on simulated platforms: how often drift cries wolf where nothing changes, and when it catches a change.

    python benchmarks/cycles.py [--seeds N] [--weeks N] [--creators N]

For each seed a platform is simulated without a change and with each of them, from the same day on. A model is trained
and calibrated on the weeks before, as a run would (LightGBM on the window and history; the refit on all closed
weeks); then, week after week, the log has seven days more, and drift is asked. Printed is what it advised in each week.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tschurn import config, drift, events, features, simulator
from tschurn.config import PLATFORM_STICKERS, PLATFORM_ZONE, Simulation
from tschurn.contracts import LABELS, silent
from tschurn.features.windows import WindowSet
from tschurn.models.boosting import Boosting
from tschurn.models.calibration import Calibration, fit_calibration, level_between

TRAINED = 40  # closed weeks that a run has: all leaves and campaigns of the platform lie in them
TEST = 6  # of them, the last ones
CHANGES = {"none": None, "tired_creators": 1.0, "bored_fans": 0.8, "fickle_creators": 1.0, "renamed_event": 1.0}


def main(seeds: int, weeks: int, creators: int) -> None:
    """Print a line per platform: the advice of each week, and at the end how often each was given."""
    counted: dict[str, list[Counter]] = {change: [Counter() for _ in range(weeks)] for change in CHANGES}
    for seed in range(seeds):
        for change, strength in CHANGES.items():
            advice = cycles(seed, change, strength, weeks, creators)
            for week, found in enumerate(advice):
                counted[change][week][found["advice"]] += 1
            told = "  ".join(f"{a['advice']}({','.join(a['reasons'])})" for a in advice)
            print(f"seed {seed:2} {change:16} {told}", flush=True)
    for change, every in counted.items():
        print(f"\n{change}: " + "; ".join(f"week {i + 1}: {dict(found)}" for i, found in enumerate(every)))


def cycles(seed: int, change: str, strength: float | None, weeks: int, creators: int) -> list[dict[str, Any]]:
    """→ for each week after the run what drift advised. The change begins in the middle of the weeks."""
    days = 7 * (TRAINED + 1 + 1 + weeks)
    changed_on = 7 * (TRAINED + 2 + weeks // 2)
    planted = {} if strength is None else {"change": change, "change_day": changed_on, "change_strength": strength}
    settings = Simulation(creators=creators, fans=8_000, rows=13 * creators * days, days=days, seed=seed, **planted)
    with tempfile.TemporaryDirectory() as folder:
        windows = _windows(settings, Path(folder))
        run = _Run.of(windows)
        known = drift.reference(run.seen(), seed)
        found = []
        for week in range(1, weeks + 1):
            tables = drift.drift(known, run.seen(week))
            every = tables["advice"].set_index("target")
            reasons = [f"{t[0]}:{r}" for t, r in every["reason"].items() if t and every.loc[t, "advice"] != "fine"]
            found.append({"advice": every.loc["", "advice"], "reasons": reasons})
    return found


def _windows(settings: Simulation, folder: Path) -> WindowSet:
    """A simulated log → all of its windows, weekly; what is learned from data is learned on the first half."""
    simulator.simulate(settings, folder)
    raw = {
        "experiment": {"name": "cycles"},
        "log": {"path": str(folder / simulator.EVENTS_FILE), "creators": str(folder / simulator.CREATORS_FILE),
                "timezone": PLATFORM_ZONE, "drop_duplicates": True},
        "targets": {"sticker": {"events": list(PLATFORM_STICKERS)}},
        "split": {"test_share": 0.4},
    }  # fmt: skip
    experiment = config.parse(raw, "cycles")
    known = events.read_log(experiment, folder)
    with events.open_log(experiment, folder) as log, events.open_daily(experiment, folder) as acts:
        tables, history = features.build_windows(log, acts, known, experiment, folder, silent)
    arrays = {name: np.load(folder / f"{name}.npy") for name in features.ARRAYS if name != "history"}
    return features.open_windows(tables["windows"], tables["features"], arrays | {"history": history}, experiment)


@dataclass(frozen=True)
class _Model:
    """Of one target: the model that test saw, the refit on all closed weeks, what to add to the former's log-odds to
    meet the latter's level, and the calibration."""

    evaluated: Boosting
    refit: Boosting
    level: float
    calibration: Calibration


@dataclass(frozen=True)
class _Run:
    """What a run knows: windows, of each the how manieth anchor it has, and the models."""

    windows: WindowSet
    week: np.ndarray
    models: dict[str, _Model]

    @classmethod
    def of(cls, windows: WindowSet) -> _Run:
        week = np.unique(windows.index["anchor_day"], return_inverse=True)[1]
        return cls(windows, week, {target: _fitted(windows, week, target) for target in LABELS})

    def seen(self, later: int | None = None) -> drift.Seen:
        """By the run; or by the log that is `later` weeks longer than the run's, whose last anchor is open.

        At the end of the run's log TRAINED anchors are closed and one is open, which is closed a week later: the first
        that no model has learned from; and so on.
        """
        first, newest = (0, TRAINED) if later is None else (TRAINED, TRAINED + later)
        rows = np.flatnonzero((self.week >= first) & (self.week <= newest))
        closed, index = self.week < newest, self.windows.index
        table = index.iloc[rows].assign(closed=closed[rows])
        for label in LABELS.values():
            table[label] = table[label].where(table["closed"])
        at = np.flatnonzero(closed & (self.week >= TRAINED - TEST)) if later is None else rows
        keys = index.iloc[at][["user_id", "anchor_day"]].reset_index(drop=True)
        scores, pushes = [], {}
        for target, model in self.models.items():
            used, level = (model.evaluated, model.level) if later is None else (model.refit, 0.0)
            log_odds = used.log_odds(self.windows, at) + level
            y = index[LABELS[target]].iloc[at].reset_index(drop=True).where(closed[at])
            scores.append(keys.assign(target=target, log_odds=log_odds, p=model.calibration(log_odds), y=y))
            pushes[target] = pd.concat([keys, self._pushes(model.evaluated, at)], axis=1)
        return drift.Seen(table.reset_index(drop=True), np.arange(len(rows)), self.windows.profile(rows),
                          pd.concat(scores, ignore_index=True), pushes)  # fmt: skip

    def _pushes(self, model: Boosting, rows: np.ndarray) -> pd.DataFrame:
        of_column = self.windows.flat_columns()["feature"].to_numpy()
        columns = pd.DataFrame(model.contributions(self.windows, rows), columns=of_column)
        return columns.T.groupby(level=0, sort=False).sum().T


def _fitted(windows: WindowSet, week: np.ndarray, target: str) -> _Model:
    y, user = windows.index[LABELS[target]].fillna(0).to_numpy(np.float64), windows.index["user"].to_numpy()
    test = np.flatnonzero((week >= TRAINED - TEST) & (week < TRAINED))
    models = []
    for until in (TRAINED - TEST - 1, TRAINED):  # a week lies between: its outcome is on the first days of test
        rows, model = np.flatnonzero(week < until), Boosting("lightgbm", "flat", 7, 2)
        model.rounds, model.stops_early = 80, False
        model.fit(windows, rows, y[rows])
        models.append(model)
    before = models[0].log_odds(windows, test)
    level = level_between(before, models[1].log_odds(windows, test))
    return _Model(*models, level, fit_calibration(before + level, y[test], user[test], 7))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--weeks", type=int, default=6)
    arguments.add_argument("--creators", type=int, default=750)
    given = arguments.parse_args()
    main(given.seeds, given.weeks, given.creators)
