"""windows → LightGBM on a view of them, with the settings that a search found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tschurn.booster_text import checked
from tschurn.contracts import Windows
from tschurn.models.model import Model
from tschurn.models.stored import finite, read_note, read_text, whole
from tschurn.models.views import VIEWS

Validation = tuple[np.ndarray, np.ndarray]  # rows, labels
Watch = Callable[[int, float, bool], bool]

STEP = 20  # rounds that count as an epoch
_ROUNDS, _STOP_AFTER = 600, 30
_ALWAYS = {"objective": "binary", "bagging_freq": 1, "max_bin": 127, "verbose": -1, "deterministic": True,
           "force_row_wise": True, "feature_pre_filter": False}  # fmt: skip
START = {"learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 100, "feature_fraction": 0.6,
         "bagging_fraction": 0.8, "lambda_l2": 1.0}  # fmt: skip
# What an analyst would try besides; tried after a search, so that it never ends below them.
TREE_SIZES = ({"num_leaves": 31, "min_data_in_leaf": 30}, {"num_leaves": 7, "min_data_in_leaf": 30})
_BLOCK = 16384
_MOST_ROUNDS, _MOST_THREADS = 100_000, 1024


class Boosting(Model):
    """LightGBM on a view; the number of rounds is chosen on validation. What is missing goes its own way in a tree."""

    kind = "baseline"

    def __init__(self, name: str, view: str, seed: int, threads: int) -> None:
        self.name = name
        self.view = view
        self.parameters: dict[str, Any] = {**_ALWAYS, **START, "seed": seed, "num_threads": threads}
        self.rounds = 100
        self.stops_early = True
        self._booster: Any = None

    def tuned(self, settings: Mapping[str, Any], rounds: int | None = None) -> None:
        """Take the settings that a search found, and the rounds where it found those as well."""
        self.parameters |= settings
        if rounds is not None:
            self.rounds, self.stops_early = rounds, False

    def fit(self, windows: Windows, rows: np.ndarray, y: np.ndarray, validation: Validation | None = None) -> None:
        """Fit on `rows`; with validation, choose the number of rounds by its log loss first."""
        import lightgbm as lgb

        data = self.data(windows, rows, y)
        if validation is None or not self.stops_early:
            self._booster = lgb.train(self.parameters, data, self.rounds)
            return
        self._booster = fit_rounds(self.parameters, data, self.data(windows, *validation, reference=data))
        self.rounds = max(1, self._booster.best_iteration)

    def data(self, windows: Windows, rows: np.ndarray, y: np.ndarray, reference: Any = None) -> Any:
        """Windows and labels → LightGBM's data set of the view; one of a reference has its bins."""
        import lightgbm as lgb

        matrix = VIEWS[self.view](windows, rows).astype(np.float32)
        return lgb.Dataset(matrix, y, params=self.parameters, reference=reference, free_raw_data=False)

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → log-odds [n]."""
        blocks = np.array_split(rows, max(1, -(-len(rows) // _BLOCK)))
        return np.concatenate([self._predict(VIEWS[self.view](windows, b), raw_score=True) for b in blocks])

    def contributions(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """→ exact TreeSHAP values per column of the view, in log-odds (Lundberg et al. 2020)."""
        return self._predict(VIEWS[self.view](windows, rows), pred_contrib=True)[:, :-1]

    def get_params(self) -> dict[str, Any]:
        """→ its parameters as LightGBM's, and the rounds."""
        return {"name": self.name, "view": self.view, "rounds": self.rounds, **self.parameters}

    def save(self, folder: Path) -> None:
        """Write model.json and booster.txt, LightGBM's own text format."""
        note = {"type": "boosting", "name": self.name, "view": self.view, "rounds": self.rounds,
                "stops_early": self.stops_early, "parameters": self.parameters}  # fmt: skip
        (folder / "model.json").write_text(json.dumps(note))
        (folder / "booster.txt").write_text(self._booster.model_to_string(num_iteration=self.rounds))

    @classmethod
    def load(cls, folder: Path) -> Boosting:
        """The inverse of `save`. Raises OSError, ValueError, KeyError or TypeError: LightGBM never sees other text than
        its own, nor parameters that name files or machines."""
        import lightgbm as lgb

        note = read_note(folder / "model.json")
        model = cls(note["name"], note["view"], 0, 1)
        model.rounds, model.stops_early = whole(note["rounds"], 1, _MOST_ROUNDS), bool(note["stops_early"])
        model.parameters = dict(note["parameters"])
        finite([v for k, v in model.parameters.items() if k != "objective"])
        if model.view not in VIEWS or model.parameters["objective"] != _ALWAYS["objective"]:
            raise ValueError("is of another kind than tschurn fits")
        whole(model.parameters["num_threads"], 0, _MOST_THREADS)
        model._booster = lgb.Booster(model_str=checked(read_text(folder / "booster.txt")))
        return model

    def _predict(self, matrix: np.ndarray, **what: bool) -> np.ndarray:
        return self._booster.predict(
            matrix.astype(np.float32), num_iteration=self.rounds, num_threads=self.parameters["num_threads"], **what
        )


def fit_rounds(parameters: Mapping[str, Any], data: Any, validation: Any, watch: Watch | None = None) -> Any:
    """Data sets → a booster that stopped by validation's log loss.

    watch: told the log loss after every STEP rounds, and whether there are no more, says whether to end now.
    """
    import lightgbm as lgb

    def watched(state: Any) -> None:
        done, loss = state.iteration + 1, state.evaluation_result_list[0][2]
        if done % STEP == 0 and watch(done // STEP, loss, done == _ROUNDS):
            raise lgb.callback.EarlyStopException(state.iteration, state.evaluation_result_list)

    watched.order = 100  # after early stopping: what that ends is not given up
    stopping = [lgb.early_stopping(_STOP_AFTER, verbose=False), *([watched] if watch else [])]
    return lgb.train(dict(parameters), data, _ROUNDS, valid_sets=[validation], callbacks=stopping)
