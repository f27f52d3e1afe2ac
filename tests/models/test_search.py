"""The search repeats itself, survives being killed, tries nothing twice, and gives up what is hopeless."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from tschurn.errors import ConfigError
from tschurn.models.search import Trial, Watch, _Pickler, best_of, search, share_search, trial_seed

TRIALS = 14


def space(*, continuous: bool = True) -> kt.HyperParameters:
    made = kt.HyperParameters()
    made.Choice("units", [16, 32, 48, 64, 96], default=48)
    made.Choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], default=0.2)
    if continuous:
        made.Float("rate", 1e-4, 1e-1, sampling="log", default=3e-3)
    return made


def evaluate(values: dict[str, Any], seed: int, watch: Watch, pause: float = 0.0) -> dict[str, float]:
    """Best at 64 units, dropout 0.1 and rate 0.01, with noise that the trial's seed decides."""
    time.sleep(pause)
    miss = abs(values["units"] - 64) / 80 + abs(values["dropout"] - 0.1)
    miss += abs(np.log10(values.get("rate", 1e-2)) + 2) / 3
    noise = np.random.default_rng(seed).normal() * 0.005
    loss, epoch = np.inf, 0
    for epoch in range(1, 5):
        loss = 0.5 + miss * 0.2 + noise + 0.5 / epoch
        if watch(epoch, loss):
            break
    return {"ap": 0.8 - 0.2 * miss + noise, "log_loss": loss, "epochs": epoch}


def table(trials: list[Trial]) -> list[Trial]:
    """What a trial table must repeat: all but the time it took."""
    return [replace(trial, seconds=0.0) for trial in trials]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    return search(space(), evaluate, trials=TRIALS, seed=3, folder=tmp_path_factory.mktemp("unbroken"))


def test_a_search_begins_with_the_defaults_and_repeats_itself(unbroken: list[Trial], tmp_path: Path) -> None:
    assert [t.number for t in unbroken] == list(range(TRIALS))
    assert unbroken[0].values == {"units": 48, "dropout": pytest.approx(0.2), "rate": pytest.approx(3e-3)}
    assert [t.seed for t in unbroken] == [trial_seed(3, 11, n) for n in range(TRIALS)]
    assert table(search(space(), evaluate, trials=TRIALS, seed=3, folder=tmp_path / "a")) == table(unbroken)
    other = search(space(), evaluate, trials=4, seed=4, folder=tmp_path / "b")
    assert [t.values for t in other[1:]] != [t.values for t in unbroken[1:4]]


def test_it_finds_what_random_search_does_not(tmp_path: Path) -> None:
    """Over several seeds, the process's best is better than the best of as many random draws."""
    quiet = 0.8 - 0.2 * np.array([_regret(search(space(), evaluate, trials=TRIALS, seed=s, folder=tmp_path / str(s)))
                                  for s in range(5)])  # fmt: skip
    chance = []
    for s in range(200):
        random = np.random.default_rng(s)
        drawn = [
            {"units": random.choice([16, 32, 48, 64, 96]), "dropout": random.integers(0, 6) / 10,
             "rate": 10 ** random.uniform(-4, -1)} for _ in range(TRIALS)
        ]  # fmt: skip
        chance.append(0.8 - 0.2 * min(_miss(values) for values in drawn))
    assert quiet.mean() > np.mean(chance) + 0.5 * np.std(chance)


def _miss(values: dict[str, Any]) -> float:
    return abs(values["units"] - 64) / 80 + abs(values["dropout"] - 0.1) + abs(np.log10(values["rate"]) + 2) / 3


def _regret(trials: list[Trial]) -> float:
    return _miss(best_of(trials).values)


def test_seed_zero_is_a_seed(tmp_path: Path) -> None:
    """keras-tuner takes 0 for none and draws one."""
    one, two = (search(space(), evaluate, trials=4, seed=0, folder=tmp_path / name) for name in "ab")
    assert table(one) == table(two)


@pytest.mark.parametrize("trials", [30, 45])
def test_a_finite_space_is_tried_whole_nothing_twice_then_the_search_ends(tmp_path: Path, trials: int) -> None:
    found = search(space(continuous=False), evaluate, trials=trials, seed=1, folder=tmp_path)
    tried = {json.dumps(t.values, sort_keys=True) for t in found}
    assert len(found) == len(tried) == 30
    # nor does a search that goes on try again what was tried before it was interrupted
    search(space(continuous=False), evaluate, trials=12, seed=1, folder=tmp_path / "on")
    found = search(space(continuous=False), evaluate, trials=trials, seed=1, folder=tmp_path / "on")
    assert len({json.dumps(t.values, sort_keys=True) for t in found}) == 30


# --- killed ---------------------------------------------------------------------------------------
KILLED = """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    from functools import partial
    from pathlib import Path
    import test_search as here
    def evaluate(values, seed, watch):
        number = len(list(Path({folder!r}).glob("trial_*/result.json")))
        found = here.evaluate(values, seed, watch)
        if number == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    here.search(here.space(), evaluate, trials=here.TRIALS, seed=3, folder=Path({folder!r}))
"""


def test_a_search_killed_at_trial_7_goes_on_as_an_unbroken_one(unbroken: list[Trial], tmp_path: Path) -> None:
    code = textwrap.dedent(KILLED).format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_environment())
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(tmp_path.glob("trial_*/trial.json"))) == 8
    assert len(list(tmp_path.glob("trial_*/result.json"))) == 7
    ran: list[dict[str, Any]] = []

    def counted(values: dict[str, Any], seed: int, watch: Watch) -> dict[str, float]:
        ran.append(values)
        return evaluate(values, seed, watch)

    assert table(search(space(), counted, trials=TRIALS, seed=3, folder=tmp_path)) == table(unbroken)
    assert ran == [t.values for t in unbroken[7:]]


@pytest.mark.parametrize(
    ("lost", "workers"),
    [("result.json", 1), ("trial.json", 1), ("both", 1), ("half a file beside", 1), ("second of two", 2)],
)
def test_whatever_a_kill_left_of_a_trial_the_table_is_the_same(tmp_path: Path, lost: str, workers: int) -> None:
    make = partial(search, space(), evaluate, trials=9, seed=3, folder=tmp_path / "killed", workers=workers)
    whole = table(make())
    last = 7 if lost == "second of two" else 6
    for number in range(last, 9):
        place = tmp_path / "killed" / f"trial_{number}"
        if number > last:
            for file in place.iterdir():
                file.unlink()
            place.rmdir()
            continue
        state = json.loads((place / "trial.json").read_text())
        running = state | {"status": "RUNNING", "score": None, "metrics": {"metrics": {}}}
        (place / "trial.json").write_text(json.dumps(running))
        if lost in ("result.json", "both", "second of two"):
            (place / "result.json").unlink()
        if lost in ("trial.json", "both"):
            (place / "trial.json").unlink()
        if lost == "half a file beside":
            (place / ".result.json.1").write_text('{"number": 6, "val')
    assert table(make()) == whole


# --- several at once ------------------------------------------------------------------------------
def test_two_at_once_repeat_themselves_and_run_in_processes_of_their_own(tmp_path: Path) -> None:
    one, two = (
        search(space(), evaluate, trials=8, seed=3, folder=tmp_path / name, workers=2, prepare=_nothing)
        for name in "ab"
    )
    assert table(one) == table(two)
    assert len({json.dumps(t.values, sort_keys=True) for t in one}) == 8


def _nothing() -> None:
    pass


def test_a_mapped_array_is_not_copied_to_the_other_process(tmp_path: Path) -> None:
    import io
    import pickle

    np.save(tmp_path / "panel.npy", np.arange(1_000_000, dtype=np.float32))
    mapped = np.load(tmp_path / "panel.npy", mmap_mode="r")
    packed = io.BytesIO()
    _Pickler(packed).dump({"panel": mapped, "part": mapped[10:20]})
    assert len(packed.getvalue()) < 10_000
    again = pickle.loads(packed.getvalue())
    np.testing.assert_array_equal(again["panel"], mapped)
    np.testing.assert_array_equal(again["part"], mapped[10:20])


WORKER = """
    import sys
    sys.path.insert(0, {tests!r})
    from functools import partial
    from pathlib import Path
    import test_search as here
    folder = Path({folder!r})
    trials = here.share_search(here.space(), partial(here.evaluate, pause=0.3), trials=12, seed=3, folder=folder)
    print(len(trials))
"""


@pytest.mark.slow
def test_two_workers_and_a_chief_share_one_search(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = textwrap.dedent(WORKER).format(tests=str(Path(__file__).parent), folder=str(tmp_path / "shared"))
    shared = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    at_work = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=_environment() | shared | {"KERASTUNER_TUNER_ID": name})
        for name in ("chief", "one", "two")
    ]  # fmt: skip
    outputs = [process.communicate(timeout=180) for process in at_work]
    assert [process.returncode for process in at_work] == [0, 0, 0], outputs
    files = sorted((tmp_path / "shared").glob("trial_*/result.json"))
    trials = [json.loads(file.read_text()) for file in files]
    assert [t["number"] for t in trials] == list(range(12))
    assert len({json.dumps(t["values"], sort_keys=True) for t in trials}) == 12
    assert [t["seed"] for t in trials] == [trial_seed(3, 11, n) for n in range(12)]
    assert outputs[0][0].strip() == "12"  # the chief leaves last and knows all


def test_a_shared_search_without_its_environment_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KERASTUNER_TUNER_ID"):
        share_search(space(), evaluate, trials=3, seed=1, folder=tmp_path)


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("KERASTUNER")} | {"TF_CPP_MIN_LOG_LEVEL": "2"}


# --- time -----------------------------------------------------------------------------------------
def test_the_median_rule_against_a_plain_one() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        others = [list(random.random(random.integers(1, 6))) for _ in range(random.integers(0, 7))]
        losses = list(random.random(5))
        watch = Watch(others)
        expected = False
        for epoch, loss in enumerate(losses, start=1):
            running = sorted(sum(o[:epoch]) / len(o[:epoch]) for o in others)
            middle = len(running) // 2
            if epoch >= 2 and len(running) >= 3:
                median = running[middle] if len(running) % 2 else (running[middle - 1] + running[middle]) / 2
                expected = min(losses[:epoch]) > median
            assert watch(epoch, loss) == expected


def test_hopeless_trials_end_early_and_good_ones_do_not(unbroken: list[Trial]) -> None:
    assert any(t.stopped and t.epochs < 4 for t in unbroken)
    assert not best_of(unbroken).stopped
    assert all(t.epochs == 4 for t in unbroken[:3])  # nobody to compare with yet


def test_a_budget_of_time_ends_the_search_after_a_first_trial_and_counts_what_was_spent(tmp_path: Path) -> None:
    slow = partial(evaluate, pause=0.4)
    found = search(space(), slow, trials=50, seed=1, folder=tmp_path, seconds=1.0)
    assert 2 <= len(found) <= 3
    assert len(search(space(), slow, trials=50, seed=1, folder=tmp_path, seconds=1.0)) == len(found)
    (only,) = search(space(), slow, trials=50, seed=1, folder=tmp_path / "none", seconds=1e-9)
    assert only.epochs == 4 and not only.stopped


def test_a_trial_that_fails_says_so(tmp_path: Path) -> None:
    def fails(values: dict[str, Any], seed: int, watch: Watch) -> dict[str, float]:
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        search(space(), fails, trials=3, seed=1, folder=tmp_path)


@pytest.mark.slow
def test_memory_stays_flat_over_60_trials(tmp_path: Path) -> None:
    """What a trial holds is let go, cycles included: the last 30 trials add less than two of them would."""
    sizes = []

    def greedy(values: dict[str, Any], seed: int, watch: Watch) -> dict[str, float]:
        held: dict[str, Any] = {"graph": np.ones(1_000_000)}  # 8 MB that refer to themselves
        held["itself"] = held
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        return evaluate(values, seed, watch)

    search(space(), greedy, trials=60, seed=1, folder=tmp_path)
    assert max(sizes[30:]) - max(sizes[:30]) < 16e6


def test_a_trial_that_ends_anyway_is_not_given_up() -> None:
    given_up, ended = (Watch([[0.1, 0.1]] * 3) for _ in range(2))
    assert not given_up(1, 0.9) and given_up(2, 0.9) and given_up.stopped
    assert not ended(1, 0.9) and not ended(2, 0.9, last=True) and not ended.stopped and len(ended.losses) == 2
