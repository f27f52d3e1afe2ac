"""Users → made-up tables of everything that the page tells of single users."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tschurn import contracts as c
from tschurn.contracts import SEGMENTS
from tschurn.report import users

DAY = date(2024, 5, 19)
NASTY = ("<script>alert(1)</script>", "=1+1", "a\"b'c", "사용자 하나", "x" * 5000, "\u202eabc", "", "-2")


def made_up(ids: list[Any], stride: int = 7, sticker: bool = True, seed: int = 3) -> dict[str, pd.DataFrame]:
    """Tables of these users, best first, with everything that the block holds."""
    rng = np.random.default_rng(seed)
    n, targets = len(ids), ("churn", "sticker") if sticker else ("churn",)
    number = {name: rng.random(n) for name in users.NUMBERS if name != "value_28"}
    priority = {"user_id": ids, "anchor_day": DAY, "rank": range(1, n + 1), "log_priority": 0.0,
                "segment": [SEGMENTS[k % 4] for k in range(n)]} | number  # fmt: skip
    marks = {"holdout": [k % 5 == 1 for k in range(n)], "resting": [k % 5 == 2 for k in range(n)],
             "action": [f"call {k}" if k % 2 else None for k in range(n)]}  # fmt: skip
    days = [(u, DAY - timedelta(days=int(k)), int(rng.integers(0, 30)), int(rng.integers(0, 900)), int(k) % 3)
            for u in ids for k in rng.choice(90, 20, replace=False)]  # fmt: skip
    splits = ("train", "purged", "validation", "calibration", "excluded", "test")
    past = [(u, DAY - timedelta(days=stride * k), splits[-min(k, 6)], t, "used", rng.random(), 0)
            for u in ids for t in targets for k in range(1, 80 // stride) if rng.random() < 0.8]  # fmt: skip
    reasons = [(t, u, DAY, r, f"f{int(rng.integers(0, 4))}", 1.0, 2.0, 3.0, 1 / r + k / 100, k % 3 > 0,
                f"{t} {k} {r} {u}", f"{t} {k} {r} {u} 가") for t in targets for k, u in enumerate(ids)
               for r in range(1, 4) if k % 4]  # fmt: skip
    played = [(t, "days", p, f"{p} day", f"{p} 일", 0.1, 0.1, 0.1) for t in targets for p in ("before", "-1", "0")]
    asked = [(t, "days", u, DAY, p, 0.1, rng.normal(), None, 0.0, 0.0)
             for t in targets for u in ids[:3] for p in ("0", "before", "-1")]  # fmt: skip
    features = [(f"f{k}", "history", None, None, "x", None, f"label {k}", f"이름 {k}") for k in range(3)]  # f3: unknown
    frames = {
        "user_days": pd.DataFrame(days, columns=["user_id", "day", "own", "received", "stickers"]),
        "predictions": pd.DataFrame(past, columns=list(c.PREDICTIONS.columns)),
        "reasons": pd.DataFrame(reasons, columns=list(c.REASONS.columns)),
        "players": pd.DataFrame(played, columns=list(c.PLAYERS.columns)),
        "attribution": pd.DataFrame(asked, columns=list(c.ATTRIBUTION.columns)),
        "features": pd.DataFrame(features, columns=list(c.FEATURES.columns)),
        "anomaly": pd.DataFrame([(u, DAY, "own_acts", "quieter", 7.5, 3.0, 6.25) for u in ids[::2]],
                                columns=list(c.ANOMALY.columns)),
        "firmness": pd.DataFrame({"user_id": ids, "lists": 3, "chosen": 1.0,
                                  "firm": ["firm", None] * (n // 2) + ["out"] * (n % 2)}),
        "money": pd.DataFrame({"user_id": ids, "anchor_day": DAY, "recency": range(n), "value_28": rng.random(n) * 99}),
        "priority": pd.DataFrame(priority), "list": pd.DataFrame(priority | marks),
    }  # fmt: skip
    if not sticker:
        frames["priority"][[f"p_sticker{e}" for e in ("", "_low", "_high")] + ["value_at_risk"]] = np.nan
        frames["money"]["value_28"] = np.nan
    return frames
