"""daily panel and activity → HISTORY: what is known about a user at an anchor, beyond the daily window.

Everything looks at days up to and including the anchor day, never after.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tschurn.features.labels import Activity

LOOKBACKS = (7, 14, 28, 56)
WEEKS = 8
EVENT_LOOKBACK = 28  # for the sum of each daily feature


def history_features(daily: pd.DataFrame, has_sticker: bool, has_hours: bool) -> pd.DataFrame:
    """FEATURES rows of kind 'daily' → those of kind 'history', in the order of `at_anchors`."""
    rows = [_row(*spec) for spec in _own_specs(has_sticker, has_hours)]
    for feature in daily.itertuples(index=False):
        # who comes every day counts every day: a sum of people is not a number of people
        summed = ("day by day summed, ", "일별 합, ") if feature.measure == "actors" else ("", "")
        rows.append(
            _row(
                f"sum:{feature.feature}:{EVENT_LOOKBACK}", feature.measure, EVENT_LOOKBACK,
                f"{feature.label_en}, {summed[0]}last {EVENT_LOOKBACK} days",
                f"{feature.label_ko}, {summed[1]}최근 {EVENT_LOOKBACK}일",
                feature.side, feature.event_name,
            )
        )  # fmt: skip
    return pd.DataFrame(rows)


def at_anchors(
    panel: np.ndarray, activity: Activity, anchors: np.ndarray, first_weekday: int, has_sticker: bool, has_hours: bool
) -> Iterator[np.ndarray]:
    """For each anchor in turn → [users × history features] float32.

    One pass per anchor over all users given; memory holds one anchor, and the panel's running sums.
    """
    so_far = np.zeros((panel.shape[0], panel.shape[1] + 1, panel.shape[2]))
    np.cumsum(panel, axis=1, dtype=np.float64, out=so_far[:, 1:])
    for anchor in anchors:
        own = np.stack(list(_own_measures(activity, int(anchor), first_weekday, has_sticker, has_hours)), axis=1)
        sums = so_far[:, anchor + 1] - so_far[:, max(0, anchor + 1 - EVENT_LOOKBACK)]
        yield np.concatenate([own, sums], axis=1).astype(np.float32)


def _own_specs(has_sticker: bool, has_hours: bool) -> Iterator[tuple[str, str, int | None, str, str]]:
    """(name, measure, lookback, English label, Korean label) in the order of `_own_measures`."""
    yield "recency", "recency", None, "days since the last own act", "마지막 본인 활동 후 경과일"
    yield "tenure", "tenure", None, "days since the first own act", "첫 본인 활동 후 경과일"
    for n in LOOKBACKS:
        yield f"active_days:{n}", "active_days", n, f"active days of the last {n}", f"최근 {n}일 중 활동일 수"
    for n in LOOKBACKS:
        yield f"own_acts:{n}", "own_acts", n, f"own acts in the last {n} days", f"최근 {n}일 본인 활동 수"
    for n in LOOKBACKS:
        yield (
            f"received_acts:{n}",
            "received_acts",
            n,
            f"received acts in the last {n} days",
            f"최근 {n}일 받은 활동 수",
        )
    for k in range(1, WEEKS + 1):
        yield f"week:{k}", "week", 7 * k, f"active days, {k} weeks ago" if k > 1 else "active days, this week", \
            f"{k}주 전 활동일 수" if k > 1 else "이번 주 활동일 수"  # fmt: skip
    yield "trend", "trend", 28, "active days: last 14 minus the 14 before", "활동일 추세: 최근 14일 − 이전 14일"
    yield "rate", "rate", None, "share of active days since the first act", "첫 활동 이후 활동일 비율"
    yield "mean_gap", "mean_gap", None, "usual days between active days", "평소 활동 간격(일)"
    yield "overdue", "overdue", None, "days since the last act, in usual gaps", "평소 간격 대비 경과"
    yield "weekday", "weekday", None, "weekday of the anchor (0 = Monday)", "기준일 요일(0 = 월)"
    if has_hours:
        n = EVENT_LOOKBACK
        yield "first_hour", "first_hour", n, f"mean hour of a day's first own act, last {n} days", \
            f"하루 첫 활동 시각 평균, 최근 {n}일"  # fmt: skip
        yield "last_hour", "last_hour", n, f"mean hour of a day's last own act, last {n} days", \
            f"하루 마지막 활동 시각 평균, 최근 {n}일"  # fmt: skip
    if has_sticker:
        for n in LOOKBACKS:
            yield f"stickers:{n}", "stickers", n, f"stickers in the last {n} days", f"최근 {n}일 스티커 수"
        yield "sticker_value:56", "sticker_value", 56, "sticker value in the last 56 days", "최근 56일 스티커 금액"
        yield "sticker_days", "sticker_days", None, "days with a sticker so far", "지금까지 스티커가 있던 날 수"
        yield (
            "sticker_rate",
            "sticker_rate",
            None,
            "share of active days with a sticker",
            "활동일 중 스티커가 있던 비율",
        )
        yield "sticker_recency", "sticker_recency", None, "days since the last sticker", "마지막 스티커 후 경과일"


def _own_measures(
    activity: Activity, anchor: int, first_weekday: int, has_sticker: bool, has_hours: bool
) -> Iterator[np.ndarray]:
    """Each measure of `_own_specs` for all users at one anchor, [users] each."""
    active = activity.active[:, : anchor + 1]
    active_so_far = active.sum(axis=1)
    recency = _days_since_last(active)
    tenure = np.where(active_so_far > 0, anchor - active.argmax(axis=1), 0)
    last_days = {n: _last(active, n) for n in LOOKBACKS}
    yield recency
    yield tenure
    for n in LOOKBACKS:
        yield last_days[n]
    for matrix in (activity.own, activity.received):
        for n in LOOKBACKS:
            yield _last(matrix[:, : anchor + 1], n)
    for k in range(1, WEEKS + 1):
        yield _last(active[:, : max(0, anchor + 1 - 7 * (k - 1))], 7)
    yield from rhythm(recency, tenure, active_so_far, last_days[14], last_days[28]).values()
    yield np.full(len(active), (first_weekday + anchor) % 7)
    if has_hours:
        yield _mean_hour(activity.first_hour[:, : anchor + 1])
        yield _mean_hour(activity.last_hour[:, : anchor + 1])
    if has_sticker:
        stickers = activity.stickers[:, : anchor + 1]
        for n in LOOKBACKS:
            yield _last(stickers, n)
        yield _last(activity.sticker_value[:, : anchor + 1], 56)
        sticker_days = (stickers > 0).sum(axis=1)
        yield sticker_days
        yield sticker_days / np.maximum(active_so_far, 1)
        yield _days_since_last(stickers > 0)


def rhythm(
    recency: np.ndarray, tenure: np.ndarray, active_so_far: np.ndarray, last_14: np.ndarray, last_28: np.ndarray
) -> dict[str, np.ndarray]:
    """What follows from when somebody acted, [users] each: trend, rate, mean_gap and overdue, by name."""
    # the usual gap of somebody seen once is not known: all the time since then stands for it
    mean_gap = np.where(active_so_far > 1, (tenure - recency) / np.maximum(active_so_far - 1, 1), tenure + 1)
    return {
        "trend": last_14 - (last_28 - last_14),
        "rate": active_so_far / (tenure + 1),
        "mean_gap": mean_gap,
        "overdue": recency / np.maximum(mean_gap, 1),
    }


def _last(matrix: np.ndarray, days: int) -> np.ndarray:
    """Sum over the last `days` columns, fewer where the log is younger."""
    return matrix[:, max(0, matrix.shape[1] - days) :].sum(axis=1, dtype=np.float64)


def _mean_hour(hours: np.ndarray) -> np.ndarray:
    """Mean over the days of the lookback that have one; -1 where none has."""
    recent = hours[:, max(0, hours.shape[1] - EVENT_LOOKBACK) :]
    known = (recent >= 0).sum(axis=1)
    total = np.where(recent >= 0, recent, 0).sum(axis=1, dtype=np.float64)
    return np.where(known, total / np.maximum(known, 1), -1.0)


def _days_since_last(happened: np.ndarray) -> np.ndarray:
    """0: on the last column; the number of columns where it never happened."""
    days = happened.shape[1]
    return np.where(happened.any(axis=1), happened[:, ::-1].argmax(axis=1), days)


def _row(
    name: str, measure: str, lookback: int | None, label_en: str, label_ko: str,
    side: str | None = None, event_name: str | None = None,
) -> dict[str, object]:  # fmt: skip
    return {"feature": f"history:{name}", "kind": "history", "side": side, "event_name": event_name, "measure": measure,
            "lookback": lookback, "label_en": label_en, "label_ko": label_ko}  # fmt: skip
