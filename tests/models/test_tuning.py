"""Experiment and searches on small windows: seeds by halving, any model tuned, the best fitted again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import lives_of

from tschurn.contracts import EXPERIMENTS, TRIALS
from tschurn.features.windows import WindowSet
from tschurn.models import experiments, graphs, tuning
from tschurn.models.boosting import TREE_SIZES, Boosting
from tschurn.models.graphs import WINDOW_ARCHITECTURES, Hyperparameters
from tschurn.models.scaling import SCALINGS
from tschurn.models.search import Watch, trial_seed


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    random = np.random.default_rng(0)
    panel = random.poisson(0.7, (60, 30, 2)).astype(np.float32)
    user, anchor = (a.ravel() for a in np.meshgrid(np.arange(60), np.arange(6, 30), indexing="ij"))
    history = random.normal(size=(len(user), 2)).astype(np.float32)
    churned = (2 * history[:, 0] - panel[user, anchor, 0] + random.logistic(size=len(user)) * 0.5 > 0).astype(int)
    index = pd.DataFrame({"user_id": user, "user": user.astype(np.int32), "anchor": anchor.astype(np.int32),
                          "anchor_day": anchor, "churned": churned})  # fmt: skip
    features = pd.DataFrame({"feature": list("abxy"), "kind": ["daily"] * 2 + ["history"] * 2,
                             "side": ["own"] * 2 + [None] * 2, "measure": ["count"] * 2 + list("xy"),
                             "label_en": list("abxy"), "label_ko": list("abxy")})  # fmt: skip
    return WindowSet(index, features, panel, history, 7, lives_of(panel))


@pytest.fixture(scope="module")
def halves(windows: WindowSet) -> tuple[tuning.Rows, tuning.Rows]:
    y = windows.index["churned"].to_numpy(float)
    order = np.random.default_rng(1).permutation(len(windows))
    one, two = np.array_split(order, 2)
    return (one, y[one]), (two, y[two])


def budget(folder: Path, trials: int = 6) -> tuning.Budget:
    return tuning.Budget(trials, None, 7, folder)


# --- the experiment -------------------------------------------------------------------------------
class Guess:
    """Stands in for a network: its log-odds are as good as its cell is planted to be, the seed adds noise."""

    fitted: list[tuple[str, str, int]] = []  # noqa: RUF012
    skill = {("gru", "standard"): 3.0, ("gru", "none"): 2.0, ("bilstm", "minmax"): 2.5}  # noqa: RUF012

    def __init__(self, name: str, hyperparameters: Hyperparameters, seed: int, epochs: int, *_: Any) -> None:
        self.cell = (name, hyperparameters.scaling)
        self.seed, self.epochs = seed, epochs

    def fit(self, windows: WindowSet, rows: np.ndarray, y: np.ndarray, validation: Any) -> None:
        self.fitted.append((*self.cell, self.seed))
        self.y = validation[1]

    def log_odds(self, windows: WindowSet, rows: np.ndarray) -> np.ndarray:
        random = np.random.default_rng(self.seed)
        return self.skill.get(self.cell, 0.5) * (self.y - 0.5) + random.logistic(size=len(rows))


@pytest.fixture
def guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "make_network", Guess)
    Guess.fitted.clear()


def run(windows: WindowSet, halves: Any, folder: Path, seeds: int = 3) -> list[dict[str, Any]]:
    return experiments.experiment(
        windows,
        *halves,
        {a: ("churn",) for a in WINDOW_ARCHITECTURES},
        seed=7,
        seeds=seeds,
        epochs=2,
        folder=folder,
        done=lambda note: None,
    )


def test_every_cell_once_then_the_best_third_and_the_best_mean_is_chosen(
    windows: WindowSet, halves: Any, guessed: None, tmp_path: Path
) -> None:
    rows = run(windows, halves, tmp_path)
    EXPERIMENTS.check(pd.DataFrame(rows).assign(target="churn"))
    cells = len(WINDOW_ARCHITECTURES) * len(SCALINGS)
    third = -(-cells // 3)
    assert len(rows) == experiments.fits(cells, 3) == cells + third + -(-third // 3)
    table = pd.DataFrame(rows).groupby(["architecture", "scaling"])["ap"].agg(["count", "mean"])
    assert table["count"].value_counts()[1] == cells - third
    chosen = {(r["architecture"], r["scaling"]) for r in rows if r["chosen"]}
    assert chosen == {("gru", "standard")}
    assert table.loc[("gru", "standard")].tolist() == [3, table[table["count"] == 3]["mean"].max()]
    assert experiments.best_scalings(rows)["bilstm"] == "minmax"
    assert set(experiments.best_scalings(rows)) == set(WINDOW_ARCHITECTURES)
    # the first round's best third by AP is who is fitted again
    first = pd.DataFrame(rows[:cells]).nlargest(third, "ap")
    again = pd.DataFrame(rows[cells : cells + third])
    assert set(zip(first["architecture"], first["scaling"], strict=True)) == set(
        zip(again["architecture"], again["scaling"], strict=True)
    )


def test_one_lucky_fit_does_not_beat_what_was_fitted_often() -> None:
    rows = [{"architecture": "gru", "scaling": "none", "ap": 0.9}]
    rows += [
        {"architecture": "gru", "scaling": s, "ap": ap}
        for s, ap in (("minmax", 0.7), ("minmax", 0.8), ("standard", 0.6), ("standard", 0.7))
    ]
    assert experiments.ranked(rows) == [("gru", "minmax"), ("gru", "standard"), ("gru", "none")]
    assert experiments.best_scalings(rows) == {"gru": "minmax"}


def test_an_interrupted_experiment_does_not_repeat_what_is_done(
    windows: WindowSet, halves: Any, guessed: None, tmp_path: Path
) -> None:
    whole = run(windows, halves, tmp_path / "a")
    for place, file in enumerate(sorted((tmp_path / "a").iterdir())):
        if place % 3 == 0:
            file.unlink()
    Guess.fitted.clear()
    assert run(windows, halves, tmp_path / "a") == whole
    assert len(Guess.fitted) == -(-len(whole) // 3)


# --- the searches ---------------------------------------------------------------------------------
def test_lightgbm_is_tuned_by_the_same_search_and_takes_the_best(
    windows: WindowSet, halves: Any, tmp_path: Path
) -> None:
    model, notes = Boosting("lightgbm_history", "flat", 1, 1), []
    before = dict(model.parameters)
    rows = tuning.tune_boosting(model, windows, halves[0], *halves, budget(tmp_path), notes.append)
    TRIALS.check(pd.DataFrame(rows).assign(target="churn"))
    trials = [r for r in rows if r["repeat"] == 0]
    assert len(trials) == 6 + len(TREE_SIZES)
    assert len(notes) == tuning.steps(6, 1) - tuning.steps(6, 0)
    assert json.loads(trials[0]["hyperparameters"]) == {k: before[k] for k in json.loads(trials[0]["hyperparameters"])}
    chosen = [r for r in rows if r["chosen"]]
    assert len(chosen) == 1 and model.parameters == before | json.loads(chosen[0]["hyperparameters"])
    best = max(trials[:6], key=lambda r: r["ap"])
    assert chosen[0]["trial"] in {0, best["trial"], 6, 7}
    again = [r for r in rows if r["repeat"]]
    assert [r["trial"] for r in again] == [best["trial"]] * 2 and [r["repeat"] for r in again] == [1, 2]
    other = Boosting("lightgbm_history", "flat", 1, 1)
    assert tuning.tune_boosting(other, windows, halves[0], *halves, budget(tmp_path / "again"), notes.append) == rows


@pytest.mark.parametrize("architecture", ["gru"])
def test_a_network_is_tuned_with_its_own_seed_in_each_trial(
    windows: WindowSet, halves: Any, tmp_path: Path, architecture: str
) -> None:
    start = Hyperparameters(architecture, units=16, dense_units=16, batch_size=256)
    trial = tuning.NetworkTrial(windows, *halves, start, 3, ("churn",))
    best, rows = tuning.tune_network(trial, halves[0], 2, budget(tmp_path, 3), lambda note: None)
    TRIALS.check(pd.DataFrame(rows).assign(target="churn"))
    assert best.architecture == architecture and best.scaling == start.scaling
    assert {r["model"] for r in rows} == {architecture} and len(rows) == 3 + tuning.REPEATS
    kept = json.loads((tmp_path / architecture / "trial_2" / "result.json").read_text())
    assert kept["seed"] == trial_seed(7, 11, 2)
    again = trial(kept["values"], kept["seed"], tuning.Watch())
    assert again["ap"] == pytest.approx(kept["ap"], abs=1e-6)


@pytest.mark.parametrize(("first", "best", "taken"), [(0.5, 0.4, 1), (0.5, 0.5, 1), (0.4, 0.5, 2)])
def test_what_a_sample_likes_must_hold_for_everybody(tmp_path: Path, first: float, best: float, taken: int) -> None:
    rows = [{"model": "m", "trial": n, "hyperparameters": json.dumps({"k": n + 1}), "chosen": n == 1} for n in (0, 1)]
    asked: list[int] = []
    told: list[str] = []

    def whole(values: dict[str, Any]) -> float:
        asked.append(values["k"])
        return {1: first, 2: best}[values["k"]]

    assert tuning.settle(rows, whole, tmp_path, told.append) == {"k": taken}
    assert [row["chosen"] for row in rows] == [taken == 1, taken == 2]
    rows[0]["chosen"], rows[1]["chosen"] = False, True
    tuning.settle(rows, whole, tmp_path, told.append)
    assert len(told) == 4  # the progress bar counts them all the same
    assert asked == [1, 2]  # a run that was interrupted does not fit them again


def test_a_search_whose_first_trial_is_best_needs_no_such_fit(tmp_path: Path) -> None:
    rows = [{"model": "m", "trial": 0, "hyperparameters": "{}", "chosen": True}]
    assert tuning.settle(rows, lambda values: 1 / 0, tmp_path, print) == {}


def test_trials_of_one_width_share_a_graph(windows: WindowSet, halves: Any) -> None:
    """Compiling is most of a short trial, and TensorFlow never gives a graph back that it trained."""
    graphs._compiled.cache_clear()
    start = Hyperparameters("gru", units=8)
    trial = tuning.NetworkTrial(windows, *halves, start, 1, ("churn",))
    for seed, changes in enumerate(({}, {"dropout": 0.4}, {"input_dropout": 0.3}, {"learning_rate": 0.01},
                                    {"batch_size": 64}, {"units": 12})):  # fmt: skip
        trial(changes, seed, Watch())
    assert graphs._compiled.cache_info().misses == 2


def test_a_sample_keeps_users_whole(windows: WindowSet) -> None:
    rows = np.arange(len(windows))
    sample = tuning.sample_of_users(windows, rows, 0.4, 7)
    users = windows.index["user"].to_numpy()
    assert 0.2 < len(sample) / len(rows) < 0.6
    assert set(users[sample]).isdisjoint(users[np.setdiff1d(rows, sample)])
