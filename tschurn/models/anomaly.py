"""USER_DAYS and anchors → how unusual a user's last week is, given that user's own weeks before it.

Each measure of a week has a predictive distribution from the user's earlier weeks, the newer ones weighing more, and
from all users' where these are few. Days with an own act, of seven: beta-binomial. Own and received acts: whether there
is any (beta-binomial of one), and how many more than one (gamma-Poisson), since most weeks without an act are no thin
week but none. Both are the conjugate posterior predictive under exponential forgetting (Smith 1979; West and Harrison
1997) with one part added, the scatter of a user's weeks around the user's own level, without which busy users'
ordinary weeks would all be surprises. What is common to all users (level, its weight in weeks, forgetting, scatter) is
learned by maximum likelihood of the next week, on the users and anchors of training. A week in which the whole
platform rests is not known to it: it is a quiet one for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betainc, betaln, expit, gammaln, logit, ndtri

WEEK, PAST = 7, 26  # days of a week; weeks of history at most
LEAST_WEEKS = 4  # of own history, with an own act in them: who has less has no week of their own to compare with
MEASURES = {"active_days": "active", "own_acts": "own", "received_acts": "received"}  # and columns of USER_DAYS
RAREST = 1e-3  # tails below it are beyond what the weeks of a log can show
MOST_WEEKS = 8_000  # to learn from
_LEAST_KEPT = 0.8  # of a week's weight a week later: what forgets faster is last week's mood, not a history
_DAY = 1 << 32
Prediction = tuple[np.ndarray, np.ndarray, np.ndarray]  # P(X ≤ x), P(X < x), mean, [n] each


@dataclass(frozen=True)
class Weeks:
    """Weeks up to n moments: per measure [n × (1 + PAST)], the last one first, and which of them count as known."""

    counts: dict[str, np.ndarray]
    known: np.ndarray  # [n × PAST]: whole weeks since the user's first own act, before the last week
    comparable: np.ndarray  # [n]: LEAST_WEEKS known, and an own act in the LEAST_WEEKS before the last week


class Diary:
    """USER_DAYS, kept so that any week of any user is two look-ups; days without a row are empty."""

    def __init__(self, user_days: pd.DataFrame) -> None:
        table = user_days.sort_values(["user_id", "day"], kind="stable")
        self.users = pd.Index(table["user_id"].unique())
        day = _day_number(table["day"])
        user = self.users.get_indexer(table["user_id"])
        self._keys = user * _DAY + day
        self._so_far = {
            name: np.append(0.0, np.cumsum(table[column].to_numpy(np.float64))) for name, column in MEASURES.items()
        }
        active = table["active"].to_numpy(bool)
        self._first = np.full(len(self.users), np.iinfo(np.int64).max)
        np.minimum.at(self._first, user[active], day[active])
        self.measures = [name for name, total in self._so_far.items() if total[-1] > 0]

    def weeks(self, user: np.ndarray, day: np.ndarray) -> Weeks:
        """Positions in `users` and last days (since 1970) → the weeks that end on these days; nothing after them."""
        ends = day[:, None] - WEEK * np.arange(PAST + 2)
        place = np.searchsorted(self._keys, user[:, None] * _DAY + ends, side="right")
        counts = {name: -np.diff(self._so_far[name][place], axis=1) for name in MEASURES}
        known = ends[:, 2:] >= self._first[user][:, None] - 1
        lately = counts["active_days"][:, 1 : LEAST_WEEKS + 1].sum(axis=1) > 0
        return Weeks(counts, known, known[:, LEAST_WEEKS - 1] & lately)

    def of(self, index: pd.DataFrame) -> Weeks:
        """WINDOWS → the weeks up to their anchors."""
        return self.weeks(self.users.get_indexer(index["user_id"]), _day_number(index["anchor_day"]))


class Anomalies:
    """The predictive distributions of all measures; `learn` first."""

    def __init__(self, measures: list[str]) -> None:
        self.measures = measures
        self._parts = {name: Days(WEEK) if name == "active_days" else Counts() for name in measures}

    def learn(self, weeks: Weeks) -> None:
        """Learn what is common to all users from weeks that are comparable."""
        for name, part in self._parts.items():
            counts = weeks.counts[name][weeks.comparable]
            part.learn(counts[:, 0], counts[:, 1:], weeks.known[weeks.comparable])

    def tails(self, weeks: Weeks) -> pd.DataFrame:
        """→ per measure `<measure>:most` P(X ≤ x), `:less` P(X < x), `:expected`, NaN where not comparable."""
        columns = {}
        for name, part in self._parts.items():
            counts = weeks.counts[name][weeks.comparable]
            most, less, expected = part.predict(counts[:, 0], counts[:, 1:], weeks.known[weeks.comparable])
            columns |= {f"{name}:most": most, f"{name}:less": less, f"{name}:expected": expected}
        return pd.DataFrame(columns, index=np.flatnonzero(weeks.comparable)).reindex(range(len(weeks.comparable)))

    def columns(self, weeks: Weeks) -> np.ndarray:
        """→ [n × (2 · measures)] for a model: each measure's surprise as a normal score (negative: quieter than
        usual), then what was expected of it."""
        tails = self.tails(weeks)
        middle = [(tails[f"{name}:most"] + tails[f"{name}:less"]) / 2 for name in self._parts]
        scores = [ndtri(np.clip(m, RAREST, 1 - RAREST)) for m in middle]
        return np.stack([*scores, *(tails[f"{name}:expected"] for name in self._parts)], axis=1)

    def largest(self, weeks: Weeks) -> pd.DataFrame:
        """→ measure, direction ('quieter', 'busier'), times (one such week in so many), value, expected; null
        where not comparable. Of several measures the rarest is told, so rare ones are told more often than they occur.
        """
        tails, names = self.tails(weeks), list(self._parts)
        quieter = np.stack([tails[f"{name}:most"] for name in names], axis=1)
        busier = 1 - np.stack([tails[f"{name}:less"] for name in names], axis=1)
        rarity = np.nan_to_num(np.concatenate([quieter, busier], axis=1), nan=1.0)
        which = rarity.argmin(axis=1)
        place, here = which % len(names), np.arange(len(which))
        told = {
            "measure": np.array(names, dtype=object)[place],
            "direction": np.where(which < len(names), "quieter", "busier").astype(object),
            "times": 1 / np.maximum(rarity[here, which], RAREST),
            "value": np.stack([weeks.counts[name][:, 0] for name in names], axis=1)[here, place],
            "expected": np.stack([tails[f"{name}:expected"] for name in names], axis=1)[here, place],
        }
        told = pd.DataFrame(told)
        told.loc[~weeks.comparable] = None
        return told


class Days:
    """x of `trials`: beta-binomial with level, weight in trials, forgetting, and scatter."""

    def __init__(self, trials: int) -> None:
        self.trials = trials
        self._at = np.array([0.0, 1.0, 0.0, -1.0])

    def learn(self, week: np.ndarray, past: np.ndarray, known: np.ndarray) -> None:
        start = np.append(logit(np.clip(week.mean() / self.trials, 0.01, 0.99)), self._at[1:])
        self._at = _most_likely(lambda at: self._log_p(week, *self._shape(at, past, known)), start)

    def predict(self, week: np.ndarray, past: np.ndarray, known: np.ndarray) -> Prediction:
        """→ P(X ≤ x), P(X < x), mean."""
        a, b = self._shape(self._at, past, known)
        most, less = np.zeros(len(week)), np.zeros(len(week))
        for x in range(self.trials + 1):
            p = np.exp(self._log_p(np.full(len(week), x), a, b))
            most, less = most + p * (x <= week), less + p * (x < week)
        return np.minimum(most, 1.0), np.minimum(less, 1.0), self.trials * a / (a + b)

    def _shape(self, at: np.ndarray, past: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        level, weight, scatter = expit(at[0]), np.exp(at[1]), expit(at[3])
        total, weeks = _discounted(past, known, at[2])
        size = weight + self.trials * weeks
        mean = (level * weight + total) / size
        # the correlation of two days of a week: by not knowing the level, and by the weeks' scatter around it
        size = 1 / (scatter + (1 - scatter) / (size + 1)) - 1
        return mean * size, (1 - mean) * size

    def _log_p(self, x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        n = self.trials
        return gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1) + betaln(x + a, n - x + b) - betaln(a, b)


class Counts:
    """x = 0, 1, 2, …: whether any, and how many more than one, each from the same of earlier weeks."""

    def __init__(self) -> None:
        self._any, self._more = Days(1), More()

    def learn(self, week: np.ndarray, past: np.ndarray, known: np.ndarray) -> None:
        self._any.learn(week > 0, past > 0, known)
        some = week > 0
        if some.any():
            self._more.learn(*_beyond_one(week[some], past[some], known[some]))

    def predict(self, week: np.ndarray, past: np.ndarray, known: np.ndarray) -> Prediction:
        """→ P(X ≤ x), P(X < x), mean."""
        none, _, any_ = self._any.predict(np.zeros(len(week)), past > 0, known)
        most, less, more = self._more.predict(*_beyond_one(week, past, known))
        return none + any_ * most, np.where(week > 0, none + any_ * less, 0.0), any_ * (1 + more)


class More:
    """x = 0, 1, 2, …: gamma-Poisson with level, weight in weeks, forgetting, and scatter; negative binomial."""

    def __init__(self) -> None:
        self._at = np.array([0.0, 0.0, 0.0, 0.0])

    def learn(self, week: np.ndarray, past: np.ndarray, known: np.ndarray) -> None:
        start = np.append(np.log(week.mean() + 0.01), self._at[1:])
        self._at = _most_likely(lambda at: self._log_p(week, *self._shape(at, past, known)), start)

    def predict(self, week: np.ndarray, past: np.ndarray, known: np.ndarray) -> Prediction:
        """→ P(X ≤ x), P(X < x), mean; 0 and 0 for x = −1."""
        mean, size = self._shape(self._at, past, known)
        share = size / (size + mean)
        most = np.where(week >= 0, betainc(size, np.maximum(week, 0) + 1, share), 0.0)
        less = np.where(week >= 1, betainc(size, np.maximum(week, 1), share), 0.0)
        return most, less, mean

    def _shape(self, at: np.ndarray, past: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        level, weight, scatter = np.exp(at[[0, 1, 3]])
        total, weeks = _discounted(past, known, at[2])
        seen = level * weight + total
        mean = seen / (weight + weeks)
        # variance over mean²: of the weeks around the user's level, and of that level around what is known of it
        return mean, 1 / (scatter + 1 / seen + scatter / (weight + weeks))

    @staticmethod
    def _log_p(x: np.ndarray, mean: np.ndarray, size: np.ndarray) -> np.ndarray:
        both = np.log(size + mean)
        return (gammaln(x + size) - gammaln(size) - gammaln(x + 1) + size * (np.log(size) - both)
                + x * (np.log(mean) - both))  # fmt: skip


def weeks_of(
    diary: Diary, index: pd.DataFrame, seed: int, splits: tuple[str, ...] = ("train",)
) -> tuple[np.ndarray, np.ndarray]:
    """WINDOWS → users and last days of comparable weeks, silent ones too, at the anchors and of the users of these
    splits; a sample where there are many. Whether a week is among them does not depend on what happens in it."""
    part = index[index["split"].isin(splits)]
    users = diary.users.get_indexer(part["user_id"].unique())
    days = np.unique(_day_number(part["anchor_day"]))
    user, day = (grid.ravel() for grid in np.meshgrid(users, days, indexing="ij"))
    drawn = np.random.default_rng([seed, 11]).permutation(len(user))[: 4 * MOST_WEEKS]
    kept = drawn[diary.weeks(user[drawn], day[drawn]).comparable][:MOST_WEEKS]
    return user[kept], day[kept]


def _beyond_one(week: np.ndarray, past: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return week - 1, np.maximum(past - 1, 0), known & (past > 0)


def _discounted(past: np.ndarray, known: np.ndarray, forgetting: float) -> tuple[np.ndarray, np.ndarray]:
    """Earlier weeks → their weighted sum, and the sum of the weights: how many weeks they are worth."""
    kept = _LEAST_KEPT + (1 - _LEAST_KEPT) * expit(forgetting)
    weights = known * kept ** np.arange(past.shape[1])
    return (weights * past).sum(axis=1), weights.sum(axis=1)


def _most_likely(log_p: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> np.ndarray:
    """Mean log-likelihood and start → the parameters with the highest; a faint pull to 0 keeps them finite."""
    from scipy.optimize import minimize

    def loss(at: np.ndarray) -> float:
        return float(-np.mean(log_p(at)) + 1e-4 * at @ at)

    simplex = start + np.vstack([np.zeros(len(start)), np.eye(len(start))])
    options = {"initial_simplex": simplex, "maxiter": 300, "fatol": 1e-5, "xatol": 1e-2}
    return minimize(loss, start, method="Nelder-Mead", options=options).x


def _day_number(days: pd.Series) -> np.ndarray:
    return days.to_numpy().astype("datetime64[D]").astype(np.int64)
