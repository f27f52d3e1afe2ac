"""a finished run + a newer log → its calibrations, moved to where the newest closed windows say; nothing is trained.

Left beside the run's results (`recalibrated/`), which stay as they were: scoring takes the newer ones, and a run that
is made again starts without them.
"""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn.contracts import Progress, silent
from tschurn.errors import TooShortError
from tschurn.runs import Run, write_json
from tschurn.scorer import NOTE, RECALIBRATED, Scorer
from tschurn.scoring import SCORES, WORK, Found, Outcome, reading, scored

if TYPE_CHECKING:
    import pandas as pd


def recalibrate(run: Path, log: str | None = None, as_of: date | None = None, progress: Progress = silent) -> Outcome:
    """A finished run's folder, and where the log is now → calibrations in its `recalibrated` folder, for `score`.

    Each target's is kept, moved in level, or in level and slope, as the closed windows say that came after the run's
    log (models/recalibration.py). Raises TooShortError where there are too few, and UserError for whatever else the
    user can mend; then what stood there stays.
    """
    scorer = Scorer(run, newer=False)
    with Run(run) as held:
        found = scored(scorer, reading(scorer, log, as_of), as_of, held.folder / SCORES / WORK, progress, listed=False)
        if not found.days.earlier:
            raise TooShortError(_nothing_closed(scorer, found))
        final = held.folder / RECALIBRATED
        beside = final.with_name(f".{RECALIBRATED}.beside")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        summary = {
            "of": "recalibration",
            "models": scorer.models,
            "anchor_days": [day.isoformat() for day in found.days.earlier],
            "log_last_day": found.days.last.isoformat(),
            "targets": {target: _of_target(scorer, target, found, beside) for target in scorer.targets},
        }
        write_json(beside / NOTE, summary)
        shutil.rmtree(final, ignore_errors=True)
        beside.rename(final)
    return Outcome(final, summary)


def _of_target(scorer: Scorer, target: str, found: Found, folder: Path) -> dict[str, Any]:
    """Calibrate one target, leave what changed in `folder` → what was chosen, and the evidence."""
    from tschurn.models.recalibration import recalibrate as moved

    known = _known(found.tables["closed"], target)
    refit = scorer.calibrated(target)
    done = moved(
        known["log_odds"].to_numpy(), known["y"].to_numpy(float), known["user_id"].to_numpy(),
        known["anchor_day"].astype("str").to_numpy(), *refit, scorer.experiment.experiment.seed,
    )  # fmt: skip
    if done.choice != "keep":
        (folder / target).mkdir()
        for name, learned in (("calibration", done.calibration), ("intervals", done.intervals)):
            write_json(folder / target / f"{name}.json", learned.to_dict())
    told = done.to_dict()
    return {key: told[key] for key in ("choice", "slope", "level", "windows", "positives", "rate", "tried")}


def _known(closed: pd.DataFrame, target: str) -> pd.DataFrame:
    """The sampled windows of a target whose outcome is known, and counts."""
    rows = closed[(closed["target"] == target) & closed["closed"] & closed["counts"]]
    return rows[rows["y"].notna()]


def _nothing_closed(scorer: Scorer, found: Found) -> str:
    shape = scorer.experiment.windows
    known = scorer.log["last_day"]
    return (
        f"nothing that the run has not learned from has closed yet: its log ends on {known}, this one on "
        f"{found.days.last}, and a window of {shape.outcome_days} days of outcome after it takes until "
        f"{known + timedelta(days=shape.outcome_days)} at the earliest; recalibrate then"
    )
