"""Who is used: the best on validation, unless the average is as good as far as anybody can tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tschurn.config import WindowShape
from tschurn.features.lives import Lives
from tschurn.features.windows import WindowSet
from tschurn.models.evaluation import average_precision, two_way_weights
from tschurn.models.training import Blocks, best_or_average


@pytest.fixture(scope="module")
def validation() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    user, anchor = np.repeat(np.arange(150), 6), np.tile(np.arange(6), 150)
    truth = random.normal(size=len(user))
    y = (truth + random.logistic(size=len(user)) > 1).astype(float)
    return truth, y, two_way_weights(user, anchor, 1)


def chosen(validation: tuple, **noise: float) -> str:
    truth, y, weights = validation
    random = np.random.default_rng(1)
    log_odds = {name: truth + random.normal(size=len(y)) * sd for name, sd in noise.items()}
    return best_or_average({n: average_precision(y, v) for n, v in log_odds.items()}, log_odds, y, weights)


def test_an_average_that_is_hardly_behind_is_used(validation: tuple) -> None:
    assert chosen(validation, gru=0.1, average=0.12, recency=9) == "average"


def test_a_model_that_is_clearly_better_than_the_average_is_used(validation: tuple) -> None:
    assert chosen(validation, gru=0.1, average=2.0, recency=9) == "gru"


def test_no_other_model_gets_the_benefit_of_the_doubt(validation: tuple) -> None:
    assert chosen(validation, gru=0.05, bilstm=0.3, average=3.0) == "gru"


def test_of_a_target_given_that_users_stay_the_others_are_neither_learned_nor_measured() -> None:
    random = np.random.default_rng(0)
    splits = ["train", "validation", "calibration", "test", "purged", "open"]
    index = pd.DataFrame({"user": 0, "anchor": np.arange(60), "split": np.repeat(splits, 10)})
    index["closed"] = index["split"] != "open"
    for label in ("churned", "sticker"):
        index[label] = pd.array(random.integers(0, 2, 60), dtype="Int8")
        index.loc[~index["closed"], label] = pd.NA
    lives = Lives(np.ones((1, 90), bool), np.zeros((1, 90), np.float32), WindowShape(), 0, frozenset({"sticker"}))
    windows = WindowSet(index, pd.DataFrame(), np.zeros((1, 90, 1)), np.zeros((60, 0)), 7, lives)
    everybody, staying = Blocks.of(windows, "churn"), Blocks.of(windows, "sticker")
    gone = np.flatnonzero(index["churned"].fillna(0) == 1)
    for block in (*splits[:4], "learnable"):
        assert np.intersect1d(getattr(everybody, block), gone).size
        np.testing.assert_array_equal(getattr(staying, block), np.setdiff1d(getattr(everybody, block), gone))
    for block in ("closed", "test_period"):
        np.testing.assert_array_equal(getattr(staying, block), getattr(everybody, block))
