"""windows → what is computed target by target (models, origins, explain, ablation, seeds), each in a process."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.managers import SyncManager
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from tschurn import contracts as c
from tschurn import disk, memory
from tschurn.config import Experiment
from tschurn.contracts import Progress
from tschurn.errors import MachineError, TschurnError
from tschurn.processes import end_with_parent
from tschurn.runs import StageFolder

if TYPE_CHECKING:
    import numpy as np
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
# What an explanation leaves that the report is made from.
EXPLANATIONS = (
    c.SELECTION, c.SURROGATES, c.IMPORTANCE, c.SHAP_SAMPLE, c.DEPENDENCE, c.STABILITY, c.REASONS, c.SHARED_REASONS,
    c.ATTRIBUTION, c.ATTRIBUTION_GAMES, c.PLAYERS, c.LEVERS,
)  # fmt: skip
LOG_FILE = "work.log"
_POLL_SECONDS = 0.2
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


@dataclass(frozen=True)
class Explanation:
    """One target whose used model is explained; rows: positions of the windows to give reasons for."""

    target: str
    models: Path = Path()
    folder: Path = Path()
    rows: np.ndarray | None = None

    @property
    def stage(self) -> str:
        return f"explain.{self.target}"


@dataclass(frozen=True)
class Ablation:
    """One target whose models are fitted again on fewer columns: `left`, by what the inputs are called."""

    target: str
    left: dict[str, list[str]]
    models: Path = Path()
    folder: Path = Path()

    @property
    def stage(self) -> str:
        return f"ablation.{self.target}"


@dataclass(frozen=True)
class Reseeding:
    """One target whose refit is trained again under other seeds."""

    target: str
    models: Path = Path()
    folder: Path = Path()

    @property
    def stage(self) -> str:
        return f"seeds.{self.target}"


Job = Training | Explanation | Ablation | Reseeding


def work(
    experiment: Experiment, windows: Path, jobs: Sequence[Job], of: int, progress: Progress,
    ended: Callable[[Job], None] = lambda job: None,
) -> None:  # fmt: skip
    """Do each job in a process of its own: two that use a core each use two cores better than one after the
    other with two threads, and TensorFlow stays out of this process.

    of: how many jobs there are where none has been done: a job is given the threads that it would have had then, since
    sums of floating point numbers depend on them. ended: told each job that ended well, at once: what kills the next
    one does not take it along. Raises MachineError where the system ended a process, or memory or disk ran out.
    """
    threads = max(1, experiment.run.threads // of)
    workers = min(len(jobs), experiment.run.threads)
    context = get_context("spawn")
    manager = SyncManager(ctx=context)
    try:
        manager.start(end_with_parent)
        with manager, ProcessPoolExecutor(workers, context, _quiet, (threads,)) as pool:
            messages = manager.Queue()
            futures = {pool.submit(_in_worker, experiment, windows, job, threads, messages): job for job in jobs}
            _follow(futures, messages, progress, ended)
    except (BrokenExecutor, EOFError, ConnectionError) as error:  # a process was lost before there was a job at work
        raise _lost(jobs) from error


def _follow(futures: dict[Future[None], Job], messages: Any, progress: Progress, ended: Callable[[Job], None]) -> None:
    """Pass on what the jobs say until all have ended; the first fault is told when no other job is at work any more."""
    pending, faults = set(futures), []
    while pending:
        with suppress(Empty, EOFError, OSError):  # the process that has the queue may be the one that was ended
            progress(*messages.get(timeout=_POLL_SECONDS))
            continue
        for future in wait(pending, timeout=_POLL_SECONDS).done:
            pending.discard(future)
            if (error := future.exception()) is None:
                ended(futures[future])
            else:
                faults.append((futures[future], error))
    if faults:
        raise _fault(faults) from faults[0][1]


def _fault(faults: Sequence[tuple[Job, BaseException]]) -> TschurnError:
    """Jobs that ended badly, and how → one sentence. A pool that lost a process has lost all its jobs."""
    for _, error in faults:
        if isinstance(error, TschurnError):
            return error
    if any(disk.is_full(error) for _, error in faults):
        return MachineError(disk.no_room(", ".join(job.stage for job, _ in faults)))
    return _lost([job for job, _ in faults])


def _lost(jobs: Sequence[Job]) -> MachineError:
    return MachineError(
        f"{', '.join(job.stage for job in jobs)}: the system ended a process that was at work on it, often because "
        "memory ran out; with fewer [run] threads less is done at once. Run again: what is finished stays"
    )


def _quiet(threads: int) -> None:
    """Before a worker imports anything heavy: its thread pools, and the libraries' chatter; it ends with its run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND", "tensorflow")
    for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[pool] = str(threads)


def _in_worker(experiment: Experiment, windows_stage: Path, job: Job, threads: int, messages: Any) -> None:
    """In a worker: do one job and write its tables. What libraries print goes to a log file."""
    run = experiment.run.model_copy(update={"threads": threads})
    experiment = experiment.model_copy(update={"run": run})
    began, peak = time.perf_counter(), memory.PeakMemory()
    with _printing_to(job.folder / LOG_FILE):
        try:
            with disk.room(f"{job.stage}, {job.folder}"):
                windows = open_windows(StageFolder(windows_stage), experiment)
                _DO[type(job)](experiment, windows, job, lambda _, *how_far: messages.put((job.stage, *how_far)))
                note = {"seconds": time.perf_counter() - began, "peak_memory_mib": peak.mib()}
                disk.write_sealed(job.folder / "stage.json", note)
        except Exception as error:
            traceback.print_exc()  # into the log: only the message reaches the other process
            raise _in_words(error, job) from None


def _in_words(error: Exception, job: Job) -> Exception:
    """What went wrong in a worker → what its parent is told. Errors of libraries need not outlive the way there."""
    if isinstance(error, TschurnError | BrokenExecutor | EOFError | ConnectionError):
        return error
    if memory.ran_out(error):
        return MachineError(
            f"{job.stage}: memory ran out; with fewer [run] threads less is done at once. Run again: what is finished "
            "stays"
        )
    return TschurnError(f"{job.stage} failed: {error} (see {job.folder / LOG_FILE})")


@contextmanager
def _printing_to(log: Path) -> Iterator[None]:
    """A block in which all that is printed, by libraries as well, goes to a file; after it, nowhere."""
    with log.open("w") as file, open(os.devnull, "w") as nowhere:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            yield
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            for stream in (1, 2):
                os.dup2(nowhere.fileno(), stream)


def _train(experiment: Experiment, windows: WindowSet, job: Training, progress: Progress) -> None:
    from tschurn import features, models

    if job.origin is not None:
        windows = windows.with_split(features.split_at(windows.index, job.days, experiment, job.origin))
    tables = models.fit_target(
        windows, job.target, experiment, experiment.run.threads, job.folder, job.unfinished, progress,
        job.evaluations, refit=job.origin is None,
    )  # fmt: skip
    if job.origin is not None:
        tables[c.ORIGINS.name] = of_origin(tables[c.METRICS.name], windows.index, job.origin)
    for table in _OF_THE_LAST if job.origin is None else _OF_AN_EARLIER:
        StageFolder(job.folder).write(table, tables[table.name])


def _explain(experiment: Experiment, windows: WindowSet, job: Explanation, progress: Progress) -> None:
    from tschurn import explain, models

    stage, saved = StageFolder(job.models), job.models / "evaluated"
    chosen = stage.read(c.TARGET_SUMMARY).iloc[0]
    tables = explain.explain(
        windows, stage.read(c.LOG_ODDS), stage.read(c.SCORES), target=job.target, label=c.LABELS[job.target],
        used=chosen["used"], best_network=chosen["best_network"], direct=models.direct_explainer(saved, windows),
        score_rows=job.rows, experiment=experiment, asked=models.asked(saved, windows), progress=progress,
        folder=job.folder / explain.TOLD,
    )  # fmt: skip
    for table in (c.COLLINEARITY, *EXPLANATIONS, c.SHARING):
        StageFolder(job.folder).write(table, tables[table.name])


def _ablate(experiment: Experiment, windows: WindowSet, job: Ablation, progress: Progress) -> None:
    from tschurn.models import ablation
    from tschurn.models.networks import prepare_networks

    threads = experiment.run.threads
    prepare_networks(threads)
    best = StageFolder(job.models).read(c.TARGET_SUMMARY)["best_network"].iloc[0]
    tuned = ablation.tuned_models(windows, job.target, experiment, job.models, best, threads)
    found = ablation.ablate(
        windows, job.target, job.left, tuned, experiment.experiment.seed, progress=progress
    )  # fmt: skip
    StageFolder(job.folder).write(c.ABLATION, found)


def _reseed(experiment: Experiment, windows: WindowSet, job: Reseeding, progress: Progress) -> None:
    from tschurn.models.networks import prepare_networks
    from tschurn.models.reseeded import seed_scores

    prepare_networks(experiment.run.threads)
    seed = experiment.experiment.seed
    found = seed_scores(windows, job.target, job.models, seed, progress=progress, out=job.folder)
    StageFolder(job.folder).write(c.SEED_SCORES, found)


_DO = {Training: _train, Explanation: _explain, Ablation: _ablate, Reseeding: _reseed}


def of_origin(metrics: pd.DataFrame, windows: pd.DataFrame, origin: int) -> pd.DataFrame:
    """METRICS of one target and WINDOWS as divided at an origin → its rows of ORIGINS."""
    test = windows[windows["split"] == "test"]
    first, last = test["anchor_day"].min(), test["anchor_day"].max()
    return metrics.assign(origin=origin, first_day=first, last_day=last, windows=len(test))


def open_windows(stage: StageFolder, experiment: Experiment) -> WindowSet:
    """The finished stage `windows` → WindowSet."""
    from tschurn import features

    arrays = {name: stage.read_array(name) for name in features.ARRAYS}
    return features.open_windows(stage.read(c.WINDOWS), stage.read(c.FEATURES), arrays, experiment)
