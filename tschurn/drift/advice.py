"""DRIFT and DRIFT_FIGURES → ADVICE: fine, recalibrate, retrain, or unknown; and warnings about the log itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tschurn import contracts as c
from tschurn.contracts import ADVICES
from tschurn.drift.ordinary import ordinary
from tschurn.drift.scores import alpha
from tschurn.drift.seen import Seen

FAR = 0.25  # of PSI beyond the expected one: customary for a great shift
CARRIED = 0.10  # of the score: what features far out of their range must carry together
LEAST_ROWS = 20  # of an event in a week, for its coming or going to be told
_EARLIEST = 4  # ratios of neighbouring anchors that a fall is measured by, at least
_FALL = 0.9  # of the windows of the anchor before: more than this left is no fall


def advise(moved: pd.DataFrame, figures: pd.DataFrame) -> pd.DataFrame:
    """DRIFT and DRIFT_FIGURES → ADVICE.

    Retrain where the ranking has fallen by more than the test anchors differ, or where features that carried a tenth
    of the score or more are far out of the range of the run's own anchors. Else recalibrate where outcomes are off in
    level or slope by more than that. Unknown where too few outcomes are known. The tests share a chance of 5 % a week.
    """
    targets = list(moved["target"].unique())
    rows = []
    for target in targets:
        at = figures[figures["target"] == target].set_index("figure")
        known = "level" in at.index or "auc" in at.index
        beyond = at["beyond"].reindex(["auc", "level", "slope"]).fillna(False).astype(bool)
        out_of_range = far(moved[moved["target"] == target], alpha(len(targets)))
        if beyond["auc"]:
            rows.append((target, "retrain", "ranking"))
        elif out_of_range["weight"].sum() >= CARRIED:
            rows.append((target, "retrain", "range"))
        elif beyond["level"] or beyond["slope"]:
            rows.append((target, "recalibrate", "level" if beyond["level"] else "slope"))
        else:
            rows.append((target, "fine", "holds") if known else (target, "unknown", "no_outcomes"))
    worst = max((advice for _, advice, _ in rows), key=ADVICES.index)
    return pd.DataFrame([("", worst, "worst"), *rows], columns=list(c.ADVICE.columns))


def far(moved: pd.DataFrame, level: float) -> pd.DataFrame:
    """DRIFT of one target → the rows of features that are far out of the range of the run's anchors."""
    return moved[(moved["psi"] - moved["psi_expected"] >= FAR) & (moved["psi_p"] < level) & (moved["weight"] > 0)]


def warnings(reference: dict[str, pd.DataFrame], now: Seen) -> pd.DataFrame:
    """REFERENCE tables, what is seen now → DRIFT_WARNINGS."""
    rows = _events(reference["reference_events"], now.events)
    return pd.DataFrame([*rows, *_users(reference["reference_anchors"], now)], columns=list(c.DRIFT_WARNINGS.columns))


def _events(then: pd.DataFrame, now: pd.DataFrame | None) -> list[tuple[str, str, float | None, float]]:
    """Events that came up only after the run's log, and those alive at its end that are gone for a week or more."""
    if now is None or not len(now) or not len(then):
        return []
    days = {name: pd.to_datetime(frame[name]) for frame in (now,) for name in ("first_day", "last_day")}
    ended, ends = pd.to_datetime(then["last_day"]).max(), days["last_day"].max()
    both = then.merge(now, on=["side", "event_name"], how="outer", suffixes=("", "_now"), indicator="seen")
    rows: list[tuple[str, str, float | None, float]] = []
    for event in both.itertuples():
        name = f"{event.side}:{event.event_name}"
        if event.seen == "right_only":
            weeks = max((ends - pd.Timestamp(event.first_day_now)).days + 1, 7) / 7
            if pd.Timestamp(event.first_day_now) > ended and event.rows_now / weeks >= LEAST_ROWS:
                rows.append(("new_event", name, None, event.rows_now / weeks))
            continue
        alive = (pd.Timestamp(event.last_day) - pd.Timestamp(event.first_day)).days + 1
        weekly = event.rows / max(alive / 7, 1)
        last = pd.Timestamp(event.last_day if event.seen == "left_only" else event.last_day_now)
        if (ended - pd.Timestamp(event.last_day)).days < 7 <= (ends - last).days and weekly >= LEAST_ROWS:
            rows.append(("vanished_event", name, weekly, 0.0))
    return rows


def _users(then: pd.DataFrame, now: Seen) -> list[tuple[str, str, float | None, float]]:
    """Fewer windows at the newest anchor than at the one before it, by more than neighbours among the others differ."""
    counts = then.drop_duplicates("anchor_day").set_index("anchor_day")["windows"]
    later = now.index.groupby("anchor_day").size()
    counts = pd.concat([counts[~counts.index.isin(later.index)], later]).sort_index()
    if len(counts) < _EARLIEST + 2:
        return []
    ratios = np.diff(np.log(counts.to_numpy(np.float64)))
    gaps = np.diff(pd.to_datetime(counts.index).to_numpy()).astype("timedelta64[D]").astype(float)
    earlier = ratios[:-1] / np.sqrt(gaps[:-1])  # a walk: it spreads with the root of the time
    usual = ordinary(earlier, np.zeros(len(earlier)), np.zeros(1))
    before, newest = counts.iloc[-2], counts.iloc[-1]
    if newest > _FALL * before or usual is None or usual.chance(ratios[-1] / np.sqrt(gaps[-1]), side=-1) >= 0.005:
        return []
    return [("fewer_users", str(counts.index[-1]), float(before), float(newest))]
