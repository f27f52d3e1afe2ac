"""windows → what simpler models make of them: the same data and the same care as the networks.

most_frequent, recency, logistic_recency, logistic_history, lightgbm_7days, lightgbm_history, flaml if asked
for; and the average of the best network with LightGBM.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.models.automl import NAME as AUTOML
from tschurn.models.boosting import Boosting
from tschurn.models.evaluation import average_precision
from tschurn.models.model import Model
from tschurn.models.scaling import signed_log1p
from tschurn.models.stored import finite, read_note
from tschurn.models.views import VIEWS

Validation = tuple[np.ndarray, np.ndarray]  # rows, labels

_PENALTIES = (0.001, 0.01, 0.1, 1.0)  # scikit-learn's C
_BLOCK = 16384


class MostFrequent(Model):
    """The same log-odds for everybody: those of the base rate."""

    kind = "baseline"
    name = "most_frequent"

    def __init__(self) -> None:
        self._log_odds = 0.0

    def fit(self, windows: Windows, rows: np.ndarray, y: np.ndarray, validation: Validation | None = None) -> None:
        """Learn the base rate."""
        self._log_odds = log_odds_of(y.mean())

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """→ the same value for each window."""
        return np.full(len(rows), self._log_odds)

    def get_params(self) -> dict[str, Any]:
        """→ what it learned."""
        return {"name": self.name, "log_odds": self._log_odds}

    def save(self, folder: Path) -> None:
        """Write model.json."""
        (folder / "model.json").write_text(json.dumps({"type": "most_frequent", "log_odds": self._log_odds}))

    @classmethod
    def load(cls, folder: Path) -> MostFrequent:
        """The inverse of `save`. Raises OSError, ValueError, KeyError or TypeError."""
        model = cls()
        model._log_odds = float(finite([read_note(folder / "model.json")["log_odds"]])[0])
        return model


class Logistic(Model):
    """Logistic regression on the standardised log1p of a view; the penalty is chosen on validation.

    Missing and infinite values count as the training mean.
    """

    kind = "baseline"

    def __init__(self, name: str, view: str) -> None:
        self.name = name
        self.view = view
        self._penalty = 1.0
        self._coefficients = np.zeros(0)
        self._intercept = 0.0
        self._mean = np.zeros(0)
        self._scale = np.ones(0)

    def fit(self, windows: Windows, rows: np.ndarray, y: np.ndarray, validation: Validation | None = None) -> None:
        """Fit on `rows`; with validation, choose the penalty by its AP first."""
        matrix = self._logged(windows, rows)
        known = np.maximum(np.isfinite(matrix).sum(axis=0), 1)
        self._mean = np.nansum(matrix, axis=0) / known
        spread = np.sqrt(np.nansum((matrix - self._mean) ** 2, axis=0) / known)
        self._scale = np.where(spread > 1e-9, spread, 1.0)
        matrix = self._standardised(matrix)
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
            [self._standardised(self._logged(windows, b)) @ self._coefficients + self._intercept for b in blocks]
        )

    def contributions(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """→ coefficient × (value − training mean) per column of the view: the exact SHAP values of a
        linear model with independent columns, in log-odds."""
        return self._standardised(self._logged(windows, rows)) * self._coefficients

    def get_params(self) -> dict[str, Any]:
        """→ its view, and the penalty as scikit-learn's C."""
        return {"name": self.name, "view": self.view, "penalty": self._penalty}

    def save(self, folder: Path) -> None:
        """Write model.json."""
        note = {"type": "logistic", "name": self.name, "view": self.view, "penalty": self._penalty,
                "coefficients": self._coefficients.tolist(), "intercept": self._intercept,
                "mean": self._mean.tolist(), "scale": self._scale.tolist()}  # fmt: skip
        (folder / "model.json").write_text(json.dumps(note))

    @classmethod
    def load(cls, folder: Path) -> Logistic:
        """The inverse of `save`. Raises OSError, ValueError, KeyError or TypeError."""
        note = read_note(folder / "model.json")
        model = cls(note["name"], note["view"])
        model._penalty, model._intercept = finite([note["penalty"], note["intercept"]]).tolist()
        model._coefficients, model._mean, model._scale = (finite(note[k]) for k in ("coefficients", "mean", "scale"))
        if not len(model._coefficients) == len(model._mean) == len(model._scale) or (model._scale <= 0).any():
            raise ValueError("its coefficients, means and scales do not fit together")
        if model.view not in VIEWS:
            raise ValueError(f"{str(model.view)[:40]!r} is no view")
        return model

    def _logged(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        logged = signed_log1p(VIEWS[self.view](windows, rows).astype(np.float64))
        return np.where(np.isfinite(logged), logged, np.nan)

    def _standardised(self, logged: np.ndarray) -> np.ndarray:
        return np.nan_to_num((logged - self._mean) / self._scale)

    def _fit_one(self, matrix: np.ndarray, y: np.ndarray, penalty: float) -> None:
        from sklearn.linear_model import LogisticRegression

        if y.min() == y.max():  # one class: nothing to tell apart
            self._coefficients, self._intercept = np.zeros(matrix.shape[1]), log_odds_of(y.mean())
            return
        fitted = LogisticRegression(C=penalty, max_iter=300, tol=1e-3).fit(matrix, y)
        self._coefficients, self._intercept = fitted.coef_[0], float(fitted.intercept_[0])


class Average(Model):
    """The mean log-odds of models that are fitted already."""

    kind = "average"
    name = "average"

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = list(members)

    def fit(self, windows: Windows, rows: np.ndarray, y: np.ndarray, validation: Validation | None = None) -> None:
        """Fit every member anew."""
        for member in self.members:
            member.fit(windows, rows, y, validation)

    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Windows → log-odds [n]."""
        return np.mean([member.log_odds(windows, rows) for member in self.members], axis=0)

    def get_params(self) -> dict[str, Any]:
        """→ those of its members, by name."""
        return {"name": self.name, **{member.name: member.get_params() for member in self.members}}

    def save(self, folder: Path) -> None:
        """Write model.json and a folder for each member."""
        (folder / "model.json").write_text(json.dumps({"type": "average", "members": len(self.members)}))
        for i, member in enumerate(self.members):
            (folder / f"member_{i}").mkdir()
            member.save(folder / f"member_{i}")

    @classmethod
    def load(cls, folder: Path) -> Average:
        """The inverse of `save`."""
        from tschurn.models.saved import load_plain

        return load_plain(folder)


def log_odds_of(rate: float) -> float:
    """A base rate → its log-odds, finite for 0 and 1 as well."""
    rate = float(np.clip(rate, 1e-6, 1 - 1e-6))
    return float(np.log(rate / (1 - rate)))


def make_baselines(windows: Windows, seed: int, threads: int, automl: bool = False) -> list[Any]:
    """→ the baselines that these windows allow: those with history only where there is history."""
    models: list[Any] = [
        MostFrequent(),
        Logistic("recency", "recency"),
        Logistic("logistic_recency", "recency_and_active_days"),
        Boosting("lightgbm_7days", "days", seed, threads),
    ]
    if (windows.features["kind"] == "history").any():
        models.insert(3, Logistic("logistic_history", "history"))
        models.append(Boosting("lightgbm_history", "flat", seed, threads))
    if automl:
        models.append(Boosting(AUTOML, models[-1].view, seed, threads))
    return models
