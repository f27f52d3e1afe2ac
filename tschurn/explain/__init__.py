"""Model + windows → why: COLLINEARITY, SELECTION, SURROGATES, IMPORTANCE, SHAP_SAMPLE, REASONS.

`explain` runs the steps in order; each is a module of its own. Nothing heavy is imported before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from tschurn.contracts import LABELS, Progress, Windows, silent

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd

    from tschurn.config import Experiment
    from tschurn.explain.surrogate import Surrogate

# Windows that are enough for each step, drawn at random where there are more.
CORRELATION_ROWS = 20_000
FIT_ROWS = 100_000
SHAP_ROWS = 3_000
# Windows whose flat matrix is in memory at once while columns are picked from it.
BLOCK = 8_192
STEPS = 5


class DirectExplainer(Protocol):
    """A model that explains itself, exactly, on the windows at the positions `rows`."""

    columns: pd.DataFrame  # as FLAT_COLUMNS, in the order of the matrices below

    def values(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × its columns] in the units of the log."""

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """→ SHAP values [n × its columns] in log-odds."""


@dataclass(frozen=True)
class _Explained:
    """One model with what explains it; `values` and `contributions` take positions of windows."""

    model: str
    columns: pd.DataFrame  # as FLAT_COLUMNS
    values: Callable[[np.ndarray], np.ndarray]
    contributions: Callable[[np.ndarray], np.ndarray]
    row: dict  # of SURROGATES


def explain(
    windows: Windows,
    log_odds: pd.DataFrame,
    *,
    target: Literal["churn", "sticker"],
    label: str,
    used: str,
    best_network: str | None,
    direct: DirectExplainer | None,
    score_rows: np.ndarray,
    experiment: Experiment,
    collinearity: pd.DataFrame | None = None,
    progress: Progress = silent,
) -> dict[str, pd.DataFrame]:
    """Windows and each model's LOG_ODDS (row by row) → the stage's tables of one target, by name.

    label: the column of WINDOWS with what happened. score_rows: positions in windows.index of the
    windows to give reasons for. collinearity: the table of an earlier call; it does not depend on
    the target.

    1. Collinear columns go (training windows). 2. Boruta-SHAP keeps, of the rest, those that carry
    more than chance (training windows). 3. The used model explains itself where it can (`direct`);
    else, and for the best network, a surrogate is fitted on the kept columns and the windows before
    test, with its fidelity on held-out users at test anchors. 4. Importance and a sample of SHAP
    values on test windows. 5. Reasons for score_rows, from the used model's explanation only.

    In "surrogates", windows and users are those of test that the fidelity, or for a direct
    explanation the importance, was measured on. Raises MissingExtraError if the experiment asks for
    the package BorutaShap and it is not installed.
    """
    import pandas as pd

    from tschurn.explain import collinearity as vif

    seed, threads = experiment.experiment.seed, experiment.run.threads
    source = _FlatWindows(windows, seed)
    train = source.split("train")
    if collinearity is None:
        progress("explain", 0, STEPS, "collinear columns")
        some = source.some(train, CORRELATION_ROWS)
        collinearity = vif.remove_collinear(
            source.matrix(some, source.columns), source.columns, experiment.explain.vif_limit
        )
    independent = collinearity.loc[collinearity["kept"], "column"].tolist()

    selection, kept = _select(source, train, independent, label, experiment, progress)

    progress("explain", 2, STEPS, "surrogates")
    wanted = [used] if best_network in (None, used) else [used, best_network]
    explained = [] if direct is None else [_direct(source, direct, used)]
    imitated = [model for model in wanted if direct is None or model != used]
    explained += _surrogates(source, kept, log_odds, imitated, used, seed, threads)

    progress("explain", 3, STEPS, "importance")
    importance, shap_sample = _describe(source, explained, seed)
    progress("explain", 4, STEPS, "reasons")
    why = _reasons(source, explained[0], train, score_rows, target)
    progress("explain", STEPS, STEPS)
    tables = {
        "selection": selection,
        "surrogates": pd.DataFrame([e.row for e in explained]),
        "importance": importance,
        "shap_sample": shap_sample,
        "reasons": why,
    }
    for table in tables.values():
        table.insert(0, "target", target)
    return {"collinearity": collinearity} | tables


class _FlatWindows:
    """Columns of the flattened windows by name, a block of windows in memory at a time."""

    def __init__(self, windows: Windows, seed: int) -> None:
        self.windows = windows
        self.seed = seed
        self.flat_columns = windows.flat_columns()
        self.columns = self.flat_columns["column"].tolist()
        self._place = {column: i for i, column in enumerate(self.columns)}

    def split(self, *splits: str) -> np.ndarray:
        """Positions of the windows of these splits."""
        import numpy as np

        return np.flatnonzero(self.windows.index["split"].isin(splits))

    def some(self, rows: np.ndarray, most: int) -> np.ndarray:
        """At most `most` of these rows, drawn at random, in their order."""
        import numpy as np

        if len(rows) <= most:
            return rows
        return np.sort(np.random.default_rng(self.seed).choice(rows, most, replace=False))

    def matrix(self, rows: np.ndarray, columns: list[str]) -> np.ndarray:
        """→ [rows × columns] float32."""
        import numpy as np

        places = np.array([self._place[column] for column in columns], dtype=int)
        values = np.empty((len(rows), len(columns)), dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            values[start : start + BLOCK] = self.windows.flat(rows[start : start + BLOCK])[:, places]
        return values

    def users(self, rows: np.ndarray) -> np.ndarray:
        """The user of each row, as an integer."""
        return self.windows.index["user"].to_numpy()[rows]

    def features(self, columns: pd.DataFrame) -> pd.DataFrame:
        """FLAT_COLUMNS → their features, by first appearance: feature, label_en, label_ko, place.

        place: in the daily panel, -1 for those that are not daily.
        """
        import pandas as pd

        daily = self.windows.features[self.windows.features["kind"] == "daily"]
        places = {feature: i for i, feature in enumerate(daily["feature"])}
        features = columns.drop_duplicates("feature").reset_index(drop=True)
        features = features.assign(place=[places.get(f, -1) for f in features["feature"]])
        days = self.windows.flat_columns()["day_offset"].nunique()
        # who comes every day counts every day: a sum of people is not a number of people
        people = (daily["measure"] == "actors").to_numpy()
        for language, suffix, summed in (
            ("en", f"last {days} days", "day by day summed, "),
            ("ko", f"최근 {days}일", "일별 합, "),
        ):
            told = daily[f"label_{language}"] + ", " + pd.Series(summed, index=daily.index).where(people, "") + suffix
            label = dict(zip(daily["feature"], told, strict=True))
            features[f"label_{language}"] = [
                label.get(f, own) for f, own in zip(features["feature"], features[f"label_{language}"], strict=True)
            ]
        return features[["feature", "label_en", "label_ko", "place"]]

    def totals(self, one: _Explained, features: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
        """→ [n × features]: of daily features the sum over the observation, of others the column's value."""
        import numpy as np

        place = features["place"].to_numpy(int)
        column = one.columns["feature"].reset_index(drop=True).drop_duplicates().index  # the first of each feature
        values = np.asarray(one.values(rows), dtype=float)[:, column]
        values[:, place >= 0] = self.windows.batch(rows)[:, :, place[place >= 0]].sum(axis=1, dtype=float)
        return values

    def labels(self, columns: list[str]) -> pd.DataFrame:
        """FLAT_COLUMNS of these columns, in this order."""
        return self.flat_columns.set_index("column").loc[columns].reset_index()


def _counted(windows: Windows, label: str) -> pd.Series:
    """A label of all windows; null where it does not count, since the user does not stay."""
    outcome = windows.index[label]
    of_staying = label in {LABELS[t] for t in windows.lives.of_staying}
    return outcome.where(windows.index[LABELS["churn"]] == 0) if of_staying else outcome


def _select(
    source: _FlatWindows, train: np.ndarray, columns: list[str], label: str, experiment: Experiment, progress: Progress
) -> tuple[pd.DataFrame, list[str]]:
    """Training windows → SELECTION of the columns, and those to go on with."""
    from tschurn.explain import boruta_shap

    def within(_: str, done: float, total: float, note: str = "") -> None:
        progress("explain", 1 + done / total, STEPS, note)

    outcome = _counted(source.windows, label)
    rows = source.some(train[outcome.notna().to_numpy()[train]], FIT_ROWS)
    known = outcome.iloc[rows].to_numpy(dtype=float)
    choices = {"trials": experiment.explain.boruta_trials, "seed": source.seed, "threads": experiment.run.threads}
    given = source.matrix(rows, columns), columns, known, source.users(rows)
    if experiment.explain.selector == "borutashap":
        from tschurn.explain.borutashap_package import select_with_package

        within("", 0, 1, "BorutaShap")
        selection = select_with_package(*given, **choices)
    else:
        features = source.labels(columns)["feature"].tolist()
        selection = boruta_shap.select(*given, **choices, features=features, progress=within)
    return selection, boruta_shap.kept(selection)


def _direct(source: _FlatWindows, direct: DirectExplainer, model: str) -> _Explained:
    """The used model, explained by itself on (a sample of) the test windows."""
    test = source.some(source.split("test"), SHAP_ROWS)
    row = {
        "model": model, "how": "direct", "explained": True, "columns": len(direct.columns),
        "windows": len(test), "users": len(set(source.users(test).tolist())),
        "r2": None, "spearman": None, "top_decile_overlap": None,
    }  # fmt: skip
    return _Explained(model, direct.columns, direct.values, direct.contributions, row)


def _surrogates(
    source: _FlatWindows,
    columns: list[str],
    log_odds: pd.DataFrame,
    models: list[str],
    used: str,
    seed: int,
    threads: int,
) -> list[_Explained]:
    """A surrogate of each of these models on the same columns and windows."""
    import numpy as np

    from tschurn.explain.surrogate import fit_surrogate

    if not models:
        return []
    fit = source.some(source.split("train", "validation"), FIT_ROWS)
    held = source.some(source.split("test"), FIT_ROWS)
    rows = np.concatenate([fit, held])
    fit_rows = np.arange(len(rows)) < len(fit)
    matrix, users = source.matrix(rows, columns), source.users(rows)
    found = []
    for model in models:
        wanted = log_odds[model].to_numpy(dtype=float)[rows]
        surrogate = fit_surrogate(matrix, columns, wanted, users, fit_rows, ~fit_rows, seed=seed, threads=threads)
        row = {
            "model": model, "how": "surrogate", "explained": model == used, "columns": len(columns),
            "windows": surrogate.windows, "users": surrogate.users, "r2": surrogate.r2,
            "spearman": surrogate.spearman, "top_decile_overlap": surrogate.top_decile_overlap,
        }  # fmt: skip
        found.append(_of_surrogate(source, surrogate, model, columns, row, threads))
    return found


def _of_surrogate(
    source: _FlatWindows, surrogate: Surrogate, model: str, columns: list[str], row: dict, threads: int
) -> _Explained:
    def values(rows: np.ndarray) -> np.ndarray:
        return source.matrix(rows, columns)

    def contributions(rows: np.ndarray) -> np.ndarray:
        return surrogate.contributions(values(rows), threads)[0]

    return _Explained(model, source.labels(columns), values, contributions, row)


def _describe(source: _FlatWindows, explained: list[_Explained], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test windows → IMPORTANCE and SHAP_SAMPLE of each explained model."""
    import pandas as pd

    from tschurn.explain import shap_values

    test = source.some(source.split("test"), SHAP_ROWS)
    importance, samples = [], []
    for one in explained:
        matrix, contributions, columns = one.values(test), one.contributions(test), one.columns["column"].tolist()
        importance.append(shap_values.importance(contributions, matrix, columns))
        samples.append(shap_values.sample(contributions, matrix, columns, seed=seed))
        for table in (importance[-1], samples[-1]):
            table.insert(0, "model", one.model)
    return pd.concat(importance, ignore_index=True), pd.concat(samples, ignore_index=True)


def _reasons(
    source: _FlatWindows,
    one: _Explained,
    train: np.ndarray,
    score_rows: np.ndarray,
    target: Literal["churn", "sticker"],
) -> pd.DataFrame:
    """Scored windows → REASONS from this model's explanation; typical is the mean of training windows."""
    import pandas as pd

    from tschurn.explain.reasons import by_feature, reasons

    features = source.features(one.columns)
    some = source.some(train, CORRELATION_ROWS)
    totals = [source.totals(one, features, rows).sum(axis=0) for rows in _blocks(some)]
    typical = sum(totals) / max(len(some), 1)
    whose = source.windows.index[["user_id", "anchor_day"]]
    parts = []
    for rows in _blocks(score_rows):
        pushes = by_feature(one.contributions(rows), one.columns["feature"])
        values = source.totals(one, features, rows)
        parts.append(reasons(pushes, values, features, whose.iloc[rows], typical, target=target))
    return pd.concat(parts, ignore_index=True)


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    """Rows in blocks that fit in memory; one, if empty, where there are none."""
    return [rows[start : start + BLOCK] for start in range(0, max(len(rows), 1), BLOCK)]
