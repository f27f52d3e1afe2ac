"""tschurn: from a raw activity log to an explained, prioritised retention list.

    event log → daily table → 7+7-day windows → churn and sticker models → explanations
              → priority group → HTML report + CSV

Read `pipeline` first: it runs the stages in order. `contracts` names every table that crosses a
stage, `config` every key of an experiment file. The stages are the folders `events`,
`exploration`, `features`, `models`, `explain`, `segments`, `report`; none imports another.

`load(run).predict(events)` scores a frame of events with a finished run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tschurn.predicting import Loaded

__version__ = "0.1.0"


def load(run: str | Path) -> Loaded:
    """A finished run's folder → what scores frames of events by it.

    Raises RunFolderError where there is no finished run of this version of tschurn.
    """
    from tschurn.predicting import Loaded

    return Loaded(run)
