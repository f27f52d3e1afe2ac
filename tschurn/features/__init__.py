"""event log → windows: daily tables, panel, labels, history, splits, and windows as views of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np
    import pandas as pd

    from tschurn.config import Experiment
    from tschurn.contracts import Progress
    from tschurn.features.frozen import Frozen
    from tschurn.features.windows import WindowSet


# The arrays that the stage leaves beside its tables.
ARRAYS = ("panel", "history", "active", "stickers", "sticker_value", "first_hour", "last_hour", "levels")


def build_windows(
    event_log: ir.Table,
    acts: ir.Table,
    known: Mapping[str, pd.DataFrame],
    experiment: Experiment,
    folder: Path,
    progress: Progress,
) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """EVENT_LOG and DAILY → VOCABULARY, FEATURES, WINDOWS, MONEY, UNSCORED, EXCLUSIONS, USER_DAYS by name, and the
    history matrix.

    Writes SUPPORTERS (where the log has any) and ARRAYS but for history (.npy) into `folder`. known: the tables
    LOG_SUMMARY, PLATFORM_DAYS and FACTS of the log, and CONTACTS where there are any. Raises TooShortError when the log
    cannot be split, or churn has one class only in a block; LogError when no event counts as activity, or the panel
    would be out of all proportion.
    """
    from tschurn.features.build import Builder

    return Builder(event_log, acts, known, experiment, folder, progress).build()


def frozen_features(features: pd.DataFrame, experiment: Experiment) -> Frozen:
    """FEATURES of a finished run → what computes them for other users or later days. Raises ModelError where this
    version of tschurn would compute others."""
    from tschurn.features.frozen import Frozen

    return Frozen(features, experiment)


def split_at(index: pd.DataFrame, days: int, experiment: Experiment, origin: int) -> np.ndarray:
    """WINDOWS of a log of `days` days → their split at an origin of a rolling split, 1 the first one."""
    from tschurn.features import index as windows

    return windows.split_at(index, days, experiment, origin)


def outcomes_of(acts: ir.Table, listed: pd.DataFrame, summary: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """DAILY, listed users (user_id, anchor_day) and LOG_SUMMARY → LIST_OUTCOMES, by the definitions of the labels."""
    from tschurn.features import outcomes

    return outcomes.outcomes(acts, listed, summary, experiment)


def open_windows(
    index: pd.DataFrame, features: pd.DataFrame, arrays: Mapping[str, np.ndarray], experiment: Experiment,
    first_weekday: int | None = None,
) -> WindowSet:  # fmt: skip
    """WINDOWS, FEATURES and the stage's arrays (ARRAYS) → WindowSet.

    first_weekday: of day 0, 0 is Monday; as the windows say unless given (there may be none).
    """
    from tschurn.features.groups import Record
    from tschurn.features.lives import Lives
    from tschurn.features.windows import WindowSet

    if first_weekday is None:
        last = index.iloc[-1]
        first_weekday = (last["anchor_day"].weekday() - int(last["anchor"])) % 7
    shape, sticker = experiment.windows, experiment.targets.sticker
    of_staying = frozenset({"sticker"} if sticker and sticker.given == "stays" else ())
    lives = Lives(arrays["active"], arrays["stickers"], shape, first_weekday, of_staying)
    kept = {name: arrays[name] for name in ("sticker_value", "first_hour", "last_hour", "levels")}
    counted = experiment.targets.churn.events, (sticker.side, sticker.events) if sticker else None
    record = Record(**kept, churn_events=counted[0], sticker=counted[1])
    return WindowSet(index, features, arrays["panel"], arrays["history"], shape.observe_days, lives, record)
