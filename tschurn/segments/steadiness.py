"""Ranked users + SEED_SCORES → LIST_STABILITY, FIRMNESS: would another week, or another seed, call the same?

Seeds: each cuts a group as large as the list's, so that what differs is the order, not the level (a seed that thinks
everybody a little safer would else look like another opinion). Anchors: the threshold that cuts the list now cuts
those of the weeks before, as the models would have scored them then without having seen them.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from tschurn.contracts import FIRMNESS, LIST_STABILITY
from tschurn.segments.priority import Scored, ranked
from tschurn.segments.thresholds import Threshold, in_group


class Lists(NamedTuple):
    """Lists of who would have been called: user_id (index), score, chosen (bool).

    now: the list itself; seeds: by seed, of the same users; weeks: by anchor day, of the users of that day, in order
    of the days.
    """

    now: pd.DataFrame
    seeds: dict[int, pd.DataFrame]
    weeks: dict[Hashable, pd.DataFrame]


def other_lists(scored: Scored, threshold: Threshold, seed_scores: pd.DataFrame) -> Lists:
    """Scored, the threshold that cuts, SEED_SCORES (may be empty) → Lists.

    A target that was not fitted again keeps its probabilities. Out-of-time windows that lack the score (no value was
    expected there) give no list.
    """
    now = _listed(scored.users, in_group(scored.users, threshold))
    size = int(now["chosen"].sum())
    same_size = threshold._replace(method="capacity", parameter=float(size))
    seeds = {
        int(seed): _listed(again, in_group(again, same_size))
        for seed, part in seed_scores.groupby("seed", sort=True)
        if len(again := ranked(_reseeded(scored, part), scored.score))
    }
    known = scored.windows[scored.windows["score"].notna()]
    weeks = {day: _listed(part, in_group(part, threshold)) for day, part in known.groupby("anchor_day", sort=True)}
    return Lists(now, seeds, weeks)


def _listed(users: pd.DataFrame, chosen: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"score": users["score"].to_numpy(), "chosen": chosen}, index=pd.Index(users["user_id"]))


def _reseeded(scored: Scored, part: pd.DataFrame) -> pd.DataFrame:
    """Users with the probabilities of one seed in place of theirs, and both scores as these make them."""
    users = scored.users
    p = {
        f"p_{target}": users["user_id"].map(rows.set_index("user_id")["p"]).to_numpy()
        for target, rows in part.groupby("target")
    }
    again = users.assign(**p)
    # what is expected of who stays is another model's, and stays as it is
    ratio = again["p_churn"] / users["p_churn"].where(users["p_churn"] > 0)
    both = again["p_churn"] if users["p_sticker"].isna().all() else again["p_churn"] * again["p_sticker"]
    again = again.assign(priority=both, value_at_risk=users["value_at_risk"] * ratio)
    return again[again["p_churn"].notna() & both.notna()]


def list_stability(lists: Lists, newest: Hashable) -> pd.DataFrame:
    """Lists and the newest anchor day → LIST_STABILITY: the list against each seed's, each week against the next, and
    the last of the weeks against the list."""
    rows = [{"kind": "seed", "anchor_day": newest, "other": str(seed), **_agreement(lists.now, other)}
            for seed, other in lists.seeds.items()]  # fmt: skip
    rows += [{"kind": "anchor", "anchor_day": day, "other": str(other_day), **_agreement(one, other)}
             for (day, one), (other_day, other) in _neighbours(lists, newest)]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(LIST_STABILITY.columns))
    return table.astype(dict.fromkeys(("jaccard", "chance", "correlation"), "float64"))


def _neighbours(lists: Lists, newest: Hashable) -> Iterator[tuple[tuple[Hashable, pd.DataFrame], ...]]:
    days = [*lists.weeks.items(), *([(newest, lists.now)] if len(lists.now) else [])]
    return itertools.pairwise(days)


def _agreement(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, object]:
    """Two lists → the figures of LIST_STABILITY, of the users in both."""
    both = one.join(other.add_suffix("_other"), how="inner")
    a, b = int(both["chosen"].sum()), int(both["chosen_other"].sum())
    shared = int((both["chosen"] & both["chosen_other"]).sum())
    varied = len(both) > 2 and all(both[s].nunique() > 1 for s in ("score", "score_other"))
    return {
        "users": len(both),
        "group": a,
        "other_group": b,
        "both": shared,
        "jaccard": shared / (a + b - shared) if a + b else None,
        "chance": chance(len(both), a, b),
        "correlation": float(stats.spearmanr(both["score"], both["score_other"]).statistic) if varied else None,
    }


def chance(users: int, a: int, b: int) -> float | None:
    """Users, sizes of two groups drawn from them at random → their expected Jaccard similarity; None if both are empty.

    What they share is hypergeometric; the mean is of shared / (a + b − shared).
    """
    if not a + b:
        return None
    shared = np.arange(max(0, a + b - users), min(a, b) + 1)
    return float((stats.hypergeom.pmf(shared, users, a, b) * shared / (a + b - shared)).sum())


def firmness(lists: Lists) -> pd.DataFrame:
    """Lists → FIRMNESS, in the order of the list: over the list, each seed's, and the last of the weeks before it."""
    others = [*lists.seeds.values(), *list(lists.weeks.values())[-1:]]
    chosen = pd.concat(
        [one["chosen"].reindex(lists.now.index).astype("boolean").astype("Float64") for one in (lists.now, *others)],
        axis="columns",
    )
    count, share = chosen.notna().sum(axis="columns"), chosen.mean(axis="columns").astype("float64")
    firm = np.select([count < 2, share == 1, share > 0], ["", "firm", "swing"], "out")
    table = pd.DataFrame({"user_id": lists.now.index, "lists": count.to_numpy(np.int32), "chosen": share.to_numpy()})
    # one list says nothing of whether another would be the same
    return table.assign(firm=pd.Series(firm, dtype="str").replace("", None))[list(FIRMNESS.columns)]
