"""the priority group, best first → who of it is left alone, so that the effect of contacting can be measured.

Who is contacted differs from who is not in just what made the list; only chance makes two groups that can be compared.
"""

from __future__ import annotations

from datetime import date

import numpy as np


def held_out(users: int, share: float, seed: int, anchor_day: date) -> np.ndarray:
    """Number of users, best first → bool [users]: the `share` of them that is left alone.

    Drawn in strata of the score: of each 1/share users that follow one another one at random, so that those held out
    are as good as the others. Everybody's chance is exactly `share`, of whatever size the group is: four users and a
    share of 0.1 mean one held out in every two or three weeks, and pooled weeks have the share that was asked for.
    Users are shuffled within their stratum and then taken in equal steps from a random start (systematic sampling;
    Cochran 1977, Sampling Techniques, ch. 8). The same seed and anchor day draw the same places of a list; another
    week draws anew.
    """
    if not users or not share:
        return np.zeros(users, dtype=bool)
    rng = np.random.default_rng([seed, anchor_day.toordinal()])
    stratum = np.arange(users) // np.rint(1 / share)
    shuffled = np.lexsort((rng.random(users), stratum))
    steps = np.floor(rng.random() + share * np.arange(users + 1))
    chosen = np.zeros(users, dtype=bool)
    chosen[shuffled] = np.diff(steps) > 0
    return chosen
