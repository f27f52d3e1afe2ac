"""a run's windows and those of a later log → what has changed, whether it matters, and what to do.

    bins (values → counts → PSI), outcomes (p, y → level, slope, AUC), ordinary (how much weeks differ anyway)
    seen (reference: at the end of a run) → features, scores (now against it) → advice → told

Nothing is judged by a rule of thumb alone: a figure has moved when it is further out than the run's own anchors, among
themselves, lead one to expect.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tschurn import contracts as c
from tschurn.drift.advice import advise, warnings
from tschurn.drift.features import drifted
from tschurn.drift.scores import Ranking, figures
from tschurn.drift.seen import REFERENCE, Seen, reference, sample
from tschurn.drift.told import sentences, told

TABLES = (c.DRIFT, c.DRIFT_FIGURES, c.DRIFT_WARNINGS, c.ADVICE)

__all__ = ["REFERENCE", "TABLES", "Seen", "drift", "reference", "sample", "sentences", "told"]


def drift(
    known: dict[str, pd.DataFrame], now: Seen, rankings: Mapping[str, Ranking] | None = None
) -> dict[str, pd.DataFrame]:
    """REFERENCE tables of a run by name, and what is seen of a later log → TABLES by name.

    rankings: per target of models.recalibration.ranking_change, for the intervals of AUC and AP. The order of rows
    and users does not matter.
    """
    moved = drifted(known, now)
    found = figures(known, now, moved, rankings or {})
    return {
        c.DRIFT.name: moved,
        c.DRIFT_FIGURES.name: found,
        c.DRIFT_WARNINGS.name: warnings(known, now),
        c.ADVICE.name: advise(moved, found),
    }
