"""borutashap_package.py: the real package runs, agrees where it is clear, and leaves no trace."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from tschurn.contracts import SELECTION
from tschurn.errors import MissingExtraError
from tschurn.explain import borutashap_package
from tschurn.explain.boruta_shap import kept, select
from tschurn.explain.borutashap_package import select_with_package

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("BorutaShap") is None, reason="the extra `borutashap` is not installed"
)


def planted_log() -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(800), 2)
    matrix = rng.normal(size=(1600, 6)).astype(np.float32)
    y = (rng.random(1600) < 1 / (1 + np.exp(-2.5 * matrix[:, 1] + 2.5 * matrix[:, 4]))).astype(np.int8)
    return matrix, ["n {0}", "up,[1]", 'n "2"', "n:3", "down", "n5"], y, user


@pytest.mark.slow
@needs_package
def test_agrees_with_our_own_on_planted_causes_and_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    matrix, columns, y, user = planted_log()
    before = (hasattr(scipy.stats, "binom_test"), hasattr(np, "NaN"), list(warnings.filters))
    np.random.seed(3)
    state = np.random.get_state()[1].copy()
    theirs = select_with_package(matrix, columns, y, user, trials=14, seed=0, threads=1)
    assert before == (hasattr(scipy.stats, "binom_test"), hasattr(np, "NaN"), list(warnings.filters))
    assert (np.random.get_state()[1] == state).all()
    assert capfd.readouterr() == ("", "")
    ours = select(matrix, columns, y, user, trials=14, seed=0)
    assert kept(theirs) == kept(ours) == ["up,[1]", "down"]
    assert (theirs["decision"] == "rejected").sum() == 4
    assert theirs["hits"].tolist()[1] == theirs["trials"].tolist()[1]
    assert (theirs["importance"] > theirs["shadow_max"]).tolist() == [False, True, False, False, True, False]
    SELECTION.check(theirs.assign(target="churn"))


class FakeRace:
    """Stands in for the package: remembers how it was asked, and finds nothing."""

    asked: ClassVar[list[dict]] = []

    def __init__(self, **_: object) -> None:
        pass

    def fit(self, values: pd.DataFrame, y: np.ndarray, **how: object) -> None:
        self.asked.append({"rows": len(values)} | how)
        self.accepted, self.rejected, self.hits = [], [], np.zeros(values.shape[1])
        self.history_x = pd.DataFrame(np.zeros((2, values.shape[1])), columns=values.columns)
        self.history_shadow = np.zeros((2, values.shape[1]))


@pytest.mark.parametrize("sample", [True, False])
def test_the_package_gets_one_window_per_user_and_its_own_options(
    sample: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(borutashap_package, "_load", lambda: SimpleNamespace(BorutaShap=FakeRace))
    table = select_with_package(*planted_log(), trials=7, seed=3, sample=sample, threads=1)
    how = FakeRace.asked[-1]
    assert how["sample"] is sample and how["n_trials"] == 7 and how["random_state"] == 3
    assert how["rows"] == 800 and (table["decision"] == "tentative").all()
    matrix, columns, y, _ = planted_log()  # rows as users of their own: all of them
    select_with_package(matrix, columns, y, np.arange(len(y)), trials=7, seed=3, threads=1)
    assert FakeRace.asked[-1]["rows"] == 1600 and FakeRace.asked[-1]["sample"] is False


@needs_package
def test_names_are_taken_back_when_the_package_fails() -> None:
    with pytest.raises(ZeroDivisionError), borutashap_package.lent_names():
        assert np.NaN is np.nan and scipy.stats.binom_test(3, 10) == pytest.approx(0.34375)
        raise ZeroDivisionError
    assert not hasattr(np, "NaN") and not hasattr(scipy.stats, "binom_test")


def test_absent_package_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "BorutaShap", None)  # how Python marks a module that cannot be imported
    with pytest.raises(MissingExtraError, match=r"pip install tschurn\[borutashap\]"):
        select_with_package(*planted_log(), trials=5, seed=0, threads=1)
    assert not hasattr(np, "NaN") and not hasattr(scipy.stats, "binom_test")
