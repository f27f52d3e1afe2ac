"""windows → what simpler models make of them: the same data and the same care as the networks.

most_frequent, recency, logistic_recency, logistic_history, lightgbm_7days, lightgbm_history; and the
average of the best network with LightGBM. Each has fit, log_odds, save, load as `networks.Network`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.models.evaluation import average_precision
from tschurn.models.scaling import signed_log1p

if TYPE_CHECKING:
    import pandas as pd

Validation = tuple[np.ndarray, np.ndarray]  # rows, labels
View = Callable[[Windows, np.ndarray], np.ndarray]  # windows, rows → matrix [n × columns]

_PENALTIES = (0.001, 0.01, 0.1, 1.0)  # scikit-learn's C
_ROUNDS, _STOP_AFTER = 600, 30
_BOOSTING = {"objective": "binary", "learning_rate": 0.05, "feature_fraction": 0.6, "bagging_fraction": 0.8,
             "bagging_freq": 1, "lambda_l2": 1.0, "max_bin": 127, "verbose": -1, "deterministic": True,
             "force_row_wise": True}  # fmt: skip
_TREE_SIZES = (
    {"num_leaves": 15, "min_data_in_leaf": 100},
    {"num_leaves": 31, "min_data_in_leaf": 30},
    {"num_leaves": 7, "min_data_in_leaf": 30},
)
_BLOCK = 16384


class MostFrequent:
    """The same log-odds for everybody: those of the base rate."""

    kind = "baseline"
    name = "most_frequent"

    def __init__(self) -> None:
        self._log_odds = 0.0

    def fit(
        self, windows: Windows, rows: np.ndarray, y: np.ndarray, validation: Validation | None = None, **_: Any
    ) -> None:
        """Learn the base rate."""
        rate = np.clip(y.mean(), 1e-6, 1 - 1e-6)
        self._log_odds = float(np.log(rate / (1 - rate)))

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """→ the same value for each window."""
        return np.full(len(rows), self._log_odds)

    def save(self, folder: Path) -> None:
        """Write model.json."""
        (folder / "model.json").write_text(json.dumps({"type": "most_frequent", "log_odds": self._log_odds}))

    @classmethod
    def load(cls, folder: Path) -> MostFrequent:
        """The inverse of `save`."""
        model = cls()
        model._log_odds = json.loads((folder / "model.json").read_text())["log_odds"]
        return model


class Logistic:
    """Logistic regression on the standardised log1p of a view; the penalty is chosen on validation."""

    kind = "baseline"

    def __init__(self, name: str, view: str, seed: int) -> None:
        self.name = name
        self.view = view
        self._penalty = 1.0
        self._coefficients = np.zeros(0)
        self._intercept = 0.0
        self._mean = np.zeros(0)
        self._scale = np.ones(0)

    def fit(
        self, windows: Windows, rows: np.ndarray, y: np.ndarray, validation: Validation | None = None, **_: Any
    ) -> None:
        """Fit on `rows`; with validation, choose the penalty by its AP first."""
        matrix = self._logged(windows, rows)
        self._mean, spread = matrix.mean(axis=0), matrix.std(axis=0)
        self._scale = np.where(spread > 1e-9, spread, 1.0)
        matrix = (matrix - self._mean) / self._scale
        if validation is None:
            self._fit_one(matrix, y, self._penalty)
            return
        scores = {}
        for penalty in _PENALTIES:
            self._fit_one(matrix, y, penalty)
            scores[penalty] = average_precision(validation[1], self.log_odds(windows, validation[0]))
        self._penalty = max(scores, key=lambda c: (np.nan_to_num(scores[c]), -c))
        self._fit_one(matrix, y, self._penalty)

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → log-odds [n]."""
        blocks = np.array_split(rows, max(1, -(-len(rows) // _BLOCK)))
        return np.concatenate(
            [
                (self._logged(windows, b) - self._mean) / self._scale @ self._coefficients + self._intercept
                for b in blocks
            ]
        )

    def contributions(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """→ coefficient × (value − training mean) per column of the view: the exact SHAP values of a
        linear model with independent columns, in log-odds."""
        return (self._logged(windows, rows) - self._mean) / self._scale * self._coefficients

    def save(self, folder: Path) -> None:
        """Write model.json."""
        note = {"type": "logistic", "name": self.name, "view": self.view, "penalty": self._penalty,
                "coefficients": self._coefficients.tolist(), "intercept": self._intercept,
                "mean": self._mean.tolist(), "scale": self._scale.tolist()}  # fmt: skip
        (folder / "model.json").write_text(json.dumps(note))

    @classmethod
    def load(cls, folder: Path) -> Logistic:
        """The inverse of `save`."""
        note = json.loads((folder / "model.json").read_text())
        model = cls(note["name"], note["view"], 0)
        model._penalty, model._intercept = note["penalty"], note["intercept"]
        model._coefficients, model._mean, model._scale = (np.array(note[k]) for k in ("coefficients", "mean", "scale"))
        return model

    def _logged(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        return signed_log1p(VIEWS[self.view](windows, rows).astype(np.float64))

    def _fit_one(self, matrix: np.ndarray, y: np.ndarray, penalty: float) -> None:
        from sklearn.linear_model import LogisticRegression

        fitted = LogisticRegression(C=penalty, max_iter=300, tol=1e-3).fit(matrix, y)
        self._coefficients, self._intercept = fitted.coef_[0], float(fitted.intercept_[0])


class Boosting:
    """LightGBM on a view; tree size and rounds are chosen on validation."""

    kind = "baseline"

    def __init__(self, name: str, view: str, seed: int, threads: int) -> None:
        self.name = name
        self.view = view
        self._parameters = {**_BOOSTING, **_TREE_SIZES[0], "seed": seed, "num_threads": threads}
        self._rounds = 100
        self._booster: Any = None

    def fit(
        self, windows: Windows, rows: np.ndarray, y: np.ndarray, validation: Validation | None = None, **_: Any
    ) -> None:
        """Fit on `rows`; with validation, choose tree size and rounds by its log loss first."""
        import lightgbm as lgb

        matrix = VIEWS[self.view](windows, rows).astype(np.float32)
        if validation is None:
            self._booster = lgb.train(self._parameters, lgb.Dataset(matrix, y, params=self._parameters), self._rounds)
            return
        held = VIEWS[self.view](windows, validation[0]).astype(np.float32)
        best = np.inf
        for size in _TREE_SIZES:
            parameters = {**self._parameters, **size}
            data = lgb.Dataset(matrix, y, params=parameters)
            booster = lgb.train(
                parameters, data, _ROUNDS, valid_sets=[lgb.Dataset(held, validation[1], reference=data)],
                callbacks=[lgb.early_stopping(_STOP_AFTER, verbose=False)],
            )  # fmt: skip
            loss = booster.best_score["valid_0"]["binary_logloss"]
            if loss < best:
                best, self._booster = loss, booster
                self._parameters, self._rounds = parameters, max(1, booster.best_iteration)

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → log-odds [n]."""
        blocks = np.array_split(rows, max(1, -(-len(rows) // _BLOCK)))
        return np.concatenate([self._predict(VIEWS[self.view](windows, b), raw_score=True) for b in blocks])

    def contributions(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """→ exact TreeSHAP values per column of the view, in log-odds (Lundberg et al. 2020)."""
        return self._predict(VIEWS[self.view](windows, rows), pred_contrib=True)[:, :-1]

    def save(self, folder: Path) -> None:
        """Write model.json and booster.txt, LightGBM's own text format."""
        note = {
            "type": "boosting",
            "name": self.name,
            "view": self.view,
            "rounds": self._rounds,
            "parameters": self._parameters,
        }
        (folder / "model.json").write_text(json.dumps(note))
        (folder / "booster.txt").write_text(self._booster.model_to_string(num_iteration=self._rounds))

    @classmethod
    def load(cls, folder: Path) -> Boosting:
        """The inverse of `save`."""
        import lightgbm as lgb

        note = json.loads((folder / "model.json").read_text())
        model = cls(note["name"], note["view"], 0, 1)
        model._rounds, model._parameters = note["rounds"], note["parameters"]
        model._booster = lgb.Booster(model_str=(folder / "booster.txt").read_text())
        return model

    def _predict(self, matrix: np.ndarray, **what: bool) -> np.ndarray:
        return self._booster.predict(
            matrix.astype(np.float32), num_iteration=self._rounds, num_threads=self._parameters["num_threads"], **what
        )


class Average:
    """The mean log-odds of models that are fitted already."""

    kind = "average"
    name = "average"

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = list(members)

    def fit(
        self, windows: Windows, rows: np.ndarray, y: np.ndarray, validation: Validation | None = None, **_: Any
    ) -> None:
        """Fit every member anew."""
        for member in self.members:
            member.fit(windows, rows, y, validation)

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → log-odds [n]."""
        return np.mean([member.log_odds(windows, rows) for member in self.members], axis=0)

    def save(self, folder: Path) -> None:
        """Write model.json and a folder for each member."""
        (folder / "model.json").write_text(json.dumps({"type": "average", "members": len(self.members)}))
        for i, member in enumerate(self.members):
            (folder / f"member_{i}").mkdir()
            member.save(folder / f"member_{i}")

    @classmethod
    def load(cls, folder: Path) -> Average:
        """The inverse of `save`."""
        members = json.loads((folder / "model.json").read_text())["members"]
        return cls([load_model(folder / f"member_{i}") for i in range(members)])


def make_baselines(windows: Windows, seed: int, threads: int) -> list[Any]:
    """→ the baselines that these windows allow: those with history only where there is history."""
    models: list[Any] = [
        MostFrequent(),
        Logistic("recency", "recency", seed),
        Logistic("logistic_recency", "recency_and_active_days", seed),
        Boosting("lightgbm_7days", "days", seed, threads),
    ]
    if (windows.features["kind"] == "history").any():
        models.insert(3, Logistic("logistic_history", "history", seed))
        models.append(Boosting("lightgbm_history", "flat", seed, threads))
    return models


def load_model(folder: Path) -> Any:
    """A model's folder → the model; nothing in it is ever executed."""
    from tschurn.models.networks import Network

    types = {
        "network": Network,
        "most_frequent": MostFrequent,
        "logistic": Logistic,
        "boosting": Boosting,
        "average": Average,
    }
    return types[json.loads((folder / "model.json").read_text())["type"]].load(folder)


def view_columns(view: str, windows: Windows) -> pd.DataFrame:
    """→ what the columns of a view are, as FLAT_COLUMNS, in the order of its matrix."""
    import pandas as pd

    flat = windows.flat_columns()
    if view == "flat":
        return flat
    if view == "days":
        return flat[flat["kind"] == "daily"].reset_index(drop=True)
    if view == "history":
        daily = windows.features[windows.features["kind"] == "daily"]
        sums = daily.assign(
            column=daily["feature"] + "@sum",
            day_offset=pd.NA,
            label_en=daily["label_en"] + ", in the window",
            label_ko=daily["label_ko"] + ", 관측 기간 합",
        )
        return pd.concat([flat[flat["kind"] == "history"], sums[flat.columns]], ignore_index=True)
    columns = pd.DataFrame(
        {
            "column": ["window:recency", "window:active_days"],
            "feature": ["window:recency", "window:active_days"],
            "day_offset": pd.NA,
            "kind": "history",
            "label_en": ["days since the last own act in the window", "active days in the window"],
            "label_ko": ["관측 기간 내 마지막 본인 활동 후 경과일", "관측 기간 내 활동일 수"],
        }
    )
    return columns if view == "recency_and_active_days" else columns[:1]


def _recency_and_active_days(windows: Windows, rows: np.ndarray) -> np.ndarray:
    """→ [n × 2]: days since the last own act within the window, and active days in it."""
    daily = windows.features[windows.features["kind"] == "daily"]
    own = ((daily["side"] == "own") & (daily["measure"] == "count")).to_numpy()
    active = (windows.batch(rows)[:, :, own] > 0).any(axis=2)
    recency = np.where(active.any(axis=1), active[:, ::-1].argmax(axis=1), active.shape[1])
    return np.stack([recency, active.sum(axis=1)], axis=1)


def _days(windows: Windows, rows: np.ndarray) -> np.ndarray:
    days = windows.batch(rows)
    return days.reshape(len(rows), -1)


def _history(windows: Windows, rows: np.ndarray) -> np.ndarray:
    """→ history, and each daily feature's sum over the observation."""
    return np.concatenate([windows.history(rows), windows.batch(rows).sum(axis=1)], axis=1)


VIEWS: dict[str, View] = {
    "recency": lambda windows, rows: _recency_and_active_days(windows, rows)[:, :1],
    "recency_and_active_days": _recency_and_active_days,
    "history": _history,
    "days": _days,
    "flat": lambda windows, rows: windows.flat(rows),
}
