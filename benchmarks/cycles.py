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

TRAINED = 24  # closed weeks that a run has
TEST, CALIBRATED = 6, 3  # of them, the last ones and those before
CHANGES = {"none": None, "tired_creators": 0.6, "bored_fans": 0.7, "fickle_creators": 0.9, "renamed_event": 1.0}


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
class _Run:
    """What a run knows: per target the evaluated model and the refit, each with its calibration."""

    windows: WindowSet
    week: np.ndarray  # of each window, the how manieth anchor
    models: dict[str, tuple[tuple[Boosting, Calibration], tuple[Boosting, Calibration]]]

    @classmethod
    def of(cls, windows: WindowSet) -> _Run:
        week = np.unique(windows.index["anchor_day"], return_inverse=True)[1]
        return cls(windows, week, {target: _fitted(windows, week, target) for target in LABELS})

    def seen(self, later: int | None = None) -> drift.Seen:
        """By the run; or by the log that is `later` weeks longer than the run's, whose last anchor is open.

        At the end of the run's log TRAINED anchors are closed and one is open, which is closed a week later: the first
        that no model has learned from; and so on.
        """
        week = self.week
        if later is None:
            looked, closed, scored, which = week < TRAINED, week < TRAINED, week >= TRAINED - TEST, 0
            scored &= looked
        else:
            newest = TRAINED + later
            looked = scored = (week >= TRAINED) & (week <= newest)
            closed, which = week < newest, 1
        rows, index = np.flatnonzero(looked), self.windows.index
        table = index.iloc[rows].assign(closed=closed[rows])
        for label in LABELS.values():
            table[label] = table[label].where(table["closed"])
        at = np.flatnonzero(scored)
        keys = index.iloc[at][["user_id", "anchor_day"]].reset_index(drop=True)
        scores, pushes = [], {}
        for target, pair in self.models.items():
            model, calibration = pair[which]
            log_odds = model.log_odds(self.windows, at)
            y = index[LABELS[target]].iloc[at].reset_index(drop=True).where(closed[at])
            scores.append(keys.assign(target=target, log_odds=log_odds, p=calibration(log_odds), y=y))
            pushes[target] = pd.concat([keys, self._pushes(model, at)], axis=1)
        return drift.Seen(table.reset_index(drop=True), np.arange(len(rows)), self.windows.profile(rows),
                          pd.concat(scores, ignore_index=True), pushes)  # fmt: skip

    def _pushes(self, model: Boosting, rows: np.ndarray) -> pd.DataFrame:
        of_column = self.windows.flat_columns()["feature"].to_numpy()
        columns = pd.DataFrame(model.contributions(self.windows, rows), columns=of_column)
        return columns.T.groupby(level=0, sort=False).sum().T


def _fitted(
    windows: WindowSet, week: np.ndarray, target: str
) -> tuple[tuple[Boosting, Calibration], tuple[Boosting, Calibration]]:
    """→ the model that test sees, and the refit on all closed weeks, calibrated on test at its level."""
    y = windows.index[LABELS[target]].fillna(0).to_numpy(np.float64)
    user = windows.index["user"].to_numpy()
    test_from = TRAINED - TEST
    train = np.flatnonzero(week < test_from - CALIBRATED - 1)  # a week lies between: its outcome is the next one's days
    held = np.flatnonzero((week >= test_from - CALIBRATED) & (week < test_from - 1))
    test, closed = np.flatnonzero((week >= test_from) & (week < TRAINED)), np.flatnonzero(week < TRAINED)
    models = []
    for rows in (train, closed):
        model = Boosting("lightgbm", "flat", 7, 2)
        model.rounds, model.stops_early = 80, False
        model.fit(windows, rows, y[rows])
        models.append(model)
    evaluated, refit = models
    before = evaluated.log_odds(windows, held)
    first = fit_calibration(before, y[held], user[held], 7)
    on_test = evaluated.log_odds(windows, test)
    moved = on_test + level_between(on_test, refit.log_odds(windows, test))
    return (evaluated, first), (refit, fit_calibration(moved, y[test], user[test], 7))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--weeks", type=int, default=6)
    arguments.add_argument("--creators", type=int, default=400)
    given = arguments.parse_args()
    main(given.seeds, given.weeks, given.creators)
