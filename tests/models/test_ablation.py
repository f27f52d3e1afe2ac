"""ABLATION: a cause that is removed is missed, noise is not; nothing that may not be looked at is."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn import config
from tschurn.contracts import ABLATION
from tschurn.features.windows import WindowSet
from tschurn.models import ablation as a
from tschurn.models.blocks import Blocks
from tschurn.models.boosting import Boosting
from tschurn.models.causal import CausalNetwork
from tschurn.models.evaluation import average_precision
from tschurn.models.graphs import Hyperparameters
from tschurn.models.model import Model
from tschurn.models.networks import WindowNetwork, make_network

TESTS = Path(__file__).parents[1]
Planted = runpy.run_path(str(TESTS / "explain" / "conftest.py"))["PlantedWindows"]
lives_windows = runpy.run_path(str(Path(__file__).parent / "test_causal.py"))["make_windows"]
FIGURES = [c for c in ABLATION.columns if c.startswith(("ap", "auc"))]


def planted(users: int = 300) -> Planted:
    """Windows with planted causes: recency and the last day's posts; validation and calibration share two weeks."""
    windows = Planted(users=users, anchors=10, noise=2)
    week = windows.index["anchor"] // 7
    half = np.where(windows.index["user"] % 2, "validation", "calibration")
    windows.index["sticker"] = pd.array([pd.NA] * len(week), dtype="Int8")
    windows.index["split"] = np.select([week < 5, week < 7, week < 9], ["train", half, "test"], "open")
    return windows


def columns_of(windows: Planted, without: str = "") -> list[str]:
    return [c for c in windows.flat_columns()["column"] if not without or not c.startswith(without)]


def boosting(seed: int) -> Model:
    model = Boosting("lightgbm_history", "flat", seed, 1)
    model.tuned({"num_leaves": 7, "min_data_in_leaf": 30})
    return model


def gru(seed: int) -> Model:
    settings = Hyperparameters("gru", units=8, batch_size=64, learning_rate=0.01)
    return make_network("gru", settings, seed, 6, ("churn",))


class Echo(Model):
    """The logit of a column, and the luck of a seed; remembers what it was asked."""

    kind, name = "baseline", "echo"
    fits: list[tuple[np.ndarray, np.ndarray]]

    def __init__(self, seed: int, luck: float = 0.0) -> None:
        self.seed, self.luck = seed, luck
        self.fits, self.asked = [], []

    def fit(self, windows, rows, y, validation=None) -> None:
        self.fits.append((rows, y, *validation))

    def log_odds(self, windows, rows) -> np.ndarray:
        self.asked.append(rows)
        noise = np.random.default_rng(self.seed).normal(size=len(rows))
        return windows.history(rows)[:, 0].astype(float) + self.luck * noise

    def get_params(self) -> dict:
        return {}

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Echo: ...


def found(windows: object, left: dict[str, list[str]], make: Callable[[int], Model], **options: object) -> pd.DataFrame:
    table = a.ablate(windows, "churn", left, {"model": make}, 7, **options)
    ABLATION.check(table)
    return table.set_index("inputs")


@pytest.fixture(scope="module")
def windows() -> Planted:
    return planted()


# --- what is lost ---------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [boosting, gru])
def test_a_cause_is_missed_and_noise_is_not(windows: Planted, make: Callable[[int], Model]) -> None:
    left = {"no_cause": columns_of(windows, "recency"), "no_noise": columns_of(windows, "noise")}
    table = found(windows, left, make)
    for metric in ("ap", "auc"):
        assert table.loc["no_cause", f"{metric}_difference_high"] < -0.05
        assert abs(table.loc["no_noise", f"{metric}_difference"]) < 0.03
        low, high = table.loc["no_noise", [f"{metric}_difference_low", f"{metric}_difference_high"]]
        assert low < 0 < high
        for inputs in left:
            assert table.loc[inputs, f"{metric}_difference"] == table.loc[inputs, metric] - table.loc["all", metric]
    assert table["columns"].to_list() == [33, 32, 19] and table["daily_features"].isna().all()
    assert table.loc["all", [c for c in FIGURES if "difference" in c]].isna().all()
    assert ((table["ap_low"] < table["ap"]) & (table["ap"] < table["ap_high"])).all()


def test_one_day_of_a_feature_can_go_alone() -> None:
    """Of posts only the last day is a cause; the collinear column that stands for it goes with it."""
    windows = planted(1000)
    gone = {"last": ("post@0", "post_2@0"), "first": ("post@-6", "post_2@-6", "total")}
    left = {name: [c for c in columns_of(windows) if c not in columns] for name, columns in gone.items()}
    table = found(windows, left, boosting)
    assert table.loc["last", "auc_difference_high"] < 0 < table.loc["first", "auc_difference_high"]


def test_with_nothing_left_it_answers_the_same_for_everybody(windows: Planted) -> None:
    for make in (boosting, gru):
        none = found(windows, {"kept": []}, make, seeds=1).loc["kept"]
        assert none["columns"] == 0 and none["auc"] == pytest.approx(0.5)
        assert none["ap"] == pytest.approx(none["base_rate"])


# --- honesty --------------------------------------------------------------------------------------
def test_it_learns_from_training_stops_by_validation_and_is_measured_on_calibration(windows: Planted) -> None:
    made: list[Echo] = []
    found(windows, {"kept": ["recency"]}, lambda seed: made.append(Echo(seed)) or made[-1], seeds=1)
    blocks = Blocks.of(windows, "churn")
    fitted = [model for model in made if model.fits]
    assert len(fitted) == 2
    for model in fitted:
        expected = (*blocks.pair(blocks.train), *blocks.pair(blocks.validation))
        assert all(np.array_equal(given, wanted) for given, wanted in zip(model.fits[0], expected, strict=True))
        assert len(model.asked) == 1 and np.array_equal(model.asked[0], blocks.calibration)
    users = [set(windows.index["user"].iloc[rows]) for rows in (blocks.validation, blocks.calibration)]
    assert not users[0] & users[1]


def test_no_label_of_test_is_touched(windows: Planted) -> None:
    other = planted()
    tested = other.index["split"].isin(["test", "open"]).to_numpy()
    other.index.loc[tested, "churned"] = pd.array([1, 0] * (tested.sum() // 2), dtype="Int8")
    left = {"kept": columns_of(windows, "recency")}
    pd.testing.assert_frame_equal(found(other, left, boosting), found(windows, left, boosting))


def test_figures_are_means_over_the_fits_and_intervals_know_of_their_luck(windows: Planted) -> None:
    left = {"kept": columns_of(windows, "noise")}
    table = found(windows, left, lambda seed: Echo(seed, luck=6.0), seeds=2)
    rows, y = Blocks.of(windows, "churn").pair(Blocks.of(windows, "churn").calibration)
    aps = [average_precision(y, Echo(7 + k, luck=6.0).log_odds(windows, rows)) for k in range(2)]
    assert table.loc["all", "ap"] == pytest.approx(np.mean(aps)) and abs(aps[0] - aps[1]) > 0.02
    # both rows come from equal fits, but from fits of their own: what one was lucky in, the other need not be
    assert table.loc["kept", "ap_difference"] == 0
    low, high = table.loc["kept", ["ap_difference_low", "ap_difference_high"]]
    assert low < -0.02 and high > 0.02
    alone = found(windows, left, lambda seed: Echo(seed, luck=6.0), seeds=1)
    assert alone.loc["kept", ["ap_difference_low", "ap_difference_high"]].tolist() == [0, 0]


def test_what_a_model_sees_twice_is_fitted_once(windows: Planted) -> None:
    fits: list[int] = []

    class Counted(Echo):
        def fit(self, *given: object) -> None:
            fits.append(self.seed)

    everything = columns_of(windows)
    table = found(windows, {"independent": everything[::-1], "kept": ["recency"]}, lambda s: Counted(s, 6.0), seeds=2)
    assert fits == [7, 8, 7, 8]
    assert table.loc["independent", [c for c in FIGURES if "difference" in c]].tolist() == [0.0] * 6


def test_it_repeats_itself(windows: Planted) -> None:
    left = {"kept": columns_of(windows, "recency")}
    pd.testing.assert_frame_equal(found(windows, left, boosting), found(windows, left, boosting))


# --- the windows ----------------------------------------------------------------------------------
def test_what_is_not_left_is_zero_and_all_else_as_it_was(windows: Planted) -> None:
    random = np.random.default_rng(0)
    columns = windows.flat_columns()["column"]
    left = columns[random.random(len(columns)) < 0.5].tolist()
    some, rows = a.Without(windows, left), random.permutation(len(windows.index))[:50]
    stays = columns.isin(left).to_numpy()
    np.testing.assert_array_equal(some.flat(rows), np.where(stays, windows.flat(rows), 0))
    np.testing.assert_array_equal(some.batch(rows).reshape(50, -1), some.flat(rows)[:, : some.batch(rows)[0].size])
    np.testing.assert_array_equal(some.history(rows), some.flat(rows)[:, some.batch(rows)[0].size :])
    assert some.flat(rows).dtype == windows.flat(rows).dtype and some.columns == len(left)
    assert some.flat_columns().equals(windows.flat_columns())


def test_what_is_missing_in_the_log_is_gone_as_well(windows: Planted) -> None:
    holes = planted(60)
    holes.past[:, 0] = np.nan
    assert np.isnan(holes.flat(np.arange(5))).any()
    assert not np.isnan(a.Without(holes, columns_of(windows, "recency")).flat(np.arange(5))).any()


def test_columns_that_are_unknown_are_refused(windows: Planted) -> None:
    with pytest.raises(ValueError, match="post@7"):
        a.Without(windows, ["post@0", "post@7"])


# --- models of whole lives ------------------------------------------------------------------------
class Lived(CausalNetwork):
    """As causal_gru, but learns nothing: the sum of what it is shown of each life."""

    fits = 0

    def fit(self, *given: object) -> None:
        Lived.fits += 1

    def log_odds(self, windows, rows) -> np.ndarray:
        user, anchor = (windows.index[c].to_numpy(np.int64)[rows] for c in ("user", "anchor"))
        return windows.days(user, anchor[:, None]).sum(axis=(1, 2)).astype(float)


def lived(seed: int) -> Model:
    return Lived("causal_gru", Hyperparameters("causal_gru"), seed, 1)


def test_of_whole_lives_a_feature_goes_only_when_none_of_its_columns_is_left() -> None:
    windows: WindowSet = lives_windows()
    windows.features["label_en"] = windows.features["label_ko"] = windows.features["feature"]
    columns = windows.flat_columns()["column"].tolist()
    some = a.Without(windows, ["own:a:count@-3", "own:c:count@0"])
    users, days = np.arange(4), np.tile(np.arange(90, 100), (4, 1))
    shown, known = some.days(users, days), windows.days(users, days)
    np.testing.assert_array_equal(shown[:, :, [0, 2]], known[:, :, [0, 2]])
    assert known[:, :, 1].any() and not shown[:, :, 1].any()
    Lived.fits = 0
    left = {
        "independent": [c for c in columns if not c.endswith("@-6")],
        "kept": [c for c in columns if ":b:" not in c],
    }
    table = found(windows, left, lived, seeds=1)
    assert table["daily_features"].tolist() == [3, 3, 2] and table["columns"].tolist() == [21, 18, 14]
    assert Lived.fits == 2 and table.loc["independent", "ap_difference"] == 0


# --- what searches found --------------------------------------------------------------------------
def test_models_take_what_the_searches_found(windows: Planted, tmp_path: Path) -> None:
    experiment = config.parse(
        {"experiment": {"name": "x"}, "log": {"path": "x.parquet"}, "search": {"epochs": 9}, "targets": {"churn": {}}},
        "test",
    )
    (tmp_path / "hyperparameters.json").write_text(json.dumps({"bilstm": {"architecture": "bilstm", "units": 96}}))
    trials = pd.DataFrame(
        [("lightgbm_7days", '{"num_leaves": 3}', True), ("lightgbm_history", '{"num_leaves": 31}', False),
         ("lightgbm_history", '{"num_leaves": 5}', True), ("bilstm", "{}", True)],
        columns=["model", "hyperparameters", "chosen"],
    )  # fmt: skip
    trials.to_parquet(tmp_path / "trials.parquet")
    models = a.tuned_models(windows, "churn", experiment, tmp_path, "bilstm", 1)
    assert list(models) == ["lightgbm_history", "bilstm"]
    trees, network = (make(11) for make in models.values())
    assert isinstance(trees, Boosting) and trees.view == "flat" and trees.stops_early
    assert trees.parameters["num_leaves"] == 5 and trees.parameters["seed"] == 11
    assert isinstance(network, WindowNetwork) and network.hyperparameters.units == 96
    assert (network.seed, network.epochs, network.targets) == (11, 9, ("churn",))
    trials[trials["model"] != "lightgbm_history"].to_parquet(tmp_path / "trials.parquet")
    assert list(a.tuned_models(windows, "churn", experiment, tmp_path, "bilstm", 1)) == ["lightgbm_7days", "bilstm"]
    assert list(a.tuned_models(windows, "churn", experiment, tmp_path, None, 1)) == ["lightgbm_7days"]
