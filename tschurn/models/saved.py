"""a fitted model ↔ a folder: what it was fitted on beside it, so that it is never asked about other features.

A folder may come from anywhere. Whatever is in it, nothing of it is ever run: JSON, plain arrays of the shapes that
such a network must have (stored.py), trees that are trees (tschurn/booster_text.py). What is damaged by chance is found
by the hash of each file beside it. Against somebody who changes a model on purpose a hash is no help, since they would
change it too: such a model is still data and nothing else, but what it predicts is theirs. Keep run folders where only
those can write whom you would let choose the list.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tschurn import disk
from tschurn.contracts import Windows
from tschurn.errors import ModelError
from tschurn.models.baselines import Average, Logistic, MostFrequent
from tschurn.models.boosting import Boosting
from tschurn.models.model import Model
from tschurn.models.networks import Network
from tschurn.models.stored import read_note, whole

_TYPES: dict[str, type[Model]] = {
    "network": Network, "most_frequent": MostFrequent, "logistic": Logistic, "boosting": Boosting, "average": Average,
}  # fmt: skip
REFIT = "refit"  # the folder, below a target's, of the model that scores
_SHOWN = 5  # features that a message names
_MOST_MEMBERS = 16
_NOTE, _FILES = "features.json", "files"


def save_model(model: Model, folder: Path, windows: Windows) -> None:
    """Write a model fitted on these windows into `folder`, which is made."""
    folder.mkdir()
    model.save(folder)
    note = _features(windows) | {_FILES: disk.contents(folder)}
    (folder / _NOTE).write_text(json.dumps(note, ensure_ascii=False), encoding="utf-8")


def load_model(folder: Path, windows: Windows) -> Any:
    """A model's folder → the model, for windows with the features that it was fitted on.

    Nothing in the folder is ever executed. Raises ModelError where it holds no model, a damaged one, or one for other
    features.
    """
    from lightgbm.basic import LightGBMError

    try:
        fitted_on = read_note(folder / _NOTE)
        _refuse_damaged(folder, fitted_on[_FILES])
        model = load_plain(folder)
        problem = _difference(fitted_on, _features(windows))
        if not problem:
            model.log_odds(windows, np.arange(1))  # what its files say of shapes may not go together
    except (
        OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
        zipfile.BadZipFile, LightGBMError,
    ) as error:  # fmt: skip
        raise ModelError(
            f"{folder}: expected a model as tschurn saves it, found something else ({_told(error)}); train it again"
        ) from None
    if problem:
        raise ModelError(f"{folder}: the model was trained on other features than this log has: {problem}; train again")
    return model


def load_plain(folder: Path) -> Any:
    """A model's folder → the model, whatever it was fitted on. Raises as the models' own `load`."""
    note = read_note(folder / "model.json")
    if note["type"] == "average":
        members = whole(note["members"], 1, _MOST_MEMBERS)
        return Average([_TYPES[_single(folder / f"member_{i}")].load(folder / f"member_{i}") for i in range(members)])
    return _TYPES[note["type"]].load(folder)


def _single(folder: Path) -> str:
    """The type of an average's member, which is no average."""
    kind = read_note(folder / "model.json")["type"]
    if kind == "average":
        raise ValueError(f"{folder.name} is an average itself")
    return kind


def _refuse_damaged(folder: Path, noted: disk.Contents) -> None:
    """Raise ValueError where a file of the folder is not as it was noted when the model was saved."""
    for name in noted:
        if Path(name).is_absolute() or ".." in Path(name).parts or not (folder / name).is_file():
            raise ValueError(f"{name[:80]} is missing or no plain file")
    if not noted or (damaged := disk.damaged(folder, noted)):
        raise ValueError(f"damaged: {', '.join(damaged) if noted else 'no file is noted'}")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _features(windows: Windows) -> dict[str, Any]:
    named = {kind: part["feature"].tolist() for kind, part in windows.features.groupby("kind", sort=True)}
    return {"observe_days": windows.batch([0]).shape[1], **named}


def _difference(fitted_on: dict[str, Any], here: dict[str, Any]) -> str:
    """→ what differs, in words; nothing if nothing does."""
    parts = []
    if fitted_on["observe_days"] != here["observe_days"]:
        parts.append(f"it observes {fitted_on['observe_days']} days, the windows {here['observe_days']}")
    for kind in ("daily", "history"):
        before, now = fitted_on.get(kind, []), here.get(kind, [])
        missing, new = ([f for f in some if f not in set(others)] for some, others in ((before, now), (now, before)))
        parts += [f"{what} {_named(features)}" for what, features in (("missing", missing), ("new", new)) if features]
        if not missing and not new and before != now:
            parts.append(f"the {kind} features stand in another order")
    return ", ".join(parts)


def _named(features: list[str]) -> str:
    more = f" and {len(features) - _SHOWN} more" if len(features) > _SHOWN else ""
    return ", ".join(f"`{f}`" for f in features[:_SHOWN]) + more
