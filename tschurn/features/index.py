"""what each user did each day → WINDOWS, and who cannot be scored."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from tschurn.config import Experiment
from tschurn.errors import LogError, TooShortError
from tschurn.features import labels, splits
from tschurn.features.labels import Activity


def windows(
    acts: Activity, users: pd.Index, first: pd.Timestamp, outages: Collection[int], experiment: Experiment,
    contacts: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Activity → WINDOWS, ordered by anchor, then user; and EXCLUSIONS.

    outages: days (positions) that no window may touch; contacts: CONTACTS, days that no window of that user may.
    """
    shape, days = experiment.windows, acts.active.shape[1]
    anchors = splits.anchors(days, shape)
    index = labelled(acts, users, first, anchors, experiment)
    user, anchor, closed = (index[key].to_numpy() for key in ("user", "anchor", "closed"))
    where = np.searchsorted(anchors, anchor)
    split = splits.assign(user, anchor, days, shape, experiment.split, experiment.experiment.seed)
    failed = np.zeros((1, days), dtype=bool)
    failed[0, list(outages)] = True
    failing = labels.touches(failed, anchor, shape)[0] & closed
    treated = labels.touches(_contacted(contacts, users, first, days), anchors, shape)[user, where] & closed & ~failing
    index["split"] = np.where(failing | treated, "excluded", split)
    exclusions = [(reason, int(rows.sum()), len(np.unique(user[rows])))
                  for reason, rows in (("outage", failing), ("contact", treated)) if rows.any()]  # fmt: skip
    return index, pd.DataFrame(exclusions, columns=["reason", "windows", "users"])


def labelled(
    acts: Activity, users: pd.Index, first: pd.Timestamp, anchors: np.ndarray, experiment: Experiment
) -> pd.DataFrame:
    """Activity and anchors in order → WINDOWS but for its split, ordered by anchor, then user."""
    shape, days = experiment.windows, acts.active.shape[1]
    eligible = labels.eligible(acts.active, anchors, shape) & _known_long_enough(acts, anchors, experiment)
    where, user = np.nonzero(eligible.T)
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
        }
    )
    index.loc[~index["closed"], ["churned", "sticker"]] = pd.NA
    if experiment.targets.sticker is None:
        index["sticker"] = pd.array([pd.NA] * len(index), dtype="Int8")
    return index


def _contacted(contacts: pd.DataFrame | None, users: pd.Index, first: pd.Timestamp, days: int) -> np.ndarray:
    """CONTACTS → [users × days] bool; contacts of others, and on other days, are left out."""
    found = np.zeros((len(users), days), dtype=bool)
    if contacts is not None and len(contacts):
        user = users.get_indexer(contacts["user_id"])
        day = (pd.to_datetime(contacts["contacted_on"]) - first).dt.days.to_numpy()
        here = (user >= 0) & (day >= 0) & (day < days)
        found[user[here], day[here]] = True
    return found


def split_at(index: pd.DataFrame, days: int, experiment: Experiment, origin: int) -> np.ndarray:
    """WINDOWS of a log of `days` days → their split at an origin of a rolling split, 1 the first one."""
    user, anchor = index["user"].to_numpy(), index["anchor"].to_numpy()
    shape, split, seed = experiment.windows, experiment.split, experiment.experiment.seed
    found = splits.assign(user, anchor, days, shape, split, seed, origin=origin - 1)
    return np.where(index["split"] == "excluded", "excluded", found)


def _known_long_enough(acts: Activity, anchors: np.ndarray, experiment: Experiment) -> np.ndarray:
    """[users × anchors]: whether the first activity lies min_history_days before the anchor, or more."""
    return acts.active.argmax(axis=1)[:, None] + experiment.windows.min_history_days <= anchors


def refuse_poor_churn(index: pd.DataFrame, acts: Activity, experiment: Experiment) -> None:
    """Raise when there is nothing to learn churn from."""
    if not acts.active.any():
        raise LogError(
            f"none of the events of [targets.churn] {list(experiment.targets.churn.events)} is an own event of the "
            "log; leave the key out to count every own event, or name events that the users do themselves"
        )
    for split in ("train", "validation", "calibration", "test"):
        found = index.loc[index["split"] == split, "churned"]
        if found.nunique() < 2:
            what = (
                f"{len(found)} windows, all of them {'churned' if found.eq(1).any() else 'not churned'}"
                if len(found)
                else "no window"
            )
            keys = {
                "min_history_days": experiment.windows.min_history_days,
                "skip_outages": experiment.windows.skip_outages,
            }
            asked = " and ".join(f"`{key}`" for key, value in keys.items() if value)
            treated = experiment.contacts is not None and not experiment.contacts.include
            raise TooShortError(
                f"the churn target has one class only in {split} ({what}): nothing can be learned or measured; "
                "give a longer log or more users, other [windows] outcome_days, or other [targets.churn] events"
                + (f"; {asked} of [windows] leave windows out" if asked else "")
                + ("; `include = true` of [contacts] keeps windows of contacted users" if treated else "")
            )


def unscored(
    index: pd.DataFrame, acts: Activity, users: pd.Index, first: pd.Timestamp, observe_days: int, newest: int
) -> pd.DataFrame:
    """Users without a window at the newest anchor → UNSCORED, with their last own day up to it."""
    missing = np.setdiff1d(np.arange(len(users)), index.loc[index["anchor"] == newest, "user"])
    active = acts.active[missing, : newest + 1]
    last = active.shape[1] - 1 - active[:, ::-1].argmax(axis=1)
    last_day = pd.Series((first + pd.to_timedelta(last, unit="D")).date, dtype=object).where(active.any(axis=1), None)
    here = active[:, newest + 1 - observe_days : newest + 1].any(axis=1)
    reason = np.where(here, "too_new", "not_active")
    return pd.DataFrame({"user_id": users.to_numpy()[missing], "reason": reason, "last_day": last_day})
