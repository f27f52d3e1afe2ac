"""Saved models: what they were fitted on stands beside them, and nothing that is not a model is believed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import lives_of

from tschurn.errors import ModelError
from tschurn.features.windows import WindowSet
from tschurn.models.baselines import Average, Logistic, MostFrequent
from tschurn.models.boosting import Boosting
from tschurn.models.graphs import Hyperparameters
from tschurn.models.model import Model
from tschurn.models.networks import make_network
from tschurn.models.saved import load_model, save_model


def make_windows(daily: list[str], history: list[str], observe_days: int = 7) -> WindowSet:
    random = np.random.default_rng(0)
    index = pd.DataFrame({"user_id": 0, "user": np.arange(60) % 20, "anchor": 10 + np.arange(60) % 5})
    features = pd.DataFrame({"feature": daily + history, "kind": ["daily"] * len(daily) + ["history"] * len(history),
                             "side": "own", "measure": "count"})  # fmt: skip
    panel = random.poisson(1, (20, 30, len(daily))).astype(np.float32)
    past = random.random((60, len(history))).astype(np.float32)
    return WindowSet(index, features, panel, past, observe_days, lives_of(panel))


DAILY, HISTORY = ["own:a:count", "own:b:count"], ["history:x", "history:y"]


@pytest.fixture
def windows() -> WindowSet:
    return make_windows(DAILY, HISTORY)


def fitted(kind: str, windows: WindowSet) -> Model:
    models = {
        "gru": lambda: make_network("gru", Hyperparameters(units=4), 1, 1, ("churn",)),
        "most_frequent": MostFrequent,
        "logistic_history": lambda: Logistic("logistic_history", "history"),
        "lightgbm_history": lambda: Boosting("lightgbm_history", "flat", 1, 1),
        "average": lambda: Average([fitted("logistic_history", windows), fitted("lightgbm_history", windows)]),
    }
    model = models[kind]()
    model.fit(windows, np.arange(60), np.arange(60) % 2.0)
    return model


@pytest.mark.parametrize("kind", ["gru", "most_frequent", "logistic_history", "lightgbm_history", "average"])
def test_every_model_comes_back(windows: WindowSet, kind: str, tmp_path: Path) -> None:
    model = fitted(kind, windows)
    save_model(model, tmp_path / "model", windows)
    loaded = load_model(tmp_path / "model", windows)
    rows = np.arange(60)
    np.testing.assert_allclose(loaded.log_odds(windows, rows), model.log_odds(windows, rows), rtol=1e-6)
    assert loaded.get_params() == model.get_params()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (make_windows(["own:a:count", "own:c:count"], HISTORY), ["missing `own:b:count`", "new `own:c:count`"]),
        (make_windows(DAILY, HISTORY[:1]), ["missing `history:y`"]),
        (make_windows(DAILY, [*HISTORY, "history:z"]), ["new `history:z`"]),
        (make_windows(DAILY[::-1], HISTORY), ["daily features stand in another order"]),
        (make_windows(DAILY, HISTORY, 14), ["observes 7 days, the windows 14"]),
        (make_windows([*DAILY, *(f"own:{k}:count" for k in range(9))], HISTORY), ["and 4 more"]),
    ],
)
def test_other_features_are_named(windows: WindowSet, other: WindowSet, told: list[str], tmp_path: Path) -> None:
    save_model(fitted("logistic_history", windows), tmp_path / "model", windows)
    with pytest.raises(ModelError) as error:
        load_model(tmp_path / "model", other)
    assert all(part in str(error.value) for part in told)


class _Harm:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("harm"),))


@pytest.mark.parametrize("kind", ["gru", "logistic_history", "lightgbm_history", "average"])
@pytest.mark.parametrize("damage", ["no folder", "empty", "not json", "other type", "no key", "pickle"])
def test_what_is_no_model_is_refused_and_never_run(
    windows: WindowSet, kind: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "model"
    if damage != "no folder":
        save_model(fitted(kind, windows), folder, windows)
    note = folder / "model.json"
    if damage == "empty":
        note.unlink()
    elif damage == "not json":
        note.write_text("{")
    elif damage == "other type":
        note.write_text(json.dumps(json.loads(note.read_text()) | {"type": "os.system"}))
    elif damage == "no key":
        note.write_text(json.dumps({"type": json.loads(note.read_text())["type"]}))
    elif damage == "pickle":
        for file in folder.rglob("*"):
            if file.is_file() and file.name != "features.json":
                file.write_bytes(pickle.dumps(_Harm()))
    with pytest.raises(ModelError, match="train"):
        load_model(folder, windows)
    assert not (tmp_path / "harm").exists()


def test_arrays_of_objects_are_refused(windows: WindowSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(fitted("gru", windows), tmp_path / "model", windows)
    np.savez(tmp_path / "model" / "weights.npz", harm=np.array([_Harm()], dtype=object))
    with pytest.raises(ModelError):
        load_model(tmp_path / "model", windows)
    assert not (tmp_path / "harm").exists()
