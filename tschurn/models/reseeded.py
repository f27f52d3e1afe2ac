"""the refit that scores the list → SEED_SCORES: what it would say, had it been fitted under other seeds.

What a network learns is partly luck. Who stands on the list only by it should be known to those who call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tschurn.contracts import SEED_SCORES, Progress, Windows, silent
from tschurn.models.baselines import Average
from tschurn.models.blocks import Blocks
from tschurn.models.boosting import Boosting
from tschurn.models.calibration import Calibration
from tschurn.models.networks import Network
from tschurn.models.refit import load_learned
from tschurn.models.saved import REFIT, load_model, save_model

_FOLDER = "under_seed_"
SEEDS = 2  # besides the list's own


def seed_scores(
    windows: Windows, target: str, folder: Path, seed: int, seeds: int = SEEDS, progress: Progress = silent,
    out: Path | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Windows, a target's finished folder of models → SEED_SCORES of the windows at the newest anchor.

    The refit is trained again on what it was trained on, with its settings, epochs and rounds, under the seeds after
    `seed`; its calibration stays. A model without chance (logistic regression, recency) gives what it gave. out: where
    the models are left, for `load_reseeded`.
    """
    anchors = windows.index["anchor"].to_numpy()
    rows = np.flatnonzero(anchors == anchors.max())
    blocks = Blocks.of(windows, target)
    calibration = load_learned(folder / REFIT / "calibration.json", Calibration)
    parts = []
    for k in range(1, seeds + 1):
        progress("seeds", k - 1, seeds, f"seed {seed + k}")
        model = load_model(folder / REFIT, windows)
        if _reseed(model, seed + k):
            model.fit(windows, *blocks.pair(blocks.learnable))
            if out is not None:
                save_model(model, out / f"{_FOLDER}{seed + k}", windows)
        p = calibration(model.log_odds(windows, rows))
        parts.append(pd.DataFrame({"target": target, "seed": seed + k, "p": p}).assign(
            user_id=windows.index["user_id"].to_numpy()[rows]))  # fmt: skip
    progress("seeds", 1, 1)
    return pd.concat(parts, ignore_index=True)[list(SEED_SCORES.columns)]


def load_reseeded(out: Path, windows: Windows) -> dict[int, Any]:
    """The folder that `seed_scores` left models in → each by its seed; none of a model without chance."""
    folders = sorted(out.glob(f"{_FOLDER}*"))
    return {int(folder.name.removeprefix(_FOLDER)): load_model(folder, windows) for folder in folders}


def _reseed(model: Any, seed: int) -> bool:
    """Give a model, and its members, another seed → whether it has one."""
    if isinstance(model, Average):
        return any([_reseed(member, seed) for member in model.members])  # all of them, not the first only
    if isinstance(model, Boosting):
        model.parameters = {**model.parameters, "seed": seed}
        return True
    if isinstance(model, Network):
        model.seed = seed
        return True
    return False
