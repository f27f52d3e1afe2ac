"""a finished run + a newer log → the list as of its newest anchor: who first, why, and who could not be scored.

Nothing is learned: models, calibration, reasons and threshold are the run's. The log is read as the run's was, by the
engine that its path names, and users are scored part by part, so that memory does not grow with them.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn import config, pipeline
from tschurn import contracts as c
from tschurn.contracts import Progress, silent
from tschurn.errors import ConfigError, LogError
from tschurn.memory import PeakMemory
from tschurn.runs import Run, commit, versions, write_json
from tschurn.scorer import SAMPLED_USERS, Scorer, Wanted

if TYPE_CHECKING:
    import pandas as pd

    from tschurn.config import Experiment
    from tschurn.features.frozen import Span


SCORES = "scores"  # the folder, below a run's, of lists made later
WORK = ".work"  # below it: the log as it was grouped, while it is being scored
_EARLIER = 8  # closed anchors after the run's own that are looked at, at most
_SHOWN_WARNINGS = 10


@dataclass
class Outcome:
    """What scoring has to say: where the list is, the figures of score.json, and what to look at before it is used."""

    folder: Path
    summary: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    recommendation: str = "unknown"


@dataclass
class Found:
    """The log as it was read, and everything that was made of its users."""

    experiment: Experiment
    known: dict[str, pd.DataFrame]
    days: Days
    tables: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Days:
    """The calendar of a score. newest: the anchor of the list; earlier: closed anchors that the run has not seen."""

    first: date
    last: date
    newest: date
    earlier: tuple[date, ...]
    only_days: bool

    def span(self) -> Span:
        import numpy as np
        import pandas as pd

        from tschurn.features.frozen import Span

        anchors = np.array([(day - self.first).days for day in (*self.earlier, self.newest)])
        return Span(pd.Timestamp(self.first), (self.last - self.first).days + 1, anchors, self.only_days)


def score(
    run: Path, log: str | None = None, as_of: date | None = None, out: Path | None = None, progress: Progress = silent,
    engine: str | None = None,
) -> Outcome:  # fmt: skip
    """A finished run's folder, and where the log is now (None: where the run's was) → the list as of `as_of`.

    as_of: the last day that is looked at, and the anchor; None: the newest day on which an anchor of the run would
    fall. engine: "spark" has Spark's executors score, "duckdb" this machine; None: as the run's log is read. Writes
    priority_group, scores (CSV and Parquet), unscored.csv, drift.csv, drift.json and score.json into `out` (None:
    scores/<day> in the run folder), each whole or not at all, score.json last. Raises UserError for what the user can
    mend.
    """
    began, memory = time.perf_counter(), PeakMemory()
    scorer = Scorer(run)
    with Run(run) as held:
        found = scored(scorer, reading(scorer, log, as_of, engine), as_of, held.folder / SCORES / WORK, progress)
        progress("list", 0, 1)
        folder = out or held.folder / SCORES / found.days.newest.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        outcome = _listed(scorer, found, folder)
        outcome.summary["seconds"] = round(time.perf_counter() - began, 2)
        outcome.summary["peak_memory_mib"] = memory.mib()
        write_json(folder / "score.json", outcome.summary)
        progress("list", 1, 1)
    return outcome


def scored(
    scorer: Scorer, experiment: Experiment, as_of: date | None, work: Path, progress: Progress = silent, **wanted: Any
) -> Found:
    """Read the experiment's log into `work`, score its users part by part, and leave nothing there.

    wanted: fields of Wanted other than by default.
    """
    import pandas as pd

    from tschurn import events

    shutil.rmtree(work, ignore_errors=True)  # of a score that was killed
    work.mkdir(parents=True)
    try:
        known = events.read_log(experiment, work, progress)
        days = _days(scorer, known["log_summary"].iloc[0], as_of)
        span = days.span()
        scorer.frozen.refuse(span, known["facts"])
        users = int(known["log_summary"]["users"].iloc[0])
        asked = Wanted(span, known["facts"], **({"sampled": min(1.0, SAMPLED_USERS / users)} | wanted))
        parts: dict[str, list[pd.DataFrame]] = {}
        size = scorer.frozen.users_at_a_time(span.days)
        progress("score", 0, 1)
        for tables in events.of_parts(experiment, work, size, _Part(scorer, asked), progress):
            for name, table in tables.items():
                parts.setdefault(name, []).append(table)
        progress("score", 1, 1)
        if experiment.contacts is not None:
            known |= _contacts(experiment, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    tables = {}
    while parts:  # the parts of a table are let go before the next is put together
        name, some = parts.popitem()
        tables[name] = pd.concat([t for t in some if len(t)] or some[:1], ignore_index=True)
    return Found(experiment, known, days, tables)


@dataclass(frozen=True)
class _Part:
    """`Scorer.part` for one log: a function that executors can be sent."""

    scorer: Scorer
    wanted: Wanted

    def __call__(self, event_log: Any, acts: Any) -> dict[str, pd.DataFrame]:
        return self.scorer.part(event_log, acts, self.wanted)


def reading(scorer: Scorer, log: str | None, as_of: date | None, engine: str | None = None) -> Experiment:
    """The run's experiment, reading `log` up to `as_of`."""
    experiment = scorer.experiment
    given = experiment.log
    if log is not None:
        experiment = config.with_log(experiment, log)
        beside = Path(log).parent / "creators.csv"
        if given.simulated and beside.is_file():  # as `tschurn simulate` leaves it
            listed = experiment.log.model_copy(update={"creators": str(beside)})
            experiment = experiment.model_copy(update={"log": listed})
    elif given.simulated:
        experiment = pipeline.reading_simulated(experiment, scorer.stage("simulation"))
    # the period of the run ends with it; a score is of what came after
    until = as_of if as_of is not None else (None if log is not None else given.until)
    changed = {"until": until} | ({"engine": engine} if engine else {})
    return experiment.model_copy(update={"log": experiment.log.model_copy(update=changed)})


def _days(scorer: Scorer, summary: pd.Series, as_of: date | None) -> Days:
    """LOG_SUMMARY's row → the anchors. Raises ConfigError for a day that the log does not reach."""
    first, last = summary["first_day"], summary["last_day"]
    shape = scorer.experiment.windows
    newest = as_of
    if as_of is None:
        grid = scorer.windows["anchor_day"].max()
        newest = grid + timedelta(days=(last - grid).days // shape.stride_days * shape.stride_days)
    elif as_of > last:
        raise ConfigError(f"--as-of {as_of}: the log ends on {last}; give that day, or one before it")
    # anchors whose outcomes do not overlap, and that the run has not learned from
    step = timedelta(days=-(-shape.outcome_days // shape.stride_days) * shape.stride_days)
    learned = scorer.log["last_day"] - timedelta(days=shape.outcome_days)
    earlier = []
    day = newest
    while len(earlier) < _EARLIER:
        day -= step
        if day <= learned or (day - first).days < shape.observe_days - 1:
            break
        if day + timedelta(days=shape.outcome_days) <= last:
            earlier.append(day)
    return Days(first, last, newest, tuple(reversed(earlier)), bool(summary["only_days"]))


def _contacts(experiment: Experiment, work: Path) -> dict[str, pd.DataFrame]:
    import os

    from tschurn import events, segments
    from tschurn.segments.pseudonyms import KEY_VARIABLE

    hide, _ = segments.hiding(KEY_VARIABLE in os.environ)
    return events.read_contacts(experiment, work, hide)


def _listed(scorer: Scorer, found: Found, folder: Path) -> Outcome:
    """Everything that was made of the users → the lists in `folder`, and what there is to say."""
    from tschurn import segments

    tables, cut = found.tables | {"threshold": scorer.threshold}, scorer.threshold.iloc[0]
    if not len(tables.get("scores", ())):
        raise LogError(
            f"nobody can be scored on {found.days.newest}: no user has an act of their own in the "
            f"{scorer.experiment.windows.observe_days} days up to it; is the log complete?"
        )
    priority, firmness = segments.list_again(tables, scorer.experiment)
    resting = segments.who_rests(found.known.get("contacts"), priority, scorer.experiment)
    people = segments.write_lists(priority, tables["told"], firmness, scorer.experiment, folder, resting)
    segments.write_unscored(tables["unscored"], scorer.experiment, folder)
    warnings, notes = _said(scorer, found)
    changed = drifted(scorer, found, folder)
    (notes if changed["advice"] in ("fine", "unknown") else warnings).extend(changed["sentences"]["en"])
    summary = {
        "run": str(scorer.folder),
        "experiment": scorer.experiment.experiment.name,
        "anchor_day": found.days.newest.isoformat(),
        "outcome_ends": (found.days.newest + timedelta(days=scorer.experiment.windows.outcome_days)).isoformat(),
        "log": {"first_day": found.days.first.isoformat(), "last_day": found.days.last.isoformat(),
                "rows": int(found.known["log_summary"]["rows"].iloc[0]),
                "users": int(found.known["log_summary"]["users"].iloc[0])},
        "scored": len(priority),
        "unscored": {reason: int(n) for reason, n in tables["unscored"]["reason"].value_counts().sort_index().items()},
        "removed": found.known["filters"].to_dict("records"),
        "segments": {name: int((priority["segment"] == name).sum()) for name in c.SEGMENTS},
        "calls": segments.counts(people, scorer.experiment),
        "threshold": {"method": cut["method"], "threshold": float(cut["threshold"]), "score": cut["score"]},
        "calibration": scorer.recalibration or {"of": "run"},
        "recommendation": changed["advice"],
        "warnings": warnings,
        "notes": notes,
        "versions": versions(), "commit": commit(), "trained_with": scorer.manifest.get("versions"),
        "data": pipeline.data_of(found.experiment),
    }  # fmt: skip
    return Outcome(folder, summary, warnings, changed["advice"])


def drifted(scorer: Scorer, found: Found, folder: Path) -> dict[str, Any]:
    """What is seen of the log against what the run saw → drift.csv and drift.json in `folder`; → the latter."""
    from tschurn import drift, seen, segments
    from tschurn.models.recalibration import ranking_change

    now = seen.of_log(found.tables, found.known["event_names"], scorer.experiment, scorer.targets)
    seed, rankings = scorer.experiment.experiment.seed, {}
    for target in scorer.targets:
        sides = [side[side["target"] == target].dropna(subset="y") for side in (scorer.tested(target), now.scores)]
        if all(side["y"].nunique() == 2 for side in sides):
            columns = ("y", "p", "user_id", "anchor_day")
            then, later = ([side[name].to_numpy() for name in columns] for side in sides)
            rankings[target] = ranking_change(then, later, seed)
    tables = drift.drift(scorer.reference, now, rankings)
    told = drift.told(tables, scorer.features)
    segments.write_csv(tables[c.DRIFT.name], folder / "drift.csv")
    write_json(folder / "drift.json", told)
    return told


def _said(scorer: Scorer, found: Found) -> tuple[list[str], list[str]]:
    """→ what should be looked at before the list is used, and what is good to know."""
    days, told, notes = found.days, [], []
    if days.first > scorer.log["first_day"]:
        told.append(
            f"the log begins on {days.first}, the run's on {scorer.log['first_day']}: what users did before is not "
            "known, and those who did would look newer than they are; give a log that reaches back as far"
        )
    trained = {day.weekday() for day in scorer.windows["anchor_day"].unique()}
    if days.newest.weekday() not in trained:
        told.append(
            f"{days.newest} is a {days.newest:%A}; the run has learned from weeks that end on a "
            f"{scorer.windows['anchor_day'].max():%A} alone, and other days are scored less well"
        )
    if days.newest < days.last:
        notes.append(
            f"the log goes on to {days.last}; the list is as of {days.newest}, the newest day of the run's weeks; "
            f"--as-of {days.last} scores as of the last day"
        )
    quality = found.known["quality"]
    names = quality.loc[quality["severity"] == "warning", "check"].drop_duplicates().tolist()
    if names:
        told.append(f"the log's quality: {', '.join(names[:_SHOWN_WARNINGS])}")
    return told, notes
