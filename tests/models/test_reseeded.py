"""reseeded.py: another seed gives another network, the same seed the list's own; what has no chance stays as it is."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from tschurn.contracts import SEED_SCORES
from tschurn.models.baselines import Average, Logistic
from tschurn.models.blocks import Blocks
from tschurn.models.calibration import fit_calibration
from tschurn.models.model import Model
from tschurn.models.reseeded import _reseed, seed_scores
from tschurn.models.saved import save_model

ABLATION = runpy.run_path(str(Path(__file__).parent / "test_ablation.py"))


def finished(model: Model, folder: Path) -> tuple[object, np.ndarray]:
    """A refit as a stage leaves it → its windows, and what it says of those at the newest anchor."""
    windows = ABLATION["planted"](150)
    blocks = Blocks.of(windows, "churn")
    model.fit(windows, *blocks.pair(blocks.learnable))
    save_model(model, folder / "refit", windows)
    test, users = blocks.test, windows.index["user"].to_numpy()
    calibration = fit_calibration(model.log_odds(windows, test), blocks.y[test], users[test], 0)
    (folder / "refit" / "calibration.json").write_text(json.dumps(calibration.to_dict()))
    newest = np.flatnonzero(windows.index["anchor"] == windows.index["anchor"].max())
    return windows, calibration(model.log_odds(windows, newest))


def test_other_seeds_say_nearly_the_same_and_the_own_seed_just_the_same(tmp_path: Path) -> None:
    model = Average([ABLATION["gru"](5), ABLATION["boosting"](5)])
    windows, own = finished(model, tmp_path)
    table = seed_scores(windows, "churn", tmp_path, 5)
    SEED_SCORES.check(table)
    assert sorted(table["seed"].unique()) == [6, 7]
    for _, part in table.groupby("seed"):
        assert not np.allclose(part["p"], own, atol=1e-4)
        assert np.corrcoef(part["p"], own)[0, 1] > 0.8
    same = seed_scores(windows, "churn", tmp_path, 4, seeds=1)  # the seed after 4 is the list's own
    np.testing.assert_allclose(same["p"], own, atol=1e-6)


def test_every_member_gets_the_seed() -> None:
    model = Average([ABLATION["gru"](5), ABLATION["boosting"](5), Logistic("logistic_history", "history")])
    assert _reseed(model, 9)
    assert model.members[0].seed == 9 and model.members[1].parameters["seed"] == 9


def test_a_model_without_chance_is_not_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows, own = finished(Logistic("logistic_history", "history"), tmp_path)
    monkeypatch.setattr(Logistic, "fit", lambda *_: pytest.fail("fitted"))
    np.testing.assert_array_equal(seed_scores(windows, "churn", tmp_path, 5, seeds=1)["p"], own)
