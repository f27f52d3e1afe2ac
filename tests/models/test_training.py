"""Who is used: the best on validation, unless the average is as good; and at which level its probabilities speak."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import lives_of

from tschurn.config import Experiment, WindowShape
from tschurn.contracts import silent
from tschurn.features.lives import Lives
from tschurn.features.windows import WindowSet
from tschurn.models import training
from tschurn.models.blocks import Blocks
from tschurn.models.evaluation import average_precision, two_way_weights
from tschurn.models.model import Model
from tschurn.models.scoring import refit_and_score
from tschurn.models.training import Trained, best_or_average


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


class Raised(Model):
    """Knows the truth up to a constant, and another one after each fit; as sure as it is told to be."""

    kind, name = "baseline", "raised"

    def __init__(self, truth: np.ndarray, levels: Iterable[float]) -> None:
        self.truth, self.levels, self.level = truth, iter(levels), 0.0

    def fit(self, windows, rows, y, validation=None) -> None:
        self.level = next(self.levels)

    def log_odds(self, windows, rows) -> np.ndarray:
        return self.truth[rows] + self.level

    def get_params(self) -> dict[str, Any]:
        return {}

    def save(self, folder: Path) -> None:
        (folder / "model.json").write_text("{}")

    @classmethod
    def load(cls, folder: Path) -> Raised:
        raise NotImplementedError


@pytest.fixture
def told() -> tuple[WindowSet, np.ndarray]:
    """Windows of all blocks with both classes, and the truth's log-odds."""
    random = np.random.default_rng(0)
    anchor, user = (grid.ravel() for grid in np.meshgrid(np.arange(6, 62, 7), np.arange(400), indexing="ij"))
    split = np.array(["train", "train", "train", "validation", "purged", "test", "test", "open"])[anchor // 7]
    split = np.where((split == "validation") & (user % 2 == 0), "calibration", split)
    truth = random.normal(size=len(user)) - 1
    index = pd.DataFrame({"user_id": user, "user": user, "anchor": anchor, "anchor_day": anchor, "split": split,
                          "closed": split != "open"})  # fmt: skip
    index["churned"] = pd.array(truth + random.logistic(size=len(user)) > 0, dtype="Int8")
    index.loc[~index["closed"], "churned"] = pd.NA
    index["sticker"] = pd.array([pd.NA] * len(index), dtype="Int8")
    features = pd.DataFrame({"feature": ["own:a:count"], "kind": ["daily"], "side": ["own"], "measure": ["count"],
                             "label_en": ["a"], "label_ko": ["a"]})  # fmt: skip
    panel = np.ones((400, 70, 1), np.float32)
    return WindowSet(index, features, panel, np.zeros((len(index), 0), np.float32), 7, lives_of(panel)), truth


def test_what_a_refit_adds_to_everybody_changes_no_probability(
    told: tuple[WindowSet, np.ndarray], tmp_path: Path
) -> None:
    """It has learned the newest rate by itself; the calibration must not add that once more."""
    windows, truth = told
    found = []
    for place, level in enumerate((0.0, 0.7)):
        (tmp_path / str(place)).mkdir()
        model = Raised(truth, [level])
        trained = Trained(
            {"raised": model}, {}, "raised", "", "raised", pd.DataFrame({"raised": truth}), {}, {}, [], []
        )
        found.append(refit_and_score(windows, "churn", trained, tmp_path / str(place), 1))
    for before, after in zip(found[0][:2], found[1][:2], strict=True):
        pd.testing.assert_frame_equal(before, after, rtol=1e-4)
    y = windows.index["churned"].fillna(0).to_numpy(float)[windows.rows("test")]
    assert found[1][1]["p"].mean() == pytest.approx(y.mean(), abs=0.005)


def test_calibrations_speak_at_the_level_of_the_evaluated_fit(
    told: tuple[WindowSet, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows, truth = told
    model = Raised(truth, [-0.6, 0.3])  # on training, on training and validation
    monkeypatch.setattr(training, "prepare_networks", lambda threads: None)  # TensorFlow may have begun in this process
    monkeypatch.setattr(training, "_tuned", lambda *given: ([], [], []))
    monkeypatch.setattr(training, "make_baselines", lambda *given: [model])
    monkeypatch.setattr(training, "_best", lambda scores: next(iter(scores), ""))
    (tmp_path / "found").mkdir()
    experiment = Experiment.model_validate({"experiment": {"name": "x"}, "log": {"path": "x.csv"}})
    found = training.train(windows, "churn", experiment, 1, tmp_path / "found", tmp_path, silent)
    rows = windows.rows("calibration")
    np.testing.assert_allclose(found.held["raised"], found.log_odds["raised"].to_numpy()[rows])
    p = found.calibrations["raised"](found.log_odds["raised"].to_numpy()[rows])
    assert p.mean() == pytest.approx(windows.index["churned"].to_numpy(float)[rows].mean(), abs=0.005)
