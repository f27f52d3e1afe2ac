"""What a search has kept of its trials may be damaged: the table is that of an unbroken one all the same."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest
from faults.damage import DAMAGES, damage

from tschurn.disk import read_sealed, write_sealed
from tschurn.models.search import Trial, Watch, search
from tschurn.models.tuning import kept

TRIALS = 6
_JSON = {"ap": 0.5, "epochs": 3}


def space() -> kt.HyperParameters:
    made = kt.HyperParameters()
    made.Choice("units", [16, 32, 48, 64, 96], default=48)
    made.Float("rate", 1e-4, 1e-1, sampling="log", default=3e-3)
    return made


def evaluate(values: dict[str, Any], seed: int, watch: Watch) -> dict[str, float]:
    """What earlier trials came to decides when a later one is given up."""
    miss = abs(values["units"] - 64) / 80 + abs(np.log10(values["rate"]) + 2) / 3
    epoch = next((e for e in range(1, 5) if watch(e, 0.5 + miss + 0.1 / e)), 4)
    return {"ap": 0.8 - 0.2 * miss, "log_loss": watch.losses[-1], "epochs": epoch}


def table(trials: list[Trial]) -> list[dict[str, Any]]:
    return [vars(trial) | {"seconds": 0} for trial in trials]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_whose_files_are_damaged_goes_on_as_an_unbroken_one(tmp_path: Path, workers: int) -> None:
    make = partial(search, space(), evaluate, trials=TRIALS, seed=3, workers=workers)
    whole = table(make(folder=tmp_path / "whole"))
    assert any(trial["stopped"] for trial in whole)
    for number in range(8 // workers):
        random = np.random.default_rng(number)
        folder = shutil.copytree(tmp_path / "whole", tmp_path / str(number))
        for _ in range(random.integers(1, 4)):
            files = sorted(folder.rglob("*.json"))
            damage(files[random.integers(len(files))], DAMAGES[number % len(DAMAGES)], random)
        assert table(make(folder=folder)) == whole, f"damage {number}"


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_not_whole_is_computed_again(tmp_path: Path, kind: str) -> None:
    for place in range(20):
        file = tmp_path / str(place) / "fit.json"
        kept(file, lambda: _JSON)
        before = file.read_bytes()
        damage(file, kind, np.random.default_rng(place))
        assert file.exists() == (kind != "file deleted")
        if kind == "file deleted" or file.read_bytes() != before:
            assert read_sealed(file) is None
            assert kept(file, lambda: _JSON | {"ap": 0.6}) == _JSON | {"ap": 0.6}
        assert kept(file, lambda: {}) == read_sealed(file)


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '{"hash": 1}', '{"hash": null, "ap": NaN}', "[" * 100_000])
def test_other_peoples_json_is_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert read_sealed(tmp_path / "x.json") is None


def test_what_is_sealed_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    value = {"ap": 0.1 + 0.2, "tiny": 5e-324, "열": ["가", None, True], "nan": float("inf")}
    write_sealed(tmp_path / "x.json", value)
    assert read_sealed(tmp_path / "x.json") == value
