"""PROFILE + segments → DIVERGENCE: by which events a segment's mix differs from everybody's."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import rel_entr

from tschurn.contracts import DIVERGENCE, SEGMENTS

DRAWS, LEVEL = 200, 0.95


def divergence(profile: pd.DataFrame, segments: pd.Series, features: pd.DataFrame, seed: int) -> pd.DataFrame:
    """PROFILE, segment of each user_id (index), FEATURES → DIVERGENCE, the largest contribution first.

    A segment's mix P is that of all events of its users in their observations, everybody's is Q; the contribution of
    a kind of event is P · ln(P / Q) in nats, 0 where P is 0 (Kullback and Leibler 1951, Ann. Math. Stat. 22, 79-86).
    Everybody includes the segment, so that Q is never 0 where P is not. A small group's mix differs from everybody's
    by chance already: `chance` is the LEVEL quantile of the divergences of DRAWS random groups of as many users.
    """
    kinds = features[(features["kind"] == "daily") & (features["measure"] == "count")]
    kinds = kinds[kinds["event_name"].notna()].rename(columns={"event_name": "event"})
    values = profile.set_index("user_id").reindex(segments.index)
    rng = np.random.default_rng(seed)
    parts = []
    for _, of_side in kinds.groupby("side", sort=True):
        counts = np.nan_to_num(values[list(of_side["feature"])].to_numpy(np.float64))
        counts = counts[:, known := counts.sum(axis=0) > 0]
        for segment in SEGMENTS:
            members = counts[(segments == segment).to_numpy()]
            if members.sum() > 0:
                mixes = _mixes(members.sum(axis=0), counts.sum(axis=0))
                acting, chance = int((members.sum(axis=1) > 0).sum()), _by_chance(counts, len(members), rng)
                parts.append(of_side[known].assign(segment=segment, **mixes, users=acting, chance=chance))
    if not parts:
        return pd.DataFrame(columns=list(DIVERGENCE.columns))
    table = pd.concat(parts).sort_values("contribution", ascending=False, kind="stable")
    place = table["segment"].map({segment: i for i, segment in enumerate(SEGMENTS)})
    table = table.assign(place=place).sort_values(["place", "side"], kind="stable").reset_index(drop=True)
    return table[list(DIVERGENCE.columns)]


def _mixes(here: np.ndarray, everybody: np.ndarray) -> dict[str, np.ndarray]:
    """Counts by kind in the segment and of everybody → both shares, and what each kind contributes."""
    share, of_all = here / here.sum(), everybody / everybody.sum()
    return {"share": share, "everybody": of_all, "contribution": rel_entr(share, of_all)}


def _by_chance(counts: np.ndarray, size: int, rng: np.random.Generator) -> float:
    """[users × kinds] → the divergence that LEVEL of the random groups of so many users do not reach."""
    drawn = (counts[rng.choice(len(counts), size, replace=False)].sum(axis=0) for _ in range(DRAWS))
    mixes = np.stack([one for one in drawn if one.sum() > 0] or [counts.sum(axis=0)])
    of_all = counts.sum(axis=0) / counts.sum()
    found = rel_entr(mixes / mixes.sum(axis=1, keepdims=True), of_all).sum(axis=1)
    return float(max(0.0, np.quantile(found, LEVEL)))
