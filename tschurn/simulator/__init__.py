"""sizes and rates → a creator platform: its raw log, its list of creators, and the truth behind it.

    population (who), change (what is different from a day on)
                     → behaviour (who acts when, and why) → truth (how likely it was)
                                                          → counts, rows (what is logged)
    judgement: a run's results marked by the truth      portrait: what the simulated log looks like

Nothing of it is data of a real platform. The world is that of the founding project: creators with rooms
of their own, fans who visit them, paid stickers; the laws, the causes and all numbers are ours.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tschurn.contracts import TRUTH, Progress, silent
from tschurn.errors import SimulationError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from tschurn.config import Simulation

EVENTS_FILE, CREATORS_FILE, TRUTH_FILE = "events.parquet", "creators.csv", f"{TRUTH.name}.parquet"
AHEAD = 7  # days of outcome that the truth is about, unless said otherwise
STEPS = 6
# The modules that make a simulated log, and those that look at what came of it.
MAKE = ("__init__", "causes", "population", "change", "behaviour", "truth", "rates", "counts", "rows")
JUDGE = ("causes", "judgement", "judged_attribution", "portrait")


@dataclass(frozen=True)
class Simulated:
    """What came out: rows of the raw log, creators on the list, and of the closed windows of 7 + 7 days, one
    a day: how many there are, and their churn and sticker rates."""

    rows: int
    creators: int
    windows: int
    churn_rate: float
    sticker_rate: float


def simulate(
    settings: Simulation, folder: Path, *, ahead: int = AHEAD, force: bool = False, progress: Progress = silent
) -> Simulated:
    """settings → EVENTS_FILE (the raw log), CREATORS_FILE and TRUTH_FILE (TRUTH) in `folder`; same seed, same bytes.

    ahead: the days of outcome that p_churn_true and p_sticker_true look at. Raises SimulationError for
    sizes and rates that do not go together, and when a file is there already, unless `force`.
    """
    refuse_to_overwrite(folder, force)

    import numpy as np
    from scipy import stats

    from tschurn.simulator import behaviour, change, counts, population, rates, rows, truth

    progress("simulation", 0, STEPS, "people and rates")
    world = behaviour.World(population.people(settings), population.calendar(settings, ahead), intercept=0.0)
    uniforms = behaviour.draws(settings.seed, population.BURN_IN + settings.days, settings.creators)
    world = rates.with_churn_rate(world, uniforms, settings)
    life = behaviour.live(world, uniforms)
    chances = np.random.default_rng([settings.seed, 7]).random((settings.days, settings.creators))
    expected = rates.sticker_rates(world, life)
    factor = rates.sticker_factor(expected, life, chances, settings)
    if (planned := change.planned(settings, ahead)) is not None:  # the rates are those of a platform without it
        world = replace(world, change=planned)
        life = behaviour.live(world, uniforms)
        expected = rates.sticker_rates(world, life)
    stickers = stats.poisson.ppf(chances, factor * expected).astype(int)

    progress("simulation", 1, STEPS, "what happens")
    days = counts.logged_days(world, life, stickers)
    counted = counts.counts(world, days, settings)
    progress("simulation", 2, STEPS, "rows")
    log = rows.raw_log(world, days, counted, settings)
    progress("simulation", 3, STEPS, "truth")

    def within(_: str, done: float, total: float, note: str = "") -> None:
        progress("simulation", 3 + 2 * done / (total + 1), STEPS, note)

    known = truth.table(world, life, uniforms, factor, settings, ahead, within)
    progress("simulation", 5, STEPS, "writing")
    _write(folder, log, world.people.user_id, known)
    progress("simulation", STEPS, STEPS)
    eligible, churned, got = rates.windows(life.acted[population.BURN_IN :], stickers > 0)
    return Simulated(
        len(log), settings.creators, int(eligible.sum()), float(churned[eligible].mean()), float(got[eligible].mean())
    )


def _write(folder: Path, log: pa.Table, creators: np.ndarray, known: pd.DataFrame) -> None:
    """The three files, all beside their places before any takes its name."""
    from tschurn.runs import write_parquet, writing

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            writing(folder / TRUTH_FILE) as truth_beside,
            writing(folder / CREATORS_FILE) as creators_beside,
            writing(folder / EVENTS_FILE) as events_beside,
        ):
            write_parquet(truth_beside, TRUTH.check(known))
            creators_beside.write_text("creator_id\n" + "".join(f"{u}\n" for u in sorted(creators)), encoding="utf-8")
            write_parquet(events_beside, log)
    except OSError as error:
        raise SimulationError(f"{folder}: the simulated log cannot be written ({error.strerror})") from None


def refuse_to_overwrite(folder: Path, force: bool) -> None:
    """Raise SimulationError when a simulation, or anything under its file names, is in the folder, or none can be."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise SimulationError(f"{nearest}: is a file; expected a folder for the simulated log")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise SimulationError(f"{nearest}: may not be written to; give another folder for the simulated log")
    there = [folder / name for name in (EVENTS_FILE, CREATORS_FILE, TRUTH_FILE) if (folder / name).exists()]
    if folders := [path for path in there if path.is_dir()]:
        raise SimulationError(f"{folders[0]}: is a folder; give another one for the simulated log")
    if there and not force:
        raise SimulationError(f"{there[0]}: is there already; give another folder, or --force to replace it")


def read_truth(folder: Path) -> pd.DataFrame:
    """TRUTH of a simulation that `simulate` wrote."""
    import pandas as pd

    return pd.read_parquet(folder / TRUTH_FILE)
