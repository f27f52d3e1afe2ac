"""event log → windows: daily table, panel, labels, history, splits, and windows as views of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np
    import pandas as pd

    from tschurn.config import Experiment
    from tschurn.contracts import Progress
    from tschurn.features.windows import WindowSet


def build_windows(
    event_log: ir.Table, summary: pd.DataFrame, experiment: Experiment, folder: Path, progress: Progress
) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """EVENT_LOG → DAILY, FEATURES, WINDOWS, UNSCORED by name, and the history matrix; panel.npy in `folder`.

    Raises TooShortError when the log cannot be split, or churn has one class only in a block;
    LogError when no event counts as activity.
    """
    import numpy as np
    import pandas as pd

    from tschurn.features import daily as d
    from tschurn.features import history as h
    from tschurn.features import labels, splits

    shape, split = experiment.windows, experiment.split
    first = pd.Timestamp(summary["first_day"].iloc[0])
    days = int(summary["days"].iloc[0])
    last_training_day = first + pd.Timedelta(days=splits.training_days(days, shape, split) - 1)
    users = pd.Index(event_log.select("user_id").distinct().order_by("user_id").execute()["user_id"])
    sticker = experiment.targets.sticker
    progress("windows", 1, 5, "daily table")
    words = d.vocabulary(
        event_log,
        last_training_day,
        experiment.features.max_events,
        {(sticker.side, e) for e in sticker.events} if sticker else set(),
    )
    table = d.daily(event_log, words)
    features = d.daily_features(table, words)
    progress("windows", 2, 5, "panel")
    panel = d.write_panel(folder / "panel.npy", table, d.received_actors(event_log), features, users, first, days)
    progress("windows", 3, 5, "labels")
    acts = labels.activity(event_log, experiment.targets, users, first, days)
    index = _index(acts, users, first, days, experiment)
    _refuse_poor_churn(index, acts, experiment)
    progress("windows", 4, 5, "history")
    history = np.zeros((len(index), 0), dtype=np.float32)
    if experiment.features.history == "full":
        features = pd.concat([features, h.history_features(features, sticker is not None)], ignore_index=True)
        anchors = np.unique(index["anchor"])
        user, anchor = index["user"].to_numpy(), index["anchor"].to_numpy()
        history = np.empty((len(index), int((features["kind"] == "history").sum())), dtype=np.float32)
        for a, values in zip(
            anchors, h.at_anchors(panel, acts, anchors, first.day_of_week, sticker is not None), strict=True
        ):
            here = anchor == a
            history[here] = values[user[here]]
    progress("windows", 5, 5)
    tables = {"daily": table, "features": features, "windows": index, "unscored": _unscored(index, acts, users, first)}
    return tables, history


def open_windows(
    index: pd.DataFrame, features: pd.DataFrame, panel: np.ndarray, history: np.ndarray, observe_days: int
) -> WindowSet:
    """The stage's results → WindowSet."""
    from tschurn.features.windows import WindowSet

    return WindowSet(index, features, panel, history, observe_days)


def _index(acts, users: pd.Index, first: pd.Timestamp, days: int, experiment: Experiment) -> pd.DataFrame:
    """Activity → WINDOWS, ordered by anchor, then user."""
    import numpy as np
    import pandas as pd

    from tschurn.features import labels, splits

    shape = experiment.windows
    anchors = splits.anchors(days, shape)
    where, user = np.nonzero(labels.eligible(acts.active, anchors, shape).T)
    anchor = anchors[where]
    closed = splits.is_closed(anchor, days, shape)

    def label(events: np.ndarray, when: bool) -> pd.array:
        happens = labels.happens(events, anchors, shape)[user, where]
        return pd.array(np.where(closed, happens == when, 0), dtype="Int8").copy()

    index = pd.DataFrame(
        {
            "user_id": users.to_numpy()[user],
            "user": user.astype(np.int32),
            "anchor_day": (first + pd.to_timedelta(anchor, unit="D")).date,
            "anchor": anchor.astype(np.int32),
            "closed": closed,
            "churned": label(acts.active, False),
            "sticker": label(acts.stickers, True),
            "split": splits.assign(user, anchor, days, shape, experiment.split, experiment.experiment.seed),
        }
    )
    index.loc[~index["closed"], ["churned", "sticker"]] = pd.NA
    if experiment.targets.sticker is None:
        index["sticker"] = pd.array([pd.NA] * len(index), dtype="Int8")
    return index


def _refuse_poor_churn(index: pd.DataFrame, acts, experiment: Experiment) -> None:
    """Raise when there is nothing to learn churn from."""
    from tschurn.errors import LogError, TooShortError

    if not acts.active.any():
        raise LogError(
            f"none of the events of [targets.churn] {list(experiment.targets.churn.events)} is an own event of the "
            "log; leave the key out to count every own event, or name events that the users do themselves"
        )
    for split in ("train", "validation", "calibration", "test"):
        labels = index.loc[index["split"] == split, "churned"]
        if labels.nunique() < 2:
            found = (
                f"{len(labels)} windows, all of them {'churned' if labels.eq(1).any() else 'not churned'}"
                if len(labels)
                else "no window"
            )
            raise TooShortError(
                f"the churn target has one class only in {split} ({found}): nothing can be learned or measured; "
                "give a longer log or more users, other [windows] outcome_days, or other [targets.churn] events"
            )


def _unscored(index: pd.DataFrame, acts, users: pd.Index, first: pd.Timestamp) -> pd.DataFrame:
    """Users without an own act in the newest observation → UNSCORED, with their last own day."""
    import numpy as np
    import pandas as pd

    newest = index["anchor"].max()
    missing = np.setdiff1d(np.arange(len(users)), index.loc[index["anchor"] == newest, "user"])
    active = acts.active[missing]
    last = active.shape[1] - 1 - active[:, ::-1].argmax(axis=1)
    last_day = pd.Series((first + pd.to_timedelta(last, unit="D")).date, dtype=object).where(active.any(axis=1), None)
    return pd.DataFrame({"user_id": users.to_numpy()[missing], "reason": "not_active", "last_day": last_day})
