"""a target's folder ↔ its refit: the model that scores lists, and what its log-odds are worth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tschurn.errors import ModelError
from tschurn.models.calibration import Calibration
from tschurn.models.venn_abers import Intervals


@dataclass(frozen=True)
class Refit:
    """A saved refit: the model, and what its log-odds are worth."""

    model: Any
    calibration: Calibration
    intervals: Intervals

    def scores(self, log_odds: np.ndarray) -> pd.DataFrame:
        """Log-odds [n] → p, p_low and p_high [n]."""
        p = self.calibration(log_odds)
        low, high = self.intervals(log_odds, p)
        return pd.DataFrame({"p": p, "p_low": low, "p_high": high})


def load_calibration(folder: Path) -> tuple[Calibration, Intervals]:
    """A folder with calibration.json and intervals.json → what is in them. Raises ModelError."""
    return load_learned(folder / "calibration.json", Calibration), load_learned(folder / "intervals.json", Intervals)


def load_learned(file: Path, kind: type[Calibration] | type[Intervals]) -> Any:
    """A JSON file → the Calibration or the Intervals in it. Raises ModelError."""
    try:
        found = kind.from_dict(json.loads(file.read_text(encoding="utf-8")))
        tried = found(np.zeros(1)) if kind is Calibration else found(np.zeros(1), np.full(1, 0.5))
        if not np.isfinite(tried).all():
            raise ValueError("its probabilities are no numbers")
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(
            f"{file}: cannot be read ({type(error).__name__}: {error}); run the experiment again"
        ) from None
    return found
