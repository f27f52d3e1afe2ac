"""what explains a model ↔ a folder, and REASONS from it: for the windows of its run, and for those of any later day.

A run keeps, for each target, how its used model was explained, what is usual of each feature, and the surrogate where
there is one (LightGBM's text: nothing in the folder is ever executed). Later windows are then told in the same words,
against the same usual values.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tschurn.booster_text import checked
from tschurn.contracts import Windows
from tschurn.errors import ModelError
from tschurn.explain import reasons as r
from tschurn.explain.flat import FlatWindows, blocks
from tschurn.explain.sentences import Target
from tschurn.explain.surrogate import Surrogate, holds

if TYPE_CHECKING:
    from tschurn.explain import DirectExplainer

_NOTE, _TREES = "explained.json", "surrogate.txt"


@dataclass(frozen=True)
class Told:
    """How a target's used model is explained.

    model: its name. columns: the names of those that reasons are made of, as FLAT_COLUMNS. usual: of each feature of
    theirs, by first appearance, as of `typical`. surrogate: None where the model explains itself.
    """

    target: Target
    model: str
    columns: list[str]
    usual: np.ndarray
    surrogate: Surrogate | None


@dataclass(frozen=True)
class Given:
    """Of windows [n]: their REASONS (without the target), and what each feature does to the log-odds [n × features]."""

    reasons: pd.DataFrame
    pushes: pd.DataFrame


def known_values(
    windows: Windows, rows: np.ndarray, columns: pd.DataFrame, features: pd.DataFrame, values: np.ndarray
) -> np.ndarray:
    """Values of an explanation's columns (FLAT_COLUMNS) [n × columns] → of its `described` features [n × features].

    Of daily features the sum over the observation, of others the value; NaN for none.
    """
    place = features["place"].to_numpy(int)
    first = columns["feature"].reset_index(drop=True).drop_duplicates().index  # the first column of each feature
    known = np.asarray(values, dtype=float)[:, first]
    known[:, place >= 0] = windows.batch(rows)[:, :, place[place >= 0]].sum(axis=1, dtype=float)
    return r.where_known(windows, rows, features, known)


def give(
    windows: Windows, rows: np.ndarray, columns: pd.DataFrame, values: np.ndarray, contributions: np.ndarray,
    reliable: np.ndarray, usual: np.ndarray, target: Target,
) -> Given:  # fmt: skip
    """Windows at `rows`, and what explains a model there [n × columns] → Given."""
    features = r.described(windows, columns)
    pushes = r.by_feature(contributions, columns["feature"])
    table = r.reasons(
        pushes, known_values(windows, rows, columns, features, values), features,
        windows.index[["user_id", "anchor_day"]].iloc[rows], usual, r.before(windows, rows, features), reliable,
        target=target,
    )  # fmt: skip
    return Given(table, pd.DataFrame(pushes, columns=features["feature"].tolist()))


def save(told: Told, folder: Path) -> None:
    """Write into `folder`, which is made."""
    folder.mkdir()
    note = {"target": told.target, "model": told.model, "columns": told.columns,
            "usual": [None if np.isnan(value) else float(value) for value in told.usual]}  # fmt: skip
    if told.surrogate is not None:
        of = told.surrogate
        note["surrogate"] = {f.name: getattr(of, f.name) for f in fields(of) if f.name != "booster"}
        if told.surrogate.booster is not None:
            (folder / _TREES).write_text(told.surrogate.booster.model_to_string(), encoding="utf-8")
    (folder / _NOTE).write_text(json.dumps(note, ensure_ascii=False), encoding="utf-8")


def load(folder: Path) -> Told:
    """The inverse of `save`. Raises ModelError where the folder holds nothing of the kind."""
    from lightgbm import Booster
    from lightgbm.basic import LightGBMError

    try:
        note: dict[str, Any] = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        surrogate = None
        if (of := note.get("surrogate")) is not None:
            trees = folder / _TREES
            booster = Booster(model_str=checked(trees.read_text(encoding="utf-8"))) if trees.exists() else None
            surrogate = Surrogate(**of, booster=booster)
        usual = np.array([np.nan if value is None else value for value in note["usual"]], dtype=float)
        return Told(note["target"], note["model"], note["columns"], usual, surrogate)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, LightGBMError) as error:
        raise ModelError(
            f"{folder}: expected the explanation of a run, found something else ({type(error).__name__}: {error}); "
            "run the experiment again"
        ) from None


def give_again(
    told: Told, windows: Windows, rows: np.ndarray, direct: DirectExplainer | None, log_odds: np.ndarray | None,
    threads: int,
) -> Given:  # fmt: skip
    """What a run kept, windows at `rows`, the explained model if it explains itself, else its log-odds [n] → Given.

    Raises ModelError where the windows lack a column of it.
    """
    columns = _columns(told, windows, direct)
    parts = []
    for block in blocks(np.arange(len(rows))):
        at = rows[block]
        values, pushes, base = _explained(told, windows, at, direct, threads)
        reliable = np.ones(len(at), dtype=bool)
        if told.surrogate is not None:
            reliable = holds(told.surrogate, pushes, base, log_odds[block], columns["feature"])
        parts.append(give(windows, at, columns, values, pushes, reliable, told.usual, told.target))
    return Given(
        *(pd.concat([getattr(part, name) for part in parts], ignore_index=True) for name in ("reasons", "pushes"))
    )


def pushes_again(
    told: Told, windows: Windows, rows: np.ndarray, direct: DirectExplainer | None, threads: int
) -> pd.DataFrame:
    """As `give_again`, what each feature does to the log-odds alone [n × features]."""
    columns = _columns(told, windows, direct)
    parts = [r.by_feature(_explained(told, windows, at, direct, threads)[1], columns["feature"]) for at in blocks(rows)]
    return pd.DataFrame(np.concatenate(parts), columns=columns["feature"].drop_duplicates().tolist())


def _explained(
    told: Told, windows: Windows, rows: np.ndarray, direct: DirectExplainer | None, threads: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """→ values and contributions of the explanation's columns [n × columns], and their base (0 of a model itself)."""
    if not len(rows):  # LightGBM explains one window at least
        none = np.zeros((0, len(told.columns) if direct is None else len(direct.columns)))
        return none, none, 0.0
    if told.surrogate is None:
        return direct.values(rows), direct.contributions(rows), 0.0
    values = FlatWindows(windows, 0).matrix(rows, told.columns)
    return values, *told.surrogate.contributions(values, threads)


def _columns(told: Told, windows: Windows, direct: DirectExplainer | None) -> pd.DataFrame:
    """→ FLAT_COLUMNS of the explanation. Raises ModelError where the windows lack one, or nothing explains."""
    if told.surrogate is None:
        if direct is None:
            raise ModelError(f"the run says that {told.model} explains itself, which it does not; train it again")
        return direct.columns
    known = windows.flat_columns().set_index("column")
    missing = [column for column in told.columns if column not in known.index]
    if missing:
        raise ModelError(f"the run explains by `{missing[0]}`, which these windows do not have; train again")
    return known.loc[told.columns].reset_index()
