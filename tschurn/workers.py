"""windows → stages models.<target> and origins.<target>.<k>, trained side by side in processes of their own."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.managers import SyncManager
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from tschurn import contracts as c
from tschurn.config import Experiment
from tschurn.contracts import Progress
from tschurn.errors import TschurnError
from tschurn.processes import end_with_parent
from tschurn.runs import StageFolder

if TYPE_CHECKING:
    import pandas as pd

    from tschurn.features.windows import WindowSet

# The tables of a target that the report is made from.
PER_TARGET = (
    c.EXPERIMENTS,
    c.TRIALS,
    c.METRICS,
    c.DIFFERENCES,
    c.DIFFERENCES_BY_ANCHOR,
    c.RELIABILITY,
    c.CALIBRATION_CHOICE,
    c.TARGET_SUMMARY,
)
_OF_THE_LAST = (*PER_TARGET, c.LOG_ODDS, c.PREDICTIONS, c.TEST_INTERVALS, c.SCORES, c.OUT_OF_TIME)
_OF_AN_EARLIER = (c.ORIGINS, c.METRICS, c.TARGET_SUMMARY, c.PREDICTIONS)


@dataclass(frozen=True)
class Training:
    """One target to be trained; at an earlier origin of a rolling split, if one is given."""

    target: str
    origin: int | None = None
    folder: Path = Path()
    unfinished: Path = Path()
    days: int = 0
    evaluations: int = 0

    @property
    def stage(self) -> str:
        return f"models.{self.target}" if self.origin is None else f"origins.{self.counted}"

    @property
    def counted(self) -> str:
        """What evaluations on test are counted by: each origin has a test period of its own."""
        return self.target if self.origin is None else f"{self.target}.{self.origin}"


def train(experiment: Experiment, windows: Path, jobs: list[Training], progress: Progress) -> None:
    """Train each target in a process of its own: two single-threaded trainings use two cores better
    than one training with two threads, and TensorFlow stays out of this process."""
    workers = min(len(jobs), experiment.run.threads)
    threads = max(1, experiment.run.threads // workers)
    context = get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(end_with_parent)
    with manager, ProcessPoolExecutor(workers, context, _quiet, (threads,)) as pool:
        messages = manager.Queue()
        futures = {pool.submit(_train_target, experiment, windows, job, threads, messages): job for job in jobs}
        pending = set(futures)
        while pending:
            try:
                progress(*messages.get(timeout=0.2))
            except Empty:
                pending = {f for f in pending if not f.done()}
        for future in as_completed(futures):
            try:
                future.result()
            except TschurnError:
                raise
            except Exception as error:
                job = futures[future]
                raise TschurnError(
                    f"training of {job.target} failed: {error} (see {job.folder / 'training.log'})"
                ) from error


def _quiet(threads: int) -> None:
    """Before a worker imports anything heavy: its thread pools, and the libraries' chatter."""
    end_with_parent()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND", "tensorflow")
    for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[pool] = str(threads)


def _train_target(experiment: Experiment, windows_stage: Path, job: Training, threads: int, messages: Any) -> None:
    """In a worker: train one target and write its tables. What libraries print goes to a log file."""
    import sys
    import traceback

    with (job.folder / "training.log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        from tschurn import features, models

        out = StageFolder(job.folder)
        windows = open_windows(StageFolder(windows_stage), experiment)
        if job.origin is not None:
            windows = windows.with_split(features.split_at(windows.index, job.days, experiment, job.origin))
        try:
            tables = models.fit_target(
                windows, job.target, experiment, threads, job.folder, job.unfinished,
                lambda _, *how_far: messages.put((job.stage, *how_far)), job.evaluations, refit=job.origin is None,
            )  # fmt: skip
        except Exception:
            traceback.print_exc()  # into the log: only the message reaches the other process
            raise
        if job.origin is not None:
            tables[c.ORIGINS.name] = of_origin(tables[c.METRICS.name], windows.index, job.origin)
        for table in _OF_THE_LAST if job.origin is None else _OF_AN_EARLIER:
            out.write(table, tables[table.name])
        sys.stdout.flush()
        sys.stderr.flush()


def of_origin(metrics: pd.DataFrame, windows: pd.DataFrame, origin: int) -> pd.DataFrame:
    """METRICS of one target and WINDOWS as divided at an origin → its rows of ORIGINS."""
    test = windows[windows["split"] == "test"]
    first, last = test["anchor_day"].min(), test["anchor_day"].max()
    return metrics.assign(origin=origin, first_day=first, last_day=last, windows=len(test))


def open_windows(stage: StageFolder, experiment: Experiment) -> WindowSet:
    """The finished stage `windows` → WindowSet."""
    from tschurn import features

    arrays = {name: stage.read_array(name) for name in ("panel", "history", "active", "stickers")}
    return features.open_windows(stage.read(c.WINDOWS), stage.read(c.FEATURES), arrays, experiment)
