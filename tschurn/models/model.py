"""What every model is: the one interface behind which networks and baselines stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np

from tschurn.contracts import Windows


class Model(ABC):
    """A model of one target, as scikit-learn has them: X is (windows, rows), views and the positions meant.

    name: what reports call it. kind: network, baseline or average.
    """

    name: str
    kind: str

    @abstractmethod
    def fit(
        self,
        windows: Windows,
        rows: np.ndarray,
        y: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Learn from the windows `rows` with labels y (0/1); with validation (rows, labels), choose what is chosen
        by them, and keep it in a later fit without."""

    @abstractmethod
    def log_odds(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """→ uncalibrated log-odds [n] of the positive class, float64."""

    def predict_proba(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """→ uncalibrated probabilities [n × 2] of no and yes, as in scikit-learn."""
        from scipy.special import expit

        yes = expit(self.log_odds(windows, rows))
        return np.stack([1 - yes, yes], axis=1)

    @abstractmethod
    def get_params(self) -> dict[str, Any]:
        """→ what it was made with, and what a fit with validation has chosen since."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write it into an empty folder, as JSON, text and plain arrays: nothing that reading would execute."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of `save`."""
