"""What explains a model is kept as plain data: told again it says the same, and nothing else is believed there."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from tschurn.errors import ModelError
from tschurn.explain.surrogate import fit_surrogate
from tschurn.explain.told import Told, load, save


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Told, Path]:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(400, 3)).astype(np.float32)
    every = np.ones(400, dtype=bool)
    surrogate = fit_surrogate(matrix, ["a", "b", "c"], 2 * matrix[:, 0] - matrix[:, 1], np.arange(400), every, every,
                              seed=1)  # fmt: skip
    told = Told("churn", "gru", ["a", "b", "c"], np.array([0.5, np.nan, -1.0]), surrogate)
    save(told, tmp_path / "told")
    return told, tmp_path / "told"


def test_it_comes_back_as_it_was(kept: tuple[Told, Path]) -> None:
    told, folder = kept
    again = load(folder)
    matrix = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_array_equal(again.usual, told.usual)
    assert (again.target, again.model, again.columns) == (told.target, told.model, told.columns)
    for one, other in zip(again.surrogate.contributions(matrix), told.surrogate.contributions(matrix), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (again.surrogate.r2, again.surrogate.spread) == (told.surrogate.r2, told.surrogate.spread)


def test_a_model_that_explains_itself_keeps_no_surrogate(tmp_path: Path) -> None:
    save(Told("sticker", "lightgbm_history", ["a"], np.array([1.0]), None), tmp_path / "told")
    assert load(tmp_path / "told").surrogate is None


class Bomb:
    def __reduce__(self):
        return (Path("exploded").touch, ())


@pytest.mark.parametrize("file", ["explained.json", "surrogate.txt"])
@pytest.mark.parametrize("content", [pickle.dumps(Bomb()), b"", b"[]", b'{"target": 1}', b"tree\nversion=v4\n\n"])
def test_anything_else_is_refused(
    kept: tuple[Told, Path], file: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = kept
    monkeypatch.chdir(folder)
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match="run the experiment again"):
        load(folder)
    assert not (folder / "exploded").exists()


def test_trees_that_are_cut_off_are_refused(kept: tuple[Told, Path]) -> None:
    """LightGBM itself would end the process on some of them."""
    _, folder = kept
    text = (folder / "surrogate.txt").read_text()
    end = text.index("end of trees")
    for at in np.random.default_rng(2).integers(0, end, 40):
        (folder / "surrogate.txt").write_text(text[:at])
        with pytest.raises(ModelError):
            load(folder)
    note = json.loads((folder / "explained.json").read_text())
    (folder / "surrogate.txt").write_text(text)
    (folder / "explained.json").write_text(json.dumps(note | {"surrogate": {"columns": []}}))
    with pytest.raises(ModelError):
        load(folder)
