"""the used model and all closed windows → the refit that scores the list.

After evaluation the used model is fitted again on everything that has a label, with the chosen
hyperparameters and epochs, and calibrated on the evaluated model's out-of-time predictions for the
newest closed anchors (the test windows), at the refit's level.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tschurn.contracts import Windows
from tschurn.models.blocks import Blocks
from tschurn.models.calibration import fit_calibration, level_between
from tschurn.models.saved import REFIT, save_model
from tschurn.models.training import Trained
from tschurn.models.venn_abers import fit_intervals


def refit_and_score(
    windows: Windows, target: str, trained: Trained, folder: Path, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, float | None]:
    """→ SCORES of the newest anchor's windows, OUT_OF_TIME, and the refit's rank correlation with the
    evaluated model on the former.

    Writes the refitted model, its calibration and its intervals to folder/refit.
    """
    from scipy.stats import spearmanr

    blocks = Blocks.of(windows, target)
    anchors = windows.index["anchor"].to_numpy()
    rows = np.flatnonzero(anchors == anchors.max())
    model: Any = trained.models[trained.used]
    model.fit(windows, *blocks.pair(blocks.learnable))
    before = trained.log_odds[trained.used].to_numpy()
    before = before + level_between(before[blocks.test], model.log_odds(windows, blocks.test))
    user, anchor = (windows.index[c].to_numpy()[blocks.test] for c in ("user", "anchor"))
    calibration = fit_calibration(before[blocks.test], blocks.y[blocks.test], user, seed)
    intervals = fit_intervals(before[blocks.test], blocks.y[blocks.test], user, anchor, seed)
    log_odds = model.log_odds(windows, rows)
    save_model(model, folder / REFIT, windows)
    for name, learned in (("calibration", calibration), ("intervals", intervals)):
        (folder / REFIT / f"{name}.json").write_text(json.dumps(learned.to_dict()))

    def table(positions: np.ndarray, values: np.ndarray) -> pd.DataFrame:
        keys = windows.index.iloc[positions][["user_id", "anchor_day"]].reset_index(drop=True)
        return keys.assign(target=target, p=calibration(values))

    constant = min(np.ptp(log_odds), np.ptp(before[rows])) == 0
    agreement = None if constant else float(spearmanr(log_odds, before[rows]).statistic)
    scores = table(rows, log_odds)
    scores["p_low"], scores["p_high"] = intervals(log_odds, scores["p"].to_numpy())
    return scores, table(blocks.test_period, before[blocks.test_period]), agreement
