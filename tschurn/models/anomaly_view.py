"""windows and USER_DAYS → ANOMALY of the newest windows, whether it can be trusted, and whether it adds anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tschurn.contracts import ANOMALY, ANOMALY_CALIBRATION, ANOMALY_GAIN, LABELS, Windows
from tschurn.models.anomaly import Anomalies, Diary, Weeks, weeks_of
from tschurn.models.evaluation import auc, average_precision, interval, resampled, two_way_weights
from tschurn.models.quick import Quick, sample_of_users

BINS = 10
LEAST_LEARNED = 200  # weeks
_WEEK = 7


def anomaly_view(
    windows: Windows, user_days: pd.DataFrame, newest: np.ndarray, targets: list[str], seed: int, threads: int
) -> dict[str, pd.DataFrame]:
    """Windows, USER_DAYS, the positions of the newest windows → ANOMALY, ANOMALY_CALIBRATION, ANOMALY_GAIN by name.

    All three are empty where the training days hold too few weeks to learn from.
    """
    index = windows.index
    diary = Diary(user_days)
    weeks = diary.weeks(*weeks_of(diary, index, seed))
    if len(weeks.comparable) < LEAST_LEARNED:
        return {t.name: pd.DataFrame(columns=list(t.columns)) for t in (ANOMALY, ANOMALY_CALIBRATION, ANOMALY_GAIN)}
    anomalies = Anomalies(diary.measures)
    anomalies.learn(weeks)
    learned_until = index.loc[index["split"] == "train", "anchor"].max()
    after = index[index["anchor"] >= learned_until + _WEEK]  # none of these weeks has been learned from
    later = diary.weeks(*weeks_of(diary, after, seed, ("validation", "calibration")))
    checks = [_calibration(anomalies, one, block, seed) for block, one in (("train", weeks), ("later", later))]
    now = index.iloc[newest]
    told = anomalies.largest(diary.of(now))
    found = pd.concat([now[["user_id", "anchor_day"]].reset_index(drop=True), told], axis=1)
    return {
        "anomaly": found[found["measure"].notna()].reset_index(drop=True),
        "anomaly_calibration": pd.concat(checks, ignore_index=True),
        "anomaly_gain": _gain(windows, diary, anomalies, targets, seed, threads),
    }


def _calibration(anomalies: Anomalies, weeks: Weeks, block: str, seed: int) -> pd.DataFrame:
    """Comparable weeks → by measure the share in each tenth of their predictive distribution, from quietest to busiest:
    the randomised probability integral transform (Czado, Gneiting and Held 2009), a tenth in each if it is right."""
    tails = anomalies.tails(weeks).dropna()
    random = np.random.default_rng([seed, 12]).random(len(tails))
    rows = []
    for name in anomalies.measures:
        less, most = tails[f"{name}:less"].to_numpy(), tails[f"{name}:most"].to_numpy()
        counts = np.histogram(less + random * (most - less), BINS, (0, 1))[0]
        rows += [{"measure": name, "block": block, "bin": b, "weeks": len(tails), "share": n / max(len(tails), 1)}
                 for b, n in enumerate(counts)]  # fmt: skip
    return pd.DataFrame(rows)


def _gain(
    windows: Windows, diary: Diary, anomalies: Anomalies, targets: list[str], seed: int, threads: int
) -> pd.DataFrame:
    """→ ANOMALY_GAIN: the same quick model on what models see anyway, on that and the anomaly, and on the anomaly."""
    index = windows.index
    blocks = {"train": ("train",), "measured": ("validation", "calibration")}
    rows = {b: sample_of_users(index, np.flatnonzero(index["split"].isin(s)), seed) for b, s in blocks.items()}
    usual = {block: windows.flat(places) for block, places in rows.items()}
    added = {block: anomalies.columns(diary.of(index.iloc[places])) for block, places in rows.items()}
    inputs = {
        "usual": usual,
        "usual_and_anomaly": {block: np.concatenate([usual[block], added[block]], axis=1) for block in rows},
        "anomaly": {block: added[block][:, : len(anomalies.measures)] for block in rows},
    }
    measured = index.iloc[rows["measured"]]
    weights = two_way_weights(measured["user"].to_numpy(), measured["anchor"].to_numpy(), seed)
    churned = index[LABELS["churn"]].to_numpy(np.float64, na_value=np.nan)
    found: list[tuple[Any, ...]] = []
    before: dict[str, tuple[float, np.ndarray]] = {}
    for name, matrices in inputs.items():
        quick = Quick(matrices["train"], seed, threads)
        for target in targets:
            everybody = target not in windows.lives.of_staying
            counted = {b: everybody | (churned[places] == 0) for b, places in rows.items()}
            y, known = (index[LABELS[target]].iloc[rows[b]].to_numpy(np.float64) for b in ("measured", "train"))
            told = counted["measured"]
            if len(np.unique(y[told])) < 2 or len(np.unique(known[counted["train"]])) < 2:
                continue
            y, scores = y[told], quick.log_odds(known, matrices["measured"], counted["train"])[told]
            ap, drawn = average_precision(y, scores), resampled(y, scores, weights[:, told])["ap"]
            usual_ap, usual_drawn = before.setdefault(target, (ap, drawn))  # "usual" comes first
            versus = (ap - usual_ap, *interval(drawn - usual_drawn)) if name != "usual" else (None, None, None)
            found.append((target, name, len(y), y.mean(), ap, auc(y, scores), *versus))
    return pd.DataFrame(found, columns=list(ANOMALY_GAIN.columns))
