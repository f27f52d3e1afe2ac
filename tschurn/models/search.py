"""a space and what evaluates a point of it → trials: a search that repeats itself, and that a kill only interrupts."""

from __future__ import annotations

import gc
import io
import mmap
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tschurn.disk import read_sealed, write_sealed
from tschurn.errors import ConfigError
from tschurn.models.oracle import Oracle
from tschurn.processes import end_with_parent

if TYPE_CHECKING:
    import keras_tuner as kt
    from keras_tuner.engine.trial import Trial as Proposal

_JUDGED_BY = 3  # trials that must have ended before another can be called hopeless


@dataclass
class Watch:
    """Told each epoch's log loss on validation, says whether the trial should end now.

    Hopeless (the median rule of Golovin et al. 2017): from the second epoch on, if the best log loss so far is
    worse than the median, over the trials that ended before, of their mean log loss up to the same epoch.
    """

    others: list[list[float]] = field(default_factory=list)
    until: float | None = None  # time.monotonic()
    losses: list[float] = field(default_factory=list)
    stopped: bool = False

    def __call__(self, epoch: int, log_loss: float, last: bool = False) -> bool:
        """last: it ends after this epoch anyway, and is not given up."""
        self.losses.append(float(log_loss))
        self.stopped = not last and (self._hopeless() or (self.until is not None and time.monotonic() > self.until))
        return self.stopped

    def _hopeless(self) -> bool:
        epoch = len(self.losses)
        if epoch < 2 or len(self.others) < _JUDGED_BY:
            return False
        return bool(min(self.losses) > np.median([np.mean(other[:epoch]) for other in self.others]))


# values, seed, watch → {"ap", "log_loss", "epochs"} on validation
Evaluate = Callable[[dict[str, Any], int, Watch], dict[str, float]]


@dataclass(frozen=True)
class Trial:
    """One evaluated configuration. seed: of its own randomness; losses: log loss on validation, epoch by epoch."""

    number: int
    values: dict[str, Any]
    seed: int
    ap: float
    log_loss: float
    epochs: int
    stopped: bool  # before its time
    losses: list[float]
    seconds: float


def search(
    space: kt.HyperParameters, evaluate: Evaluate, *, trials: int, seed: int, folder: Path,
    seconds: float | None = None, workers: int = 1, prepare: Callable[[], None] | None = None,
    done: Callable[[Trial], None] | None = None,
) -> list[Trial]:  # fmt: skip
    """Try up to `trials` configurations → all of them in their order; the first is the space's defaults.

    seconds: budget of time, those of an earlier, killed search in this folder included; the first trial is always
    finished. workers: trials at once, each in a process of its own that calls `prepare` first (both must then be
    picklable); they are proposed together and waited for together, so that the same number of workers gives the
    same trials. folder: keeps each ended trial; a search that was killed goes on there, with the trials of an
    unbroken one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _forget_what_is_broken(folder, trials, workers)
    oracle = _oracle(space, trials, seed, folder)
    found = {trial.number: trial for trial in _ended(folder)}
    gc.freeze()  # what was there before need not be looked through after each trial
    spent = sum(trial.seconds for trial in found.values()) / workers
    until = None if seconds is None else time.monotonic() + seconds - spent
    with _runner(evaluate, workers, prepare) as run:
        while not found or until is None or time.monotonic() < until:
            batch = _propose(oracle, workers)
            if not batch:
                break
            before = int(batch[0].trial_id) // workers * workers  # the number of trials that this batch may know of
            others = [found[n].losses for n in range(before) if found[n].losses]
            jobs = [_job(p, seed, Watch(others, until if found else None)) for p in batch]
            for proposal, trial in zip(batch, run(jobs), strict=True):
                _end(oracle, proposal, trial, folder)
                found[trial.number] = trial
                if done:
                    done(trial)
    gc.unfreeze()
    return [found[number] for number in sorted(found)]


def share_search(space: kt.HyperParameters, evaluate: Evaluate, *, trials: int, seed: int, folder: Path) -> list[Trial]:
    """One search by several processes or machines that see the same `folder` → all trials that have ended.

    What this process is, keras-tuner's environment says: KERASTUNER_TUNER_ID ("chief", which only hands out
    configurations, or any other name), KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT of the chief. Which
    configurations are proposed depends on which trials happen to have ended. Over gRPC without encryption: for a
    network that is trusted.
    """
    from keras_tuner.src.distribute import oracle_chief, oracle_client

    if missing := [f"KERASTUNER_{part}" for part in ("TUNER_ID", "ORACLE_IP", "ORACLE_PORT")
                   if f"KERASTUNER_{part}" not in os.environ]:  # fmt: skip
        raise ConfigError(f"a shared search needs the environment variable {missing[0]}; see docs/search.md")
    folder.mkdir(parents=True, exist_ok=True)
    name = os.environ["KERASTUNER_TUNER_ID"]
    if "chief" in name:
        oracle_chief.start_server(_oracle(space, trials, seed, folder))
        return _ended(folder)
    client = oracle_client.OracleClient(_oracle(space, trials, seed, folder / name))
    while (proposal := client.create_trial(name)).status == "RUNNING":
        watch = Watch([trial.losses for trial in _ended(folder) if trial.losses])
        trial = _run(evaluate, *_job(proposal, seed, watch))
        _end(client, proposal, trial, folder)
    return _ended(folder)


def trial_seed(seed: int, *place: int) -> int:
    """A seed that follows from the run's and from a place in it, such as a trial's number."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1)[0] >> 1)


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial with the best AP; of equal ones the first."""
    return max(trials, key=lambda t: (t.ap, -t.number))


def _oracle(space: kt.HyperParameters, trials: int, seed: int, folder: Path) -> Oracle:
    import keras_tuner as kt

    return Oracle(space, kt.Objective("ap", "max"), trials, seed, folder)


def _propose(oracle: Oracle, workers: int) -> list[Proposal]:
    """The next trials to run at once: to the end of their batch, so that a resumed search keeps to the same batches."""
    batch: list[Proposal] = []
    number = oracle.upcoming() // workers
    while len(batch) < workers and oracle.upcoming() // workers == number:
        proposal = oracle.create_trial(str(len(batch)))
        if proposal.status != "RUNNING":
            break
        batch.append(proposal)
    return batch


def _job(proposal: Proposal, seed: int, watch: Watch) -> tuple[int, dict[str, Any], int, Watch]:
    number = int(proposal.trial_id)
    return number, dict(proposal.hyperparameters.values), trial_seed(seed, 11, number), watch


def _run(evaluate: Evaluate, number: int, values: dict[str, Any], seed: int, watch: Watch) -> Trial:
    began = time.monotonic()
    scores = evaluate(values, seed, watch)
    gc.collect()  # graphs refer to themselves: without it, each trial's would stay until memory is tight
    return Trial(number, values, seed, float(scores["ap"]), float(scores["log_loss"]), int(scores["epochs"]),
                 watch.stopped, watch.losses, time.monotonic() - began)  # fmt: skip


def _end(oracle: Any, proposal: Proposal, trial: Trial, folder: Path) -> None:
    """Keep a trial's result, then tell the oracle: a kill in between only runs the trial once more."""
    place = folder / f"trial_{proposal.trial_id}"
    place.mkdir(exist_ok=True)
    write_sealed(place / "result.json", asdict(trial))
    oracle.update_trial(proposal.trial_id, {"ap": trial.ap})
    proposal.status = "COMPLETED"
    oracle.end_trial(proposal)


def _ended(folder: Path) -> list[Trial]:
    """The trials of a search's folder that have ended, in their order."""
    found = [result for file in folder.glob("trial_*/result.json") if (result := read_sealed(file)) is not None]
    return sorted((Trial(**result) for result in found), key=lambda trial: trial.number)


def _forget_what_is_broken(folder: Path, trials: int, workers: int) -> None:
    """Remove, of a search that was interrupted, what an unbroken one would not have known at the same point.

    That is whatever follows the first batch of trials that is not complete. In that batch, trials without a whole
    result are run again; if a proposal is lost, all of it, since proposals of a batch know no results of each other.
    """
    places = {int(place.name.removeprefix("trial_")): place for place in folder.glob("trial_*")}
    for first in range(0, trials, workers):
        batch = range(first, min(first + workers, trials))
        whole = [n for n in batch if n in places and read_sealed(places[n] / "trial.json") is not None]
        ended = [n for n in batch if n in places and read_sealed(places[n] / "result.json") is not None]
        if whole == ended == list(batch):
            continue
        keep = set(whole) if whole == list(batch) or (not ended and whole == list(batch)[: len(whole)]) else set()
        for number in places:
            if number >= first and number not in keep:
                shutil.rmtree(places[number])
        return


# --- several at once ------------------------------------------------------------------------------
Jobs = list[tuple[int, dict[str, Any], int, Watch]]


@contextmanager
def _runner(
    evaluate: Evaluate, workers: int, prepare: Callable[[], None] | None
) -> Iterator[Callable[[Jobs], Iterator[Trial]]]:
    """→ what runs a batch of jobs: here, or in processes that are given `evaluate` once."""
    if workers == 1:
        yield lambda jobs: (_run(evaluate, *job) for job in jobs)
        return
    packed = io.BytesIO()
    _Pickler(packed).dump(evaluate)
    given = (prepare, packed.getvalue())
    with ProcessPoolExecutor(workers, get_context("spawn"), _prepare, given) as pool:
        yield lambda jobs: pool.map(_run_given, jobs)


class _Pickler(pickle.Pickler):
    """An array that is mapped from a file is mapped again by the other process, not copied."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap):
            return np.memmap, (value.filename, value.dtype, "r", value.offset, value.shape)
        return NotImplemented


_given: Evaluate | None = None


def _prepare(prepare: Callable[[], None] | None, packed: bytes) -> None:
    global _given
    end_with_parent()
    if prepare:
        prepare()
    _given = pickle.loads(packed)  # from the process that started this one


def _run_given(job: tuple[int, dict[str, Any], int, Watch]) -> Trial:
    return _run(_given, *job)
