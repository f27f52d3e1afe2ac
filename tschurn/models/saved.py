"""a fitted model ↔ a folder: what it was fitted on beside it, so that it is never asked about other features."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from tschurn.contracts import Windows
from tschurn.errors import ModelError
from tschurn.models.baselines import Average, Logistic, MostFrequent
from tschurn.models.boosting import Boosting
from tschurn.models.model import Model
from tschurn.models.networks import Network

_TYPES: dict[str, type[Model]] = {
    "network": Network, "most_frequent": MostFrequent, "logistic": Logistic, "boosting": Boosting, "average": Average,
}  # fmt: skip
_SHOWN = 5  # features that a message names


def save_model(model: Model, folder: Path, windows: Windows) -> None:
    """Write a model fitted on these windows into `folder`, which is made."""
    folder.mkdir()
    model.save(folder)
    (folder / "features.json").write_text(json.dumps(_features(windows), ensure_ascii=False), encoding="utf-8")


def load_model(folder: Path, windows: Windows) -> Any:
    """A model's folder → the model, for windows with the features that it was fitted on.

    Nothing in the folder is ever executed: JSON, LightGBM's text, plain arrays. Raises ModelError where it holds no
    model, or one for other features.
    """
    from lightgbm.basic import LightGBMError

    try:
        fitted_on = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        model = load_plain(folder)
        problem = _difference(fitted_on, _features(windows))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, LightGBMError) as error:
        raise ModelError(
            f"{folder}: expected a model as tschurn saves it, found something else ({type(error).__name__}: {error}); "
            "train it again"
        ) from None
    if problem:
        raise ModelError(f"{folder}: the model was trained on other features than this log has: {problem}; train again")
    return model


def load_plain(folder: Path) -> Any:
    """A model's folder → the model, whatever it was fitted on."""
    note = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if note["type"] == "average":
        return Average([load_plain(folder / f"member_{i}") for i in range(note["members"])])
    return _TYPES[note["type"]].load(folder)


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
