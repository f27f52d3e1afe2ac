"""One small platform for all tests of the simulator: its files, and the world that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tschurn.config import SMALL_SIMULATION, Simulation
from tschurn.simulator import EVENTS_FILE, Simulated, behaviour, population, rates, read_truth, simulate

SMALL = Simulation(**SMALL_SIMULATION)


@dataclass(frozen=True)
class Platform:
    folder: Path
    made: Simulated
    log: pd.DataFrame  # with `local` time and `day` position
    truth: pd.DataFrame  # with `day` position


@dataclass(frozen=True)
class Inside:
    world: behaviour.World
    uniforms: dict[str, np.ndarray]
    life: behaviour.Life


def positions(days: pd.Series) -> np.ndarray:
    return (pd.to_datetime(days) - pd.Timestamp(SMALL.first_day)).dt.days.to_numpy()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    folder = tmp_path_factory.mktemp("platform")
    made = simulate(SMALL, folder)
    log = pq.read_table(folder / EVENTS_FILE).to_pandas()
    log["event"] = log["event"].astype(str)
    log["local"] = log["timestamp"].dt.tz_convert("Asia/Seoul").dt.tz_localize(None)
    log["day"] = positions(log["local"].dt.normalize())
    truth = read_truth(folder)
    truth["day"] = positions(truth["day"])
    return Platform(folder, made, log, truth)


@pytest.fixture(scope="session")
def inside() -> Inside:
    world = behaviour.World(population.people(SMALL), population.calendar(SMALL, 7), intercept=0.0)
    uniforms = behaviour.draws(SMALL.seed, population.BURN_IN + SMALL.days, SMALL.creators)
    world = rates.with_churn_rate(world, uniforms, SMALL)
    return Inside(world, uniforms, behaviour.live(world, uniforms))
