"""Model + windows → why: what is redundant, what matters, which reasons, and the evidence that it is so.

`explain` runs the steps in order; each is a module of its own. Nothing heavy is imported before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from tschurn.contracts import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from tschurn.config import Experiment
    from tschurn.contracts import Mixable, Windows


TOLD = "told"  # the folder, below a target's, of what later windows are told from


class DirectExplainer(Protocol):
    """A model that explains itself, exactly, on the windows at the positions `rows`."""

    columns: pd.DataFrame  # as FLAT_COLUMNS, in the order of the matrices below

    def values(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × its columns] in the units of the log."""

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """→ SHAP values [n × its columns] in log-odds."""


def explain(
    windows: Windows | Mixable,
    log_odds: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    target: Literal["churn", "sticker"],
    label: str,
    used: str,
    best_network: str | None,
    direct: DirectExplainer | None,
    score_rows: np.ndarray,
    experiment: Experiment,
    asked: tuple[Callable[[Windows], np.ndarray], Callable[[np.ndarray], np.ndarray]] | None = None,
    collinearity: pd.DataFrame | None = None,
    progress: Progress = silent,
    folder: Path | None = None,
) -> dict[str, pd.DataFrame]:
    """Windows, each model's LOG_ODDS (row by row), SCORES of this target → the stage's tables of one target, by name.

    label: the column of WINDOWS with what happened. score_rows: positions in windows.index of the
    windows to give reasons for. collinearity: the table of an earlier call; it does not depend on
    the target. asked: the used model for all windows of any like these, and log-odds to probabilities;
    without it, nothing is asked of the model itself (and the windows need not be Mixable). folder: where what later
    windows are told from is left, for `told.load`; it must not be there yet.

    1. Collinear columns go (training windows). 2. Boruta-SHAP keeps, of the rest, those that carry
    more than chance (training windows). 3. The used model explains itself where it can (`direct`);
    else, and for the best network, a surrogate is fitted on the kept columns (and on more, where the
    model needs them to be repeated), with its fidelity on held-out users at test anchors. 4. Importance
    and a sample of SHAP values on test windows, and how stable they are. 5. Reasons for score_rows,
    from the used model's explanation only, and who shares them. 6. What the used model itself says when
    days and kinds of acts are another's, and how far the surrogate agrees with that.

    In "surrogates", windows and users are those of test that the fidelity, or for a direct
    explanation the importance, was measured on. Raises MissingExtraError if the experiment asks for
    the package BorutaShap and it is not installed; ConfigError for levers that the log does not have.
    """
    from tschurn.explain.stage import Stage

    stage = Stage(windows, log_odds, scores, target, label, used, score_rows, experiment, progress, folder)
    return stage.run(best_network, direct, asked, collinearity)
