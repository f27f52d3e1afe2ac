"""seed → what a run has seen of a made platform, and what is seen a few weeks later, as planted."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.special import expit

from tschurn.drift import Seen

FIRST = date(2024, 1, 7)
NOISE = 8  # features that neither the outcome nor the score depend on


def seen(
    seed: int, users: int = 300, weeks: int = 24, tests: int = 6, later: int = 2, *, week: float = 0.15,
    shift: float = 0.0, level: float = 0.0, slope: float = 1.0, worth: float = 1.0,
    targets: tuple[str, ...] = ("churn",),
) -> tuple[Seen, Seen]:  # fmt: skip
    """→ of a run (`weeks` closed anchors, `tests` of them test, one open), and of the `later` anchors after its closed
    ones: all but the last of these are closed.

    The score is right: σ(x + z) of two features of a user that last, and of the week. week: how much weeks differ, in
    features and outcomes. Planted in the later anchors: shift of the feature `x`, level and slope of the outcomes'
    log-odds, worth (0: the score says nothing of them).
    """
    random = np.random.default_rng(seed)
    trait = random.normal(0, 0.8, (users, 2))
    parts, n = [], weeks + 1 + later
    for anchor in range(n):
        new = anchor >= weeks
        there = random.random(users) < 0.85
        features = trait + random.normal(0, 0.6, (users, 2)) + random.normal(0, week, 2)
        features[:, 0] += shift * new
        noise = random.poisson(np.exp(random.normal(0, 0.3 * week)), (users, NOISE)).astype(float)
        noise[:, 1] = np.where(random.random(users) < 0.1, np.nan, noise[:, 1])
        log_odds = features.sum(axis=1) - 0.7
        truth = log_odds - log_odds.mean()
        truth = log_odds.mean() + truth * (slope * worth if new else 1.0) + level * new + random.normal(0, week)
        frame = pd.DataFrame({"user_id": np.arange(users), "x": features[:, 0], "z": features[:, 1]})
        frame = pd.concat([frame, pd.DataFrame(noise, columns=[f"noise{i}" for i in range(NOISE)])], axis=1)
        frame = frame.assign(
            anchor=anchor, log_odds=log_odds, **{t: random.random(users) < expit(truth) for t in targets}
        )
        parts.append(frame[there])
    every = pd.concat(parts, ignore_index=True)
    every["anchor_day"] = [FIRST + timedelta(days=7 * int(a)) for a in every["anchor"]]
    run = every[every["anchor"] < weeks]
    return (
        _seen(run, run["anchor"] >= weeks - tests, weeks, targets),
        _seen(every[every["anchor"] >= weeks], every["anchor"][every["anchor"] >= weeks] >= 0, n - 1, targets),
    )


def _seen(frame: pd.DataFrame, scored: pd.Series, open_from: int, targets: tuple[str, ...]) -> Seen:
    closed = frame["anchor"] < open_from
    label = {"churn": "churned", "sticker": "sticker"}
    index = pd.DataFrame({"user_id": frame["user_id"], "anchor_day": frame["anchor_day"], "closed": closed})
    for target, column in label.items():
        y = frame[target] if target in targets else pd.Series(False, index=frame.index)
        index[column] = y.astype("Int8").where(closed & (target in targets))
    part, scores, pushes = frame[scored], [], {}
    for target in targets:
        y = part[target].astype("Int8").where(closed[scored])
        scores.append(part[["user_id", "anchor_day", "log_odds"]].assign(target=target, p=expit(part["log_odds"]), y=y))
        pushes[target] = part[["user_id", "anchor_day", "x", "z"]].assign(noise0=0.0)
    features = ["x", "z", *(f"noise{i}" for i in range(NOISE))]
    return Seen(
        index=index.reset_index(drop=True), rows=np.arange(len(frame)),
        profile=frame[["user_id", *features]].reset_index(drop=True),
        scores=pd.concat(scores, ignore_index=True),
        pushes={t: p.reset_index(drop=True) for t, p in pushes.items()},
    )  # fmt: skip
