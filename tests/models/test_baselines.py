"""Baselines on inputs that are poor or broken: a defined, finite answer, or one clear sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import lives_of

from tschurn.errors import MissingExtraError
from tschurn.features.windows import WindowSet
from tschurn.models import baselines as b
from tschurn.models.automl import tune_by_flaml
from tschurn.models.boosting import Boosting
from tschurn.models.evaluation import auc
from tschurn.models.saved import load_plain

ALL = ("most_frequent", "recency", "logistic_recency", "logistic_history", "lightgbm_7days", "lightgbm_history")


def made(spoil: str = "") -> WindowSet:
    random = np.random.default_rng(0)
    panel = random.poisson(0.7, (40, 30, 2)).astype(np.float32)
    user, anchor = (a.ravel() for a in np.meshgrid(np.arange(40), np.arange(6, 30), indexing="ij"))
    history = random.normal(size=(len(user), 2)).astype(np.float32)
    churned = (history[:, 0] + random.normal(size=len(user)) * 0.3 > 0).astype(int)
    index = pd.DataFrame({"user_id": user, "user": user.astype(np.int32), "anchor": anchor.astype(np.int32),
                          "anchor_day": anchor, "churned": churned})  # fmt: skip
    if spoil == "missing":
        history[::3, 0] = np.nan
        history[:, 1] = np.nan
    if spoil == "infinite":
        history[::50, 0], history[1::50, 1] = np.inf, -np.inf
    if spoil == "constant":
        panel[:], history[:] = 1, 3
    features = pd.DataFrame({"feature": list("abxy"), "kind": ["daily"] * 2 + ["history"] * 2,
                             "side": ["own"] * 2 + [None] * 2, "measure": ["count"] * 2 + list("xy"),
                             "label_en": list("abxy"), "label_ko": list("abxy")})  # fmt: skip
    return WindowSet(index, features, panel, history, 7, lives_of(panel))


def fitted(name: str, windows: WindowSet, y: np.ndarray):
    model = next(m for m in b.make_baselines(windows, 1, 1) if m.name == name)
    rows = np.arange(len(windows))
    model.fit(windows, rows[::2], y[::2], (rows[1::2], y[1::2]))
    model.fit(windows, rows[::2], y[::2])
    return model


@pytest.mark.parametrize("spoil", ["missing", "infinite", "constant"])
@pytest.mark.parametrize("name", ALL)
def test_spoilt_inputs_give_finite_log_odds(name: str, spoil: str, tmp_path: Path) -> None:
    windows = made(spoil)
    y = windows.index["churned"].to_numpy(float)
    model = fitted(name, windows, y)
    found = model.log_odds(windows, np.arange(len(windows)))
    assert np.isfinite(found).all()
    if spoil == "constant":
        assert np.ptp(found) == pytest.approx(0, abs=1e-9)
    elif name in ("logistic_history", "lightgbm_history"):
        assert auc(y, found) > 0.75  # what is there is still used
    model.save(tmp_path)
    np.testing.assert_allclose(load_plain(tmp_path).log_odds(windows, np.arange(len(windows))), found)


@pytest.mark.parametrize("only", [0.0, 1.0])
@pytest.mark.parametrize("name", ALL)
def test_one_class_only_is_the_same_finite_answer_for_everybody(name: str, only: float) -> None:
    windows = made()
    found = fitted(name, windows, np.full(len(windows), only)).log_odds(windows, np.arange(len(windows)))
    assert np.isfinite(found).all() and np.ptp(found) == pytest.approx(0, abs=1e-6)
    assert np.sign(found[0]) == (1 if only else -1)


def test_without_flaml_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flaml.automl", None)
    monkeypatch.setitem(sys.modules, "flaml", None)
    windows = made()
    rows = np.arange(10), np.ones(10)
    with pytest.raises(MissingExtraError, match=r"tschurn\[automl\]"):
        tune_by_flaml(Boosting("flaml", "flat", 1, 1), windows, rows, rows, 2, None)


def test_flaml_tunes_lightgbm_as_the_same_seed_does(tmp_path: Path) -> None:
    pytest.importorskip("flaml.automl", reason="the extra automl is not installed")
    windows = made()
    y = windows.index["churned"].to_numpy(float)
    rows = np.arange(len(windows))
    models = [b.make_baselines(windows, 1, 1, automl=True)[-1] for _ in range(2)]
    for model in models:
        tune_by_flaml(model, windows, (rows[::2], y[::2]), (rows[1::2], y[1::2]), 6, None)
        rounds = model.rounds
        model.fit(windows, rows[::2], y[::2], (rows[1::2], y[1::2]))
        assert model.rounds == rounds  # FLAML found those as well
    one, two = (m.log_odds(windows, rows) for m in models)
    np.testing.assert_array_equal(one, two)
    assert models[0].name == "flaml" and auc(y[1::2], one[1::2]) > 0.8
    models[0].save(tmp_path)
    np.testing.assert_allclose(load_plain(tmp_path).log_odds(windows, rows), one)
