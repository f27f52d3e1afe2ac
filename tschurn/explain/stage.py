"""one target's windows and models → all tables of its explanation, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tschurn.config import Experiment
from tschurn.contracts import LABELS, Progress, Windows
from tschurn.explain import boruta_shap, shap_values, stability
from tschurn.explain import collinearity as vif
from tschurn.explain import reasons as r
from tschurn.explain.attribution import Calibrate, Predict
from tschurn.explain.dependence import dependence
from tschurn.explain.direct import CHECKED, Agreement, Asked, agreement, direct_tables
from tschurn.explain.flat import FlatWindows, blocks
from tschurn.explain.sentences import typical
from tschurn.explain.shared_reasons import shared_reasons
from tschurn.explain.surrogate import Surrogate, choose_columns, fit_surrogate, reliable
from tschurn.explain.told import Told, give, known_values, save

if TYPE_CHECKING:
    from tschurn.explain import DirectExplainer

# Windows that are enough for each step, drawn at random where there are more.
CORRELATION_ROWS = 20_000
FIT_ROWS = 100_000
SHAP_ROWS = 3_000
STEPS = 8
# Of LightGBM: on small data its threads wait for each other at every leaf, and where cores are shared two of them
# take many times as long as one. Targets are explained side by side instead.
THREADS = 1


@dataclass
class Explained:
    """One model with what explains it; `values` and `contributions` take positions of windows.

    reliable: positions → whether the explanation agrees with the model there. predict: any windows → imitated
    log-odds; None for a model that explains itself.
    """

    model: str
    columns: pd.DataFrame  # as FLAT_COLUMNS
    values: Callable[[np.ndarray], np.ndarray]
    contributions: Callable[[np.ndarray], np.ndarray]
    reliable: Callable[[np.ndarray], np.ndarray]
    row: dict  # of SURROGATES
    predict: Predict | None = None
    fit: stability.Fit | None = None
    fit_rows: np.ndarray | None = None
    surrogate: Surrogate | None = None


class Stage:
    """The steps of one target's explanation; see `explain`."""

    def __init__(
        self, windows: Windows, log_odds: pd.DataFrame, scores: pd.DataFrame, target: Literal["churn", "sticker"],
        label: str, used: str, score_rows: np.ndarray, experiment: Experiment, progress: Progress,
        folder: Path | None = None,
    ) -> None:  # fmt: skip
        self.windows, self.log_odds, self.scores = windows, log_odds, scores
        self.target, self.label, self.used = target, label, used
        self.score_rows, self.experiment = score_rows, experiment
        self.progress, self.folder = progress, folder
        self.seed = experiment.experiment.seed
        self.flat = FlatWindows(windows, self.seed)
        self.train = self.flat.split("train")
        self.test = self.flat.some(self.flat.split("test"), SHAP_ROWS)

    def run(
        self, best_network: str | None, direct: DirectExplainer | None, asked: tuple[Predict, Calibrate] | None,
        collinearity: pd.DataFrame | None,
    ) -> dict[str, pd.DataFrame]:  # fmt: skip
        """→ the tables by name."""
        self._step(0, "collinear columns")
        collinearity = self.collinear() if collinearity is None else collinearity
        selection, kept = self.select(collinearity.loc[collinearity["kept"], "column"].tolist())
        self._step(2, "surrogates")
        wanted = [self.used] if best_network in (None, self.used) else [self.used, best_network]
        explained = [] if direct is None else [self.itself(direct)]
        explained += [self.surrogate(m, collinearity, kept) for m in wanted if direct is None or m != self.used]
        self._step(3, "importance")
        described = self.describe(explained)
        self._step(4, "stability")
        stable = pd.concat([self.stable(one) for one in explained], ignore_index=True)
        self._step(5, "reasons")
        why, shared, sharing = self.reasons(explained[0])
        self._step(6, "the model itself")
        itself = self.asked(asked, explained[0], described["importance"]) if asked else {}
        self._step(STEPS, "")
        tables = {
            "selection": selection,
            "surrogates": pd.DataFrame([one.row for one in explained]),
            **described,
            "stability": stable,
            "reasons": why,
            "shared_reasons": shared,
            "sharing": sharing,
        }
        for table in tables.values():
            table.insert(0, "target", self.target)
        return {"collinearity": collinearity} | tables | itself

    def collinear(self) -> pd.DataFrame:
        """Training windows → COLLINEARITY."""
        some = self.flat.some(self.train, CORRELATION_ROWS)
        matrix = self.flat.matrix(some, self.flat.columns)
        return vif.remove_collinear(matrix, self.flat.columns, self.experiment.explain.vif_limit)

    def select(self, columns: list[str]) -> tuple[pd.DataFrame, list[str]]:
        """Training windows → SELECTION of the columns, and those to go on with."""

        def within(_: str, done: float, total: float, note: str = "") -> None:
            self._step(1 + done / total, note)

        outcome = self._counted()
        rows = self.flat.some(self.train[outcome.notna().to_numpy()[self.train]], FIT_ROWS)
        known = outcome.iloc[rows].to_numpy(dtype=float)
        choices = {"trials": self.experiment.explain.boruta_trials, "seed": self.seed, "threads": THREADS}
        given = self.flat.matrix(rows, columns), columns, known, self.flat.users(rows)
        if self.experiment.explain.selector == "borutashap":
            from tschurn.explain.borutashap_package import select_with_package

            within("", 0, 1, "BorutaShap")
            selection = select_with_package(*given, **choices)
        else:
            features = self.flat.labels(columns)["feature"].tolist()
            selection = boruta_shap.select(*given, **choices, features=features, progress=within)
        return selection, boruta_shap.kept(selection)

    def _counted(self) -> pd.Series:
        """The label of all windows; null where it does not count, since the user does not stay."""
        outcome = self.windows.index[self.label]
        of_staying = self.label in {LABELS[t] for t in self.windows.lives.of_staying}
        return outcome.where(self.windows.index[LABELS["churn"]] == 0) if of_staying else outcome

    def itself(self, direct: DirectExplainer) -> Explained:
        """The used model, explained by itself on (a sample of) the test windows."""
        row = {
            "model": self.used, "how": "direct", "explained": True, "columns": len(direct.columns), "added": 0,
            "windows": len(self.test), "users": len(set(self.flat.users(self.test).tolist())),
            "r2": None, "spearman": None, "top_decile_overlap": None, **Agreement().row(),
        }  # fmt: skip
        return Explained(
            self.used, direct.columns, direct.values, direct.contributions, lambda rows: np.ones(len(rows), bool), row
        )

    def surrogate(self, model: str, collinearity: pd.DataFrame, kept: list[str]) -> Explained:
        """A surrogate of a model, on the kept columns and those that it needs besides."""
        wanted = self.log_odds[model].to_numpy(dtype=float)
        independent = collinearity.loc[collinearity["kept"], "column"].tolist()
        earlier = self.flat.split("train", "validation", "calibration")
        some = self.flat.some(earlier, CORRELATION_ROWS)
        columns = choose_columns(
            self.flat.matrix(some, independent), independent, kept, wanted[some], self.flat.users(some),
            self.windows.index["split"].to_numpy()[some] != "train", seed=self.seed, threads=THREADS,
        )  # fmt: skip
        before = self.flat.some(earlier, FIT_ROWS)
        held = self.flat.some(self.flat.split("test"), FIT_ROWS)
        rows = np.concatenate([before, held])
        surrogate = fit_surrogate(
            self.flat.matrix(rows, columns), columns, wanted[rows], self.flat.users(rows),
            np.ones(len(rows), dtype=bool), np.arange(len(rows)) >= len(before), seed=self.seed, threads=THREADS,
        )  # fmt: skip
        row = {
            "model": model, "how": "surrogate", "explained": model == self.used, "columns": len(columns),
            "added": len(columns) - len(kept), "windows": surrogate.windows, "users": surrogate.users,
            "r2": surrogate.r2, "spearman": surrogate.spearman, "top_decile_overlap": surrogate.top_decile_overlap,
            **Agreement().row(),
        }  # fmt: skip
        return self._explained(model, surrogate, columns, row, wanted, rows)

    def _explained(
        self, model: str, surrogate: Surrogate, columns: list[str], row: dict, wanted: np.ndarray, rows: np.ndarray
    ) -> Explained:
        labels, places = self.flat.labels(columns), self.flat.places(columns)

        def values(at: np.ndarray) -> np.ndarray:
            return self.flat.matrix(at, columns)

        def contributions(at: np.ndarray) -> np.ndarray:
            return surrogate.contributions(values(at), THREADS)[0]

        def holds(at: np.ndarray) -> np.ndarray:
            return reliable(surrogate, values(at), wanted[at], THREADS, features=labels["feature"])

        def predict(windows: Windows) -> np.ndarray:
            return surrogate.predict(windows.flat(np.arange(len(windows.index)))[:, places])

        def fit(at: np.ndarray, seed: int) -> stability.Contributions:
            every = np.ones(len(at), dtype=bool)
            again = fit_surrogate(
                values(at), columns, wanted[at], self.flat.users(at), every, ~every, seed=seed, threads=THREADS
            )
            return lambda where: again.contributions(values(where), THREADS)[0]

        return Explained(model, labels, values, contributions, holds, row, predict, fit, rows, surrogate)

    def describe(self, explained: list[Explained]) -> dict[str, pd.DataFrame]:
        """Test windows → IMPORTANCE, SHAP_SAMPLE and DEPENDENCE of each explained model."""
        found: dict[str, list[pd.DataFrame]] = {"importance": [], "shap_sample": [], "dependence": []}
        users = self.flat.users(self.test)
        for one in explained:
            given = one.contributions(self.test), one.values(self.test), one.columns["column"].tolist()
            found["importance"].append(shap_values.importance(*given, users))
            found["shap_sample"].append(shap_values.sample(*given, seed=self.seed))
            found["dependence"].append(dependence(*given, seed=self.seed))
            for tables in found.values():
                tables[-1].insert(0, "model", one.model)
        return {name: pd.concat(tables, ignore_index=True) for name, tables in found.items()}

    def stable(self, one: Explained) -> pd.DataFrame:
        """→ STABILITY of a model's explanation."""
        index = self.windows.index
        table = stability.stability(
            one.contributions, one.columns["feature"].tolist(), index["user"].to_numpy(), index["anchor"].to_numpy(),
            self.flat.split("test"), apart=self.experiment.windows.observe_days, seed=self.seed, fit=one.fit,
            fit_rows=one.fit_rows,
        )  # fmt: skip
        table.insert(0, "model", one.model)
        return table

    def reasons(self, one: Explained) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Scored windows → REASONS from this model's explanation, SHARED_REASONS, and who shares which (SHARING)."""
        features = r.described(self.windows, one.columns)
        some = self.flat.some(self.train, CORRELATION_ROWS)
        known = [known_values(self.windows, rows, one.columns, features, one.values(rows)) for rows in blocks(some)]
        usual = typical(features, np.concatenate(known))
        parts = [
            give(
                self.windows, rows, one.columns, one.values(rows), one.contributions(rows), one.reliable(rows), usual,
                self.target,
            ).reasons
            for rows in blocks(self.score_rows)
        ]  # fmt: skip
        table = pd.concat(parts, ignore_index=True)
        shared, sharing = shared_reasons(table, self.scores, features, self.target)
        if self.folder is not None:
            save(Told(self.target, one.model, one.columns["column"].tolist(), usual, one.surrogate), self.folder)
        return table, shared, sharing

    def asked(
        self, asked: tuple[Predict, Calibrate], one: Explained, importance: pd.DataFrame
    ) -> dict[str, pd.DataFrame]:
        """What the used model itself says → its tables; into its row of SURROGATES, how far the surrogate agrees."""
        weight = importance[importance["model"] == one.model].merge(one.columns[["column", "feature"]], on="column")
        order = weight.groupby("feature")["importance"].sum().sort_values(ascending=False, kind="stable").index
        daily = [f.removeprefix("history:sum:").rsplit(":", 1)[0] if f.startswith("history:sum:") else f for f in order]
        own = self.log_odds[self.used].to_numpy(dtype=float)
        if one.predict is not None:
            rows = self.flat.some(self.flat.split("test"), CHECKED)
            spread = float(own[self.test].std()) if len(self.test) else 0.0
            one.row |= agreement(self.windows, asked[0], one.predict, spread, rows, daily, self.experiment).row()
        return direct_tables(
            self.windows, Asked(self.used, *asked), own, daily, self.score_rows, self.target, self.experiment,
            lambda share: self._step(6 + 2 * share, "the model itself"),
        )  # fmt: skip

    def _step(self, done: float, note: str) -> None:
        self.progress("explain", done, STEPS, note)
