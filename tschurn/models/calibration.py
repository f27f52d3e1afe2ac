"""log-odds and labels of windows that the model has not seen → a map to calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ISOTONIC_POSITIVES = 1000  # fewer, and isotonic steps follow the noise (design rule)
_TIE = 1e-6  # isotonic flats: order within a step follows the raw score, by less than anybody reads


@dataclass(frozen=True)
class Calibration:
    """A monotone map from log-odds to probability.

    platt: p = σ(a·x + b). isotonic: linear between the points (x, p), flat outside.
    """

    method: str
    x: tuple[float, ...]
    p: tuple[float, ...]

    def __call__(self, log_odds: np.ndarray) -> np.ndarray:
        """Log-odds [n] → probabilities [n]."""
        if self.method == "platt":
            return _sigmoid(self.x[0] * log_odds + self.p[0])
        step = np.interp(log_odds, self.x, self.p)
        low, high = self.p[0], self.p[-1]
        return np.clip(step + _TIE * (_sigmoid(log_odds) - 0.5), low, high)

    def to_dict(self) -> dict[str, Any]:
        """→ plain values."""
        return {"method": self.method, "x": list(self.x), "p": list(self.p)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """The inverse of `to_dict`."""
        return cls(values["method"], tuple(values["x"]), tuple(values["p"]))


def fit_calibration(log_odds: np.ndarray, y: np.ndarray) -> Calibration:
    """Log-odds [n] and labels [n] → Calibration.

    Isotonic regression (Zadrozny & Elkan 2002) with 1,000 positives and negatives or more, clipped
    to the probabilities that n windows can tell from 0 and 1; otherwise Platt's (1999) logistic map
    with his smoothed labels.
    """
    positives = int(y.sum())
    if min(positives, len(y) - positives) >= ISOTONIC_POSITIVES:
        return _isotonic(log_odds, y)
    return _platt(log_odds, y)


def _isotonic(log_odds: np.ndarray, y: np.ndarray) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    edge = 1 / (len(y) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(log_odds, y)
    return Calibration("isotonic", tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))


def _platt(log_odds: np.ndarray, y: np.ndarray) -> Calibration:
    from scipy.optimize import minimize

    positives = y.sum()
    goal = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (len(y) - positives + 2))
    spread = float(np.std(log_odds))
    prior = float(np.log(goal.mean() / (1 - goal.mean())))
    if spread < 1e-9:  # a constant model: all that can be learned is the rate
        return Calibration("platt", (0.0,), (prior,))
    mean = float(np.mean(log_odds))
    z = (log_odds - mean) / spread

    def loss(ab: np.ndarray) -> tuple[float, np.ndarray]:
        t = ab[0] * z + ab[1]
        error = _sigmoid(t) - goal
        return float(np.mean(np.logaddexp(0, t) - goal * t)), np.array([np.mean(error * z), np.mean(error)])

    # a falling map would turn the ranking round: better no slope than a wrong one
    a, b = minimize(loss, np.array([spread, prior]), jac=True, bounds=[(0, None), (None, None)]).x
    return Calibration("platt", (float(a / spread),), (float(b - a * mean / spread),))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(x)
