"""log-odds and labels of windows that the model has not seen → a map to calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tschurn.models.evaluation import expected_calibration_error
from tschurn.models.stored import finite

METHODS = ("platt", "beta", "isotonic")  # the simplest first
ISOTONIC_POSITIVES = 1000  # fewer, and isotonic steps follow the noise (design rule)
FOLDS = 5
LARGEST = 100.0  # log-odds beyond: σ is 0 or 1 to the last digit long before
_TIE = 1e-6  # isotonic flats: order within a step follows the raw score, by less than anybody reads


@dataclass(frozen=True)
class Calibration:
    """A monotone map from log-odds to probability.

    platt: p = σ(x[0]·t + p[0]). beta: p = σ(x[0]·ln s − x[1]·ln(1 − s) + p[0]) with s = σ(t). isotonic: linear
    between the points (x, p), flat outside. tried: method, log_loss and ece of what cross-fitting compared, the
    simplest first; empty where there was nothing to choose.
    """

    method: str
    x: tuple[float, ...]
    p: tuple[float, ...]
    tried: tuple[dict[str, Any], ...] = ()

    def __call__(self, log_odds: np.ndarray) -> np.ndarray:
        """Log-odds [n], infinite ones too → probabilities [n]."""
        t = bounded(log_odds)
        if self.method != "isotonic":
            return _sigmoid(_inputs(self.method, t) @ np.array(self.x) + self.p[0])
        step = np.interp(t, self.x, self.p)
        return np.clip(step + _TIE * (_sigmoid(t) - 0.5), self.p[0], self.p[-1])

    def to_dict(self) -> dict[str, Any]:
        """→ plain values."""
        return {"method": self.method, "x": list(self.x), "p": list(self.p), "tried": list(self.tried)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """The inverse of `to_dict`. Raises ValueError, KeyError or TypeError."""
        x, p = finite(values["x"]), finite(values["p"])
        if values["method"] == "isotonic":
            fits = len(x) == len(p) > 0 and (np.diff(x) >= 0).all() and (np.diff([0, *p, 1]) >= -_TIE).all()
        else:
            fits = (len(x), len(p)) == ({"platt": 1, "beta": 2}.get(values["method"]), 1) and (x >= 0).all()
        if not fits:
            raise ValueError("is no rising map from log-odds to probabilities")
        return cls(values["method"], tuple(x.tolist()), tuple(p.tolist()), tuple(values["tried"]))


def fit_calibration(log_odds: np.ndarray, y: np.ndarray, user: np.ndarray, seed: int) -> Calibration:
    """Log-odds [n], labels [n] and users [n] → Calibration, its method chosen by cross-fitting over users.

    Platt's (1999) logistic map, beta calibration (Kull, Silva Filho & Flach 2017) and, with 1,000 positives and
    negatives or more, isotonic regression (Zadrozny & Elkan 2002), clipped to the probabilities that n windows can
    tell from 0 and 1. Each is fitted on four fifths of the users and gives the others their probabilities, in turn;
    chosen is the simplest whose log loss exceeds the lowest by no more than one standard error of that difference
    (windows of a user together), and fitted on all. One class only, constant log-odds or a single user: Platt's.
    """
    t = bounded(log_odds)
    if np.ptp(y) == 0 or np.ptp(t) == 0 or len(np.unique(user)) < 2:
        return _fit("platt", t, y)
    p = _out_of_fold(t, y, user, seed)
    losses = {m: -np.log(np.clip(np.where(y == 1, q, 1 - q), 1e-15, None)) for m, q in p.items()}
    tried = tuple(
        {"method": m, "log_loss": float(losses[m].mean()), "ece": expected_calibration_error(y, p[m])} for m in p
    )
    return replace(_fit(_simplest(losses, user), t, y), tried=tried)


def level_between(earlier: np.ndarray, later: np.ndarray) -> float:
    """Log-odds of two fits of a model for the same windows → what to add to the earlier's to meet the later's mean.

    A calibration for a fit is learned on what an earlier one says of weeks that it has not seen, which tells how sure
    to be. But that the rate has moved since, the later fit has learned by itself: it would be counted twice.
    """
    return float(bounded(later).mean() - bounded(earlier).mean())


def _out_of_fold(t: np.ndarray, y: np.ndarray, user: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """→ per method the probability of each window under the map of the other users."""
    enough = min(y.sum(), len(y) - y.sum()) >= ISOTONIC_POSITIVES
    place, users = np.unique(user, return_inverse=True)[1], len(np.unique(user))
    fold = np.random.default_rng([seed, 9]).permutation(users)[place] % FOLDS
    found = {}
    for method in METHODS if enough else METHODS[:2]:
        found[method] = np.empty(len(t))
        for k in np.unique(fold):
            found[method][fold == k] = _fit(method, t[fold != k], y[fold != k])(t[fold == k])
    return found


def _simplest(losses: dict[str, np.ndarray], user: np.ndarray) -> str:
    """Losses [n] per method → the first whose excess over the best is at most one standard error of the excess."""
    place = np.unique(user, return_inverse=True)[1]
    best = min(losses.values(), key=np.mean)

    def level(loss: np.ndarray) -> bool:
        excess = loss - best
        by_user = np.bincount(place, excess - excess.mean())
        return bool(excess.mean() <= np.sqrt((by_user**2).sum()) / len(excess))

    return next(method for method, loss in losses.items() if level(loss))


def _fit(method: str, t: np.ndarray, y: np.ndarray) -> Calibration:
    return _isotonic(t, y) if method == "isotonic" else _logistic(method, t, y)


def _isotonic(t: np.ndarray, y: np.ndarray) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    edge = 1 / (len(y) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(t, y)
    return Calibration("isotonic", tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))


def _logistic(method: str, t: np.ndarray, y: np.ndarray) -> Calibration:
    """Logistic regression on the method's inputs with Platt's smoothed labels, which keep it finite where classes
    are apart, and slopes of at least 0: a falling map would turn the ranking round."""
    from scipy.optimize import minimize

    positives = y.sum()
    goal = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (len(y) - positives + 2))
    inputs = _inputs(method, t)
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    varied = spread > 1e-9  # of a constant, all that can be learned is the rate
    z = np.divide(inputs - mean, spread, out=np.zeros_like(inputs), where=varied)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        u = z @ parameters[:-1] + parameters[-1]
        error = _sigmoid(u) - goal
        return float(np.mean(np.logaddexp(0, u) - goal * u)), np.append(error @ z, error.sum()) / len(u)

    start = np.append(np.where(varied, spread, 0), np.log(goal.mean() / (1 - goal.mean())))
    bounds = [(0, None)] * z.shape[1] + [(None, None)]
    found = minimize(loss, start, jac=True, bounds=bounds).x
    slopes = np.divide(found[:-1], spread, out=np.zeros_like(spread), where=varied)
    return Calibration(method, tuple(slopes.tolist()), (float(found[-1] - slopes @ mean),))


def _inputs(method: str, t: np.ndarray) -> np.ndarray:
    """Log-odds [n] → what the map is linear in: t itself, or ln s and −ln(1 − s) with s = σ(t)."""
    columns = [t] if method == "platt" else [-np.logaddexp(0, -t), np.logaddexp(0, t)]
    return np.stack(columns, axis=-1)


def bounded(log_odds: np.ndarray) -> np.ndarray:
    """Log-odds → the same within ±LARGEST."""
    return np.clip(np.asarray(log_odds, dtype=np.float64), -LARGEST, LARGEST)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(x)
