"""a model that explains itself exactly → its columns, their values, and each one's share of the log-odds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tschurn.contracts import Windows
from tschurn.models.baselines import Logistic
from tschurn.models.boosting import Boosting
from tschurn.models.views import VIEWS, view_columns

if TYPE_CHECKING:
    import pandas as pd


class Direct:
    """A boosting or logistic model on some windows (the DirectExplainer of the explain stage).

    columns: as FLAT_COLUMNS, in the order of `values` and `contributions`.
    """

    def __init__(self, model: Boosting | Logistic, windows: Windows) -> None:
        self.columns: pd.DataFrame = view_columns(model.view, windows)
        self._model = model
        self._windows = windows

    def values(self, rows: np.ndarray) -> np.ndarray:
        """Positions of windows → [n × columns] in the units of the log."""
        return VIEWS[self._model.view](self._windows, rows)

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """Positions of windows → [n × columns] in log-odds; with the average they add up to the model."""
        return self._model.contributions(self._windows, rows)
